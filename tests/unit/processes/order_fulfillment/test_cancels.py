"""Cancels in two phases."""

from __future__ import annotations

from tests.unit.processes.orders import (
    SPLIT,
    Story,
    answered,
    cancel,
    codes,
    names,
    released,
    shipped,
    stock_of,
)


def test_what_is_at_no_site_is_cancelled_at_once():
    """A backordered order needs nobody's answer."""
    story = Story(stock={})

    outcome = story.tell(released(("A", 10)), cancel())

    assert "cancelled" == story.order.status
    assert ["order.cancelled", "order.completed"] == [name for name in names(outcome) if name.startswith("order.c")]
    assert "cancelled" == story.words()[-1]
    assert () == story.order.timers


def test_a_site_is_asked_before_anything_is_cancelled():
    """While the site has not answered, the order is cancelling and nothing is cancelled."""
    story = Story()

    story.tell(released(("A", 10)), cancel())

    assert ["fulfillment_cancel:SO-1-1"] == [one.key for one in story.last.requests]
    assert ("cancelling", 0, 10) == (story.order.status, story.bucket("cancelled"), story.bucket("released"))

    story.tell(answered("SO-1-1", "cancelled"))
    assert ("cancelled", 10) == (story.order.status, story.bucket("cancelled"))


def test_a_refused_cancel_goes_on_and_says_so():
    """The site ships on; the customer's request ends in an exception, and asking again asks nobody."""
    story = Story()
    refused = story.tell(
        released(("A", 10)), answered("SO-1-1", "picked"), cancel(), answered("SO-1-1", "cancel_rejected")
    )

    assert ["XD-ORD-004"] == codes(refused)
    assert ("in_fulfillment", "picked") == (story.order.status, story.order.fulfillments[0].state)
    assert ((), ["XD-ORD-004"]) == (story.tell(cancel()).requests, codes(story.last))


def test_goods_that_left_win_over_a_cancel():
    """A ship confirmation after the cancel request is booked; only the rest is cancelled, nothing backordered."""
    story = Story()

    story.tell(released(("A", 10)), cancel(), shipped("S-1", ("A", 7), of="SO-1-1"))

    assert ("shipped", 7, 3, 0) == (
        story.order.status,
        story.bucket("shipped"),
        story.bucket("cancelled"),
        story.bucket("backordered"),
    )
    assert 1 == len(story.sent("shipment_confirmation"))


def test_a_cancel_of_one_line_sources_the_others_again():
    """A site can only cancel a request whole: the line nobody wanted to cancel gets a new request."""
    story = Story()

    story.tell(released(("A", 10), ("B", 5)), cancel("2"), answered("SO-1-1", "cancelled"))

    assert ["SO-1-1", "SO-1-2"] == [one.number for one in story.sent("fulfillment_request")]
    assert [("A", 10)] == [(line.sku, line.quantity) for line in story.sent("fulfillment_request")[1].lines]
    assert [10, 0] == [line.released for line in story.order.lines]
    assert "partly_cancelled" == story.words()[-1]


def test_each_site_of_a_split_answers_for_itself():
    """One site cancels, the other refuses: the order goes on with what the second ships."""
    story = Story(stock=SPLIT)

    story.tell(
        released(("A", 100), ("B", 5)),
        cancel(),
        answered("SO-1-1", "cancel_rejected"),
        answered("SO-1-2", "cancelled"),
    )

    assert (45, 60) == (story.bucket("released"), story.bucket("cancelled"))


def test_asking_twice_asks_the_site_once():
    """A second cancel of the same is a duplicate."""
    story = Story()
    story.tell(released(("A", 10)), cancel())

    assert story.tell(cancel()).duplicate


def test_it_is_too_late_when_everything_left():
    """A cancel after the goods left is refused with a code."""
    story = Story()

    outcome = story.tell(released(("A", 10)), shipped("S-1", ("A", 10), of="SO-1-1"), cancel())

    assert ["XD-ORD-004"] == codes(outcome)
    assert "shipped" == story.order.status


def test_goods_that_leave_after_the_site_confirmed_the_cancel_are_reported():
    """A site that cancels and ships all the same: not confirmed to the ERP, but an exception."""
    story = Story()

    outcome = story.tell(
        released(("A", 10)), cancel(), answered("SO-1-1", "cancelled"), shipped("S-1", ("A", 10), of="SO-1-1")
    )

    assert ["XD-ORD-007"] == codes(outcome)
    assert [] == story.sent("shipment_confirmation")
    assert "cancelled" == story.order.status


def test_a_backordered_part_is_cancelled_while_the_site_ships_the_rest():
    """A cancel of everything cancels the waiting part at once and asks for the other."""
    story = Story(stock=stock_of(reno={"A": 7}))

    story.tell(released(("A", 10)), cancel())

    assert (3, 7, 0) == (story.bucket("cancelled"), story.bucket("released"), story.bucket("backordered"))
