"""The retry policy: pure, from what happened to what happens next.

attempt 1, 2, 3 … failed with a transient error → wait 30, 60, 120 … seconds, at most an hour
the partner's own Retry-After wins when it is longer
permanent error → dead letter at once
unknown outcome → ask the partner; where it cannot be asked, the same identity again
attempts of its class used up → dead letter

Each class of error (partner, data, system, unknown) has its own count and its own clock: five failures of the partner
do not make a missing secret of ours wait as if it had been missing five times, nor use up its attempts.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .states import AttemptOutcome

ErrorClass = Literal["partner", "data", "system", "unknown", ""]


class ClassPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one class of error is given; what is not set is the connection's. Delays are seconds."""

    attempts_max: Annotated[int, msgspec.Meta(ge=1)] | None = None
    first_delay_seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None
    delay_seconds_max: Annotated[float, msgspec.Meta(ge=0)] | None = None


class RetryPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Settings of one connection. Delays are seconds; `classes` (partner, data, system, unknown) set what differs."""

    attempts_max: int = 12
    first_delay_seconds: float = 30.0
    delay_seconds_max: float = 3600.0
    circuit_failures_max: int = 5
    probe_delay_seconds: float = 60.0
    classes: dict[Literal["partner", "data", "system", "unknown"], ClassPolicy] = {}

    def of(self, error_class: str) -> tuple[int, float, float]:
        """Return the most attempts, the first delay and the longest delay of a class of error."""
        own = next((policy for name, policy in self.classes.items() if name == error_class), None)
        if own is None:
            return self.attempts_max, self.first_delay_seconds, self.delay_seconds_max
        return (
            self.attempts_max if own.attempts_max is None else own.attempts_max,
            self.first_delay_seconds if own.first_delay_seconds is None else own.first_delay_seconds,
            self.delay_seconds_max if own.delay_seconds_max is None else own.delay_seconds_max,
        )


class NextStep(msgspec.Struct, frozen=True):
    """What to do with an outbound message after an attempt."""

    action: Literal["settle", "retry", "resolve", "dead"]
    delay_seconds: float = 0.0


def next_step(
    policy: RetryPolicy,
    attempt: int,
    outcome: AttemptOutcome,
    *,
    permanent: bool = False,
    retry_after_seconds: float | None = None,
    error_class: str = "",
) -> NextStep:
    """Return what follows attempt number `attempt` (from 1) of those that ended in this class of error.

    >>> next_step(RetryPolicy(), 3, "failed").delay_seconds
    120.0
    >>> next_step(RetryPolicy(), 1, "failed", retry_after_seconds=600).delay_seconds
    600.0
    >>> next_step(RetryPolicy(), 12, "failed").action
    'dead'
    """
    if outcome == "done":
        return NextStep("settle")
    if permanent and outcome == "failed":
        return NextStep("dead")
    attempts_max, first_delay, delay_max = policy.of(error_class)
    if attempt >= attempts_max:
        return NextStep("dead")
    delay = min(first_delay * 2.0 ** min(attempt - 1, 64), delay_max)
    delay = max(delay, retry_after_seconds or 0.0)
    return NextStep("resolve" if outcome == "unknown" else "retry", delay)


class Circuit(msgspec.Struct, omit_defaults=True):
    """The circuit of one connection: closed, open (keep buffering), probing, then closed again.

    Times are seconds since 1970.
    """

    state: Literal["closed", "open", "probing"] = "closed"
    failures: int = 0
    probe_at: float = 0.0

    def allows(self, now: float) -> bool:
        """Tell whether a send may start. In an open circuit one probe may start when its time has come."""
        if self.state == "closed":
            return True
        if self.state == "open" and now >= self.probe_at:
            self.state = "probing"
            return True
        return False

    def book(self, policy: RetryPolicy, succeeded: bool, now: float, retry_after_seconds: float | None = None) -> None:
        """Book the outcome of a send. Refusals of a document are no failure of the partner: book them as succeeded."""
        if succeeded:
            self.state, self.failures = "closed", 0
            return
        self.failures += 1
        if self.state == "probing" or self.failures >= policy.circuit_failures_max or retry_after_seconds:
            self.state = "open"
            self.probe_at = now + max(policy.probe_delay_seconds, retry_after_seconds or 0.0)
