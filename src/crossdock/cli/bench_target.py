"""The system under test of `crossdock bench`: a whole hub with its web door, in a process of its own.

`python -m crossdock.cli.bench_target STORE_URL FOLDER SINK_URL [PORT]` prints one JSON line with its port and key and
serves. Each line on its standard input is answered with one JSON line of counters; the end of the input, or SIGTERM,
ends it. A FOLDER with a `token` file has been served before: its record and its key are taken up as they are. A
`pack.json` in it, the files of a pack, is applied instead of the benchmark's own.
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


async def serve(store_url: str, folder: str, sink_url: str, port: int = 0) -> None:
    """Run a hub with the benchmark's pack until it is told to end."""
    settings = load_settings(
        environment={},
        overrides={
            "store.url": store_url,
            "web.port": port,
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
        token = await _token(hub, Path(folder), sink_url)
        collector.settle()
        _say({"port": int(hub.url.rpartition(":")[2]), "token": token})
        asking = asyncio.create_task(_answer(hub, ended))
        await ended.wait()
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
    finally:
        await hub.stop()


async def _token(hub: Hub, folder: Path, sink_url: str) -> str:
    """Apply the pack and make a key, once for each record."""
    file, own = folder / "token", folder / "pack.json"
    if file.exists():  # noqa: ASYNC240 - before the doors are used
        return file.read_text()  # noqa: ASYNC240
    files = json.loads(own.read_text()) if own.exists() else job.pack(sink_url)  # noqa: ASYNC240
    await hub.apply_pack(job.TENANT, files, "bench")
    # The benchmark's own pack has one door; another may have several, which takes a role that may use them all.
    role, door = ("integrator", "") if own.exists() else ("partner", "wms")  # noqa: ASYNC240
    token = await hub.create_key(job.TENANT, role, door)
    file.write_text(token)  # noqa: ASYNC240
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
    uvloop.run(serve(*sys.argv[1:4], *(int(port) for port in sys.argv[4:5])))
