"""A person has a waiting order sourced again: at once, in one transaction, audited."""

from __future__ import annotations

import pytest

from crossdock.errors import Conflict, NotFound
from tests.scenarios.flow.world import World, order


async def test_a_backorder_is_sourced_at_once(world: World) -> None:
    """Stock came by a way the hub was not told of; the order need not wait for its timer."""
    await world.stock(RENO={"H-100": 0})
    await world.hand_in("erp", order("SO-1"))
    assert ["backordered"] == world.column("select status from aggregates")
    assert ["XD-ORD-001"] == world.issues()
    await world.stock(RENO={"H-100": 1000})

    answer = await world.hub.source_again("acme", "SO-1", "ada")
    await world.hub.settle()

    assert ("SO-1", "released", ("SO-1-1",), "") == (
        answer.order_number,
        answer.status,
        answer.requests,
        answer.waits,
    )
    assert 1 == len(world.partner("reno").effects)
    assert [] == world.issues()
    assert [("ada", "order/SO-1")] == [
        tuple(row) for row in world.query("select actor, object from audit where action = 'order.source'")
    ]


async def test_what_still_finds_no_site_says_so(world: World) -> None:
    """Nothing changed: the answer tells why it waits and no partner hears a word."""
    await world.stock(RENO={"H-100": 0})
    await world.hand_in("erp", order("SO-1"))

    answer = await world.hub.source_again("acme", "SO-1", "ada")

    assert ("backordered", ()) == (answer.status, answer.requests)
    assert "no site" in answer.waits
    assert {} == world.partner("reno").effects


async def test_every_order_of_an_issue_is_sourced_with_one_act(world: World) -> None:
    """Three orders wait for one item; one act asks for all three and closes the issue."""
    await world.stock(RENO={"H-100": 0})
    for n in range(3):
        await world.hand_in("erp", order(f"SO-{n}"))
    await world.stock(RENO={"H-100": 1000})

    answers = await world.hub.source_issue_again("acme", world.issue_id("XD-ORD-001"), "ada")
    await world.hub.settle()

    assert ["released"] * 3 == [answer.status for answer in answers]
    assert 3 == len(world.partner("reno").effects)
    assert [] == world.issues()


async def test_an_order_that_does_not_wait_is_left_alone(world: World) -> None:
    """A released order is a conflict, an unknown one is not found; neither is audited."""
    await world.hand_in("erp", order("SO-1"))

    with pytest.raises(Conflict):
        await world.hub.source_again("acme", "SO-1", "ada")
    with pytest.raises(NotFound):
        await world.hub.source_again("acme", "SO-404", "ada")
    assert [] == world.column("select actor from audit where action = 'order.source'")


async def test_an_item_no_site_ever_reported_is_one_issue_for_all_its_orders(world: World) -> None:
    """The issue is XD-ORD-010 with the line's place, apart from items that are out of stock."""
    await world.hub.store.write(lambda connection: connection.execute("delete from inventory"))
    for n in range(3):
        await world.hand_in("erp", order(f"SO-{n}"))

    assert ["XD-ORD-010"] == world.issues()
    assert [("/lines/0/sku", 3)] == [
        tuple(row) for row in world.query("select pointer, count(*) from exceptions group by pointer")
    ]
