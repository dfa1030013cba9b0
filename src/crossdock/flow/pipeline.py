"""The cycle: everything that waits goes into one transaction, and what it sets free goes on after the commit.

Doors hand in offers, the sender hands in outcomes; one `drain` job at a time runs in the store's writer. What a cycle
stored is translated by the next one, from memory: the bytes are durable before anything looks at them, and a cycle's
one
fsync pays for both. The batch grows with the load by itself; there is no timer. State is in the record only: all
that is
held here can be lost at any instant and is found again at the start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import structlog

from ..canonical.events import Event
from ..durable.identity import Clock, Ids
from ..errors import TransientError
from ..governance.pack import ConnectionSpec
from ..store.engine import Connection, Store
from . import acknowledge
from .batch import Ready
from .bookings import Outcome, book_outcomes, reserve_sends
from .ingest import InboundOffer, IngestAnswer, Stored, store_offers
from .stages import Stages

log = structlog.get_logger()
T = TypeVar("T")


class Limits(msgspec.Struct, frozen=True):
    """What one cycle takes at most, and how much may wait in memory before doors are told to slow down."""

    batch_messages_max: int = 512
    batch_bytes_max: int = 1_000_000
    waiting_max: int = 20_000
    outbound_max: int = 10_000


class _Cycle(msgspec.Struct):
    """What one cycle took, kept so that it can be put back when the commit fails, and what it made."""

    offers: list[tuple[InboundOffer, asyncio.Future[IngestAnswer]]] = []
    outcomes: list[Outcome] = []
    reserved: list[Ready] = []
    work: list[Stored] = []
    answers: list[IngestAnswer] = []
    fresh: list[Stored] = []
    ready: list[Ready] = []
    events: list[Event] = []
    duplicates: int = 0


class Pipeline:
    """The moving part of a worker. All methods but `_drain` run on the event loop."""

    def __init__(
        self,
        store: Store,
        stages: Stages,
        *,
        clock: Clock,
        ids: Ids,
        specs: Callable[[str, str], tuple[ConnectionSpec, str]],
        dispatch: Callable[[list[Ready]], None],
        publish: Callable[[list[Event]], None],
        waiting_sends: Callable[[], int],
        limits: Limits | None = None,
    ) -> None:
        self._store = store
        self._stages = stages
        self._clock = clock
        self._ids = ids
        self._specs = specs
        self._dispatch = dispatch
        self._publish = publish
        self._waiting_sends = waiting_sends
        self._limits = limits or Limits()
        self._offers: deque[tuple[InboundOffer, asyncio.Future[IngestAnswer]]] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._reservations: deque[Ready] = deque()
        self._work: deque[Stored] = deque()
        self._task: asyncio.Task[None] | None = None
        # One transaction decides at a time, on every engine: two that load the same order would lose one decision.
        self._turn = asyncio.Lock()
        self._failed_cycles = 0
        self.counts = {"received": 0, "duplicates": 0, "conflicts": 0, "cycles": 0}

    # -- doors

    async def ingest(self, offer: InboundOffer) -> IngestAnswer:
        """Take one message in; return when it is durable.

        Raises NotFound for an unknown door and TransientError when too much waits already.
        """
        # Before it joins the others: an offer that cannot be stored must not fail the cycle of its neighbours.
        self._specs(offer.tenant_id, offer.connection_id)
        if (
            len(self._offers) + len(self._work) >= self._limits.waiting_max
            or self._waiting_sends() >= self._limits.outbound_max
        ):
            raise TransientError("more waits inside than may", code="XD-ING-010", retry_after_seconds=1.0)
        future: asyncio.Future[IngestAnswer] = asyncio.get_running_loop().create_future()
        self._offers.append((offer, future))
        self._kick()
        return await future

    async def ingest_many(self, offers: Sequence[InboundOffer]) -> list[IngestAnswer]:
        """Take several messages in, in order and as one; the answers come in the same order."""
        for place in {(offer.tenant_id, offer.connection_id) for offer in offers}:
            self._specs(*place)
        if (
            len(self._offers) + len(self._work) >= self._limits.waiting_max
            or self._waiting_sends() >= self._limits.outbound_max
        ):
            raise TransientError("more waits inside than may", code="XD-ING-010", retry_after_seconds=1.0)
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[IngestAnswer]] = [loop.create_future() for _ in offers]
        self._offers.extend(zip(offers, futures, strict=True))
        self._kick()
        return list(await asyncio.gather(*futures))

    def resume(self, stored: Sequence[Stored]) -> None:
        """Take up messages that are durable already: after a start, a release or a replay."""
        self._work.extend(stored)
        self._kick()

    def booked(self, outcome: Outcome) -> None:
        """Hand in what became of a send."""
        self._outcomes.append(outcome)
        self._kick()

    def reserve(self, ready: Ready) -> None:
        """Have a send entered in the ledger; it is dispatched after the commit."""
        self._reservations.append(ready)
        self._kick()

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run something else in the record, in the same order as the cycles."""
        async with self._turn:
            return await self._store.write(function)

    async def drained(self) -> None:
        """Return when nothing waits and no cycle runs; raise what ended the cycles for good."""
        while not self.idle() and (task := self._task) is not None:
            await asyncio.wait([task])
            task.result()

    def idle(self) -> bool:
        """Tell whether nothing waits and no cycle runs."""
        waiting = self._offers or self._outcomes or self._reservations or self._work
        return not waiting and (self._task is None or self._task.done())

    async def deadlines(self, now: datetime, active: Callable[[Connection, str], Any]) -> None:
        """Run what has become due, until nothing is."""
        while True:
            worked = await self.write(lambda connection: self._stages.deadlines(connection, now, active))
            self._publish(worked.events)
            self._dispatch(worked.ready)
            if not worked.events and not worked.ready:
                return

    # -- the cycle

    def _kick(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._offers or self._outcomes or self._reservations or self._work:
            cycle = _Cycle(offers=[], outcomes=[], reserved=[], work=[])
            try:
                await self.write(lambda connection, cycle=cycle: self._drain(connection, cycle))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - the worker: a failed commit must not stop the cycle
                await self._put_back(cycle, error)
                continue
            self._failed_cycles = 0
            self._after_commit(cycle)

    def _drain(self, connection: Connection, cycle: _Cycle) -> None:
        """One transaction's worth of work. Runs in the store's writer."""
        now = self._clock.now()
        self._take(cycle)
        if cycle.outcomes:
            book_outcomes(connection, cycle.outcomes, ids=self._ids, now=now)
        if cycle.reserved:
            reserve_sends(connection, cycle.reserved)
        if cycle.offers:
            cycle.answers, cycle.fresh = store_offers(
                connection, [offer for offer, _ in cycle.offers], specs=self._specs, ids=self._ids, now=now
            )
            cycle.ready += acknowledge.answer_duplicates(connection, self._repeated_interchanges(cycle))
        if cycle.work:
            worked = self._stages.work(connection, cycle.work, now)
            cycle.ready += worked.ready
            cycle.events += worked.events
            cycle.duplicates += worked.duplicates

    def _repeated_interchanges(self, cycle: _Cycle) -> list[tuple[str, str]]:
        """Return the first messages of duplicates whose sender waits for an acknowledgment."""
        return [
            (offer.tenant_id, answer.message_id)
            for (offer, _), answer in zip(cycle.offers, cycle.answers, strict=True)
            if answer.state == "duplicate" and self._specs(offer.tenant_id, offer.connection_id)[0].x12 is not None
        ]

    def _take(self, cycle: _Cycle) -> None:
        messages_left, bytes_left = self._limits.batch_messages_max, self._limits.batch_bytes_max
        while self._work and messages_left > 0 and bytes_left > 0:
            stored = self._work.popleft()
            cycle.work.append(stored)
            messages_left -= 1
            bytes_left -= len(stored.content)
        messages_left, bytes_left = self._limits.batch_messages_max, self._limits.batch_bytes_max
        while self._offers and messages_left > 0 and bytes_left > 0:
            offered = self._offers.popleft()
            cycle.offers.append(offered)
            messages_left -= 1
            bytes_left -= len(offered[0].content)
        while self._outcomes and len(cycle.outcomes) < 2 * self._limits.batch_messages_max:
            cycle.outcomes.append(self._outcomes.popleft())
        while self._reservations and len(cycle.reserved) < self._limits.batch_messages_max:
            cycle.reserved.append(self._reservations.popleft())

    def _after_commit(self, cycle: _Cycle) -> None:
        self.counts["cycles"] += 1
        for (_, future), answer in zip(cycle.offers, cycle.answers, strict=True):
            self.counts["received"] += 1
            if answer.state == "duplicate":
                self.counts["duplicates"] += 1
            elif answer.state == "conflict":
                self.counts["conflicts"] += 1
            if not future.done():
                future.set_result(answer)
        self.counts["duplicates"] += cycle.duplicates
        self._work.extend(cycle.fresh)
        if cycle.reserved:
            self._dispatch(cycle.reserved)
        if cycle.ready:
            self._dispatch(cycle.ready)
        if cycle.events:
            self._publish(cycle.events)

    async def _put_back(self, cycle: _Cycle, error: Exception) -> None:
        """Nothing of the cycle is kept: senders are told so, everything else is tried again."""
        self._failed_cycles += 1
        log.error(
            "cycle.failed",
            error=repr(error),
            offers=len(cycle.offers),
            work=len(cycle.work),
            failures=self._failed_cycles,
        )
        for _, future in cycle.offers:
            if not future.done():
                future.set_exception(error)
        self._work.extendleft(reversed(cycle.work))
        self._outcomes.extendleft(reversed(cycle.outcomes))
        self._reservations.extendleft(reversed(cycle.reserved))
        await asyncio.sleep(min(0.05 * 2 ** min(self._failed_cycles, 6), 2.0))
