"""Another address, other quantities: at once where no site holds the goods, else after the site gave them back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossdock.processes.order_fulfillment import changes
from tests.unit.processes.orders import (
    SPLIT,
    Story,
    answered,
    cancel,
    change,
    codes,
    names,
    released,
    shipped,
    stock_of,
)


def test_what_no_site_holds_is_changed_at_once():
    """A backordered order asks nobody: less is cancelled, more waits with the rest."""
    story = Story(stock={})

    story.tell(released(("A", 10), ("B", 2)), change(("1", 6), ("2", 5), street="2 Elm"))

    assert (4, 11) == (story.bucket("cancelled"), story.bucket("backordered"))
    assert [] == story.sent("fulfillment_cancel")
    assert story.order.order.ship_to is not None
    assert "2 Elm" == story.order.order.ship_to.street


def test_a_site_gives_back_before_the_address_changes():
    """Nothing goes to the new address before the old request is cancelled; then one new request does."""
    story = Story()
    story.tell(released(("A", 10)), answered("SO-1-1", "accepted"), change(street="2 Elm"))
    assert ["SO-1-1"] == [one.number for one in story.sent("fulfillment_request")]
    assert ["SO-1-1"] == [one.number for one in story.sent("fulfillment_cancel")]

    story.tell(answered("SO-1-1", "cancelled"))

    old, new = story.sent("fulfillment_request")
    assert (None, "2 Elm") == (old.ship_to, new.ship_to.street)
    assert ("released", 0, 10) == (story.order.status, story.bucket("cancelled"), story.bucket("released"))
    assert "order.changed" in names(story.last)


def test_less_is_cancelled_and_the_rest_is_asked_for_again():
    """10 become 6 while a site holds all 10: the site gives back, 4 are cancelled, 6 go out again."""
    story = Story()

    story.tell(released(("A", 10)), change(("1", 6)), answered("SO-1-1", "cancelled"))

    assert (4, 6) == (story.bucket("cancelled"), story.bucket("released"))
    assert [Decimal(6)] == [line.quantity for line in story.sent("fulfillment_request")[-1].lines]


def test_more_needs_no_site_to_give_back():
    """10 become 14: 4 more are asked for, the first request stands."""
    story = Story()

    story.tell(released(("A", 10)), change(("1", 14)))

    assert [] == story.sent("fulfillment_cancel")
    assert [Decimal(10), Decimal(4)] == [one.lines[0].quantity for one in story.sent("fulfillment_request")]
    assert Decimal(14) == story.order.order.lines[0].quantity


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([answered("SO-1-1", "picked")], "has picked"),
        ([shipped("S-1", ("A", 10), of="SO-1-1")], "is shipped"),
        ([cancel()], "asked to cancel"),
    ],
)
def test_a_change_that_comes_too_late_changes_nothing(steps, why):
    """The sender is told why; the order goes on as it was."""
    story = Story()
    story.tell(released(("A", 10)), *steps)
    before = story.order

    outcome = story.tell(change(street="2 Elm"))

    assert ["XD-ORD-012"] == codes(outcome)
    assert why in outcome.exceptions[0].message
    assert before == story.order


def test_after_the_cut_off_nothing_is_asked_back():
    """The order was for today's pickup; its cut-off at 16:00 in Reno is over six hours later."""
    story = Story()
    story.tell(released(("A", 10)))

    outcome = story.tell(change(street="2 Elm"), after_minutes=6 * 60 + 1)

    assert ["XD-ORD-012"] == codes(outcome)
    assert "cut-off of reno" in outcome.exceptions[0].message


def test_the_cut_off_is_what_refuses(monkeypatch: pytest.MonkeyPatch):
    """Known-bad: without the look at the cut-off the site would be asked in the evening."""
    monkeypatch.setattr(changes, "_changeable_until", lambda draft, fulfillment: None)
    story = Story()
    story.tell(released(("A", 10)))

    assert [] == codes(story.tell(change(street="2 Elm"), after_minutes=6 * 60 + 1))


def test_one_refusal_lets_the_whole_order_ship_as_it_was():
    """Of two sites one goes on: the other is asked again for the old address, and the sender is told."""
    story = Story(stock=SPLIT)
    story.tell(released(("A", 100)), change(street="2 Elm"))
    assert 2 == len(story.sent("fulfillment_cancel"))

    story.tell(answered("SO-1-1", "cancelled"))
    outcome = story.tell(answered("SO-1-2", "cancel_rejected"))

    assert {"XD-ORD-004", "XD-ORD-012"} == set(codes(outcome))
    assert "order.change_refused" in names(outcome)
    assert {None} == {one.ship_to for one in story.sent("fulfillment_request")}
    assert 100 == story.bucket("released")


def test_goods_that_left_meanwhile_win():
    """The site ships instead of giving back: the change is refused, nothing is asked for twice."""
    story = Story()

    outcome = story.tell(released(("A", 10)), change(street="2 Elm"), shipped("S-1", ("A", 10), of="SO-1-1"))

    assert ["XD-ORD-012"] == codes(outcome)
    assert ("shipped", 1) == (story.order.status, len(story.sent("fulfillment_request")))


def test_a_cancel_is_stronger_than_a_change_that_waits():
    """What is given back after a cancel is cancelled, and does not come to life under the new address."""
    story = Story()

    story.tell(released(("A", 10)), change(("1", 20)), cancel())
    story.tell(answered("SO-1-1", "cancelled"), answered("SO-1-2", "cancelled"))

    assert ("cancelled", 20) == (story.order.status, story.bucket("cancelled"))


def test_nonsense_is_refused_with_its_place():
    """An unknown line and a change of nothing."""
    story = Story(stock=stock_of(reno={"A": 20}))
    story.tell(released(("A", 10)))

    assert ["XD-DOC-001"] == codes(story.tell(change(("7", 1))))
    assert "/lines/0/line_no" == story.last.exceptions[0].pointer
    assert ["XD-DOC-001"] == codes(story.tell(change()))
    assert story.tell(change(("1", 10))).duplicate
