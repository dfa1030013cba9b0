"""The system under test of `crossdock bench`: a whole hub with its web door, in a process of its own.

`python -m crossdock.cli.bench_target STORE_URL FOLDER SINK_PORT` prints one JSON line with its port and key, serves
until
it is told to end (SIGTERM), then prints its commits.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import uvloop

from ..bootstrap import Hub, collector
from ..config import load_settings
from ..simulator.load import job
from ..web.server import open_doors


async def serve(store_url: str, folder: str, sink_port: int) -> None:
    """Run a hub with the benchmark's pack until SIGTERM."""
    settings = load_settings(
        environment={},
        overrides={
            "store.url": store_url,
            "web.port": 0,
            "security.root_key_file": f"{folder}/root.key",
            "security.allow_private_networks": ["127.0.0.0/8"],
            "log.level": "warning",
        },
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    hub = await Hub.start(settings)
    try:
        await open_doors(hub)
        await hub.apply_pack(job.TENANT, job.pack(f"http://127.0.0.1:{sink_port}/events"), "bench")
        token = await hub.create_key(job.TENANT, "partner", "wms")
        collector.settle()
        _say({"port": int(hub.url.rpartition(":")[2]), "token": token})
        await ended.wait()
    finally:
        commits = hub.store.commits()
        await hub.stop()
    _say({"commits": commits, "counts": hub.pipeline.counts})


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
