"""Ship confirmations: whole, partial, short, surplus, twice, late."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.processes.orders import (
    PLENTY,
    SPLIT,
    Story,
    a_policy,
    answered,
    codes,
    deadline,
    names,
    released,
    settled,
    shipped,
    stock_of,
)


def test_each_partial_shipment_is_confirmed_at_once():
    """Every shipment reaches the ERP with its own quantities as soon as it left, not when all are done."""
    story = Story(stock=SPLIT)
    story.tell(released(("A", 100), ("B", 5)))

    first = story.tell(shipped("S-1", ("A", 40), ("B", 5), of="SO-1-1", tracking=["1Z"]))

    assert "shipment_confirmation:reno:S-1" in [one.key for one in first.requests]
    (document,) = story.sent("shipment_confirmation")
    assert ("SO-1", "SO-1-1", "reno") == (document.order_number, document.fulfillment_number, document.site)
    assert [("1", "A", Decimal(40)), ("2", "B", Decimal(5))] == [
        (line.line_no, line.sku, line.quantity) for line in document.lines
    ]
    assert "partly_shipped" == story.order.status

    story.tell(shipped("S-2", ("A", 60), of="SO-1-2"))
    assert ["accepted", "partly_shipped", "shipped"] == story.words()
    assert ("1Z",) == story.sent("order_status")[-1].tracking


def test_one_request_may_leave_in_several_shipments():
    """A confirmation that is not final leaves the rest with the site."""
    story = Story()
    story.tell(
        released(("A", 10)),
        answered("SO-1-1", "picked"),
        shipped("S-1", ("A", 4), of="SO-1-1", final=False),
    )

    assert (4, 6) == (story.bucket("shipped"), story.bucket("picked"))
    story.tell(shipped("S-2", ("A", 6), of="SO-1-1"))
    assert "shipped" == story.order.status


def test_a_short_shipment_backorders_the_remainder():
    """Fewer units than asked in a final confirmation: the difference is short, waits, and is reported."""
    story = Story()

    outcome = story.tell(released(("A", 10)), shipped("S-1", ("A", 7), of="SO-1-1"))

    assert "fulfillment.short" in names(outcome)
    assert ["XD-ORD-002"] == codes(outcome)
    assert (7, 3) == (story.bucket("shipped"), story.bucket("backordered"))
    assert {"accepted", "backordered", "partly_shipped"} == set(story.words())

    placed = story.tell(deadline("backorder"), after_minutes=60)
    assert ["XD-ORD-002"] == settled(placed)


def test_a_short_shipment_may_be_sourced_elsewhere():
    """With `resource` the difference goes to another site at once, never back to the one that was short."""
    story = Story(a_policy(on_short="resource"))

    story.tell(released(("A", 10)), shipped("S-1", ("A", 7), of="SO-1-1"))

    last = story.sent("fulfillment_request")[-1]
    assert ("swift", [Decimal(3)]) == (last.site, [line.quantity for line in last.lines])


def test_a_site_that_ships_nothing_closes_its_request():
    """A final confirmation of zero is short on everything and confirms nothing to the ERP."""
    story = Story()

    story.tell(released(("A", 10)), shipped("S-1", ("A", 0), of="SO-1-1"))

    assert [] == story.sent("shipment_confirmation")
    assert ("short", 10) == (story.order.fulfillments[0].state, story.bucket("backordered"))


def test_a_surplus_is_an_exception_and_never_booked():
    """More units than asked: what was asked is booked and confirmed, the rest is reported."""
    story = Story()

    outcome = story.tell(released(("A", 10)), shipped("S-1", ("A", 12), of="SO-1-1"))

    assert ["XD-ORD-007"] == codes(outcome)
    assert 10 == story.bucket("shipped")
    assert [Decimal(10)] == [line.quantity for line in story.sent("shipment_confirmation")[0].lines]


def test_a_surplus_within_tolerance_is_no_exception():
    """The tenant may tolerate a share of surplus; it is still not invoiced."""
    story = Story(a_policy(over_ship_tolerance_percent=Decimal(20)))

    outcome = story.tell(released(("A", 10)), shipped("S-1", ("A", 12), of="SO-1-1"))

    assert [] == codes(outcome)
    assert 10 == story.bucket("shipped")


def test_the_same_shipment_twice_is_a_duplicate():
    """A repeated confirmation posts nothing again, also without the number of the request."""
    story = Story()
    story.tell(released(("A", 10)), shipped("S-1", ("A", 10), of="SO-1-1"))

    again = story.tell(shipped("S-1", ("A", 10), of="SO-1-1"))
    without_number = story.tell(shipped("S-1", ("A", 10), site="reno"))

    assert again.duplicate and without_number.duplicate
    assert 1 == len(story.sent("shipment_confirmation"))


def test_the_same_number_with_other_content_is_reported():
    """A shipment number that comes back with other quantities is not booked and not swallowed."""
    story = Story()

    outcome = story.tell(
        released(("A", 10)),
        shipped("S-1", ("A", 4), of="SO-1-1", final=False),
        shipped("S-1", ("A", 6), of="SO-1-1"),
    )

    assert ["XD-ORD-005"] == codes(outcome)
    assert 4 == story.bucket("shipped")


def test_two_sites_may_use_the_same_shipment_number():
    """Shipment numbers are unique within a site only."""
    story = Story(stock=SPLIT)

    story.tell(
        released(("A", 100), ("B", 5)),
        shipped("S-1", ("A", 40), ("B", 5), of="SO-1-1"),
        shipped("S-1", ("A", 60), of="SO-1-2"),
    )

    assert "shipped" == story.order.status
    assert 2 == len(story.sent("shipment_confirmation"))


def test_a_confirmation_without_request_number_finds_its_request():
    """Order number and site are enough; for one site with several open requests the items decide."""
    story = Story(stock=SPLIT)

    story.tell(released(("A", 100), ("B", 5)), shipped("S-9", ("A", 60), site="swift"))

    assert "SO-1-2" == story.order.shipments[0].fulfillment


def test_a_confirmation_that_fits_nothing_is_reported():
    """A site that was never asked cannot confirm."""
    story = Story()

    outcome = story.tell(released(("A", 10)), shipped("S-9", ("A", 10), site="harbor"))

    assert ["XD-ORD-005"] == codes(outcome)
    assert "unmatched_shipment:harbor" == outcome.exceptions[0].cause


def test_a_request_number_nobody_knows_is_parked():
    """A confirmation for a request the hub has not made yet waits for it."""
    story = Story()

    assert "fulfillment:SO-1-7" == story.tell(released(("A", 10)), shipped("S-1", ("A", 1), of="SO-1-7")).parked_until


def test_an_item_that_was_not_asked_for_does_not_close_the_request():
    """A confirmation with only foreign items is refused whole: more likely a wrong code than a short shipment."""
    story = Story()

    outcome = story.tell(released(("A", 10)), shipped("S-1", ("Z", 10), of="SO-1-1"))

    assert ["XD-ORD-007"] == codes(outcome)
    assert ("requested", 10) == (story.order.fulfillments[0].state, story.bucket("released"))


def test_the_site_s_own_line_numbers_do_not_mislead():
    """A line number counts only when the item agrees: sites number the lines of their own paper."""
    story = Story()
    name, data = shipped("S-1", ("B", 5), ("A", 10), of="SO-1-1")
    data["lines"][0]["line_no"], data["lines"][1]["line_no"] = "1", "2"

    story.tell(released(("A", 10), ("B", 5)), (name, data))

    assert [("2", "B"), ("1", "A")] == [
        (line.line_no, line.sku) for line in story.sent("shipment_confirmation")[0].lines
    ]


def test_one_item_on_two_lines_fills_them_in_turn():
    """A site that adds two lines of one item up is booked on both lines."""
    story = Story()

    story.tell(released(("A", 10), ("A", 5)), shipped("S-1", ("A", 15), of="SO-1-1"))

    assert [Decimal(10), Decimal(5)] == [line.shipped for line in story.order.lines]


def test_another_unit_is_never_counted_as_ordered_units():
    """5 cases are not 5 each: the confirmation is refused with both units named."""
    story = Story()
    name, data = shipped("S-1", ("A", 5), of="SO-1-1")
    data["lines"][0]["uom"] = "CA"

    outcome = story.tell(released(("A", 10)), (name, data))

    assert ["unit:reno:A"] == [one.cause for one in outcome.exceptions]
    assert 0 == story.bucket("shipped")


def test_what_a_site_had_given_up_and_ships_all_the_same_is_booked():
    """Units short in the first confirmation and sent a day later count as long as they still wait."""
    story = Story(stock=stock_of(reno={"A": 10}))
    story.tell(released(("A", 10)), shipped("S-1", ("A", 7), of="SO-1-1"))
    story.stock = {}

    late = story.tell(shipped("S-2", ("A", 3), of="SO-1-1"))

    assert ["XD-ORD-002"] == settled(late)
    assert ("shipped", 10) == (story.order.status, story.bucket("shipped"))


def test_what_was_sourced_elsewhere_meanwhile_is_a_surplus():
    """When another site has the quantity already, the late units of the first are an exception."""
    story = Story(a_policy(on_short="resource"), stock=PLENTY)
    story.tell(released(("A", 10)), shipped("S-1", ("A", 7), of="SO-1-1"))

    outcome = story.tell(shipped("S-2", ("A", 3), of="SO-1-1"))

    assert ["XD-ORD-007"] == codes(outcome)
    assert (7, 3) == (story.bucket("shipped"), story.bucket("released"))
