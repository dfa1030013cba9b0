"""The timeline runs a day in lock-step with a hub, in an order that sockets cannot change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from crossdock.durable.identity import ManualClock
from crossdock.simulator import clock as module
from crossdock.simulator.clock import Pace, Stalled, Timeline, dice
from crossdock.simulator.world import clock_time

START = clock_time("08:00")


class HubOfTimers:
    """A hub that has nothing but timers, and writes down when it was advanced."""

    url = "http://127.0.0.1:1"

    def __init__(self, clock: ManualClock, due: list[datetime]) -> None:
        self._clock = clock
        self._due = due
        self.advanced: list[datetime] = []
        self.stuck = False

    async def settle(self) -> None:
        return None

    def next_due_at(self) -> datetime | None:
        return min(self._due, default=None)

    async def advance(self) -> None:
        self.advanced.append(self._clock.now())
        if not self.stuck:
            self._due = [moment for moment in self._due if moment > self._clock.now()]

    async def apply_pack(self, tenant_id: str, files: Mapping[str, str], author: str) -> Any:
        return None

    async def create_key(self, tenant_id: str, role: str, connection: str = "") -> str:
        return "key"

    async def set_secret(self, tenant_id: str, name: str, value: str) -> None:
        return None

    async def stop(self) -> None:
        return None


async def test_actions_of_one_instant_run_by_their_keys():
    """Who was planned first does not matter, the key does."""
    clock = ManualClock(START)
    timeline, seen = Timeline(clock), []
    for key in ("b", "a", "c"):

        async def action(key: str = key) -> None:
            seen.append(key)

        timeline.at(START + timedelta(minutes=1), key, action)

    await timeline.run(HubOfTimers(clock, []), START + timedelta(hours=1))

    assert ["a", "b", "c"] == seen
    assert START + timedelta(hours=1) == clock.now()


async def test_the_clock_stops_at_the_hubs_own_due_times():
    """Timers of the hub run at their instant, between the actions of the world."""
    clock = ManualClock(START)
    hub = HubOfTimers(clock, [START + timedelta(minutes=5), START + timedelta(minutes=20)])
    timeline, seen = Timeline(clock), []

    async def action() -> None:
        seen.append(clock.now())

    timeline.every(START + timedelta(minutes=10), timedelta(minutes=20), START + timedelta(minutes=50), "x", action)
    await timeline.run(hub, START + timedelta(hours=1))

    assert [START + timedelta(minutes=m) for m in (5, 20)] == hub.advanced
    assert [START + timedelta(minutes=m) for m in (10, 30, 50)] == seen


async def test_a_hub_that_never_gets_done_stops_the_day(monkeypatch):
    """Work that is due for ever is an error that names it, not a hang."""
    monkeypatch.setattr(module, "ROUNDS_AT_ONE_INSTANT_MAX", 20)
    clock = ManualClock(START)
    hub = HubOfTimers(clock, [START + timedelta(minutes=5)])
    hub.stuck = True

    with pytest.raises(Stalled, match="14:05"):
        await Timeline(clock).run(hub, START + timedelta(hours=1))


async def test_speed_only_adds_waiting(monkeypatch):
    """At 60 times, one simulated hour is one real minute; the steps are the same."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(round(seconds))

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    monkeypatch.setattr(module.time, "monotonic", lambda: 1000.0)
    pace = Pace(60)

    await pace.wait(START, START + timedelta(hours=1))
    await pace.wait(START + timedelta(hours=1), START + timedelta(hours=2))

    assert [60, 120] == waited


def test_dice_belong_to_one_thing():
    """The same seed and names give the same sequence, another name another one."""
    assert dice(1, "a", "b").random() == dice(1, "a", "b").random()
    assert dice(1, "a", "b").random() != dice(1, "a", "c").random()
