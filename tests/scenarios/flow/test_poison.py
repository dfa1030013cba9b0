"""Poison in what comes in: whatever it does, it becomes a dead letter, and the others go through as if it were not."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from crossdock.bootstrap import hub as hub_module
from crossdock.flow import stages
from crossdock.flow.ingest import InboundOffer
from crossdock.flow.translate import Budget, OverBudget
from crossdock.store.dead_letters import Wanted
from tests.scenarios.flow.world import World, order, x12_945

GOOD = [order(f"SO-{number}") for number in range(9)]


async def _among_others(world: World, poison: bytes) -> list[str]:
    """Hand in nine orders and one poison at once; return what became dead."""
    offers = [InboundOffer("acme", "erp", msgspec.json.encode(one)) for one in GOOD]
    await world.hub.ingest_many([*offers[:4], InboundOffer("acme", "erp", poison), *offers[4:]])
    await world.hub.settle()
    found: list[str] = await world.hub.repair.dead_ids("acme", Wanted())
    return found


@pytest.mark.parametrize("error", [ValueError("bug"), MemoryError(), RecursionError()])
async def test_what_a_message_breaks_is_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A fault of ours, no memory, no stack: one dead letter, nine orders at the site."""
    real = stages.translate

    def breaks(message: Any, configuration: Any, budget: Any, *more: Any) -> Any:
        if b"SO-POISON" in message.content:
            raise error
        return real(message, configuration, budget, *more)

    monkeypatch.setattr(stages, "translate", breaks)
    dead = await _among_others(world, msgspec.json.encode(order("SO-POISON")))

    assert 1 == len(dead)
    assert 9 == len(world.partner("reno").of_type("fulfillment_request"))


async def test_a_message_that_takes_too_long_is_stopped(world: World) -> None:
    """Its processor time is used up between two documents: it failed as a whole, and says so; the others went on."""
    ticks = itertools.count()
    world.hub.stages._budget = Budget(10.0, 10_000, lambda: float(next(ticks)))
    for number in ("SO-1", "SO-2"):
        await world.hand_in("erp", order(number, ("DRILL", 5)))
    many = x12_945(*((f"S-{n}", "SO-1-1") for n in range(40)))
    answer = await world.hand_in("kc", many)
    few = await world.hand_in("kc", x12_945(("T-1", "SO-2-1"), control_number=2))

    assert ("failed", ["rejected"]) == (
        world.message_state(answer.message_id),
        world.document_states(answer.message_id),
    )
    assert ["XD-SYS-052"] == world.issues()
    assert [True] == ["no 997 was sent" in one for one in world.column("select detail from exceptions")]
    assert ["applied"] == world.document_states(few.message_id)
    # The one that was stopped was answered by nobody; the other was.
    assert [few.message_id] == world.column(
        "select inbound_message_id from outbound_messages where document_type = 'acknowledgment'"
    )


async def test_a_stopped_message_runs_when_it_may(world: World) -> None:
    """The positive control: with a larger budget the same dead letter goes through by a requeue."""
    ticks = itertools.count()
    world.hub.stages._budget = Budget(10.0, 10_000, lambda: float(next(ticks)))
    await world.hand_in("erp", order("SO-1", ("DRILL", 5)))
    answer = await world.hand_in("kc", x12_945(*((f"S-{n}", "SO-1-1") for n in range(40)), quantity=0))
    (dead_id,) = await world.hub.repair.dead_ids("acme", Wanted(kind="document"))
    world.hub.stages._budget = Budget(1_000.0, 10_000, lambda: float(next(ticks)))
    await world.hub.repair.requeue("acme", [dead_id], actor="anna")
    await world.hub.settle()

    assert 40 == world.document_states(answer.message_id).count("applied")
    assert "XD-SYS-052" not in world.issues()


async def test_too_many_documents_are_refused_at_once(world: World) -> None:
    """The bound of the door holds for what comes by file as well."""
    world.hub.stages._budget = Budget(10.0, 5, lambda: 0.0)
    await world.hand_in("kc", x12_945(*((f"S-{n}", "SO-1-1") for n in range(6))))

    assert ["XD-DOC-017"] == world.issues()


async def test_the_hub_runs_with_a_budget(world: World) -> None:
    """What is wired is what the settings say, by the processor's clock."""
    budget = world.hub.stages._budget

    assert (2.0, 10_000) == (budget._seconds_max, budget._documents_max)
    assert hub_module.time.thread_time is budget._seconds
    with pytest.raises(OverBudget):
        budget.count(10_001)
