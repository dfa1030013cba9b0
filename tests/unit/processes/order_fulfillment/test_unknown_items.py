"""An item no site has ever reported is told apart from one that is out of stock."""

from __future__ import annotations

from crossdock.processes.policy import SourcingRule
from tests.unit.processes.orders import (
    PLENTY,
    RULES,
    Story,
    a_policy,
    answered,
    cancel,
    codes,
    deadline,
    released,
    settled,
    stock_of,
)


def test_an_unknown_item_is_named_with_its_line_and_its_nearest_neighbour():
    """The exception points at the SKU of the line and groups by it; the order waits on backorder."""
    story = Story(stock=stock_of(reno={"NG-1001": 5, "A": 5}))
    outcome = story.tell(released(("A", 2), ("NG-10O1", 3)))

    (fault,) = outcome.exceptions
    assert ("XD-ORD-010", "unknown_item:NG-10O1", "/lines/1/sku") == (fault.code, fault.cause, fault.pointer)
    assert "'NG-10O1'" in fault.message and "'NG-1001'" in fault.message
    assert ["fulfillment_request:SO-1-1"] == [one.key for one in outcome.requests if one.kind == "fulfillment_request"]
    assert 3 == story.bucket("backordered")


def test_the_cause_is_the_same_for_every_order_with_the_bad_code():
    """Fifty orders with one bad SKU are one issue."""
    causes = {
        Story(stock={}).tell(released(("X", quantity), number=f"SO-{quantity}")).exceptions[0].cause
        for quantity in range(1, 51)
    }

    assert {"unknown_item:X"} == causes


def test_an_item_with_an_empty_position_is_out_of_stock_and_not_unknown():
    """A site that reports zero knows the item."""
    story = Story(stock=stock_of(swift={"A": 0}))

    assert ["XD-ORD-001"] == codes(story.tell(released(("A", 10))))


def test_an_item_that_is_reported_sources_the_order_and_takes_the_exception_back():
    """Stock of the SKU is all it needs; nobody has to touch the order."""
    story = Story(stock={})
    story.tell(released(("A", 10)))
    story.stock = PLENTY

    assert ["XD-ORD-010"] == settled(story.tell(deadline("backorder", override=True)))
    assert "released" == story.order.status


def test_an_item_that_becomes_known_without_stock_is_out_of_stock_from_then_on():
    """The wrong-code exception is taken back and the out-of-stock one raised."""
    story = Story(stock={})
    story.tell(released(("A", 10)))
    story.stock = stock_of(reno={"A": 0})
    outcome = story.tell(deadline("backorder", override=True))

    assert (["XD-ORD-010"], ["XD-ORD-001"]) == (settled(outcome), codes(outcome))


def test_a_corrected_code_takes_the_exception_back():
    """The sender releases the order again with the right SKU: sourced at once."""
    story = Story()
    story.tell(released(("AA", 10)))
    outcome = story.tell(released(("A", 10)))

    assert ["XD-ORD-010"] == settled(outcome)
    assert "released" == story.order.status


def test_cancelling_the_line_takes_the_exception_back():
    """What is not wanted any more needs no item."""
    story = Story()
    story.tell(released(("A", 1), ("AA", 10)))

    assert ["XD-ORD-010"] == settled(story.tell(cancel("2")))


def test_an_order_that_may_not_be_split_is_held_for_the_unknown_item():
    """Without backorders the whole order waits, and the only exception is the unknown item."""
    story = Story(a_policy(backorder=False, hold_retry_minutes=15))
    outcome = story.tell(released(("A", 1), ("AA", 10)))

    assert ("on_hold", "unknown item: AA") == (story.order.status, story.order.hold)
    assert ["XD-ORD-010"] == codes(outcome)


def test_without_a_stock_rule_no_item_is_unknown():
    """Where nobody asks for stock, a site takes the order on trust; a refusal is a refusal."""
    rules = tuple(rule for rule in RULES if rule.kind != "stock")
    story = Story(a_policy(sourcing=rules), stock={})

    assert [] == codes(story.tell(released(("A", 10))))


def test_a_site_ruled_out_for_another_reason_does_not_make_its_item_unknown():
    """Every site was passed over before stock was looked at: the item is not to blame."""
    nowhere = SourcingRule("leaves in time", "cutoff_calendar", strict=True)
    rules = (nowhere, *(rule for rule in RULES if rule.kind != "cutoff_calendar"))
    story = Story(a_policy(sourcing=rules), stock={})

    assert "XD-ORD-010" not in codes(story.tell(released(("A", 10), promised_on="2026-03-01")))


def test_a_refusal_of_one_line_leaves_the_unknown_item_of_another_alone():
    """The wrong code stays reported while another line moves from site to site."""
    story = Story()
    story.tell(released(("A", 1), ("AA", 10)))
    outcome = story.tell(answered("SO-1-1", "rejected"))

    assert [] == settled(outcome)
    assert ("XD-ORD-010", "unknown_item:AA") in [(one.code, one.cause) for one in story.order.raised]


def test_an_order_held_for_lack_of_stock_goes_on_when_stock_is_reported():
    """A report of stock lets the whole order go without a retry timer; a report that changes nothing is silent."""
    story = Story(a_policy(backorder=False))
    story.tell(released(("A", 1), ("AA", 10)))
    again = story.tell(deadline("backorder", override=True))
    assert ((), ()) == (again.events, again.exceptions)

    story.stock = {**PLENTY, **stock_of(reno={"A": 5, "AA": 10})}

    assert ["XD-ORD-010"] == settled(story.tell(deadline("backorder", override=True)))
    assert "released" == story.order.status
