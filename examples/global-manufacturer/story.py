"""Play a day of the manufacturer: two regional 3PLs by flat files, a service desk, shared returns; print its report."""

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
from crossdock.simulator.houses.manufacturer import TENANT, Manufacturer
from crossdock.simulator.houses.play import play_day, settings_for
from crossdock.simulator.hub_api import HubApi
from crossdock.simulator.pack_source import pack_files
from crossdock.web.server import open_doors


async def play(settings: Settings, folder: Path, seed: int = 1) -> tuple[dict[str, Any], Manufacturer]:
    """Play the day and return its report, and the partners with their books."""
    made: list[Manufacturer] = []

    async def open_hub(clock: ManualClock, ids_seed: int) -> Hub:
        hub = await Hub.start(settings, clock=clock, ids_seed=ids_seed)
        await open_doors(hub)
        return hub

    def build(timeline: Timeline) -> list[Manufacturer]:
        made.append(Manufacturer(seed, timeline, folder))
        return made

    async def join(house: Any, hub: Any, session: Any) -> None:
        await house.join(hub, session, pack_files(TENANT))

    def plan(timeline: Timeline, apis: dict[str, HubApi]) -> None:
        made[0].plan(apis[TENANT])

    async def ask(apis: dict[str, HubApi], report: dict[str, Any]) -> None:
        """See what the hub shows of the returns, and whether three teams see the same."""
        report["returns"] = {one["number"]: one["status"] async for one in apis[TENANT].every("/returns", limit="200")}
        report["returns_not_shared"] = made[0].shared_returns(report["returns"])

    report = await play_day(open_hub, build, join, seed=seed, plan=plan, ask=ask)
    return report, made[0]


def main() -> int:
    """Print the report; 0 when nothing was lost, nothing happened twice, and all teams see the same returns."""
    with tempfile.TemporaryDirectory() as folder:
        report, _ = asyncio.run(play(settings_for(Path(folder)), Path(folder)))
    json.dump(report, sys.stdout, indent=2)
    print()
    return 0 if not (report["lost"] or report["double_effects"] or report["returns_not_shared"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
