"""The system under test of `crossdock bench`: a whole hub with its web door, in a process of its own.

`python -m crossdock.cli.bench_target STORE_URL FOLDER SINK_URL` prints one JSON line with its port and key and serves.
Each line on its standard input is answered with one JSON line of counters; the end of the input, or SIGTERM, ends it.
A FOLDER that holds a record already is taken up as it is: the key is in its `token` file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import uvloop

from ..bootstrap import Hub, collector
from ..config import load_settings
from ..simulator.load import job, limits
from ..web.server import open_doors


async def serve(store_url: str, folder: str, sink_url: str) -> None:
    """Run a hub with the benchmark's pack until it is told to end."""
    settings = load_settings(
        environment={},
        overrides={
            "store.url": store_url,
            "web.port": 0,
            "security.root_key_file": f"{folder}/root.key",
            "security.allow_private_networks": ["127.0.0.0/8"],
            "log.level": "error",
        },
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    hub = await Hub.start(settings)
    try:
        await open_doors(hub)
        token = await _token(hub, Path(folder) / "token", sink_url)
        collector.settle()
        _say({"port": int(hub.url.rpartition(":")[2]), "token": token})
        asking = asyncio.create_task(_answer(hub, ended))
        await ended.wait()
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
    finally:
        await hub.stop()


async def _token(hub: Hub, file: Path, sink_url: str) -> str:
    """Apply the pack and make a key, once for each record."""
    if file.exists():
        return file.read_text()
    await hub.apply_pack(job.TENANT, job.pack(sink_url), "bench")
    token = await hub.create_key(job.TENANT, "partner", "wms")
    file.write_text(token)
    return token


async def _answer(hub: Hub, ended: asyncio.Event) -> None:
    """Answer every line on standard input with what has been counted."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        written = await hub.pipeline.write(limits.wal_bytes_written)
        _say({"commits": hub.store.commits(), "wal_bytes": written, **hub.pipeline.counts})
    ended.set()


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2], sys.argv[3]))
