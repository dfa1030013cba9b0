"""The cycle: everything that waits goes into one transaction, and what it sets free goes on after the commit.

Doors hand in offers, the sender hands in outcomes; one `drain` job at a time runs in the store's writer. What a cycle
stores it translates as well where this process is alone on the record and notes what it runs (`store.under_way`); else
the next one does, from memory. One fsync pays for all. The batch grows with the load by itself; only outcomes that
nobody waits for are collected, and not for long. State is in the record: all that is held here can be lost at any
instant and is found again at the start.

What waits is in `backlog.py`, the order of writing in `turn.py`, what follows a failure in `troubles.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import structlog

from ..canonical.events import Event
from ..durable.identity import Clock, Ids, to_micros
from ..governance.pack import ConnectionSpec
from ..store.engine import Connection, Store
from ..store.payloads import digest_of
from ..store.under_way import RUNNING_MAX
from . import acknowledge, recovery
from .backlog import Backlog, Limits, closed
from .batch import Ready
from .bookings import Outcome, book_outcomes, lost, reserve_sends
from .cycle import Cycle, Offered, became_durable, run_apart
from .handover import Handover, Taken
from .ingest import InboundOffer, IngestAnswer, Place, Stored, store_offers
from .stages import Stages, Worked
from .troubles import Strays, Troubles
from .turn import Turn

log = structlog.get_logger()
T = TypeVar("T")

RESERVE_AGAIN_SECONDS = 60.0
# How much a worker among several takes into its memory of what others stored for it.
TAKEN_WAITING_MAX = 2_048
# Outcomes of sends that may wait get a cycle of their own after this long, or when so many are together.
BOOKED_WITHIN_SECONDS = 0.05
BOOKED_TOGETHER_MAX = 128
# A larger message is stored by one transaction and run by the next: its sender does not wait for both.
AT_ONCE_BYTES_MAX = 65_536


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
        sender_knows: Callable[[str, str, str], bool],
        limits: Limits | None = None,
        weights: Mapping[str, float] | None = None,
        place: Place | None = None,
    ) -> None:
        self._store = store
        # Set where several processes share the record; without it everything is this process's.
        self.handover: Handover | None = None
        self._place = place
        self._stages = stages
        self._clock = clock
        self._ids = ids
        self._specs = specs
        self._dispatch = dispatch
        self._publish = publish
        self._waiting_sends = waiting_sends
        self._limits = limits or Limits()
        self._backlog = Backlog(specs, self._limits, weights or {})
        # The same queues: what comes one by one goes straight to them.
        self._offers, self._work = self._backlog.offers, self._backlog.work
        self._outcomes, self._reservations = self._backlog.outcomes, self._backlog.reservations
        self._turn = Turn(store)
        self._troubles = Troubles(self._backlog, self._lease)
        self._strays = Strays(store, clock, self._backlog, sender_knows)
        self._task: asyncio.Task[None] | None = None
        self._book_timer: asyncio.TimerHandle | None = None
        self._sweep_due = False
        self._take_due = False
        self._more_to_take = False
        self.counts = {"received": 0, "duplicates": 0, "conflicts": 0, "cycles": 0}

    # -- doors

    async def ingest(self, offer: InboundOffer) -> IngestAnswer:
        """Take one message in; return when it is durable.

        Raises NotFound for an unknown door and TransientError when too much waits already.
        """
        self._admit({(offer.tenant_id, offer.connection_id)})
        future: asyncio.Future[IngestAnswer] = asyncio.get_running_loop().create_future()
        self._offers.append((offer, future))
        self._kick()
        return await future

    async def ingest_many(self, offers: Sequence[InboundOffer]) -> list[IngestAnswer]:
        """Take several messages in, in order and as one; the answers come in the same order."""
        self._admit({(offer.tenant_id, offer.connection_id) for offer in offers})
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[IngestAnswer]] = [loop.create_future() for _ in offers]
        self._offers.extend(zip(offers, futures, strict=True))
        self._kick()
        return list(await asyncio.gather(*futures))

    def _admit(self, places: set[tuple[str, str]]) -> None:
        """Refuse, before it joins the others, what comes to no door of ours, or more than may wait."""
        if self._store.broken() is not None:
            raise closed()
        if (refusal := self._troubles.refusal()) is not None:
            raise refusal
        self._backlog.admit(places, full=self._waiting_sends() >= self._limits.outbound_max)

    def resume(self, stored: Sequence[Stored]) -> None:
        """Take up messages that are durable already: after a start, a release or a replay."""
        self._work.extend(stored)
        self._kick()

    def booked(self, outcome: Outcome) -> None:
        """Hand in what became of a send. One that may wait joins the next cycle, if one comes soon."""
        self._outcomes.append(outcome)
        if not outcome.may_wait or len(self._outcomes) >= BOOKED_TOGETHER_MAX:
            self.book_now()
        elif self._book_timer is None:
            self._book_timer = asyncio.get_running_loop().call_later(BOOKED_WITHIN_SECONDS, self.book_now)

    def book_now(self) -> None:
        """Have the outcomes that wait for another cycle booked by one of their own."""
        if self._book_timer is not None:
            self._book_timer.cancel()
            self._book_timer = None
        if self._outcomes:
            self._backlog.outcomes_due = True
            self._kick()

    def reserve(self, ready: Ready) -> None:
        """Have a send entered in the ledger; it is dispatched after the commit."""
        self._reservations.append(ready)
        self._kick()

    async def write(self, function: Callable[[Connection], T], then: Callable[[T], None] | None = None) -> T:
        """Run something else in the record, in the same order as the cycles. It must bear being run again.

        `then` is called after the commit and before the next cycle. Whoever is cancelled while it runs leaves the turn
        only when it has ended.
        """
        return await self._turn.write(function, then)

    async def exclusively(
        self, make: Callable[[], Callable[[Connection], T]], then: Callable[[T], None] | None = None
    ) -> T:
        """Like `write`, with a function that is made when no cycle runs any more: `make` may look at what is held."""
        return await self._turn.exclusively(make, then)

    def sweep(self) -> None:
        """Have the record looked through for work that nobody holds in memory."""
        self._sweep_due = True
        self._kick()

    async def drained(self) -> None:
        """Return when nothing waits and no cycle runs, or nothing can be written any more; raise what ended the cycles
        for good.
        """
        self.book_now()
        while not self.idle() and (task := self._task) is not None:
            await asyncio.wait([task])
            task.result()
            self.book_now()
            if self._waits():
                self._kick()

    def _waits(self) -> bool:
        return self._due() or self._backlog.any()

    def _due(self) -> bool:
        return self._backlog.due() or self._take_due or self._troubles.doubt is not None or self._sweep_due

    def idle(self) -> bool:
        """Tell whether nothing waits and no cycle runs."""
        return not self._waits() and (self._task is None or self._task.done())

    async def deadlines(self, now: datetime, active: Callable[[Connection, str], Any]) -> None:
        """Run what has become due, until nothing is."""
        while True:

            def pass_due(connection: Connection) -> Worked:
                worked = self._stages.deadlines(connection, now, active)
                worked.ready = self.in_order(connection, worked.ready)
                return worked

            worked = await self.write(pass_due, then=lambda worked: self.send_on(worked.ready))
            self._publish(worked.events)
            if not worked.events and not worked.ready:
                return

    def send_on(self, ready: list[Ready]) -> None:
        """Have sends made that are committed: here, or by the process that owns their slot."""
        if self.handover is not None:
            self._backlog.announce.extend(self.handover.foreign((), ready))
            ready = self.handover.mine(ready)
        self._dispatch(ready)
        if self._backlog.announce:
            self._kick()

    def _mine(self, ready: list[Ready]) -> list[Ready]:
        return ready if self.handover is None else self.handover.mine(ready)

    def in_order(self, connection: Connection, ready: list[Ready]) -> list[Ready]:
        """Return sends made in this transaction, behind what others made for this process before. To be `send_on`."""
        if self.handover is None or not self.handover.mine(ready):
            return ready
        return [*self.handover.handed_sends(connection), *ready]

    # -- one of several processes

    def share(self, handover: Handover, fenced_out: Callable[[], None]) -> None:
        """Share the record with other processes. `fenced_out` is called when this one is found to be no worker."""
        self.handover = handover
        self._turn.share(handover, fenced_out)

    def take(self) -> None:
        """Take what others stored and made for this process's slots."""
        self._take_due = self.handover is not None
        self._kick()

    def taken(self, taken: Taken) -> None:
        """Go on with what was taken. Its sends come first in their lanes: call it before anything else is committed."""
        if self.handover is None or not self.handover.ownership.slots:
            # The lease was lost meanwhile: others take this.
            return
        self._dispatch(self.handover.mine(taken.sends))
        self._work.extend(taken.fresh)
        self._backlog.suspects.extend(taken.suspects)
        self._more_to_take = self._more_to_take or taken.more
        self._kick()

    def holds(self, gone: Callable[[str, str], bool]) -> bool:
        """Tell whether outcomes or reservations of some lanes wait to be written; `gone` gets (tenant, lane)."""
        return self._backlog.holds(gone)

    def drop(self, slots: frozenset[int] | None = None) -> None:
        """Forget what waits of some slots, or (None) everything that is in the record: others work on it."""
        if slots is None:
            self._troubles.doubt = None
        else:
            self._take_due = self._more_to_take = False
        self._backlog.drop(slots)

    async def run_suspects(self) -> None:
        """Have the next small group of messages run that may have killed a worker; each run is counted before."""
        if self._backlog.suspects and not len(self._work):
            group = self._backlog.suspects.popleft()
            await self.write(
                lambda connection: recovery.count_runs(connection, group), then=lambda _: self.resume(group)
            )

    # -- the cycle

    def _kick(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._due():
            if self._store.broken() is not None:
                self._give_up()
                return
            cycle = Cycle(worker=self._lease())
            try:
                await self._step(cycle)
            except Exception as error:  # noqa: BLE001 - the worker: a failed commit must not stop the cycle
                # What a rolled-back cycle had learned of shapes is in no row.
                self._stages.shapes.forget()
                await self._troubles.failed(cycle, error)
            # Quick commits never wait: without this nothing else would have a turn while work is left.
            await asyncio.sleep(0)

    def _lease(self) -> int:
        return 0 if self.handover is None else self.handover.ownership.number

    def in_doubt(self) -> bool:
        """Tell whether a cycle's commit is of unknown outcome: what it held may still come back."""
        return self._troubles.doubt is not None

    def trouble(self) -> str:
        """Say in words why nothing can be written at the moment; empty when all is well."""
        full = self._troubles.full
        return "" if full is None else f"nothing can be stored, {full}; it goes on by itself when there is room"

    async def _step(self, cycle: Cycle) -> None:
        if self._troubles.doubt is not None:
            await self._settle_doubt(self._troubles.doubt)
        elif self._sweep_due:
            self._sweep_due = False
            await self._sweep()
        elif self._take_due and self.handover is not None:
            self._take_due = self._more_to_take = False
            handover, room = self.handover, TAKEN_WAITING_MAX - len(self._work)
            self._more_to_take = room <= 0
            await self.write(lambda connection: handover.handed(connection, room), then=self.taken)
        else:
            # After the commit comes before the next turn: what waits in a lane is sent in the order it was made.
            await self._turn.write_cycle(
                lambda connection: self._drain(connection, cycle), lambda _: self._after_commit(cycle)
            )
            self._troubles.careful = False
        self._troubles.over()

    def _drain(self, connection: Connection, cycle: Cycle) -> None:
        """One transaction's worth of work. Runs in the store's writer."""
        now = self._clock.now()
        cycle.now_micros = to_micros(now)
        connection.collisions_are_faults = self._troubles.careful
        self._backlog.take(cycle)
        self._part(
            connection,
            cycle.outcomes,
            lambda part: book_outcomes(connection, part, ids=self._ids, now=now),
            lambda outcome, _: book_outcomes(connection, [lost(outcome)], ids=self._ids, now=now),
        )
        self._part(
            connection,
            cycle.reserved,
            lambda part: reserve_sends(connection, part),
            lambda ready, _: cycle.unreserved.append(ready),
        )
        cycle.at_once = self._runs_at_once(cycle)
        self._part(
            connection,
            cycle.offers,
            lambda part: self._store_offers(connection, cycle, part, now),
            lambda _, error: cycle.answers.append(error),
        )
        self._part(
            connection,
            self._repeated_interchanges(cycle),
            lambda part: cycle.ready.extend(acknowledge.answer_duplicates(connection, part, ids=self._ids, now=now)),
            # Their sender asks again.
            lambda _place, _error: None,
        )
        self._work_on(connection, cycle, now)
        if self.handover is not None:
            self._hand_over(connection, cycle, self.handover)

    def _runs_at_once(self, cycle: Cycle) -> bool:
        """Tell whether the offers are worked on in the transaction that stores them: nothing older waits, none is
        large, and none was under way when a process of this record ended.
        """
        under_way = self._store.under_way
        if under_way is None or self.handover is not None or self._troubles.careful or len(self._work):
            return False
        if len(cycle.work) + len(cycle.offers) > min(self._limits.batch_messages_max, RUNNING_MAX):
            return False
        if any(len(offer.content) > AT_ONCE_BYTES_MAX for offer, _ in cycle.offers):
            return False
        if not under_way.suspects:
            return True
        suspected = [under_way.release(digest_of(offer.content)) for offer, _ in cycle.offers]
        return not any(suspected)

    def _work_on(self, connection: Connection, cycle: Cycle, now: datetime) -> None:
        work, under_way = cycle.work, self._store.under_way
        if cycle.at_once and cycle.rows and under_way is not None:
            work = [*work, *cycle.fresh]
            under_way.began([row.digest for row in cycle.rows.values()])
        if not work:
            return
        worked = self._stages.work(connection, work, now, cycle.rows)
        if cycle.rows and under_way is not None:
            under_way.ended()
        cycle.ready += worked.ready
        cycle.events += worked.events
        cycle.duplicates += worked.duplicates

    def _hand_over(self, connection: Connection, cycle: Cycle, handover: Handover) -> None:
        """Tell others of their work, and take what they made for the lanes this cycle sends on: it was made before."""
        cycle.announced |= handover.foreign(cycle.fresh, cycle.ready)
        if cycle.announced:
            handover.wake.within(connection, cycle.announced)
        cycle.ready = handover.mine(self.in_order(connection, cycle.ready))

    def _part(
        self,
        connection: Connection,
        items: list[T],
        run: Callable[[list[T]], None],
        give_up: Callable[[T, Exception], None],
    ) -> None:
        """Run one part of a cycle: straight on, or taken apart after a cycle that failed. No savepoint is paid for
        while all goes well.
        """
        if self._troubles.careful:
            run_apart(connection, items, run, give_up)
        elif items:
            run(items)

    def _store_offers(self, connection: Connection, cycle: Cycle, part: list[Offered], now: datetime) -> None:
        answers, fresh = store_offers(
            connection,
            [offer for offer, _ in part],
            specs=self._specs,
            ids=self._ids,
            now=now,
            place=self._place,
            unwritten=cycle.rows if cycle.at_once else None,
        )
        cycle.answers += answers
        cycle.fresh += fresh

    def _repeated_interchanges(self, cycle: Cycle) -> list[tuple[str, str]]:
        """Return the first messages of duplicates whose sender waits for an acknowledgment."""
        return [
            (offer.tenant_id, answer.message_id)
            for (offer, _), answer in zip(cycle.offers, cycle.answers, strict=True)
            if isinstance(answer, IngestAnswer)
            and answer.state == "duplicate"
            and self._specs(offer.tenant_id, offer.connection_id)[0].x12 is not None
        ]

    def _after_commit(self, cycle: Cycle) -> None:
        self.counts["cycles"] += 1
        for (_, future), answer in zip(cycle.offers, cycle.answers, strict=True):
            if isinstance(answer, Exception):
                if not future.done():
                    future.set_exception(answer)
                continue
            self.counts["received"] += 1
            if answer.state == "duplicate":
                self.counts["duplicates"] += 1
            elif answer.state == "conflict":
                self.counts["conflicts"] += 1
            if not future.done():
                future.set_result(answer)
        self.counts["duplicates"] += cycle.duplicates
        if cycle.at_once:
            # Worked on already.
            pass
        elif self.handover is None:
            self._work.extend(cycle.fresh)
        else:
            holds = self.handover.ownership.holds
            self._work.extend([stored for stored in cycle.fresh if holds(stored.slot)])
            if cycle.announced:
                self.handover.wake.after(cycle.announced)
            self._take_due = self._take_due or (self._more_to_take and len(self._work) < TAKEN_WAITING_MAX // 2)
        # Asked again: the lease may have been lost between the commit and now.
        if cycle.reserved:
            self._dispatch(self._mine(_reserved(cycle, self._clock.now().timestamp())))
        if cycle.ready:
            self._dispatch(self._mine(cycle.ready))
        if cycle.events:
            self._publish(cycle.events)

    # -- when something fails

    def _give_up(self) -> None:
        """The record takes nothing more. What is held here is in it, or was never promised to anyone."""
        self._backlog.give_up()
        self._troubles.doubt, self._sweep_due, self._take_due = None, False, False

    async def _settle_doubt(self, cycle: Cycle) -> None:
        """After a commit of unknown outcome: go on behind it if it is in the record, else do the work again.

        The senders of its offers were told "unknown" and come again; what they left is run all the same.
        """

        def settle(durable: bool) -> None:
            self._troubles.doubt = None
            if cycle.worker != self._lease():
                # Whoever works on its slots now has loaded all of it from the record.
                return
            log.warning("cycle.settled", durable=durable, offers=len(cycle.offers), work=len(cycle.work))
            if durable:
                self._after_commit(cycle)
            else:
                self._backlog.put_back(cycle)

        await self.write(lambda connection: became_durable(connection, cycle), then=settle)

    # -- the safety net

    async def _sweep(self) -> None:
        """Take up what is in the record and in nobody's memory: the answer of a commit was lost, or a caller was.

        No cycle runs meanwhile, so what is not here and not with the sender is nowhere.
        """
        now, handover = self._clock.now(), self.handover
        inbound, sends = await self._strays.look(handover)
        if not inbound and not sends:
            return
        mine = None if handover is None else handover.ownership
        stored, ready = await self.write(
            lambda connection: recovery.take_up(connection, inbound, sends, ids=self._ids, now=now, mine=mine)
        )
        log.warning("sweep.found", messages=len(stored), sends=len(ready))
        stored, ready = self._strays.still(stored, ready, handover)
        self._work.extend(stored)
        self._dispatch(self._mine(ready))


def _reserved(cycle: Cycle, now: float) -> list[Ready]:
    """Return what was entered in the ledger and may go out, and what could not be: that waits a minute."""
    refused = {ready.message_id for ready in cycle.unreserved}
    for ready in cycle.reserved:
        if ready.message_id in refused:
            ready.due_at = now + RESERVE_AGAIN_SECONDS
        elif ready.state == "pending":
            ready.state = "sending"
    return cycle.reserved
