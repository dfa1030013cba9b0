"""The hub under test of `bench.isolation`, with its web door, in a process of its own.

`python -m bench.isolation_hub JSON` prints one JSON line with port and key, serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop

from crossdock.bootstrap import Hub, collector
from crossdock.config import load_settings
from crossdock.web.server import open_doors


async def serve(plan: dict[str, Any]) -> None:
    """Run a hub with the pack of the plan until SIGTERM."""
    folder = plan["folder"]
    settings = load_settings(
        environment={},
        overrides={
            "store.url": f"sqlite:///{folder}/hub.db",
            "web.port": 0,
            "security.root_key_file": f"{folder}/root.key",
            "security.allow_private_networks": ["127.0.0.0/8"],
            "log.level": "error",
            **plan["settings"],
        },
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    hub = await Hub.start(settings)
    await open_doors(hub)
    files = json.loads(Path(plan["pack"]).read_text())
    await hub.apply_pack(plan["tenant"], files, "bench")
    token = await hub.create_key(plan["tenant"], "partner", "wms")
    collector.settle()
    sys.stdout.write(json.dumps({"port": int(hub.url.rpartition(":")[2]), "token": token}) + "\n")
    sys.stdout.flush()
    await ended.wait()
    # A partner that hangs would keep a graceful end waiting; nothing here is to be kept.
    sys.exit(0)


if __name__ == "__main__":
    uvloop.run(serve(json.loads(sys.argv[1])))
