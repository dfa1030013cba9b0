"""Second runs that overlap: a document that two releases or two replays have selected is applied once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crossdock.durable.identity import Ids
from crossdock.governance import releases
from tests.scenarios.flow.test_replay import Request
from tests.scenarios.flow.world import World, order, pack_files, with_line


async def _held_order(world: World) -> str:
    """Hand in an order whose item is unknown, and make its item known in the record without telling the hub."""
    answer = await world.hand_in("erp", order("SO-1", ("SAW", 5)))
    assert ["held"] == world.document_states(answer.message_id)
    files = with_line(pack_files(), "lookups/items.yaml", "HAMMER: H-100", "HAMMER: H-100, SAW: H-100")

    def apply(connection: Any) -> Any:
        return releases.apply(
            connection, "acme", files, author="x", note="", at=world.clock.now(), ids=Ids(world.clock, 4711)
        )

    await world.hub.store.write(apply)
    return answer.message_id


def _documents(world: World, message_id: str) -> tuple[list[str], int, int]:
    (released,) = world.column("select count(*) from events where type = 'crossdock.order.released.v1'")
    (again,) = world.column("select count(*) from events where type = 'crossdock.document.duplicate.v1'")
    return world.document_states(message_id), released, again


@pytest.mark.parametrize("checked", [True, False])
async def test_two_activations_at_once_apply_a_held_document_once(
    world: World, monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    """Both select the held document; the second finds it applied and leaves it. Without the check it runs twice."""
    message_id = await _held_order(world)
    if not checked:
        monkeypatch.setattr("crossdock.flow.stages.still_to_run", lambda connection, stored: stored)
    tenancy = world.hub.tenancy
    configuration = await world.hub.store.read(lambda connection: releases.active(connection, "acme"))
    # An activation takes turns with the next; what both select is what they set free.
    await asyncio.gather(tenancy._release_held(configuration), tenancy._release_held(configuration))
    await world.hub.settle()

    assert (["applied"], 1, 0 if checked else 1) == _documents(world, message_id)


async def test_two_clicks_on_replay_apply_a_held_document_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second replay was asked for a held document, not for an applied one: it does nothing."""
    message_id = await _held_order(world)
    monkeypatch.setattr(type(world.hub.tenancy), "_release_held", lambda self, configuration: asyncio.sleep(0, 0))
    await world.hub.tenancy.activate("acme")
    request = Request(message_ids=(message_id,))
    await asyncio.gather(*(world.hub.replay("acme", request) for _ in range(2)))
    await world.hub.settle()

    assert (["applied"], 1, 0) == _documents(world, message_id)


async def test_two_replays_of_a_message_nobody_could_read_take_it_apart_once(world: World) -> None:
    """A message without documents that is replayed twice at once gets its documents once."""
    answer = await world.hand_in("erp", {"type": "letter", **{k: v for k, v in order("SO-1").items() if k != "type"}})
    assert "failed" == world.message_state(answer.message_id)
    rule = "  - {format: json, map: erp-order, when: 'type == \"letter\"'}\n"
    files = pack_files()
    files["connections/erp.yaml"] = files["connections/erp.yaml"].replace("inbound:\n", "inbound:\n" + rule)
    await world.apply(files=files)
    request = Request(message_ids=(answer.message_id,))
    await asyncio.gather(*(world.hub.replay("acme", request) for _ in range(2)))
    await world.hub.settle()

    assert (["applied"], 1, 0) == _documents(world, answer.message_id)


async def test_an_applied_document_is_replayed_as_one_of_its_own(world: World) -> None:
    """What was applied when the replay was asked for is run again, on purpose, and told apart as a duplicate."""
    answer = await world.hand_in("erp", order("SO-1"))
    for _ in range(2):
        await world.hub.replay("acme", Request(message_ids=(answer.message_id,)))
        await world.hub.settle()

    assert (["applied"] * 3, 1, 2) == _documents(world, answer.message_id)
