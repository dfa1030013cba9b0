"""What waits in a worker's memory for the next cycle, how much may, and in which order it is taken.

All of it is in the record, or was never promised to anyone; it can be lost at any instant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import msgspec

from ..durable.fairness import FairQueue
from ..errors import NotFound, TransientError
from ..governance.pack import ConnectionSpec
from ..store.engine import StoreUnavailable
from .batch import Ready
from .bookings import Outcome
from .cycle import Cycle, Offered
from .ingest import Stored

COST_BYTES = 16_384


class Limits(msgspec.Struct, frozen=True):
    """What one cycle takes at most, and how much may wait in memory before doors are told to slow down."""

    batch_messages_max: int = 512
    batch_bytes_max: int = 1_000_000
    waiting_max: int = 20_000
    outbound_max: int = 10_000


class Backlog:
    """The queues of a worker. They stay the same objects as long as it lives."""

    def __init__(
        self,
        specs: Callable[[str, str], tuple[ConnectionSpec, str]],
        limits: Limits,
        weights: Mapping[str, float],
    ) -> None:
        self._specs = specs
        self.limits = limits
        self.offers: FairQueue[Offered] = FairQueue(
            lambda offered: self._flow(offered[0].tenant_id, offered[0].connection_id),
            lambda offered: 1.0 + len(offered[0].content) / COST_BYTES,
            lambda tenant_id: weights.get(tenant_id, 1.0),
        )
        self.outcomes: deque[Outcome] = deque()
        # Whether a cycle is made for outcomes alone; else they join the next one.
        self.outcomes_due = False
        self.reservations: deque[Ready] = deque()
        self.work: FairQueue[Stored] = FairQueue(
            lambda stored: self._flow(stored.tenant_id, stored.connection_id),
            lambda stored: 1.0 + len(stored.content) / COST_BYTES,
            lambda tenant_id: weights.get(tenant_id, 1.0),
        )
        # Slots of others that are to be told of their work.
        self.announce: deque[int] = deque()
        # Small groups that may have killed a worker; not part of what the next cycle takes.
        self.suspects: deque[list[Stored]] = deque()

    def _flow(self, tenant_id: str, connection_id: str) -> tuple[str, str]:
        """Return in which queue something waits: its tenant's, by the urgency of its connection."""
        try:
            return tenant_id, self._specs(tenant_id, connection_id)[0].urgency
        except NotFound:
            return tenant_id, "normal"

    def any(self) -> bool:
        """Tell whether there is something for a cycle to take."""
        return bool(self.due() or self.outcomes)

    def due(self) -> bool:
        """Tell whether there is something for which a cycle is made now."""
        return bool(
            self.offers or self.reservations or self.work or self.announce or (self.outcomes_due and self.outcomes)
        )

    def admit(self, places: set[tuple[str, str]], *, full: bool) -> None:
        """Refuse, before it joins the others, what comes to no door of ours, or more than may wait.

        `full` says that too many sends wait. Raises NotFound and TransientError.
        """
        total, most = len(self.offers) + len(self.work), self.limits.waiting_max
        for place in places:
            self._specs(*place)
            # Alone, a tenant may fill the whole; the more one has waiting, the less another needs for a place.
            own = self.offers.waiting_of(place[0]) + self.work.waiting_of(place[0]) if total >= most else 0
            if full or (total >= most and own >= 2 * most - total):
                raise TransientError("more waits inside than may", code="XD-ING-010", retry_after_seconds=1.0)

    def take(self, cycle: Cycle) -> None:
        """Move into a cycle what it may take."""
        messages_left, bytes_left = self.limits.batch_messages_max, self.limits.batch_bytes_max
        while self.work and messages_left > 0 and bytes_left > 0:
            stored = self.work.popleft()
            cycle.work.append(stored)
            messages_left -= 1
            bytes_left -= len(stored.content)
        messages_left, bytes_left = self.limits.batch_messages_max, self.limits.batch_bytes_max
        while self.offers and messages_left > 0 and bytes_left > 0:
            offered = self.offers.popleft()
            cycle.offers.append(offered)
            messages_left -= 1
            bytes_left -= len(offered[0].content)
        while self.announce:
            cycle.announced.add(self.announce.popleft())
        while self.outcomes and len(cycle.outcomes) < 2 * self.limits.batch_messages_max:
            cycle.outcomes.append(self.outcomes.popleft())
        self.outcomes_due = self.outcomes_due and bool(self.outcomes)
        while self.reservations and len(cycle.reserved) < self.limits.batch_messages_max:
            cycle.reserved.append(self.reservations.popleft())

    def put_back(self, cycle: Cycle) -> None:
        """Have everything of a cycle but its offers wait again, before all others."""
        self.work.put_back(cycle.work)
        self.announce.extend(cycle.announced)
        self.outcomes.extendleft(reversed(cycle.outcomes))
        self.outcomes_due = True
        self.reservations.extendleft(reversed(cycle.reserved))

    def refuse_offers(self, error: Exception) -> None:
        """Tell every sender that waits."""
        refuse(self.offers, error)
        self.offers.clear()

    def give_up(self) -> None:
        """Forget what the next cycle would have taken: the record takes nothing more."""
        self.refuse_offers(closed())
        for held in (self.outcomes, self.reservations, self.work, self.announce):
            held.clear()

    def holds(self, gone: Callable[[str, str], bool]) -> bool:
        """Tell whether outcomes or reservations of some lanes wait to be written; `gone` gets (tenant, lane)."""
        return any(gone(one.ready.tenant_id, one.ready.lane) for one in self.outcomes) or any(
            gone(one.tenant_id, one.lane) for one in self.reservations
        )

    def drop(self, slots: frozenset[int] | None) -> None:
        """Forget the work of some slots, or (None) everything that is in the record."""
        if slots is None:
            self.work.clear()
            self.outcomes.clear()
            self.reservations.clear()
            self.suspects.clear()
        else:
            self.work.remove(lambda stored: stored.slot in slots)
            kept = [group for group in self.suspects if group[0].slot not in slots]
            self.suspects.clear()
            self.suspects.extend(kept)


def refuse(offers: Iterable[Offered], error: Exception) -> None:
    """Tell the senders of some offers what became of them, unless they know already."""
    for _, future in offers:
        if not future.done():
            future.set_exception(error)


def closed() -> StoreUnavailable:
    """Return what whoever comes is told, once the record has failed."""
    return StoreUnavailable("the record was closed after an I/O error", hint="Restart the process")
