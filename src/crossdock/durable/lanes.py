"""Which worker does what: lanes fall into slots, live workers share the slots. Pure; `store/workers.py` keeps the book.

    message ─▶ lane (the order it names, else its connection) ─▶ slot = hash(tenant, lane) mod 64 ─▶ the slot's worker
A worker is a number that is used once: it registers anew under a higher one after it lost its lease. That number is
the fencing token: every transaction of a worker asks whether its number is still good, on the database's own time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from zlib import crc32

SLOTS = 64
# A worker that is not heard of for this long is dead: its slots go to the others.
LEASE_SECONDS = 8.0
HEARTBEAT_SECONDS = 2.0
# A slot that is free for longer than this is taken beyond the share.
LEFT_SECONDS = 1.0
# No push starts when less than this is left of the lease: it must end before somebody else may ask for it.
PUSH_MARGIN_SECONDS = 1.5


def slot_of(tenant_id: str, lane: str) -> int:
    """Return the slot of a lane. Lanes of sends are subjects: `order/SO-1` is the lane `SO-1` of an inbound message.

    >>> slot_of("acme", "order/SO-1") == slot_of("acme", "SO-1")
    True
    """
    return crc32(f"{tenant_id}\n{lane.removeprefix('order/')}".encode("utf-8", "surrogatepass")) % SLOTS


def poll_lane(connection_id: str) -> str:
    """Return the lane of fetching from a connection: one worker does it."""
    return "poll/" + connection_id


def connection_lane(connection_id: str) -> str:
    """Return the lane of the messages of a connection that names nothing finer: one worker, in order."""
    return "connection/" + connection_id


def fair_share(live: int, slots: int = SLOTS) -> int:
    """Return how many slots each of some live workers may hold at most."""
    return -(-slots // max(live, 1))


def to_take(owners: Mapping[int, int], me: int, live: Collection[int], left: Collection[int] = ()) -> list[int]:
    """Return the free slots (owner 0 or less) a worker takes now: up to its share, from a place of its own.

    Workers that look at the same time begin at different slots, so they seldom reach for the same. What was `left` free
    for a while is taken beyond the share: who should have taken it is dead, and only nobody knows it yet.

    >>> to_take({0: 0, 1: -1, 2: 0, 3: 9}, 9, [9, 10])
    [1]
    >>> to_take({0: 0, 1: -1, 2: 0, 3: 9}, 9, [9, 10], [0, 1, 2])
    [1, 2, 0]
    """
    mine = sum(1 for owner in owners.values() if owner == me)
    room = fair_share(len(live), len(owners)) - mine
    start = me % len(owners)
    free = sorted((slot for slot, owner in owners.items() if owner <= 0), key=lambda slot: (slot < start, slot))
    return [slot for place, slot in enumerate(free) if place < room or slot in left]


def to_give(owners: Mapping[int, int], me: int, live: Collection[int]) -> list[int]:
    """Return the slots a worker gives up, because it holds more than its share: the last ones first.

    >>> to_give({0: 7, 1: 7, 2: 7, 3: 7}, 7, [7, 8])
    [3, 2]
    """
    mine = sorted((slot for slot, owner in owners.items() if owner == me), reverse=True)
    return mine[: max(0, len(mine) - fair_share(len(live), len(owners)))]


class Ownership:
    """What one process may work on, in memory. Without a cluster there is none of this: one process owns everything.

    `number` is 0 while the process is not registered. `monotonic` is seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.number = 0
        self.slots: frozenset[int] = frozenset()
        self.leaving: frozenset[int] = frozenset()
        self.lease_until = float("-inf")

    def holds(self, slot: int) -> bool:
        """Tell whether a slot is this process's: its new work goes on from memory."""
        return slot in self.slots

    def owns(self, tenant_id: str, lane: str) -> bool:
        """Tell whether a lane is this process's."""
        return slot_of(tenant_id, lane) in self.slots

    def may_start(self, tenant_id: str, lane: str) -> bool:
        """Tell whether something of a lane may be begun now that nobody else may do: by the lease, with a margin."""
        slot = slot_of(tenant_id, lane)
        return slot in self.slots and slot not in self.leaving and self.sure()

    def sure(self) -> bool:
        """Tell whether the lease lasts long enough for something to be begun."""
        return self._monotonic() < self.lease_until - PUSH_MARGIN_SECONDS

    def place(self, tenant_id: str, lane: str) -> tuple[int, int]:
        """Return the slot of something new, and 1 when it is handed over to another worker by the record."""
        slot = slot_of(tenant_id, lane)
        return slot, int(slot not in self.slots)

    def lose(self) -> None:
        """Forget everything: the lease is lost, others may have taken over."""
        self.number, self.slots, self.leaving = 0, frozenset(), frozenset()
        self.lease_until = float("-inf")
