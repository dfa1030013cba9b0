"""Play a day of one or several companies against a hub of this machine, and report what their own books say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from ...config import Settings, load_settings
from ...durable.identity import ManualClock
from ..books import Company
from ..clock import Timeline
from ..hub_api import HubApi
from ..hub_port import HubPort
from ..report import make_report
from .house import ENDS, STARTS


class Player(Protocol):
    """A company that can be played."""

    tenant: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def company(self) -> Company: ...


Join = Callable[[Player, HubPort, aiohttp.ClientSession], Awaitable[None]]
OpenHub = Callable[[ManualClock, int], Awaitable[HubPort]]
Ask = Callable[[dict[str, HubApi], dict[str, Any]], Awaitable[None]]


def settings_for(folder: Path, url: str = "") -> Settings:
    """Return the settings of a hub that lives in a folder."""
    return load_settings(
        environment={},
        overrides={
            "store.url": url or f"sqlite:///{folder.absolute()}/hub.db",
            "web.port": 0,
            "security.root_key_file": str(folder / "root.key"),
            "security.allow_private_networks": ("127.0.0.0/8",),
            "security.folder_root": str(folder.absolute()),
        },
    )


async def play_day(
    open_hub: OpenHub,
    build: Callable[[Timeline], Sequence[Player]],
    join: Join,
    *,
    seed: int = 1,
    plan: Callable[[Timeline, dict[str, HubApi]], None] | None = None,
    ask: Ask | None = None,
) -> dict[str, Any]:
    """Play the day on the hub that `open_hub` starts, and return its report.

    `plan` adds what people do by the API; `ask` adds to the report what the hub answers at the end.
    """
    clock = ManualClock(STARTS)
    hub = await open_hub(clock, seed)
    timeline = Timeline(clock)
    houses = build(timeline)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        try:
            apis = {}
            for house in houses:
                await house.start()
                await join(house, hub, session)
                key = await hub.create_key(house.tenant, "operations", label=f"operations@{house.tenant}.example")
                apis[house.tenant] = HubApi(session, hub.url, key)
            if plan is not None:
                plan(timeline, apis)
            await timeline.run(hub, ENDS)
            report = await make_report(seed, [(house.company(), apis[house.tenant]) for house in houses], ())
            if ask is not None:
                await ask(apis, report)
            return report
        finally:
            await hub.stop()
            for house in houses:
                await house.stop()
