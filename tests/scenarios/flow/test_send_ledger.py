"""Effects and their identity: whatever happens to a send, the partner never sees a second identity for one effect."""

from __future__ import annotations

import asyncio
import random

import pytest

from crossdock.sdk import FindResult, Outbound, PushResult
from tests.scenarios.flow.test_sends import drive
from tests.scenarios.flow.world import BUSY, DONE, LOST_ANSWER, World, order, pack_files, with_line


class Fickle:
    """A partner whose answers, and whether a lost one took effect, come from a seed."""

    def __init__(self, world: World, connection: str, seed: int) -> None:
        self.partner = world.partner(connection)
        self.chance = random.Random(seed)
        self.partner.always = self._answer

    def _answer(self, _: Outbound) -> PushResult:
        answer = self.chance.choice((DONE, BUSY, LOST_ANSWER, LOST_ANSWER))
        self.partner.takes_effect = self.chance.random() < 0.5
        return answer


def identities_by_ticket(world: World, connection: str) -> dict[str, set[str]]:
    """Return under which identities the partner saw each ticket."""
    found: dict[str, set[str]] = {}
    for one, document in zip(world.partner(connection).pushed, world.partner(connection).documents(), strict=True):
        found.setdefault(document["ticket"], set()).add(one.identity)
    return found


def broken(identities: dict[str, set[str]]) -> list[str]:
    return [ticket for ticket, names in identities.items() if len(names) != 1]


@pytest.mark.parametrize("seed", range(8))
async def test_no_effect_is_ever_pushed_under_a_second_identity(world: World, seed: int) -> None:
    """Failures, lost answers, restarts in between: one ticket, one identity."""
    files = with_line(pack_files(), "connections/reno.yaml", "_max: 5", "_max: 50")
    await world.apply(files=files)
    fickle = Fickle(world, "reno", seed)
    for number in range(6):
        await world.hand_in("erp", order(f"SO-{number}"))
    for _ in range(4):
        await drive(world, 7)
        await world.restart()
    fickle.partner.always = None
    await drive(world, 600)

    assert [] == broken(identities_by_ticket(world, "reno"))
    assert 6 == len(identities_by_ticket(world, "reno"))
    assert {"sent"} == {state for _, state in world.outbound("reno")}


def test_a_new_identity_is_caught() -> None:
    """The control: what the assertion above looks for is found."""
    assert ["SO-1-1"] == broken({"SO-1-1": {"a", "b"}, "SO-2-1": {"c"}})


async def test_what_can_neither_be_asked_nor_repeated_is_never_sent_again(world: World) -> None:
    """A partner that cannot tell and does not act once: one push, then a person; not one more."""
    partner = world.partner("kc")
    partner.answer(LOST_ANSWER)
    partner.find_answers.extend([FindResult("cannot_tell")] * 10)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 600)

    assert 1 == len(partner.pushed)
    assert [("fulfillment_request", "dead")] == world.outbound("kc")


async def test_each_class_of_error_counts_by_itself(world: World) -> None:
    """Two failures of the partner leave the attempts of a missing answer as they were, also after a restart."""
    files = with_line(
        pack_files(),
        "connections/reno.yaml",
        "attempts_max: 5, first_delay_seconds: 30",
        "attempts_max: 3, first_delay_seconds: 30, classes: {unknown: {attempts_max: 4, first_delay_seconds: 5}}",
    )
    await world.apply(files=files)
    partner = world.partner("reno")
    partner.find_answers.extend([FindResult("cannot_tell")] * 10)
    partner.takes_effect = False
    partner.answer(BUSY, BUSY, LOST_ANSWER, LOST_ANSWER)
    await world.hand_in("erp", order("SO-1"))
    await drive(world, 2)
    await world.restart()
    await drive(world, 30)

    assert [("fulfillment_request", "sent")] == world.outbound("reno")
    assert ["partner", "partner", "unknown", "unknown", ""] == world.column(
        "select a.error_class from attempts a join outbound_messages m on m.message_id = a.message_id"
        " where m.connection_id = 'reno' order by number"
    )


async def test_a_send_that_ends_the_process_each_time_is_given_up(world: World) -> None:
    """Attempts are counted before the run: after as many cut short as are allowed, it is not sent again by itself."""
    files = with_line(pack_files(), "connections/reno.yaml", "_max: 5", "_max: 2")
    await world.apply(files=files)
    partner = world.partner("reno")
    partner.gate = asyncio.Event()
    await world.hand_in("erp", order("SO-1"), settle=False)
    for _ in range(4):
        async with asyncio.timeout(5):
            while not world.hub.sender.states().get(("acme", "reno"), ("", 0, 0))[2] and "dead" not in {
                state for _, state in world.outbound("reno")
            }:
                await asyncio.sleep(0.001)
        await world.restart()
    partner.gate.set()
    await world.hub.settle()

    assert [("fulfillment_request", "dead")] == world.outbound("reno")
    assert 2 == len(partner.pushed)
    assert "XD-SYS-054" in world.issues()
