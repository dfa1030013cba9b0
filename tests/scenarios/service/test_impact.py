"""The blast radius: what hangs on a partner, connection, map, certificate or contract that has failed."""

from __future__ import annotations

import pytest

from crossdock.errors import NotFound
from crossdock.views import impact
from crossdock.views.impact import BlastRadius, Kind
from tests.scenarios.flow.world import BUSY, World, order, shipment


def radius(world: World, kind: Kind, name: str) -> BlastRadius:
    """Ask the record as the page does."""
    configuration = world.hub.configuration("acme")
    assert configuration is not None
    now = world.clock.now()
    return world.hub.store.read_now(
        lambda connection: impact.load(connection, "acme", kind, name, configuration=configuration, now=now)
    )


async def test_what_a_site_has_to_ship_hangs_on_it_and_what_left_does_not(world: World) -> None:
    """Two of three orders wait at Reno; one at Kansas City does not count; money and customers do."""
    for number in ("SO-1", "SO-2", "SO-3"):
        await world.hand_in("erp", order(number))
    await world.hand_in("erp", order("SO-4", ("DRILL", 5)))
    await world.hand_in("reno", shipment("S-1", "SO-1"))

    found = radius(world, "partner", "reno")

    assert ["SO-2", "SO-3"] == sorted(row.number for row in found.rows)
    assert (2, 1) == (found.orders, found.customers)
    assert ["SO-4"] == [row.number for row in radius(world, "connection", "kc").rows]
    assert "reno is in trouble: 2 orders of 1 customers" in found.notice


async def test_a_map_that_refuses_is_counted_by_what_it_refused(world: World) -> None:
    """Orders behind documents a map could not read hang on the map, and only those."""
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("erp", order("SO-2"))
    lines = [{"no": "1", "sku": "H-100", "qty": -3}]
    await world.hand_in("reno", {**shipment("S-1", "SO-1"), "lines": lines})

    found = radius(world, "map", "reno-shipment")

    assert (["SO-1"], 1) == ([row.number for row in found.rows], found.documents_waiting)


async def test_messages_that_wait_for_a_connection_hang_on_it(world: World) -> None:
    """What the ERP was not told yet is its own part of the radius."""
    world.partner("erp").always = BUSY
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("reno", shipment("S-1", "SO-1"))

    found = radius(world, "connection", "erp")

    assert ["SO-1"] == [row.number for row in found.rows]
    assert found.sends_waiting >= 1


async def test_what_the_pack_has_not_is_not_found(world: World) -> None:
    """A misspelled name is said, not answered with nothing."""
    for kind in impact.KINDS:
        with pytest.raises(NotFound):
            radius(world, kind, "no-such-thing")
