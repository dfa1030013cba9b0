"""The wall clock of a running hub jumps: nothing is lost, doubled, held up or forgotten early."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from crossdock.durable.identity import ManualClock
from crossdock.flow.send import Sender
from tests.scenarios.flow.world import BUSY, START, World, busy_for, order, shipment
from tests.simulation.mutants import doors
from tests.simulation.mutants.patching import applied


class SteppedClock(ManualClock):
    """A clock whose time of the world can be set, while the time that passes goes on."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.off = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off

    def move_to(self, moment: datetime) -> None:
        super().move_to(moment - self.off)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running hub on SQLite whose clock can be set."""
    world = World(f"sqlite:///{tmp_path / 'crossdock.db'}", tmp_path, monkeypatch)
    world.clock = SteppedClock(START)
    await world.start()
    await world.apply()
    await world.stock(RENO={"H-100": 1000}, KC={"D-200": 1000})
    yield world
    await world.stop()


def step(world: World, **by: float) -> None:
    assert isinstance(world.clock, SteppedClock)
    world.clock.off += timedelta(**by)


async def a_retry_waits_out_a_clock_set_back(world: World) -> int:
    """Return how often a busy partner was offered a ticket within two minutes after the clock went back two hours."""
    world.partner("reno").answer(BUSY)
    await world.hand_in("erp", order("SO-1"))
    assert 1 == len(world.partner("reno").pushed)

    step(world, hours=-2)
    await world.later(seconds=1)
    for _ in range(4):
        await world.later(seconds=30)
    return len(world.partner("reno").pushed)


async def test_a_clock_set_back_delays_no_retry(world: World) -> None:
    """What would have gone out in 30 seconds goes out in 30 seconds, once."""
    assert 2 == await a_retry_waits_out_a_clock_set_back(world)
    assert [1] == [len(acts) for acts in world.partner("reno").effects.values()]


async def test_a_sender_that_believes_the_wall_clock_is_caught(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positive control: the retry is not due for two hours."""
    monkeypatch.setattr(Sender, "_now", lambda self: self._clock.now().timestamp())

    assert 1 == await a_retry_waits_out_a_clock_set_back(world)


@pytest.mark.parametrize("told_again", [False, True], ids=["told once", "control: told at every tick"])
async def test_a_clock_set_back_prolongs_no_rest(
    world: World, monkeypatch: pytest.MonkeyPatch, told_again: bool
) -> None:
    """A partner that asked for ten minutes gets ten, by the time that passes; told anew from the record, two hours."""
    if told_again:
        rest = world.hub.sending._rest

        async def forgetful() -> None:
            world.hub.sending._told.clear()
            await rest()

        monkeypatch.setattr(world.hub.sending, "_rest", forgetful)
    world.partner("reno").answer(busy_for(600))
    await world.hand_in("erp", order("SO-1"))
    step(world, hours=-2)
    await world.later(minutes=5)
    early = len(world.partner("reno").pushed)
    for _ in range(6):
        await world.later(minutes=1)

    assert (1, 1 if told_again else 2) == (early, len(world.partner("reno").pushed))


async def steps_in_a_day(world: World) -> None:
    """Orders and confirmations come before, between and after steps of the clock; every paper comes twice."""
    papers = []
    for number, by in enumerate((0.0, -7200.0, 86_400.0, 0.4, -0.4, -7200.0)):
        step(world, seconds=by)
        name = f"SO-{number}"
        papers.append(("erp", order(name), {"headers": {"idempotency-key": name}}))
        await world.hand_in(papers[-1][0], papers[-1][1], **papers[-1][2])
        papers.append(("reno", shipment(f"S-{number}", name), {"name": f"S-{number}"}))
        for door, paper, more in papers:
            await world.hand_in(door, paper, **more)
        await world.later(seconds=60)
    for _ in range(5):
        await world.later(minutes=2)


def judged(world: World) -> list[str]:
    """Return what is not as promised, by the partners' own ledgers."""
    wrong = []
    tickets = sorted(str(one.get("number", one)) for one in world.partner("reno").documents())
    if len(tickets) != 6 or len(set(tickets)) != 6:
        wrong.append(f"tickets {tickets}")
    if world.column("select state from inbound_messages where state not in ('processed', 'duplicate')"):
        wrong.append(f"states {world.column('select distinct state from inbound_messages')}")
    if 12 != len(world.column("select message_id from inbound_messages where state = 'processed'")):
        wrong.append("a receipt was forgotten")
    if open_sends := world.column("select state from outbound_messages where state <> 'sent'"):
        wrong.append(f"open sends {open_sends}")
    for partner in world.partners.values():
        wrong += [f"doubled {identity}" for identity, acts in partner.effects.items() if len(acts) > 1]
    return wrong


async def test_steps_lose_and_double_nothing_and_no_receipt_expires_early(world: World) -> None:
    """Two hours back, a day on, and a clock that is off by less than a second: once, and all of it."""
    await steps_in_a_day(world)

    assert [] == judged(world)


@pytest.mark.parametrize("name", ["no dedupe", "dedupe for five minutes"])
async def test_receipts_that_are_forgotten_are_caught(world: World, name: str) -> None:
    """Positive control: the same steps tell a hub that forgets what it took."""
    with applied(next(one for one in doors.MUTANTS if one.name == name)):
        await steps_in_a_day(world)

    assert [] != judged(world)
