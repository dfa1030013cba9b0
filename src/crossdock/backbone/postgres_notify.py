"""Wake-ups by PostgreSQL's LISTEN and NOTIFY: inside the transaction that stores the work, heard after its commit.

One NOTIFY per transaction names all slots. The connection that listens is one of its own, in a thread; when it breaks
it is made anew, and everybody looks into the record once, because what was said meanwhile is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection
from typing import Any

import structlog

from ..durable.wake import Woken
from ..errors import CrossdockError

log = structlog.get_logger()

CHANNEL = "crossdock_wake"
LISTEN_SECONDS = 0.5
AGAIN_SECONDS = 1.0


class PostgresNotify:
    """The `WakeUp` of a PostgreSQL record. `connect` opens a connection beside the pool (`.raw` is psycopg's)."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._trouble = ""

    def within(self, connection: Any, slots: Collection[int]) -> None:
        """Announce inside the transaction."""
        connection.query("select pg_notify(?, ?)", (CHANNEL, ",".join(map(str, sorted(slots)))))

    def after(self, slots: Collection[int]) -> None:
        """Nothing is left to do: it was announced inside the transaction."""

    async def start(self, woken: Woken) -> None:
        """Listen in a thread of its own; return when it does."""
        loop = asyncio.get_running_loop()
        listening = threading.Event()
        self._thread = threading.Thread(
            target=self._listen, args=(loop, woken, listening), name="wake-listener", daemon=True
        )
        self._thread.start()
        await asyncio.to_thread(listening.wait, 5.0)

    async def stop(self) -> None:
        """Stop listening."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def trouble(self) -> str:
        """Say in words why wake-ups are not heard; empty when all is well."""
        return self._trouble

    def _listen(self, loop: asyncio.AbstractEventLoop, woken: Woken, listening: threading.Event) -> None:
        while not self._stopping.is_set():
            try:
                connection = self._connect()
            except CrossdockError as error:
                log.warning("wake.cannot_listen", error=str(error))
                self._trouble = str(error)
                self._stopping.wait(AGAIN_SECONDS)
                continue
            try:
                connection.raw.execute(f"listen {CHANNEL}")
                listening.set()
                self._trouble = ""
                _tell(loop, woken, ())
                while not self._stopping.is_set():
                    for notice in connection.raw.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                        _tell(loop, woken, [int(part) for part in notice.payload.split(",") if part])
            except Exception as error:  # noqa: BLE001 - the listener: whatever breaks it, it begins anew
                log.warning("wake.connection_lost", error=str(error))
                self._trouble = str(error)
                self._stopping.wait(AGAIN_SECONDS)
            finally:
                with contextlib.suppress(Exception):
                    connection.raw.close()


def _tell(loop: asyncio.AbstractEventLoop, woken: Woken, slots: Collection[int]) -> None:
    # The loop may be closed while the process ends.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(woken, slots)
