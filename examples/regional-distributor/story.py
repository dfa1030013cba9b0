"""Play a day of the regional distributor: old and new warehouses, a TMS, an invoice portal; print its report."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from crossdock.bootstrap import Hub
from crossdock.config import Settings
from crossdock.durable.identity import ManualClock
from crossdock.simulator.clock import Timeline
from crossdock.simulator.houses.play import play_day, settings_for
from crossdock.simulator.houses.regional import TENANT, Regional, Server
from crossdock.simulator.hub_api import HubApi
from crossdock.simulator.pack_source import pack_files
from crossdock.web.server import open_doors


async def play(settings: Settings, folder: Path, server: Server, seed: int = 1) -> tuple[dict[str, Any], Regional]:
    """Play the day and return its report, and the partners with their books."""
    made: list[Regional] = []

    async def open_hub(clock: ManualClock, ids_seed: int) -> Hub:
        hub = await Hub.start(settings, clock=clock, ids_seed=ids_seed)
        await open_doors(hub)
        return hub

    def build(timeline: Timeline) -> list[Regional]:
        made.append(Regional(seed, timeline, folder, server))
        return made

    async def join(house: Any, hub: Any, session: Any) -> None:
        await house.join(hub, session, pack_files(TENANT))

    async def ask(apis: dict[str, HubApi], report: dict[str, Any]) -> None:
        """See whether the portal has the invoices and nothing else."""
        report["portal_differences"] = made[0].portal_differences()

    report = await play_day(open_hub, build, join, seed=seed, ask=ask)
    return report, made[0]


def main() -> int:
    """Print the report; 0 when nothing was lost, nothing happened twice, and the portal has just the invoices."""
    if len(sys.argv) < 5:
        print("usage: story.py HOST PORT DATABASE USER [PASSWORD]: an empty PostgreSQL database for the warehouse")
        return 2
    host, port, *names = sys.argv[1:]
    server = Server(host, int(port), *names)
    with tempfile.TemporaryDirectory() as folder:
        report, _ = asyncio.run(play(settings_for(Path(folder)), Path(folder), server))
    json.dump(report, sys.stdout, indent=2)
    print()
    return 0 if not (report["lost"] or report["double_effects"] or report["portal_differences"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
