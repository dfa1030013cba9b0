"""An order is released, sites answer, and what a site refuses goes elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from crossdock.canonical.events import Event
from crossdock.processes.order_fulfillment import decide
from crossdock.processes.order_state import summary
from crossdock.processes.outcome import DecisionContext
from crossdock.processes.policy import SourcingRule
from tests.unit.processes.orders import (
    NOW,
    PLENTY,
    RULES,
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


def test_a_release_asks_one_site_and_tells_the_customer():
    """An order that one site can ship whole becomes one fulfillment request and one word to the shop."""
    story = Story()

    outcome = story.tell(released(("A", 10)))

    assert ["order.created", "order.sourced", "fulfillment.requested"] == names(outcome)
    (request,) = story.sent("fulfillment_request")
    assert ("SO-1-1", "reno", "FXG") == (request.number, request.site, request.carrier)
    assert datetime(2026, 3, 3, 2, 0, tzinfo=UTC) == request.ship_by_at
    assert ["fulfillment_request:SO-1-1", "order_status:SO-1:accepted:1"] == [one.key for one in story.requests]
    assert "released" == story.order.status
    assert [("order", "SO-1"), ("fulfillment", "SO-1-1")] == [(one.type, one.value) for one in outcome.references]


def test_one_line_splits_over_two_sites():
    """100 of one item with 40 in Reno and 70 at Swift become Reno 40 and Swift 60, one story with its reasons."""
    story = Story(stock=SPLIT)

    outcome = story.tell(released(("A", 100), ("B", 5)))

    asked = {one.site: [(line.sku, line.quantity) for line in one.lines] for one in story.sent("fulfillment_request")}
    assert {"reno": [("A", 40), ("B", 5)], "swift": [("A", 60)]} == asked
    sourced = next(event.data for event in outcome.events if event.type == "crossdock.order.sourced.v1")
    reasons = {(row["rule"], row["site"]): row["reason"] for row in sourced["trace"]}
    assert "A: stock 40 < 100; B: stock 5 ≥ 5" == reasons["in stock", "reno"]
    assert "A 60 of 100" == reasons["allocation", "swift"]


def test_what_no_site_has_is_backordered_and_looked_for_again():
    """A shortage is told to the customer once and filled by itself when stock appears."""
    story = Story(stock=stock_of(reno={"A": 7}))
    first = story.tell(released(("A", 10)))

    assert "order.backordered" in names(first)
    assert ["accepted", "backordered"] == story.words()
    assert NOW + timedelta(minutes=60) == {one.name: one.due_at for one in first.timers}["backorder"]

    story.stock = {}
    nothing_yet = story.tell(deadline("backorder"), after_minutes=60)
    story.stock = PLENTY
    found = story.tell(deadline("backorder"), after_minutes=60)

    assert () == nothing_yet.requests
    assert ["fulfillment_request:SO-1-2"] == [one.key for one in found.requests]
    assert (0, 10) == (story.bucket("backordered"), story.bucket("released"))
    assert ["accepted", "backordered"] == story.words()


def test_an_order_without_any_site_is_an_exception_that_settles_itself():
    """When no site can ship, the cause names the missing item; the exception is taken back when one can."""
    story = Story(stock=stock_of(reno={"A": 0}))
    first = story.tell(released(("A", 10)))

    assert ["XD-ORD-001"] == codes(first)
    assert "no_stock:A" == first.exceptions[0].cause
    assert "backordered" == story.order.status

    story.stock = PLENTY
    assert ["XD-ORD-001"] == settled(story.tell(deadline("backorder"), after_minutes=60))


def test_without_backorders_an_order_waits_whole():
    """A policy without backorders holds an order that cannot be filled whole and asks no site for a part."""
    story = Story(a_policy(backorder=False, hold_retry_minutes=15), stock=stock_of(reno={"A": 7}))

    story.tell(released(("A", 10)))

    assert "on_hold" == story.order.status
    assert [] == story.requests

    story.stock = PLENTY
    story.tell(deadline("hold"), after_minutes=15)
    assert "released" == story.order.status
    assert ["accepted"] == story.words()


def test_a_hold_rule_waits_for_a_person():
    """A hold keeps the order until somebody overrides it; a plain retry keeps holding."""
    hold = SourcingRule("large orders", "hold", reason="over the limit")
    story = Story(a_policy(sourcing=(hold, *RULES)))
    first = story.tell(released(("A", 10)))

    assert ("on_hold", "over the limit") == (story.order.status, story.order.hold)
    assert ["XD-ORD-001"] == codes(first)
    assert "on_hold" == story.tell(deadline("hold")).state.status

    assert "released" == story.tell(deadline("hold", override=True)).state.status
    assert ["XD-ORD-001"] == settled(story.last)


def test_a_refused_request_goes_to_another_site():
    """A rejection re-sources the quantity without the site that refused; nobody has to act."""
    story = Story()

    outcome = story.tell(released(("A", 10)), answered("SO-1-1", "rejected", reason="no capacity"))

    assert ["reno", "swift"] == [one.site for one in story.sent("fulfillment_request")]
    assert "fulfillment.rejected" in names(outcome)
    assert [] == codes(outcome)


def test_a_request_that_nobody_takes_is_an_exception():
    """When the last site refuses, the quantity waits and the exception names who refused."""
    story = Story(stock=stock_of(reno={"A": 10}))

    outcome = story.tell(released(("A", 10)), answered("SO-1-1", "rejected", reason="flooded"))

    assert ["refused:reno"] == [one.cause for one in outcome.exceptions]
    assert 10 == story.bucket("backordered")


def test_a_refusal_after_the_goods_left_is_a_contradiction():
    """A site that rejects what it already shipped changes nothing and is reported."""
    story = Story()

    outcome = story.tell(released(("A", 10)), shipped("S-1", ("A", 10), of="SO-1-1"), answered("SO-1-1", "rejected"))

    assert ["XD-ORD-005"] == codes(outcome)
    assert "shipped" == story.order.status


def test_progress_moves_released_to_picked():
    """Picked goods are picked in the ledger; a repeated or late answer tells nothing new."""
    story = Story()
    story.tell(released(("A", 10)), answered("SO-1-1", "picked"), answered("SO-1-1", "packed"))

    assert (0, 10) == (story.bucket("released"), story.bucket("picked"))
    assert "in_fulfillment" == story.order.status
    assert story.tell(answered("SO-1-1", "packed")).duplicate
    assert story.tell(answered("SO-1-1", "accepted")).duplicate


def test_an_answer_of_the_wrong_site_is_refused():
    """Only the site that was asked may answer."""
    story = Story()

    outcome = story.tell(released(("A", 10)), answered("SO-1-1", "rejected", site="harbor"))

    assert ["XD-ORD-005"] == codes(outcome)
    assert 10 == story.bucket("released")


def test_the_same_release_again_is_a_duplicate():
    """The ERP may send an order twice."""
    story = Story()

    outcome = story.tell(released(("A", 10)), released(("A", 10)))

    assert outcome.duplicate
    assert () == outcome.requests


def test_a_changed_release_counts_only_while_nothing_is_at_a_site():
    """A correction replaces an order that waits; once a site was asked it is refused with a reason."""
    waiting, asked = Story(stock={}), Story()
    waiting.tell(released(("A", 10)))
    waiting.stock = PLENTY
    waiting.tell(released(("B", 3)))
    refused = asked.tell(released(("A", 10)), released(("B", 3)))

    assert [("B", Decimal(3))] == [
        (line.sku, line.quantity) for one in waiting.sent("fulfillment_request") for line in one.lines
    ]
    assert ["XD-ORD-006"] == codes(refused)
    assert 10 == asked.bucket("released")


def test_an_order_nobody_could_ship_is_not_taken_on():
    """No lines, a line twice, a quantity of zero: each is named with its place, and there is no order."""
    story = Story()
    name, data = released(("A", 0), ("B", 1))
    data["lines"][1]["line_no"] = "1"

    outcome = story.tell((name, data))

    assert outcome.state is None
    assert ["/lines/0/quantity", "/lines/1/line_no"] == [one.pointer for one in outcome.exceptions]


def test_events_for_an_order_nobody_knows_are_parked():
    """What comes before its order waits under the name it refers to."""
    policy = a_policy()

    def awaited(name: str, data: dict[str, object]) -> str:
        event = Event("evt_1", "tnt_1", f"crossdock.{name}.v1", "x", data, NOW, NOW)
        return decide(None, event, DecisionContext(policy, NOW)).parked_until

    assert "order:SO-9" == awaited("order.cancel_requested", {"number": "SO-9"})
    assert "fulfillment:SO-9-1" == awaited("fulfillment.answered", {"number": "SO-9-1", "outcome": "accepted"})
    shipment = {"number": "S-1", "lines": [], "fulfillment_number": "SO-9-1"}
    assert "fulfillment:SO-9-1" == awaited("shipment.departed", shipment)
    assert "order:SO-9" == awaited("shipment.departed", {**shipment, "order_number": "SO-9"})
    assert "tracking:1Z" == awaited(
        "milestone.recorded", {"code": "delivered", "at": NOW.isoformat(), "tracking": "1Z"}
    )


def test_requests_for_one_order_have_a_limit():
    """Sites that keep refusing cannot keep an order going round for ever."""
    story = Story(a_policy(requests_max=2))

    story.tell(released(("A", 10)), answered("SO-1-1", "rejected"), answered("SO-1-2", "rejected"))

    assert 2 == len(story.sent("fulfillment_request"))
    assert ("on_hold", "asked sites 2 times, the most allowed") == (story.order.status, story.order.hold)


def test_a_quantity_that_nobody_looks_for_is_reported():
    """When the limit of requests stops the search for a backorder, a person is told instead of nobody."""
    story = Story(a_policy(requests_max=2), stock=stock_of(reno={"A": 3}))
    first = story.tell(released(("A", 10)))
    assert [] == codes(first)

    story.tell(deadline("backorder"), after_minutes=60)

    assert ["nobody_looks_again"] == [one.cause for one in story.last.exceptions]
    assert 4 == story.bucket("backordered")


def test_lists_show_an_order_by_its_summary():
    """Status, customer, region, the next due instant and the value come from the state alone."""
    story = Story()
    story.tell(released(("A", 10), customer={"name": "Acme", "code": "C-1"}, ship_to={"country": "US", "region": "NV"}))

    found = summary(story.order)

    assert ("released", "Acme", "NV", False) == (found.status, found.customer, found.region, found.at_risk)
    assert datetime(2026, 3, 3, 2, 0, tzinfo=UTC) == found.due_at
    assert found.value is not None and (Decimal("25.00"), "USD") == (found.value.amount, found.value.currency)
