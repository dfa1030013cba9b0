"""A queue that takes turns: tenants by weight, within a tenant by urgency, within both first come, first served.

The bound, which a test holds: whoever has not used up its share waits for what is being worked on when it comes, and
for its turn among the tenants that wait; never for another tenant's backlog. Between n tenants of weight 1 the next
item of a tenant is among the next n that are taken (items of equal cost). Taking and putting cost O(log tenants).
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

# How often each class of urgency has its turn while all of them wait: 16 of 21, 4 of 21, 1 of 21. None starves.
RATIOS: Mapping[str, float] = {"high": 16.0, "normal": 4.0, "low": 1.0}
WEIGHT_MIN = 0.01


class _Flow(Generic[T]):
    """What waits of one tenant under one urgency."""

    __slots__ = ("items", "ratio", "virtual")

    def __init__(self, ratio: float) -> None:
        self.items: deque[T] = deque()
        self.ratio = ratio
        self.virtual = 0.0


class _Tenant(Generic[T]):
    """What waits of one tenant. `virtual` is the service it has had, divided by its weight."""

    __slots__ = ("flows", "size", "turn", "virtual", "weight")

    def __init__(self, weight: float) -> None:
        self.flows: dict[str, _Flow[T]] = {}
        self.weight = max(weight, WEIGHT_MIN)
        self.virtual = 0.0
        self.turn = 0.0
        self.size = 0


class FairQueue(Generic[T]):
    """Holds items of many tenants. `key_of` gives (tenant, urgency), `cost_of` what an item costs, `weight_of` shares.

    A tenant that waited for nothing has saved nothing up: it joins at the present virtual time. Any thread may call.
    """

    def __init__(
        self,
        key_of: Callable[[T], tuple[str, str]],
        cost_of: Callable[[T], float] = lambda _: 1.0,
        weight_of: Callable[[str], float] = lambda _: 1.0,
    ) -> None:
        self._key_of = key_of
        self._cost_of = cost_of
        self._weight_of = weight_of
        self._tenants: dict[str, _Tenant[T]] = {}
        self._turns: list[tuple[float, str]] = []
        self._now = 0.0
        self._size = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[T]:
        with self._lock:
            items = [item for tenant in self._tenants.values() for flow in tenant.flows.values() for item in flow.items]
        return iter(items)

    def waiting_of(self, tenant_id: str) -> int:
        """Return how many items of a tenant wait."""
        tenant = self._tenants.get(tenant_id)
        return tenant.size if tenant is not None else 0

    def append(self, item: T) -> None:
        """Put an item behind those of its tenant and urgency."""
        with self._lock:
            self._flow_of(item).items.append(item)

    def extend(self, items: Iterable[T]) -> None:
        """Put items in, in order."""
        with self._lock:
            for item in items:
                self._flow_of(item).items.append(item)

    def put_back(self, items: list[T]) -> None:
        """Put items that were taken before everything of their tenant and urgency, in the order they were taken."""
        with self._lock:
            for item in reversed(items):
                self._flow_of(item).items.appendleft(item)

    def _flow_of(self, item: T) -> _Flow[T]:
        """Return the flow an item joins, and count it."""
        tenant_id, urgency = self._key_of(item)
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            tenant = self._tenants[tenant_id] = _Tenant(self._weight_of(tenant_id))
            tenant.virtual = self._now
            heapq.heappush(self._turns, (tenant.virtual, tenant_id))
        flow = tenant.flows.get(urgency)
        if flow is None:
            flow = tenant.flows[urgency] = _Flow(RATIOS.get(urgency, RATIOS["normal"]))
            flow.virtual = tenant.turn
        tenant.size += 1
        self._size += 1
        return flow

    def popleft(self) -> T:
        """Take the next item. Raises IndexError when nothing waits."""
        with self._lock:
            return self._next()

    def _next(self) -> T:
        _, tenant_id = self._turns[0]
        tenant = self._tenants[tenant_id]
        if len(tenant.flows) == 1:
            ((urgency, flow),) = tenant.flows.items()
        else:
            urgency, flow = min(tenant.flows.items(), key=lambda pair: (pair[1].virtual, -pair[1].ratio))
        item = flow.items.popleft()
        if len(self._turns) == 1 and len(tenant.flows) == 1 and flow.items:
            # Nobody to be fair to: no account is kept.
            tenant.size -= 1
            self._size -= 1
            return item
        cost = self._cost_of(item)
        self._now = tenant.virtual
        tenant.turn = flow.virtual
        flow.virtual += cost / flow.ratio
        tenant.virtual += cost / tenant.weight
        tenant.size -= 1
        self._size -= 1
        if not flow.items:
            del tenant.flows[urgency]
        if tenant.size:
            heapq.heapreplace(self._turns, (tenant.virtual, tenant_id))
        else:
            heapq.heappop(self._turns)
            del self._tenants[tenant_id]
        return item

    def remove(self, unwanted: Callable[[T], bool]) -> int:
        """Take out what is not wanted here any more; return how many that were."""
        kept = [item for item in self if not unwanted(item)]
        gone = self._size - len(kept)
        if gone:
            self.clear()
            self.extend(kept)
        return gone

    def clear(self) -> None:
        """Take everything out."""
        with self._lock:
            self._tenants.clear()
            self._turns.clear()
            self._size = 0
