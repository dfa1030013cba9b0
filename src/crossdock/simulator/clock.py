"""The timeline of a simulated day: what happens when, in lock-step with the hub.

Before the clock moves the hub must be quiet, so the same seed gives the same day at any speed.
`speed` only adds waiting between steps; it never changes what happens.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from ..durable.identity import ManualClock
from .hub_port import HubPort

Action = Callable[[], Awaitable[None]]

# Steps at one instant without the clock moving: past this the hub and the simulator are talking in circles.
ROUNDS_AT_ONE_INSTANT_MAX = 10_000


class Stalled(RuntimeError):
    """The hub reports work that is due but never gets done."""


class Pace:
    """How simulated time relates to the time of the person who watches.

    `speed` is simulated seconds in one real second; None means as fast as the machine allows.
    """

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._real_start = time.monotonic()
        self._day_start: datetime | None = None

    async def wait(self, now: datetime, moment: datetime) -> None:
        """Wait until it is time to go on to `moment`."""
        if self._speed is None:
            return
        if self._day_start is None:
            self._day_start, self._real_start = now, time.monotonic()
        target = self._real_start + (moment - self._day_start).total_seconds() / self._speed
        await asyncio.sleep(max(0.0, target - time.monotonic()))


class Timeline:
    """A heap of (instant, key, sequence, action).

    Keys begin with who acts (`carrier:…`). At one instant the parties act one after the other, in the order of their
    keys, with a quiet hub in between; what one party does at that instant it does at once. So the order in which
    partners were told, which depends on the sockets, never shows in what they do.
    """

    def __init__(self, clock: ManualClock, pace: Pace | None = None) -> None:
        self.clock = clock
        self.pace = pace or Pace(None)
        self.steps = 0
        self._heap: list[tuple[datetime, str, int, Action]] = []
        self._sequence = itertools.count()

    def at(self, moment: datetime, key: str, action: Action) -> None:
        """Plan an action; a moment that has passed means now."""
        # Plans are made in wall-clock times of places; the clock itself only knows UTC.
        instant = max(moment.astimezone(UTC), self.clock.now())
        heapq.heappush(self._heap, (instant, key, next(self._sequence), action))

    def after(self, delay: timedelta, key: str, action: Action) -> None:
        """Plan an action some time from now."""
        self.at(self.clock.now() + delay, key, action)

    def every(self, first: datetime, interval: timedelta, until: datetime, key: str, action: Action) -> None:
        """Plan an action again and again, the last time not after `until`."""

        async def run() -> None:
            await action()
            following = self.clock.now() + interval
            if following <= until:
                self.at(following, key, run)

        self.at(first, key, run)

    async def run(self, hub: HubPort, until: datetime, watch: Action | None = None) -> None:
        """Run everything up to and with `until`, then leave the hub quiet and the clock at `until`.

        `watch` is called after each step, when the hub is quiet: faults look there whether they were seen.
        """
        until = until.astimezone(UTC)
        rounds = 0
        while True:
            await hub.settle()
            if watch is not None:
                await watch()
            due = hub.next_due_at()
            planned = self._heap[0][0] if self._heap else None
            moments = [moment for moment in (due, planned) if moment is not None]
            if not moments or min(moments) > until:
                break
            before = self.clock.now()
            moment = max(min(moments), before).astimezone(UTC)
            await self.pace.wait(before, moment)
            self.clock.move_to(moment)
            rounds = 0 if moment > before else rounds + 1
            if rounds > ROUNDS_AT_ONE_INSTANT_MAX:
                raise Stalled(f"the clock cannot leave {moment.isoformat()}: the hub's next due time is {due}")
            if due is not None and due <= moment:
                await hub.advance()
            await self._run_planned(hub, moment)
            self.steps += 1
        await self.pace.wait(self.clock.now(), until)
        self.clock.move_to(until)
        await hub.settle()

    async def _run_planned(self, hub: HubPort, moment: datetime) -> None:
        batch: list[tuple[datetime, str, int, Action]] = []
        while self._heap and self._heap[0][0] <= moment:
            batch.append(heapq.heappop(self._heap))
        for _, group in itertools.groupby(batch, key=lambda planned: planned[1].partition(":")[0]):
            # What one party does reaches the hub, and whoever the hub tells, before the next party looks.
            await hub.settle()
            await asyncio.gather(*(action() for _, _, _, action in group))


def dice(seed: int, *names: str) -> random.Random:
    """Return randomness that belongs to one thing: the same seed and names always give the same sequence.

    Things draw from their own dice, never from a shared one, so who comes first changes nothing.
    """
    return random.Random(":".join((str(seed), *names)))
