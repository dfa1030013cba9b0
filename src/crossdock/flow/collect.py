"""Fetch from partners that do not call us: poll, hand to ingest, and acknowledge only what is durable.

A crash between the commit and the acknowledgment costs a duplicate, which the receipt key absorbs; the reverse would
lose.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from ..durable.identity import Clock
from ..errors import CrossdockError
from ..sdk import Pulled
from .ingest import InboundOffer, IngestAnswer

log = structlog.get_logger()

BATCH_MAX = 50


class Puller(Protocol):
    """The part of a connector that fetches."""

    def pull(self) -> AsyncIterator[Pulled]: ...


class Collector:
    """Polls every connection that fetches, each at its own pace."""

    def __init__(
        self,
        *,
        clock: Clock,
        connector_of: Callable[[str, str], Awaitable[Puller]],
        ingest_many: Callable[[list[InboundOffer]], Awaitable[list[IngestAnswer]]],
        failed: Callable[[str, str, str], None],
    ) -> None:
        self._clock = clock
        self._connector_of = connector_of
        self._ingest_many = ingest_many
        self._failed = failed
        self._due: dict[tuple[str, str], datetime] = {}
        self._every: dict[tuple[str, str], float] = {}
        self._running: dict[tuple[str, str], asyncio.Task[int]] = {}

    def watch(self, tenant_id: str, polls: dict[str, float]) -> None:
        """Poll these connections of a tenant from now on: connection → seconds between polls."""
        for place in [place for place in self._every if place[0] == tenant_id and place[1] not in polls]:
            del self._every[place], self._due[place]
        for connection_id, seconds in polls.items():
            place = (tenant_id, connection_id)
            self._every[place] = seconds
            self._due.setdefault(place, self._clock.now())

    def next_due_at(self) -> datetime | None:
        """Return when the next poll is due."""
        return min((due for place, due in self._due.items() if place not in self._running), default=None)

    def busy(self) -> bool:
        """Tell whether a poll runs."""
        return bool(self._running)

    def tick(self) -> None:
        """Start every poll that is due."""
        now = self._clock.now()
        for place, due in self._due.items():
            if due <= now and place not in self._running:
                self._due[place] = now + timedelta(seconds=self._every[place])
                task = asyncio.get_running_loop().create_task(self._poll(*place))
                self._running[place] = task
                task.add_done_callback(lambda _, place=place: self._running.pop(place, None))  # type: ignore[misc]

    async def stop(self) -> None:
        """Let running polls end."""
        self._due.clear()
        while self._running:
            await asyncio.wait(self._running.values())

    async def _poll(self, tenant_id: str, connection_id: str) -> int:
        taken = 0
        batch: list[Pulled] = []
        try:
            connector = await self._connector_of(tenant_id, connection_id)
            try:
                async for pulled in connector.pull():
                    batch.append(pulled)
                    if len(batch) >= BATCH_MAX:
                        taken += await self._take(tenant_id, connection_id, batch)
                        batch = []
            finally:
                # What came before a fault is good: one file that cannot be read never holds back the others.
                taken += await self._take(tenant_id, connection_id, batch)
        except (CrossdockError, OSError, TimeoutError) as error:
            log.warning("poll.failed", connection_id=connection_id, error=str(error))
            self._failed(tenant_id, connection_id, str(error))
        return taken

    async def _take(self, tenant_id: str, connection_id: str, batch: list[Pulled]) -> int:
        if not batch:
            return 0
        offers = [
            InboundOffer(
                tenant_id, connection_id, one.content, one.content_type, one.name, dict(one.headers), one.receipt_key
            )
            for one in batch
        ]
        await self._ingest_many(offers)
        for one in batch:
            await one.acknowledge()
        return len(batch)
