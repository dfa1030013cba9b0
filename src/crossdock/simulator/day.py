"""The Northgate day: who is there, what happens when, and how it is told at 18:00.

    07:45  the hub learns of both tenants          09:40  Swift's unknown site code, an order at risk
    07:50  sites open and tell their stock         10:30  Harbor is throttled and down for 20 minutes
    08:00  310 orders at once, then more all day   11:15  a ship confirmation comes twice
    08:50  an order of one hundred, over two sites 15:40  a proof of delivery releases an invoice
    12:00  Reno's stock drifts on three articles   16:45  more orders at once than Harbor takes
                                                   17:55  the day is reconciled with partners' books
                                                   18:00  the books are compared
Rows with faults live in `faults/`, one file each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from ..durable.identity import ManualClock
from .books import Company
from .clock import Pace, Timeline
from .faults import Fault, all_faults
from .faults.fault import Scene
from .hub_api import HubApi
from .hub_port import HubPort
from .lakeside import Lakeside
from .northgate import CLOSES, TENANT, Northgate
from .report import make_report
from .world import ORDERS_OF_THE_DAY, PlannedOrder, clock_time, plan_day

STARTS = clock_time("07:45").astimezone(UTC)
POSTS_AT_ONCE = 16
# Real time that a person has for a repair before the day does it itself.
HANDS_ON_SECONDS = 180


class DayOptions(msgspec.Struct, frozen=True):
    """`speed` is simulated seconds in a real second; None is as fast as the machine allows.

    `hands_on`: somebody watches and may repair what can be repaired; the day leaves them the time.
    """

    seed: int = 1
    orders: int = ORDERS_OF_THE_DAY
    speed: float | None = None
    hands_on: bool = False

    @property
    def patience(self) -> timedelta:
        """How long the day waits for somebody's hands, in simulated time."""
        return timedelta(seconds=HANDS_ON_SECONDS * self.speed) if self.hands_on and self.speed else timedelta()


class Day:
    """One simulated day against one hub. Use as `async with Day(...) as day: report = await day.run()`.

    The hub must run under `clock`, which stands at `STARTS`.
    """

    def __init__(self, options: DayOptions, hub: HubPort, clock: ManualClock, folder: Path) -> None:
        self.options = options
        self.timeline = Timeline(clock, Pace(options.speed))
        self.orders: Sequence[PlannedOrder] = plan_day(options.seed, options.orders)
        self.northgate = Northgate(options.seed, self.timeline, folder / "northgate")
        self.lakeside = Lakeside(options.seed, self.timeline, folder / "lakeside")
        self.faults: tuple[Fault, ...] = all_faults()
        self._hub = hub
        self._session: aiohttp.ClientSession | None = None
        self.apis: dict[str, HubApi] = {}

    async def __aenter__(self) -> Day:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=POSTS_AT_ONCE), timeout=aiohttp.ClientTimeout(total=60)
        )
        await self.northgate.start()
        await self.lakeside.start()
        await self.northgate.join(self._hub, self._session)
        await self.lakeside.join(self._hub, self._session)
        for tenant in (TENANT, self.lakeside.tenant):
            key = await self._hub.create_key(tenant, "operations", label=f"operations@{tenant}.example")
            self.apis[tenant] = HubApi(self._session, self._hub.url, key)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        await self.northgate.stop()
        await self.lakeside.stop()

    async def run(self, on_step: Callable[[], None] | None = None) -> dict[str, Any]:
        """Play the day to its end and return the report. `on_step` is called after each step, for a clock to show."""
        scene = Scene(self.timeline, self.northgate, self.orders, self.apis[TENANT], self.options.patience)
        self._plan_orders()
        for fault in self.faults:
            fault.plan(scene)

        async def watch() -> None:
            for fault in self.faults:
                await fault.look(scene)
            if on_step is not None:
                on_step()

        await self.timeline.run(self._hub, CLOSES, watch)
        return await make_report(self.options.seed, self._companies(), self.faults)

    def _companies(self) -> list[tuple[Company, HubApi]]:
        companies = (self.northgate.company(), self.lakeside.company())
        return [(company, self.apis[company.tenant]) for company in companies]

    def _plan_orders(self) -> None:
        for moment, group in groupby(self.orders, key=lambda order: order.at):
            self._plan_batch(tuple(group), f"orders:{moment.isoformat()}")

    def _plan_batch(self, batch: tuple[PlannedOrder, ...], key: str) -> None:
        async def place() -> None:
            await asyncio.gather(*(self.northgate.place(order) for order in batch))

        self.timeline.at(batch[0].at, key, place)
