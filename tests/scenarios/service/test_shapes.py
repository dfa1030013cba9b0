"""Partners that change their documents without notice: seen at the first, held by policy, released, nothing lost."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.flow.shapes import Shapes
from crossdock.formats.shapes import Change
from tests.scenarios.flow.world import World, order, pack_files, shipment, with_line


async def learned(world: World, policy: str, *, documents: int = 3, **more: Any) -> None:
    """Apply the pack with a drift policy on Reno and let it learn from a few ship confirmations."""
    words = "".join(f", {name}: {value}" for name, value in more.items())
    drift = f"drift: {{policy: {policy}, learn: {documents}, gone_after: {documents}{words}}}"
    await world.apply(files=with_line(pack_files(), "connections/reno.yaml", "inbound:", f"{drift}\ninbound:"))
    for number in range(documents):
        await world.hand_in("erp", order(f"SO-L{number}"))
        await world.hand_in("reno", shipment(f"S-L{number}", f"SO-L{number}"))


def changed(number: str, order_number: str) -> dict[str, Any]:
    """A ship confirmation of Reno after its update: the quantity is text and there is a field more."""
    lines = [{"no": "1", "sku": "H-100", "qty": "5", "uom": "EA"}]
    return {**shipment(number, order_number), "lines": lines}


def details(world: World) -> list[str]:
    return world.column("select detail from exceptions where state = 'open' and code = 'XD-PTR-064' order by detail")


def digest(world: World) -> str:
    (found,) = world.column("select digest from document_shapes where digest <> ''")
    return str(found)


async def test_a_changed_shape_is_held_by_policy_and_released_by_approval(world: World) -> None:
    """Policy approve: the first documents of a new shape wait under one issue with the diff; approved, they go on."""
    await learned(world, "approve")
    answers = []
    for number in (1, 2):
        await world.hand_in("erp", order(f"SO-{number}"))
        answers.append(await world.hand_in("reno", changed(f"S-{number}", f"SO-{number}")))

    assert [["held"], ["held"]] == [world.document_states(one.message_id) for one in answers]
    assert ["XD-PTR-064"] == world.issues()
    assert ["/lines/[]/qty was number, is text; new field /lines/[]/uom (text)"] * 2 == details(world)
    assert [] == world.column(
        "select subject from events where type = 'crossdock.shipment.departed.v1'"
        " and subject in ('order/SO-1', 'order/SO-2')"
    )

    # What is of the old shape goes on meanwhile.
    await world.hand_in("erp", order("SO-3"))
    assert ["applied"] == world.document_states((await world.hand_in("reno", shipment("S-3", "SO-3"))).message_id)

    count = await world.hub.shape_decisions.decide(
        "acme", "reno", "reno-shipment", digest(world), "approve", actor="anna"
    )
    await world.hub.settle()

    assert 2 == count
    assert [["applied"], ["applied"]] == [world.document_states(one.message_id) for one in answers]
    assert [] == world.issues()
    await world.hand_in("erp", order("SO-4"))
    assert ["applied"] == world.document_states((await world.hand_in("reno", changed("S-4", "SO-4"))).message_id)


async def test_a_refused_shape_is_rejected_then_and_later(world: World) -> None:
    """Refused: what waited is rejected with its findings, and so is what comes."""
    await learned(world, "approve")
    await world.hand_in("erp", order("SO-1"))
    held = await world.hand_in("reno", changed("S-1", "SO-1"))
    await world.hub.shape_decisions.decide("acme", "reno", "reno-shipment", digest(world), "refuse", actor="anna")
    await world.hub.settle()
    later = await world.hand_in("reno", changed("S-2", "SO-1"))

    assert [["rejected"], ["rejected"]] == [world.document_states(one.message_id) for one in (held, later)]
    assert ["XD-PTR-065"] == world.issues()


async def test_a_warning_applies_the_document_and_says_it_once(world: World) -> None:
    """Policy warn: one issue for any number of documents of the new shape; approval closes it."""
    await learned(world, "warn")
    for number in (1, 2, 3):
        await world.hand_in("erp", order(f"SO-{number}"))
        answer = await world.hand_in("reno", changed(f"S-{number}", f"SO-{number}"))
        assert ["applied"] == world.document_states(answer.message_id)

    assert 1 == len(details(world))
    await world.hub.shape_decisions.decide("acme", "reno", "reno-shipment", digest(world), "approve", actor="anna")
    assert [] == world.issues()


async def test_quarantine_holds_what_breaks_and_warns_of_what_adds(world: World) -> None:
    """A new field alone is no reason to wait; a changed type and a missing field are."""
    await learned(world, "quarantine")
    for number in (1, 2, 3):
        await world.hand_in("erp", order(f"SO-{number}"))
    added = await world.hand_in("reno", {**shipment("S-1", "SO-1"), "dock": "7"})
    typed = await world.hand_in("reno", changed("S-2", "SO-2"))
    without = {name: value for name, value in shipment("S-3", "SO-3").items() if name != "tracking"}
    gone = await world.hand_in("reno", without)

    states = [world.document_states(one.message_id) for one in (added, typed, gone)]
    assert [["applied"], ["held"], ["held"]] == states
    assert "/tracking is gone (was text)" in details(world)


async def test_accept_learns_in_silence_and_keeps_the_history(world: World) -> None:
    """Policy accept: no issue, but the change stands in the record."""
    await learned(world, "accept")
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("reno", changed("S-1", "SO-1"))

    assert [] == world.issues()
    assert ["accepted"] == world.column("select state from document_shapes where digest <> ''")


async def test_off_is_the_default_and_sees_nothing(world: World) -> None:
    """Control: without a policy nobody looks, and the map reads what it can."""
    await world.hand_in("erp", order("SO-1"))
    answer = await world.hand_in("reno", changed("S-1", "SO-1"))

    assert ["applied"] == world.document_states(answer.message_id)
    assert ([], []) == (world.issues(), world.query("select * from document_shapes"))


async def test_what_waits_survives_a_restart_and_a_policy_that_is_taken_away(world: World) -> None:
    """The memory of the sensor is the record's; a pack that holds nothing any more sets free what waited."""
    await learned(world, "approve")
    await world.hand_in("erp", order("SO-1"))
    answer = await world.hand_in("reno", changed("S-1", "SO-1"))
    await world.restart()
    again = await world.hand_in("reno", changed("S-2", "SO-1"))
    assert [["held"], ["held"]] == [world.document_states(one.message_id) for one in (answer, again)]
    assert 1 == len(world.column("select digest from document_shapes where digest <> ''"))

    await world.apply(files=pack_files())
    await world.hub.settle()
    assert ["applied"] == world.document_states(answer.message_id)
    assert "XD-PTR-064" not in world.issues()


async def test_an_approval_just_before_the_end_still_sets_free(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the word and the release: the next start releases."""
    await learned(world, "approve")
    await world.hand_in("erp", order("SO-1"))
    answer = await world.hand_in("reno", changed("S-1", "SO-1"))
    with monkeypatch.context() as died:
        died.setattr("crossdock.bootstrap.shapes.recovery.released", lambda *_: [])
        await world.hub.shape_decisions.decide("acme", "reno", "reno-shipment", digest(world), "approve", actor="anna")
    assert ["held"] == world.document_states(answer.message_id)
    await world.restart()
    await world.hub.settle()

    assert ["applied"] == world.document_states(answer.message_id)


async def test_a_batch_that_is_rolled_back_teaches_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cycle learned and did not keep is forgotten: the next document is judged by the record."""
    await learned(world, "approve")
    await world.hand_in("erp", order("SO-1"))
    forgotten: list[int] = []
    forget = Shapes.forget

    def seen(self: Shapes) -> None:
        forgotten.append(1)
        forget(self)

    monkeypatch.setattr(Shapes, "forget", seen)
    from crossdock.flow import batch as batches

    save = batches.Batch.save
    failing = [True]

    def fail_once(self: Any) -> None:
        save(self)
        if failing and any(row.digest for row in self.shapes):
            failing.clear()
            raise RuntimeError("the batch is taken apart")

    monkeypatch.setattr(batches.Batch, "save", fail_once)
    first = await world.hand_in("reno", changed("S-1", "SO-1"))
    assert forgotten
    assert "failed" == world.message_state(first.message_id)
    monkeypatch.undo()
    second = await world.hand_in("reno", changed("S-2", "SO-1"))

    assert ["held"] == world.document_states(second.message_id)


def test_changes_are_said_in_words() -> None:
    """Each kind of change is a sentence a person understands."""
    assert "/a was number, is text" == Change("type", "/a", "number", "text").words
    assert "new field /b (list)" == Change("new", "/b", after="list").words
