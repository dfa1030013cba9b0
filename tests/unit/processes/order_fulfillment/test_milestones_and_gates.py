"""Milestones merge; delivery and its proof open the gates of customer and finance."""

from __future__ import annotations

from decimal import Decimal

from crossdock.canonical.quantities import Money
from tests.unit.processes.orders import (
    NOW,
    PLENTY,
    SPLIT,
    Story,
    a_policy,
    codes,
    deadline,
    milestone,
    names,
    released,
    shipped,
    stock_of,
)


def a_shipped_split() -> Story:
    story = Story(stock=SPLIT)
    story.tell(
        released(("A", 100), ("B", 5)),
        shipped("S-1", ("A", 40), ("B", 5), of="SO-1-1", tracking=["T-1"]),
        shipped("S-2", ("A", 60), of="SO-1-2", tracking=["T-2"]),
    )
    return story


def test_delivery_with_proof_releases_the_invoice_once():
    """Finance hears of the whole quantity when the last shipment is proven delivered, with proof and amount."""
    story = a_shipped_split()
    story.tell(milestone("delivered", hours=20, signed_by="Ann", tracking="T-1"))

    assert [] == story.sent("invoice_release")
    outcome = story.tell(milestone("delivered", hours=22, signed_by="Bob", shipment_number="S-2"))

    (release,) = story.sent("invoice_release")
    assert [("1", Decimal(100)), ("2", Decimal(5))] == [(line.line_no, line.quantity) for line in release.lines]
    assert Money(Decimal("262.50"), "USD") == release.amount
    assert "pod signed by Bob" in release.evidence
    assert {"shipment.delivered", "invoice.released", "order.completed"} <= set(names(outcome))
    assert ("delivered", "delivered") == (story.order.status, story.words()[-1])


def test_nobody_hears_delivered_before_its_proof():
    """A delivered milestone without proof is kept, but nobody hears of it; the proof frees it."""
    story = a_shipped_split()
    story.tell(milestone("delivered", tracking="T-1"), milestone("delivered", tracking="T-2"))

    assert "shipped" == story.order.status
    assert "delivered" not in story.words()

    story.tell(
        milestone("delivered", signed_by="Ann", tracking="T-1"), milestone("delivered", signed_by="Ann", tracking="T-2")
    )
    assert "delivered" == story.order.status


def test_late_news_never_takes_a_delivery_back():
    """Departed after delivered is kept as news and changes nothing else."""
    story = a_shipped_split()
    story.tell(milestone("delivered", signed_by="Ann", hours=9))

    outcome = story.tell(milestone("departed_pickup", hours=2, tracking="T-1"))

    assert "delivered" == story.order.status
    assert ((), False) == (outcome.requests, outcome.duplicate)


def test_proof_may_come_before_the_ship_confirmation():
    """A delivery reported before the 945 counts as soon as the 945 names its parcel."""
    story = Story()
    story.tell(released(("A", 10)), milestone("delivered", signed_by="Ann", tracking="T-1"))

    outcome = story.tell(shipped("S-1", ("A", 10), of="SO-1-1", tracking=["T-1"]))

    assert "delivered" == story.order.status
    assert ["shipped", "delivered"] == story.words()[-2:]
    assert "invoice.released" in names(outcome)


def test_two_of_three_parcels_are_no_delivery():
    """With several parcels each needs its own proof, unless the shipment as a whole has one."""
    story = Story()
    story.tell(released(("A", 10)), shipped("S-1", ("A", 10), of="SO-1-1", tracking=["T-1", "T-2", "T-3"]))
    story.tell(*(milestone("delivered", signed_by="Ann", tracking=one) for one in ("T-1", "T-2")))

    assert "shipped" == story.order.status
    story.tell(milestone("delivered", signed_by="Ann", tracking="T-3"))
    assert "delivered" == story.order.status


def test_a_way_back_is_a_leg_of_its_own():
    """The same waybill on its return trip neither delivers nor undoes the outbound leg."""
    story = a_shipped_split()

    story.tell(milestone("delivered", signed_by="Ann", leg="return", hours=50))

    assert "shipped" == story.order.status


def test_an_estimate_is_no_delivery():
    """An expected delivery opens no gate."""
    story = a_shipped_split()

    story.tell(milestone("delivered", signed_by="Ann", milestone_class="estimated"))

    assert "shipped" == story.order.status


def test_with_the_gate_at_shipped_finance_need_not_wait():
    """The gate `shipped` releases when the goods left; `shipment` releases each shipment by itself."""
    story = Story(a_policy(invoice_gate="shipped", invoice_per="shipment"), stock=SPLIT)
    story.tell(released(("A", 100), ("B", 5)))

    story.tell(shipped("S-1", ("A", 40), ("B", 5), of="SO-1-1"), shipped("S-2", ("A", 60), of="SO-1-2"))

    assert [["40", "5"], ["60"]] == [
        [str(line.quantity) for line in one.lines] for one in story.sent("invoice_release")
    ]
    assert ["invoice_release:SO-1:1", "invoice_release:SO-1:2"] == [
        one.key for one in story.requests if one.kind == "invoice_release"
    ]


def test_a_backorder_shipped_later_is_released_for_its_own_quantity():
    """The first release covers what was confirmed, the second only what came after it."""
    story = Story(stock=stock_of(reno={"A": 7}))
    story.tell(
        released(("A", 10)),
        shipped("S-1", ("A", 7), of="SO-1-1"),
        milestone("delivered", signed_by="Ann", shipment_number="S-1"),
    )
    story.stock = PLENTY
    story.tell(deadline("backorder"), after_minutes=61)
    story.tell(
        shipped("S-2", ("A", 3), of="SO-1-2"), milestone("delivered", signed_by="Bob", shipment_number="S-2", hours=90)
    )

    assert [Decimal(7), Decimal(3)] == [one.lines[0].quantity for one in story.sent("invoice_release")]
    assert "delivered" == story.order.status


def test_a_time_without_offset_is_refused():
    """A milestone that cannot be placed on the time line is an exception, not a guess."""
    story = Story()

    outcome = story.tell(released(("A", 10)), milestone("delivered", at=NOW.replace(tzinfo=None).isoformat()))

    assert ["XD-DOC-001"] == codes(outcome)


def test_an_order_without_prices_is_released_without_amount():
    """The amount is left out rather than guessed."""
    story = Story(a_policy(invoice_gate="shipped"))
    name, data = released(("A", 10))
    del data["lines"][0]["unit_price"]

    story.tell((name, data), shipped("S-1", ("A", 10), of="SO-1-1"))

    assert story.sent("invoice_release")[0].amount is None


def test_the_state_does_not_grow_with_every_report():
    """A carrier that reports the same milestone all day leaves one line; inventing codes stops at a limit."""
    story = a_shipped_split()
    story.tell(*(milestone("in_transit", hours=hour, tracking="T-1") for hour in range(1, 50)))
    assert 1 == len(story.order.milestones)

    story.tell(*(milestone(f"code-{number}", tracking="T-1") for number in range(300)))
    assert 200 == len(story.order.milestones)

    story.tell(*(milestone("delivered", signed_by="Ann", tracking=tracking) for tracking in ("T-1", "T-2")))
    assert "delivered" == story.order.status
