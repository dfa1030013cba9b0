"""Play Ridgeline's week against a hub of your own machine and print its report."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from crossdock.bootstrap import Hub
from crossdock.config import Settings, load_settings
from crossdock.durable.identity import ManualClock
from crossdock.simulator.clock import Timeline
from crossdock.simulator.hub_api import HubApi
from crossdock.simulator.supply.ridgeline import STARTS, TENANT, Ridgeline
from crossdock.web.server import open_doors

PACK = Path(__file__).parent / "pack"


def settings_for(folder: Path, url: str = "") -> Settings:
    """Return the settings of a hub that lives in a folder."""
    return load_settings(
        environment={},
        overrides={
            "store.url": url or f"sqlite:///{folder.absolute()}/hub.db",
            "web.port": 0,
            "security.root_key_file": str(folder / "root.key"),
            "security.allow_private_networks": ("127.0.0.0/8",),
        },
    )


async def play(settings: Settings, seed: int = 1) -> tuple[dict[str, Any], Ridgeline]:
    """Play the week and return its report, and the partners with their books."""
    clock = ManualClock(STARTS)
    hub = await Hub.start(settings, clock=clock, ids_seed=seed)
    week = Ridgeline(seed, Timeline(clock))
    pack = {path.relative_to(PACK).as_posix(): path.read_text("utf-8") for path in sorted(PACK.rglob("*.yaml"))}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        try:
            await open_doors(hub)
            await week.start()
            await week.join(hub, session, pack)
            await week.run(hub)
            key = await hub.create_key(TENANT, "operations", label="operations@ridgeline.example")
            return await week.report(HubApi(session, hub.url, key)), week
        finally:
            await hub.stop()
            await week.stop()


def main() -> int:
    """Print the report; 0 when nothing was lost and nothing happened twice."""
    with tempfile.TemporaryDirectory() as folder:
        report, _ = asyncio.run(play(settings_for(Path(folder))))
    json.dump(report, sys.stdout, indent=2)
    print()
    return 0 if report["lost"] == report["double_effects"] == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
