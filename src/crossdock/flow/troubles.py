"""When a cycle fails, and what nobody holds any more: who is told, what is tried again, how carefully; strays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from ..durable.identity import Clock, to_micros
from ..store.engine import CommitUnknown, Contention, Fenced, Store, StoreFull, StoreUnavailable
from . import recovery
from .backlog import Backlog, refuse
from .batch import Ready
from .cycle import Cycle
from .handover import Handover
from .ingest import Stored
from .turn import CONTENTIONS_MAX

log = structlog.get_logger()


class Troubles:
    """What went wrong with the last cycles, and what the next one has to mind."""

    def __init__(self, backlog: Backlog, worker: Callable[[], int] = lambda: 0) -> None:
        self._backlog = backlog
        # The lease this process holds now: a cycle of an earlier one is others' work by now, and in the record.
        self._worker = worker
        # Set after a failure that was not the record's: the next cycle takes its parts apart.
        self.careful = False
        # A cycle whose commit is of unknown outcome: settled before anything else is done.
        self.doubt: Cycle | None = None
        # Set while the last cycle found the disk of the record full.
        self.full: StoreFull | None = None
        self._resting = False
        self._failed_cycles = 0
        self._contended = 0

    def over(self) -> None:
        """A step went through."""
        self._failed_cycles = self._contended = 0
        self.full = None

    def refusal(self) -> StoreFull | None:
        """Return what whoever comes is told at once, while the next look at a full disk is not due."""
        if self.full is None or not self._resting:
            return None
        return StoreFull(str(self.full), hint=self.full.hint)

    async def failed(self, cycle: Cycle, error: Exception) -> None:
        """Nothing of the cycle is kept, unless its commit is in doubt. Senders are told so; the rest is tried again.

        Whoever came second in a contention is not told: it is run again at once.
        """
        backlog = self._backlog
        if cycle.worker != self._worker():
            log.warning("cycle.of_another_lease", error=str(error), work=len(cycle.work), outcomes=len(cycle.outcomes))
            if isinstance(error, CommitUnknown):
                refuse(cycle.offers, error)
            else:
                backlog.offers.put_back(cycle.offers)
            return
        if isinstance(error, Contention) and self._contended < CONTENTIONS_MAX:
            self._contended += 1
            log.info("cycle.again", error=str(error))
            backlog.offers.put_back(cycle.offers)
            backlog.put_back(cycle)
            return
        if isinstance(error, Fenced):
            log.warning("worker.fenced", error=str(error), work=len(cycle.work), outcomes=len(cycle.outcomes))
            backlog.offers.put_back(cycle.offers)
            return
        self._failed_cycles += 1
        log.error(
            "cycle.failed",
            error=repr(error),
            offers=len(cycle.offers),
            work=len(cycle.work),
            failures=self._failed_cycles,
        )
        if not isinstance(error, StoreUnavailable):
            # A doubt that cannot be settled is left to the sweep.
            self.doubt = None
        if isinstance(error, CommitUnknown):
            refuse(cycle.offers, error)
            # Settling a doubt writes nothing, so there is never a second one.
            self.doubt = self.doubt or cycle
        elif (not isinstance(error, StoreUnavailable) or isinstance(error, Contention)) and not self.careful:
            self.careful = True
            backlog.offers.put_back(cycle.offers)
            backlog.put_back(cycle)
            return
        else:
            refuse(cycle.offers, error)
            backlog.put_back(cycle)
        if isinstance(error, StoreUnavailable) and not isinstance(error, CommitUnknown):
            # Whoever waits is told now: it may take long until the record is back.
            backlog.refuse_offers(error)
        self.full = error if isinstance(error, StoreFull) else None
        self._resting = True
        try:
            await asyncio.sleep(min(0.05 * 2 ** min(self._failed_cycles, 6), 2.0))
        finally:
            self._resting = False


class Strays:
    """The safety net: what is in the record and in nobody's memory, because an answer was lost, or a caller was."""

    def __init__(
        self, store: Store, clock: Clock, backlog: Backlog, sender_knows: Callable[[str, str, str], bool]
    ) -> None:
        self._store = store
        self._clock = clock
        self._backlog = backlog
        self._sender_knows = sender_knows
        self._swept = recovery.Place()

    async def look(self, handover: Handover | None) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
        """Return the places of messages and of sends nobody holds, no more than may wait.

        No cycle may run meanwhile: then what is not here and not with the sender is nowhere.
        """
        now, swept = self._clock.now(), self._swept
        strays = await self._store.read(
            lambda connection: (
                recovery.open_work(connection, to_micros(now), swept)
                if handover is None
                else handover.open_work(connection, now, swept)
            )
        )
        self._swept = strays.reached
        backlog = self._backlog
        held = {stored.message_id for stored in backlog.work}
        held.update(stored.message_id for group in backlog.suspects for stored in group)
        inbound = [place for place in strays.inbound if place[1] not in held]
        inbound = inbound[: max(0, backlog.limits.waiting_max - len(backlog.work))]
        return inbound, [place for place in strays.sends if not self._sends(*place)]

    def still(
        self, stored: list[Stored], ready: list[Ready], handover: Handover | None
    ) -> tuple[list[Stored], list[Ready]]:
        """Return what is nobody's still, of what was taken up."""
        held = {one.message_id for one in self._backlog.work}
        mine = None if handover is None else handover.ownership
        return (
            [one for one in stored if one.message_id not in held and (mine is None or mine.holds(one.slot))],
            [one for one in ready if not self._sends(one.tenant_id, one.connection_id, one.message_id)],
        )

    def _sends(self, tenant_id: str, connection_id: str, message_id: str) -> bool:
        return (
            self._sender_knows(tenant_id, connection_id, message_id)
            or any(outcome.ready.message_id == message_id for outcome in self._backlog.outcomes)
            or any(ready.message_id == message_id for ready in self._backlog.reservations)
        )
