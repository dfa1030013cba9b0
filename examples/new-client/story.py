"""Onboard Fernhill from the reseller's template beside a client that is there already; print the first day's report."""

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
from crossdock.simulator.houses.newclient import TEMPLATE, NewClient
from crossdock.simulator.houses.play import play_day, settings_for
from crossdock.simulator.hub_api import HubApi
from crossdock.simulator.lakeside import Lakeside
from crossdock.simulator.pack_source import pack_files
from crossdock.web.server import open_doors

CHANGES = Path(__file__).parent / "changes"
TENANT = "fernhill"


def copied_pack() -> dict[str, str]:
    """Return the template with the client's own files in place of the template's."""
    changes = {path.relative_to(CHANGES).as_posix(): path.read_text("utf-8") for path in CHANGES.rglob("*.yaml")}
    return {**pack_files(TEMPLATE), **changes}


async def play(settings: Settings, folder: Path, seed: int = 1) -> tuple[dict[str, Any], NewClient, Lakeside]:
    """Play the day and return its report, and both clients with their partners' books."""
    made: dict[str, Any] = {}

    def build(timeline: Timeline) -> list[Any]:
        made["new"] = NewClient(TENANT, seed, timeline)
        made["old"] = Lakeside(seed, timeline, folder / "office")
        return [made["new"], made["old"]]

    async def open_hub(clock: ManualClock, ids_seed: int) -> Hub:
        hub = await Hub.start(settings, clock=clock, ids_seed=ids_seed)
        await open_doors(hub)
        return hub

    async def join(house: Any, hub: Any, session: Any) -> None:
        if isinstance(house, NewClient):
            await house.join(hub, session, copied_pack(), TEMPLATE)
        else:
            await house.join(hub, session)

    async def ask(apis: dict[str, HubApi], report: dict[str, Any]) -> None:
        """See what each client's people see: every order, and who it is for."""
        report["seen"] = {
            tenant: {order["number"]: order["customer"] async for order in api.every("/orders", limit="200")}
            for tenant, api in apis.items()
        }

    report = await play_day(open_hub, build, join, seed=seed, ask=ask)
    return report, made["new"], made["old"]


def main() -> int:
    """Print the report; 0 when nothing was lost and nothing happened twice."""
    with tempfile.TemporaryDirectory() as folder:
        report, _, _ = asyncio.run(play(settings_for(Path(folder)), Path(folder)))
    json.dump(report, sys.stdout, indent=2)
    print()
    return 0 if report["lost"] == report["double_effects"] == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
