"""The ports to time and randomness, and the ids made from them.

Nothing in the product asks the operating system for the time or for randomness except `SystemClock` and `Ids`,
so a simulation hands in its own.
"""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from typing import Protocol

from ..canonical.identifiers import CROCKFORD


class Clock(Protocol):
    """Time of the world (`now`, aware UTC) and of durations (`monotonic`, seconds)."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved: for tests and simulations."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def move_to(self, moment: datetime) -> None:
        """Set the time. Clocks do not run backwards; an earlier moment is ignored."""
        self._now = max(self._now, moment)


class Ids:
    """Makes prefixed ULIDs that only grow, even within one millisecond.

    Each millisecond draws 79 fresh random bits; within it the last 30 count on in small random steps.
    `seed` makes the sequence repeatable; without it the randomness is the operating system's.
    One instance belongs to one thread at a time.
    """

    _PAIRS = tuple(a + b for a in CROCKFORD for b in CROCKFORD)

    def __init__(self, clock: Clock, seed: int | None = None) -> None:
        self._clock = clock
        self._random = random.Random(seed) if seed is not None else random.Random(os.urandom(16))
        self._asked: datetime | None = None
        self._milliseconds = self._asked_milliseconds = -1
        self._head = ""
        self._high = 0
        self._low = 0

    def new(self, prefix: str, now: datetime | None = None) -> str:
        """Return the next id, such as `msg_01J…`. `now` spares asking the clock again within a batch."""
        if now is None or now is not self._asked:
            self._asked = now
            self._asked_milliseconds = int((now or self._clock.now()).timestamp() * 1000)
        milliseconds = self._asked_milliseconds
        if milliseconds > self._milliseconds:
            self._milliseconds = milliseconds
            self._high = self._random.getrandbits(49)
            self._low = self._random.getrandbits(29)
            self._write_head()
        else:
            self._low += 1 + (self._random.getrandbits(8))
            if self._low >> 30:
                self._high += 1
                self._low &= (1 << 30) - 1
                self._write_head()
        low, pairs = self._low, self._PAIRS
        return f"{prefix}_{self._head}{pairs[low >> 20]}{pairs[(low >> 10) & 1023]}{pairs[low & 1023]}"

    def go_on_behind(self, known: str) -> None:
        """Make only ids greater than a known one from now on: the clock may have been set back since it was made.

        >>> ids = Ids(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), seed=1)
        >>> ids.go_on_behind("msg_7ZZZZZZZZA0000000000000000")
        >>> ids.new("msg") > "msg_7ZZZZZZZZA0000000000000000"
        True
        """
        milliseconds = 0
        for sign in known.rpartition("_")[2][:10]:
            milliseconds = milliseconds * 32 + CROCKFORD.index(sign)
        if milliseconds >= self._milliseconds:
            self._milliseconds = milliseconds + 1
            self._high = self._random.getrandbits(49)
            self._low = self._random.getrandbits(29)
            self._write_head()

    def fork(self) -> Ids:
        """Return another sequence for another thread; its ids are of this clock, but never of this sequence."""
        return Ids(self._clock, self._random.getrandbits(64))

    def _write_head(self) -> None:
        number = (self._milliseconds << 50) | self._high
        self._head = "".join([self._PAIRS[(number >> shift) & 1023] for shift in range(90, -1, -10)])


def to_micros(moment: datetime) -> int:
    """Return an aware instant as microseconds since 1970 UTC, the form the store keeps."""
    return round(moment.timestamp() * 1_000_000)


def from_micros(micros: int) -> datetime:
    """Return the aware UTC instant of a stored value."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
