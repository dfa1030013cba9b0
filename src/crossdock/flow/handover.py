"""What a pipeline does because it is one of several on the record: it is fenced, hands over, and takes what was handed.

Everything here runs inside a transaction of the pipeline. Who owns which slot is `durable.lanes.Ownership`; the book is
`store/workers.py`; `bootstrap/cluster.py` keeps the lease.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from ..durable.identity import Clock, Ids, to_micros
from ..durable.lanes import Ownership, slot_of
from ..durable.wake import SLOTS_ARE_FREE, WakeUp
from ..store import outbound, workers
from ..store.engine import Connection, StoreUnavailable
from . import recovery
from .batch import Ready
from .ingest import Stored

T = TypeVar("T")

TAKEN_SENDS_MAX = 2_000
TAKEN_MESSAGES_MAX = 1_024
TAKEN_BYTES_MAX = 8_000_000


class Taken(msgspec.Struct):
    """What a worker takes into its memory. `suspects` are run group by group; `more` says that more was left."""

    sends: list[Ready]
    fresh: list[Stored]
    suspects: list[list[Stored]] = []
    more: bool = False


class Handover:
    """The sharing side of one pipeline."""

    def __init__(
        self,
        ownership: Ownership,
        wake: WakeUp,
        *,
        clock: Clock,
        ids: Ids,
        tenants: Callable[[], Sequence[str]],
        weight_of: Callable[[str], float],
    ) -> None:
        self.ownership = ownership
        self.wake = wake
        self._clock = clock
        self._ids = ids
        self._tenants = tenants
        self._weight_of = weight_of

    def fenced(self, function: Callable[[Connection], T]) -> Callable[[Connection], T]:
        """Return the function with the question before it whether this process is a worker still."""
        number = self.ownership.number
        if not number:
            raise StoreUnavailable("this process is not registered as a worker at the moment; offer the same again")

        def run(connection: Connection) -> T:
            workers.fence(connection, number)
            return function(connection)

        return run

    # -- handing over

    def foreign(self, fresh: Sequence[Stored], ready: Sequence[Ready]) -> set[int]:
        """Return the slots of others in which there is new work."""
        holds = self.ownership.holds
        slots = {stored.slot for stored in fresh if stored.slot >= 0 and not holds(stored.slot)}
        return slots | {slot for slot in map(self._slot, ready) if slot >= 0 and not holds(slot)}

    def mine(self, ready: Sequence[Ready]) -> list[Ready]:
        """Return the sends this process makes: those of its slots, and repeated acknowledgments."""
        holds = self.ownership.holds
        return [one for one in ready if (slot := self._slot(one)) < 0 or holds(slot)]

    @staticmethod
    def _slot(ready: Ready) -> int:
        # An acknowledgment that is sent once more is settled in the record: nobody else would find it there.
        return -1 if ready.state == "sent" else slot_of(ready.tenant_id, ready.lane)

    # -- taking

    def handed_sends(self, connection: Connection, slots: Collection[int] | None = None) -> list[Ready]:
        """Take the sends that others made for slots of this process, in the order they were made."""
        wanted = self.ownership.slots if slots is None else slots
        if not wanted:
            return []
        rows = workers.handed_sends(connection, wanted, TAKEN_SENDS_MAX)
        if not rows:
            return []
        workers.mark_taken(connection, "outbound_messages", [(row[31], row[0]) for row in rows])
        detail = "another worker handed this over while it was being sent"
        return recovery.taken_up(connection, rows, detail, ids=self._ids, now=self._clock.now())

    def handed(self, connection: Connection, room: int) -> Taken:
        """Take what others stored and made for slots of this process: tenants by weight, bounded by count and bytes."""
        taken = Taken(self.handed_sends(connection), [])
        taken.more = len(taken.sends) >= TAKEN_SENDS_MAX
        if room <= 0 or not self.ownership.slots:
            return taken
        quotas = self._quotas(min(room, TAKEN_MESSAGES_MAX))
        found = workers.handed_inbound(connection, self.ownership.slots, quotas)
        size, chosen = 0, []
        for tenant_id, message_id, size_bytes in found:
            if size and size + size_bytes > TAKEN_BYTES_MAX:
                taken.more = True
                continue
            size += size_bytes
            chosen.append((tenant_id, message_id))
        limits = dict(quotas)
        counts: dict[str, int] = {}
        for tenant_id, _, _ in found:
            counts[tenant_id] = counts.get(tenant_id, 0) + 1
        taken.more = taken.more or any(count >= limits[tenant_id] for tenant_id, count in counts.items())
        if not chosen:
            return taken
        workers.mark_taken(connection, "inbound_messages", chosen)
        waiting = recovery.Waiting([], [])
        rows = workers.load_waiting(connection, chosen)
        recovery.sort_waiting(connection, rows, waiting, ids=self._ids, now=self._clock.now())
        taken.fresh, taken.suspects = _first_runs(waiting.fresh), waiting.suspects
        return taken

    def _quotas(self, room: int) -> list[tuple[str, int]]:
        tenants = list(self._tenants())
        weights = {tenant: self._weight_of(tenant) for tenant in tenants}
        total = sum(weights.values()) or 1.0
        return [(tenant, max(8, int(room * weight / total))) for tenant, weight in weights.items()]

    def load_slots(self, connection: Connection, slots: dict[int, bool]) -> Taken:
        """Take everything open of slots that are this process's since now: slot → whether its last owner died.

        What was being sent when its worker died is of unknown outcome. A waiting message of a dead worker may be what
        killed it: its run is counted, as after a start.
        """
        now = self._clock.now()
        taken = Taken([], [])
        behind = 0
        while sends := workers.sends_of_slots(connection, slots, recovery.PAGE, behind):
            behind = sends[-1][1]
            rows = [row for row, _ in sends]
            workers.mark_taken(connection, "outbound_messages", [(row[31], row[0]) for row in rows])
            detail = "the worker ended while this was being sent"
            taken.sends += recovery.taken_up(connection, rows, detail, ids=self._ids, now=now)
        waiting = recovery.Waiting([], [])
        after = ("", "")
        while rows := workers.inbound_of_slots(connection, slots, recovery.PAGE, after):
            after = (rows[-1][19], rows[-1][0])
            workers.mark_taken(connection, "inbound_messages", [(row[19], row[0]) for row in rows])
            recovery.sort_waiting(connection, rows, waiting, ids=self._ids, now=now)
        recovery.count_runs(connection, [one for one in waiting.fresh if slots[one.slot]])
        taken.fresh = [one if slots[one.slot] else _first_run(one) for one in waiting.fresh]
        taken.suspects = waiting.suspects
        return taken

    def give_back(self, connection: Connection, slots: Collection[int], reserved: Sequence[Ready]) -> None:
        """Give slots back, in order: what was reserved and never begun waits its turn again."""
        given = workers.give_back(connection, self.ownership.number, slots)
        # Run again after a commit in doubt, the slots are another's already, and what is reserved is being sent there.
        mine = [one for one in reserved if slot_of(one.tenant_id, one.lane) in given]
        outbound.release(connection, [(one.tenant_id, one.message_id) for one in mine])
        self.wake.within(connection, [SLOTS_ARE_FREE])

    def open_work(self, connection: Connection, now: datetime, behind: recovery.Place) -> recovery.OpenWork:
        """Return the next page of what waits in this process's slots and is old enough to be in its memory."""
        before = to_micros(now) - recovery.STRAY_AGE_MICROS
        slots = self.ownership.slots - self.ownership.leaving
        inbound = workers.waiting_ids(connection, slots, before, recovery.PAGE, behind.inbound)
        sends = workers.open_ids(connection, slots, before, recovery.PAGE, behind.sends)
        return recovery.OpenWork(inbound, sends, recovery.place_behind(inbound, sends))


def _first_run(stored: Stored) -> Stored:
    stored.runs -= 1
    return stored


def _first_runs(stored: list[Stored]) -> list[Stored]:
    return [_first_run(one) for one in stored]
