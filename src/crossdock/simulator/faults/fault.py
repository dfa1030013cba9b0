"""What a row of the day is: something happens, the hub should notice, and it should end well.

A row plans its own injection. After each step of the day it looks, through the hub's public API and the partners'
ledgers, whether it was noticed and whether it is over; the instants go into the report.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from ..clock import Timeline
from ..hub_api import HubApi
from ..northgate import Northgate
from ..world import PlannedOrder, wall


class Scene(msgspec.Struct, frozen=True):
    """What a row may touch: the world, the day's orders and the hub's public API.

    `patience` is how long a repair is left to the person who watches, in simulated time.
    """

    timeline: Timeline
    northgate: Northgate
    orders: Sequence[PlannedOrder]
    api: HubApi
    patience: timedelta = timedelta()

    def now(self) -> datetime:
        """Return the present simulated instant."""
        return self.timeline.clock.now()

    def tagged(self, tag: str) -> tuple[PlannedOrder, ...]:
        """Return the orders that were planned for a row."""
        return tuple(order for order in self.orders if order.tag == tag)


class Fault(ABC):
    """One row. `screen` is the page on which a person sees it; `invitation` says what is left to that person."""

    name: ClassVar[str]
    screen: str
    invitation: str = ""

    def __init__(self) -> None:
        self.injected_at: datetime | None = None
        self.detected_at: datetime | None = None
        self.ended_at: datetime | None = None

    @abstractmethod
    def plan(self, scene: Scene) -> None:
        """Put the row onto the timeline."""

    @abstractmethod
    async def detected(self, scene: Scene) -> bool:
        """Tell whether the hub has noticed by now."""

    @abstractmethod
    async def ended(self, scene: Scene) -> bool:
        """Tell whether it is over, with nothing left behind."""

    def inject(self, scene: Scene) -> None:
        """Note that it has begun."""
        self.injected_at = scene.now()

    async def page_of(self, scene: Scene, issue: Mapping[str, Any]) -> str:
        """Return the page of an issue by its cause, which is the same on every day of the same seed."""
        detail = await scene.api.get(f"/issues/{issue['issue_id']}")
        return f"/console/issues/{quote(str(detail['cause']), safe=':')}"

    async def look(self, scene: Scene) -> None:
        """Look once more; called after each step while the row is under way."""
        if self.injected_at is None or self.ended_at is not None:
            return
        if self.detected_at is None and await self.detected(scene):
            self.detected_at = scene.now()
        if self.detected_at is not None and await self.ended(scene):
            self.ended_at = scene.now()

    def row(self) -> dict[str, Any]:
        """Return the row of the report; times are wall-clock times of the company."""
        return {
            "name": self.name,
            "injected_at": wall(self.injected_at) if self.injected_at else None,
            "detected_at": wall(self.detected_at) if self.detected_at else None,
            "ended_at": wall(self.ended_at) if self.ended_at else None,
            "screen": self.screen,
        }
