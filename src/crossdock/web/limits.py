"""A bound on how often one address may ask: a sliding window in memory, bounded in size itself."""

from __future__ import annotations

from collections import OrderedDict, deque

from ..durable.identity import Clock

_ADDRESSES_MAX = 20_000


class SlidingWindow:
    """At most `count` hits in `seconds` for each key."""

    def __init__(self, clock: Clock, count: int, seconds: float = 60.0) -> None:
        self._clock = clock
        self._count = count
        self._seconds = seconds
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()

    def hit(self, key: str) -> float:
        """Count one hit. Return 0, or in how many seconds the next is allowed; a refused hit is not counted."""
        now = self._clock.monotonic()
        times = self._hits.setdefault(key, deque())
        self._hits.move_to_end(key)
        while len(self._hits) > _ADDRESSES_MAX:
            self._hits.popitem(last=False)
        while times and times[0] <= now - self._seconds:
            times.popleft()
        if len(times) >= self._count:
            return times[0] + self._seconds - now
        times.append(now)
        return 0.0
