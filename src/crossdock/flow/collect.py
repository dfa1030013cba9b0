"""Fetch from partners that do not call us: poll, hand to ingest, and acknowledge only what is durable.

A crash between the commit and the acknowledgment costs a duplicate, which the receipt key absorbs; the reverse would
lose.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from ..durable.identity import Clock
from ..errors import CrossdockError, TransientError
from ..sdk import Pulled
from .ingest import InboundOffer, IngestAnswer

log = structlog.get_logger()

BATCH_MAX = 50
BATCH_BYTES_MAX = 8_000_000
# A connector gives up by itself after its connection's timeout, several times over for one item (log in, list, read).
ITEM_TIMEOUTS = 4.0
ITEM_SECONDS = 120.0
STOP_GRACE_SECONDS = 2.0

Place = tuple[str, str]


class Puller(Protocol):
    """The part of a connector that fetches."""

    def pull(self) -> AsyncIterator[Pulled]: ...


class Collector:
    """Polls every connection that fetches, each at its own pace."""

    def __init__(
        self,
        *,
        clock: Clock,
        connector_of: Callable[[str, str], AbstractAsyncContextManager[Puller]],
        ingest_many: Callable[[list[InboundOffer]], Awaitable[list[IngestAnswer]]],
        failed: Callable[[str, str, str], None],
        stop_grace_seconds: float = STOP_GRACE_SECONDS,
        may_poll: Callable[[str, str], bool] | None = None,
    ) -> None:
        self._clock = clock
        # Among several processes: whether this one fetches from a (tenant, connection).
        self._may_poll = may_poll
        self._connector_of = connector_of
        self._ingest_many = ingest_many
        self._failed = failed
        self._stop_grace_seconds = stop_grace_seconds
        self._due: dict[Place, datetime] = {}
        self._every: dict[Place, float] = {}
        self._item_seconds: dict[Place, float] = {}
        self._running: dict[Place, asyncio.Task[int]] = {}

    def watch(self, tenant_id: str, polls: Mapping[str, float], timeouts: Mapping[str, float] | None = None) -> None:
        """Poll these connections of a tenant from now on: connection → seconds between polls.

        `timeouts` holds the seconds after which each connection gives up an exchange; an item may take a few of them.
        """
        for place in [place for place in self._every if place[0] == tenant_id and place[1] not in polls]:
            del self._every[place], self._due[place], self._item_seconds[place]
        for connection_id, seconds in polls.items():
            place = (tenant_id, connection_id)
            timeout = (timeouts or {}).get(connection_id)
            self._every[place] = seconds
            self._item_seconds[place] = ITEM_SECONDS if timeout is None else timeout * ITEM_TIMEOUTS
            self._due.setdefault(place, self._clock.now())

    def next_due_at(self) -> datetime | None:
        """Return when the next poll is due."""
        return min((due for place, due in self._due.items() if place not in self._running), default=None)

    def busy(self) -> bool:
        """Tell whether a poll runs."""
        return bool(self._running)

    def polls(self, gone: Callable[[str, str], bool]) -> bool:
        """Tell whether a poll runs of some connections; `gone` gets (tenant, connection)."""
        return any(gone(*place) for place in self._running)

    def tick(self) -> None:
        """Start every poll that is due."""
        now = self._clock.now()
        for place, due in self._due.items():
            if self._may_poll is not None and not self._may_poll(*place):
                continue
            if due <= now and place not in self._running:
                self._due[place] = now + timedelta(seconds=self._every[place])
                task = asyncio.get_running_loop().create_task(self._poll(place, self._item_seconds[place]))
                self._running[place] = task
                task.add_done_callback(partial(self._ended, place))

    def _ended(self, place: tuple[str, str], _: asyncio.Task[int]) -> None:
        self._running.pop(place, None)

    async def stop(self) -> None:
        """Let running polls end, and end those that do not. What they had not handed in comes again."""
        self._due.clear()
        for _ in range(2):
            if self._running:
                _, hanging = await asyncio.wait(self._running.values(), timeout=self._stop_grace_seconds)
                for task in hanging:
                    task.cancel()
        for place in self._running:
            log.error("poll.does_not_end", tenant_id=place[0], connection_id=place[1])

    async def _poll(self, place: Place, item_seconds: float) -> int:
        tenant_id, connection_id = place
        taken = 0
        try:
            async with self._connector_of(tenant_id, connection_id) as connector:
                found = connector.pull()
                try:
                    ended = False
                    while not ended:
                        batch, fault = await self._gather(found, item_seconds)
                        # What came before a fault is good: a file that cannot be read never holds back the others.
                        taken += await self._take(place, batch, item_seconds)
                        if fault is not None:
                            raise fault
                        ended = not batch
                finally:
                    if isinstance(found, AsyncGenerator):
                        await found.aclose()
        except Exception as error:
            known = isinstance(error, CrossdockError | OSError | TimeoutError)
            log.warning("poll.failed", connection_id=connection_id, error=str(error), exc_info=None if known else error)
            self._failed(tenant_id, connection_id, str(error) or type(error).__name__)
        return taken

    async def _gather(self, found: AsyncIterator[Pulled], item_seconds: float) -> tuple[list[Pulled], Exception | None]:
        """Return the next batch and the fault that ended it, if one did; an empty batch is the end."""
        batch: list[Pulled] = []
        size = 0
        try:
            while len(batch) < BATCH_MAX and size < BATCH_BYTES_MAX:
                async with _within(item_seconds):
                    pulled = await anext(found)
                batch.append(pulled)
                size += len(pulled.content)
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001 - handed on after what came before it is stored
            return batch, error
        return batch, None

    async def _take(self, place: Place, batch: list[Pulled], item_seconds: float) -> int:
        if not batch:
            return 0
        offers = [
            InboundOffer(*place, one.content, one.content_type, one.name, dict(one.headers), one.receipt_key)
            for one in batch
        ]
        await self._ingest_many(offers)
        for one in batch:
            async with _within(item_seconds):
                await one.acknowledge()
        return len(batch)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Bound what a partner may take, and say so: a bare TimeoutError has no words."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TransientError(
            f"the partner did not hand over an item within {seconds:g} s", code="XD-PTR-011"
        ) from error
