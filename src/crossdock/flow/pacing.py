"""The pace at which one connection is sent to: its budget of cost, and how it comes back to speed after an outage.

One worker spends from its own budget. Where several share a connection, each draws a batch of cost from the record and
spends it from memory, so that no message pays a round trip of its own.
"""

from __future__ import annotations

import msgspec

from ..durable.rates import Budget, RateLimit

# What one worker draws at once: as much as this many seconds of the limit, so that a worker that dies with cost it did
# not spend takes little away from the others.
DRAWN_SECONDS = 0.5


class Pace(msgspec.Struct):
    """State of one connection. Times are seconds since 1970, costs as in the connection's `rate`."""

    limit: RateLimit = RateLimit()
    drain: RateLimit = RateLimit()
    shared: bool = False
    budget: Budget = msgspec.field(default_factory=Budget)
    drained: Budget = msgspec.field(default_factory=Budget)
    # Of a shared budget: what is drawn and not spent, what is being drawn, and when drawing makes sense again.
    drawn: float = 0.0
    drawing: bool = False
    draw_at: float = 0.0
    # How many of what gathered during an outage still have to go, and how many of them may be under way at once.
    recovering: int = 0
    window: int = 1

    def configure(self, limit: RateLimit, drain_per_second: float, *, shared: bool, now: float) -> None:
        """Take over a connection's settings. A new limit starts without a burst: nobody knows what was spent."""
        if limit != self.limit:
            self.drawn = 0.0
            self.budget.exhaust(limit, now)
        # One at a time: a partner that comes back gets no burst.
        self.limit, self.shared, self.drain = limit, shared, RateLimit(drain_per_second, burst=1.0)

    def set_back(self, seconds: float) -> None:
        """The wall clock was set back: set back every instant kept here."""
        for budget in (self.budget, self.drained):
            budget.paid_at = max(0.0, budget.paid_at - seconds)
            budget.paused_until = max(0.0, budget.paused_until - seconds)
        self.draw_at -= seconds

    @property
    def free(self) -> bool:
        """Tell whether nothing slows this connection down."""
        return not (self.limit.bounded or self.recovering or self.budget.paused_until)

    def in_flight_max(self, most: int) -> int:
        """Return how many sends may be under way: few at first after an outage, more with each that goes through."""
        return min(self.window, most) if self.recovering else most

    def wait(self, cost: float, now: float) -> float:
        """Return how many seconds a send of this cost must wait; 0 when it may start."""
        wait = max(0.0, self.budget.paused_until - now)
        if self.limit.bounded:
            if not self.shared:
                wait = self.budget.wait(self.limit, cost, now)
            elif self.drawn < cost:
                wait = max(wait, self.draw_at - now, 0.001)
        if self.recovering and self.drain.bounded:
            wait = max(wait, self.drained.wait(self.drain, 1.0, now))
        return wait

    def spend(self, cost: float, now: float) -> None:
        """Book a send that starts."""
        if self.limit.bounded:
            if self.shared:
                self.drawn -= cost
            else:
                self.budget.spend(self.limit, cost, now)
        if self.recovering:
            self.drained.spend(self.drain, 1.0, now)

    def wants(self, cost: float, now: float) -> float:
        """Return how much should be drawn from the record now, for a send of this cost; 0 for nothing."""
        if not self.shared or not self.limit.bounded or self.drawing or self.drawn >= cost or now < self.draw_at:
            return 0.0
        return max(cost, min(self.limit.depth, self.limit.cost_per_second * DRAWN_SECONDS)) - self.drawn

    def recover(self, waiting: int) -> None:
        """The partner is back: work off what waits, gently."""
        self.recovering, self.window = waiting, 1
        self.drained = Budget()

    def ended(self, went_through: bool, in_flight_max: int) -> None:
        """A send is over: speed up when it went through, slow down when the partner failed again."""
        if self.recovering:
            self.recovering -= went_through
            self.window = min(self.window + 1, in_flight_max) if went_through else max(1, self.window // 2)
