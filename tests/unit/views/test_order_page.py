# ruff: noqa: E501 - tables of cases and rows read better in one line
"""The order page: one split order told from its release to its proof of delivery."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from crossdock.canonical.orders import FulfillmentAnswer
from crossdock.canonical.quantities import Money
from crossdock.canonical.shipments import Evidence, Milestone, Shipment, ShipmentLine, ShipmentUnit, UnitContent
from crossdock.errors import NotFound
from crossdock.views import customer_tracking, finance, order_timeline


def page(hub: Any, text: str = "SO-1001") -> Any:
    return hub.read(order_timeline.load, text, configuration=hub.configuration, now=hub.now)


def split_and_shipped(hub: Any) -> None:
    """A hundred of A: forty from Reno, sixty from Swift; both confirm, the parcels are on their way."""
    hub.release()
    hub.later(10)
    for number in ("SO-1001-1", "SO-1001-2"):
        site = next(f.site for f in hub.states["SO-1001"].fulfillments if f.number == number)
        hub.tell("SO-1001", "crossdock.fulfillment.answered.v1", FulfillmentAnswer(number, "accepted", site), site)
    hub.later(60)
    for fulfillment in hub.states["SO-1001"].fulfillments:
        ship(hub, fulfillment)


def ship(hub: Any, fulfillment: Any) -> None:
    tracking = f"1Z-{fulfillment.site.upper()}"
    contents = tuple(UnitContent(line.sku, line.quantity, line.line_no) for line in fulfillment.lines)
    shipment = Shipment(
        number=f"SH-{fulfillment.site}",
        fulfillment_number=fulfillment.number,
        site=fulfillment.site,
        lines=tuple(ShipmentLine(line.sku, line.quantity, line.line_no) for line in fulfillment.lines),
        carrier="Cargoline",
        tracking=(tracking,),
        shipped_at=hub.now,
        units=(ShipmentUnit("P1", tracking=tracking, contents=contents),),
    )
    hub.tell("SO-1001", "crossdock.shipment.departed.v1", shipment, fulfillment.site)


def milestone(hub: Any, code: str, tracking: str, *, evidence: Evidence | None = None, estimate: bool = False) -> None:
    told = Milestone(
        code,
        hub.now,
        "estimated" if estimate else "actual",
        order_number="SO-1001",
        tracking=tracking,
        evidence=evidence,
    )
    hub.tell("SO-1001", "crossdock.milestone.recorded.v1", told, "tms")


def test_a_released_order_says_where_it_goes_and_why(either_hub: Any) -> None:
    """After release the page has both fulfillments, every rule's reason, the clock and the money."""
    either_hub.release()

    told = page(either_hub)

    assert ["reno", "swift"] == sorted(node.site for node in told.graph)
    assert {"cheapest", "has stock", "split"} <= {row.rule for row in told.sourcing[0].trace}
    assert all(row.reason for row in told.sourcing[0].trace)
    assert Money(Decimal("1005.00"), "USD") == told.money.ordered
    assert told.clock is not None and told.clock.minutes_left > 0 and "ship-by" in told.clock.reason
    assert ("order", "SO-1001") in [(name.type, name.value) for name in told.names]


def test_events_are_grouped_by_what_caused_them(hub: Any) -> None:
    """A paper and all that followed from it is one step; each message out is a step; the raw events stay complete."""
    split_and_shipped(hub)

    told = page(hub)

    first = told.steps[0]
    assert "Order released SO-1001" == first.title
    assert len(first.entries) > 3
    in_steps = [entry.id for step in told.steps for entry in step.entries if entry.kind == "event"]
    assert sorted(event.id for event in told.events) == sorted(in_steps)
    sent = [step.title for step in told.steps if step.title.startswith("Fulfillment request")]
    assert ["Fulfillment request to reno: sent", "Fulfillment request to swift: sent"] == sorted(sent)
    assert [step.at for step in told.steps] == sorted(step.at for step in told.steps)


def test_the_bar_shows_planned_against_actual(hub: Any) -> None:
    """The bar has the shipping plan and what happened; what is not reached has no instant."""
    split_and_shipped(hub)

    bar = {point.code: point for point in page(hub).milestones}

    assert bar["released"].actual_at is not None
    assert bar["requested"].actual_at is not None
    assert bar["shipped"].planned_at is not None
    assert bar["shipped"].actual_at == hub.now
    assert not bar["shipped"].late
    assert bar["delivered"].actual_at is None


def test_a_missed_plan_is_late(hub: Any) -> None:
    """A point whose plan has passed without it happening is late, and the clock counts below zero."""
    hub.release()
    hub.later(60 * 24 * 5)

    told = page(hub)

    assert {point.code: point for point in told.milestones}["shipped"].late
    assert told.clock is not None and told.clock.minutes_left < 0


def test_every_system_says_what_it_knows(hub: Any) -> None:
    """Each system has its last word, its age and its direction; one that was not told is shown as waiting and behind."""
    hub.hold_back = {"shop"}
    split_and_shipped(hub)
    hub.later(7)

    rows = {row.partner: row for row in page(hub).knowledge}

    assert {"erp", "shop", "reno", "swift", "desk"} <= set(rows)
    assert ("shipped", "was told") == (rows["erp"].state, rows["erp"].direction)
    assert ("shipped", "told us", 7 * 60) == (rows["reno"].state, rows["reno"].direction, rows["reno"].age_seconds)
    assert "waits" in rows["shop"].waiting
    assert rows["shop"].behind
    assert not rows["erp"].behind
    assert ["erp", "shop"] == [row.partner for row in page(hub).knowledge][:2]


def test_a_carrier_that_moves_what_no_site_shipped_is_a_contradiction(hub: Any) -> None:
    """When the carrier reports goods under way that no site confirmed, the page names both and whom to believe."""
    hub.release(quantity=10)
    milestone(hub, "in_transit", "1Z-UNKNOWN")

    found = page(hub).contradictions

    assert [("tms", "reno")] == [one.partners for one in found]
    assert "tms" == found[0].believe


def test_the_graph_reaches_the_parcels(hub: Any) -> None:
    """Under each fulfillment hang its shipment and its parcels with their contents."""
    split_and_shipped(hub)

    nodes = {node.site: node for node in page(hub).graph}

    (shipment,) = nodes["swift"].shipments
    (parcel,) = shipment.parcels
    assert ("1Z-SWIFT", (("A", "60"),)) == (parcel.tracking, parcel.contents)
    assert not parcel.delivered


def test_any_name_finds_the_order_and_a_foreign_one_finds_nothing(hub: Any, foreign: Any) -> None:
    """Number and tracking number lead to the page in any writing; for another tenant the order does not exist."""
    split_and_shipped(hub)

    assert "SO-1001" == page(hub, "so 1001").number
    assert "SO-1001" == page(hub, "1z-swift").number
    with pytest.raises(NotFound) as theirs:
        page(foreign)
    with pytest.raises(NotFound) as absent:
        page(foreign, "SO-9999")
    assert str(theirs.value).replace("SO-1001", "") == str(absent.value).replace("SO-9999", "")


def test_the_customer_sees_plain_words_and_parcels(hub: Any) -> None:
    """The customer sees goods by name, parcels with carrier and status, and no word of sites, rules or money."""
    split_and_shipped(hub)
    milestone(hub, "out_for_delivery", "1Z-SWIFT")
    milestone(hub, "arrived_terminal", "1Z-RENO")
    milestone(hub, "handed_to_connecting", "1Z-RENO")

    told = hub.read(customer_tracking.load, "SO-1001")

    assert "Your order is on its way" == told.answer
    assert 3 == told.step
    words = {parcel.number: parcel.status for parcel in told.parcels}
    assert {"1Z-SWIFT": "Out for delivery", "1Z-RENO": "Arrived at a depot"} == words
    assert (("Anvil", "60"),) == next(p.contents for p in told.parcels if p.number == "1Z-SWIFT")
    shown = repr(told).lower()
    assert [] == [
        word for word in ("reno warehouse", "cost", "stock", "price", "usd", "issue", "connecting") if word in shown
    ]


def test_delivered_waits_for_its_evidence(hub: Any) -> None:
    """A carrier's bare "delivered" shows nothing; with proof it shows, and the order is delivered when all parcels are."""
    split_and_shipped(hub)
    milestone(hub, "delivered", "1Z-SWIFT")

    before = hub.read(customer_tracking.load, "SO-1001")
    assert "delivered" not in repr((before.answer, before.timeline, before.parcels)).lower().replace("delivered_at", "")
    assert before.step < 4

    hub.later(5)
    milestone(hub, "delivered", "1Z-SWIFT", evidence=Evidence(signed_by="B. Boss", at=hub.now, document="pod/1.jpg"))
    one = hub.read(customer_tracking.load, "SO-1001")
    assert "1 of 2 parcels delivered" == one.answer
    assert [("1Z-SWIFT", "B. Boss", "pod/1.jpg")] == [(p.parcel, p.signed_by, p.document) for p in one.proofs]

    hub.later(5)
    milestone(hub, "delivered", "1Z-RENO", evidence=Evidence(signed_by="B. Boss", at=hub.now))
    both = hub.read(customer_tracking.load, "SO-1001")
    assert ("All 2 parcels are delivered", 4) == (both.answer, both.step)


def test_the_lookup_is_neutral(hub: Any, foreign: Any) -> None:
    """Number and postcode open the page in any writing; wrong postcode, unknown and foreign orders all answer nothing."""
    hub.release()

    assert hub.read(customer_tracking.look_up, "so-1001", "89501") is not None
    assert hub.read(customer_tracking.look_up, "SO-1001", "89502") is None
    assert hub.read(customer_tracking.look_up, "SO-1001", "") is None
    assert hub.read(customer_tracking.look_up, "SO-7", "89501") is None
    assert foreign.read(customer_tracking.look_up, "SO-1001", "89501") is None


def test_finance_sees_only_what_is_confirmed(hub: Any, foreign: Any) -> None:
    """Nothing is confirmed before a site confirmed it, nothing released before its evidence; both then carry amounts."""
    hub.release()
    first = hub.read(finance.load, "SO-1001")
    assert (Money(Decimal("1005.00"), "USD"), Decimal(0)) == (
        first.ordered,
        sum(line.confirmed for line in first.lines),
    )

    for fulfillment in hub.states["SO-1001"].fulfillments:
        ship(hub, fulfillment)
    shipped = hub.read(finance.load, "SO-1001")
    assert Money(Decimal("1005.00"), "USD") == shipped.confirmed == shipped.gap
    assert () == shipped.releases

    hub.later(30)
    for tracking in ("1Z-RENO", "1Z-SWIFT"):
        milestone(hub, "delivered", tracking, evidence=Evidence(signed_by="B. Boss", at=hub.now))
    done = hub.read(finance.load, "SO-1001")
    (release,) = done.releases
    assert Money(Decimal("1005.00"), "USD") == done.released
    assert release.evidence
    assert release.sent_at == hub.now + timedelta(seconds=2)
    with pytest.raises(NotFound):
        foreign.read(finance.load, "SO-1001")


def test_a_shop_that_did_not_sell_the_order_is_not_behind(hub: Any) -> None:
    """A shop that neither sent the order nor is to be told of it knows nothing of it rightly: that is no contradiction."""
    hub.sent_to = {**hub.sent_to, "order_status": "erp"}
    split_and_shipped(hub)

    found = page(hub)

    assert not {row.partner: row for row in found.knowledge}["shop"].behind
    assert () == found.contradictions
