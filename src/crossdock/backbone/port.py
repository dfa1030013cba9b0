"""What the hub asks of a backbone, whichever it is: tell those who wait that the journal grew, and say how far it lags.

A backbone carries; it never keeps. Whatever it loses is read again from the record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from ..canonical.events import Event


class Lag(msgspec.Struct, frozen=True):
    """How far what was published lies behind the journal, as of the last look.

    `events` counts up to `store.backbone.LAG_COUNTED_MAX`; `seconds` is the age of the oldest of them.
    `trouble` says in words what keeps it from catching up, empty when nothing does.
    """

    events: int = 0
    seconds: float = 0.0
    trouble: str = ""


class Backbone(Protocol):
    """Wakes workers and fans canonical events out to subscribers."""

    def start(self) -> None:
        """Begin to carry. It never waits for a broker: the hub runs without one."""
        ...

    async def stop(self) -> None:
        """End. What was not carried waits in the journal."""
        ...

    def announce(self, events: list[Event]) -> None:
        """Tell that these events are durable now. Returns at once and keeps nothing of them."""
        ...

    def follow(self, tenant_id: str, after: str | None) -> AsyncIterator[tuple[str, Event]]:
        """Yield (cursor, event) behind `after`; without it, what comes from now on."""
        ...

    def lag(self) -> Lag:
        """Return, from memory, how far the backbone lies behind."""
        ...
