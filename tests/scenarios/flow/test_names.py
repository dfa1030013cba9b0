"""Papers find their order by its name, and only by its own."""

from __future__ import annotations

import pytest

from tests.scenarios.flow.world import World, order, shipment


@pytest.mark.parametrize(("one", "other"), [("A-1", "A1"), ("007", "7"), ("SO-1", "SO1-"), ("订单-1", "别的-1")])
async def test_orders_whose_names_look_alike_are_two_orders(world: World, one: str, other: str) -> None:
    """A shipment of one never books on the other, whichever comes first."""
    await world.hand_in("erp", order(one))
    early = await world.hand_in("reno", shipment("S1", other, order=""))
    assert ["parked"] == world.document_states(early.message_id)

    await world.hand_in("erp", order(other))

    assert {one: "released", other: "shipped"} == dict(world.query("select key, status from aggregates"))
