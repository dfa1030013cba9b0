"""Budgets of cost: how fast a partner may be called, shared by every worker. Pure: the clock is an argument.

One number is the whole state, the instant at which all that was granted is paid for (the generic cell rate algorithm,
equal to a token bucket). It needs no timer and no refill, two workers can advance the same number in the record, and
several costs are granted at once, so that sharing costs one round trip for a batch and none for a message.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Positive = Annotated[float, msgspec.Meta(ge=0)]


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a partner lets us spend: `cost_per_second` on average (0: no limit), `burst` at once.

    `costs` is the cost of one send by document type, `find` of one question; anything else costs 1.
    """

    cost_per_second: Positive = 0.0
    burst: Positive = 0.0
    costs: dict[str, Positive] = {}

    @property
    def bounded(self) -> bool:
        """Tell whether there is a limit at all."""
        return self.cost_per_second > 0

    @property
    def depth(self) -> float:
        """The cost that may be spent at once after a rest: `burst`, at least what one second or one send costs."""
        return max(self.burst or self.cost_per_second, 1.0, *self.costs.values())

    def cost_of(self, operation: str) -> float:
        """Return what one operation costs: a document type, or `find`."""
        return self.costs.get(operation, 1.0)


class Budget(msgspec.Struct):
    """How much of a limit is spent, and until when the partner asked to be left alone. Seconds since 1970.

    `paid_at` is when everything granted so far will have been earned; `paused_until` a Retry-After.
    """

    paid_at: float = 0.0
    paused_until: float = 0.0

    def wait(self, limit: RateLimit, cost: float, now: float) -> float:
        """Return how many seconds `cost` must wait; 0 when it may be spent now.

        >>> Budget(paid_at=105.0).wait(RateLimit(1.0, burst=2.0), 1.0, now=100.0)
        4.0
        """
        paused = max(0.0, self.paused_until - now)
        if not limit.bounded:
            return paused
        earliest = self.paid_at + (cost - limit.depth) / limit.cost_per_second
        return max(paused, earliest - now, 0.0)

    def spend(self, limit: RateLimit, cost: float, now: float) -> None:
        """Book a cost; the caller has asked `wait`."""
        if limit.bounded:
            self.paid_at = max(self.paid_at, now) + cost / limit.cost_per_second

    def grant(self, limit: RateLimit, wanted: float, now: float) -> float:
        """Book and return as much of `wanted` as may be spent now: a batch for one worker, 0 when nothing may be."""
        if now < self.paused_until:
            return 0.0
        if not limit.bounded:
            return wanted
        left = limit.depth - max(0.0, self.paid_at - now) * limit.cost_per_second
        granted = max(0.0, min(wanted, left))
        if granted:
            self.spend(limit, granted, now)
        return granted

    def pause(self, until: float) -> None:
        """Leave the partner alone until an instant; a longer pause that holds already stays."""
        self.paused_until = max(self.paused_until, until)

    def exhaust(self, limit: RateLimit, now: float) -> None:
        """Take the burst away: after a start nobody knows what the process before has spent."""
        if limit.bounded:
            self.paid_at = max(self.paid_at, now + limit.depth / limit.cost_per_second)
