"""What a hub does on every tick of its clockwork, and when the next timer of the record is due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..durable.identity import from_micros
from ..governance import access, releases
from ..store import aggregates, outbound
from ..store.engine import Connection

if TYPE_CHECKING:
    from .hub import Hub

# Nothing that is durable waits longer than this to be found by whoever lost it.
SWEEP_EVERY = timedelta(seconds=15)
FORGET_EVERY = timedelta(hours=1)


class Steps:
    """The steps of a tick; each looks by itself whether it is due."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._sweep_due_at = hub.clock.now() + SWEEP_EVERY
        self._forget_due_at = hub.clock.now()

    def by_name(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return them in the order in which they are run."""
        return {
            "sends": self._sends,
            "polls": self._polls,
            "releases": self._releases,
            "sweep": self._sweep,
            "cluster": self._cluster,
            "sessions": self._sessions,
            "deadlines": self._deadlines,
            "doubts": self._hub.doubts.tick,
            "retention": self._retention,
            "outages": self._outages,
            "contracts": lambda: self._hub.contracts.tick(),
            "notices": lambda: self._hub.notices.tick(),
            "jobs": lambda: self._hub.repair.tick(),
            "reconciliation": lambda: self._hub.reconciling.tick(),
        }

    async def _cluster(self) -> None:
        if self._hub.cluster is not None:
            await self._hub.cluster.tick()

    async def _sends(self) -> None:
        self._hub.sender.tick()

    async def _polls(self) -> None:
        self._hub.collector.tick()

    async def _releases(self) -> None:
        await self._hub.tenancy.take_up_releases(release_held=self._hub.does_chores())

    async def _sweep(self) -> None:
        now = self._hub.clock.now()
        if now >= self._sweep_due_at:
            self._sweep_due_at = now + SWEEP_EVERY
            self._hub.pipeline.sweep()

    async def _outages(self) -> None:
        await self._hub.sending.tick(chores=self._hub.does_chores())

    async def _sessions(self) -> None:
        now = self._hub.clock.now()
        if now >= self._forget_due_at and self._hub.does_chores():
            self._forget_due_at = now + FORGET_EVERY
            await self._hub.pipeline.write(lambda connection: access.forget_expired(connection, at=now))

    async def _retention(self) -> None:
        if self._hub.does_chores() and self._hub.retention.due():
            self._hub.chore(self._hub.retention.run_all())

    async def _deadlines(self) -> None:
        if not self._hub.does_chores():
            return
        now = self._hub.clock.now()
        due = await self._hub.store.read(next_deadline)
        if due is not None and due <= now:
            await self._hub.pipeline.deadlines(now, releases.active)


def next_deadline(connection: Connection) -> datetime | None:
    """Return when the next timer or acknowledgment is due, or None."""
    times = [aggregates.next_timer(connection), outbound.next_acknowledgment_due(connection)]
    found = min((time for time in times if time is not None), default=None)
    return None if found is None else from_micros(found)
