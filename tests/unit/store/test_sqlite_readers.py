"""Reading from SQLite: in threads of its own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from crossdock.store.engine import open_store


async def test_reads_go_on_while_other_threads_hang(tmp_path: Path) -> None:
    """With every thread that others share stuck, a read is answered, and one that was given up holds up no other."""
    store = open_store(f"sqlite:///{tmp_path / 'crossdock.db'}", readers=2)
    let_go = threading.Event()
    hanging = [asyncio.ensure_future(asyncio.to_thread(let_go.wait, 20)) for _ in range(100)]
    try:
        async with asyncio.timeout(10):
            given_up = asyncio.ensure_future(store.read(lambda connection: connection.one("select 1")))
            await asyncio.sleep(0)
            given_up.cancel()

            assert (2,) == await store.read(lambda connection: connection.one("select 2"))
    finally:
        let_go.set()
        await asyncio.gather(*hanging, given_up, return_exceptions=True)
        store.close()
