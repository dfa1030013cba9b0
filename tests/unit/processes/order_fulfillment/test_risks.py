"""At risk: timers, one case per cause, and recovery by itself."""

from __future__ import annotations

from datetime import UTC, datetime

from crossdock.processes.order_state import summary
from crossdock.processes.policy import CaseRule
from tests.unit.processes.orders import (
    Story,
    a_policy,
    answered,
    codes,
    deadline,
    milestone,
    names,
    released,
    settled,
    shipped,
)

# Reno ships until 18:00 local, that is 02:00 UTC.
SHIP_BY = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)


def timer(story: Story, name: str = "at_risk") -> datetime | None:
    return {one.name: one.due_at for one in story.order.timers}.get(name)


def test_the_timer_stands_before_ship_by():
    """Half an hour before ship-by somebody looks again."""
    story = Story()
    story.tell(released(("A", 10)))

    assert datetime(2026, 3, 3, 1, 30, tzinfo=UTC) == timer(story)


def a_late_order() -> Story:
    story = Story()
    story.tell(released(("A", 10)))
    story.now = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
    story.tell(deadline("at_risk"))
    return story


def test_an_order_at_risk_opens_one_case():
    """The warning opens a case with reason and due time, marks the order and looks again at the breach."""
    story = a_late_order()

    (case,) = story.sent("service_case")
    assert ("ship_by", "open", SHIP_BY) == (case.cause, case.action, case.due_at)
    assert "SO-1-1 has to leave reno by 2026-03-02 18:00 (America/Los_Angeles)" == case.detail
    assert ["XD-ORD-008"] == codes(story.last)
    assert "ship_by:reno" == story.last.exceptions[0].cause
    assert summary(story.order).at_risk
    assert SHIP_BY == timer(story)


def test_a_breach_updates_the_case_it_does_not_open_another():
    """One case per order and cause: the breach changes its text."""
    story = a_late_order()
    story.now = SHIP_BY
    story.tell(deadline("at_risk"))

    assert ["open", "update"] == [one.action for one in story.sent("service_case")]
    assert "should have left" in story.sent("service_case")[1].detail
    assert [] == codes(story.last)


def test_recovery_closes_the_case_by_itself():
    """The goods leave: risk, exception and case are taken back; the desk's reference is used."""
    story = a_late_order()
    story.tell(("case.changed", {"order_number": "SO-1", "cause": "ship_by", "action": "opened", "case_ref": "CS-7"}))
    assert [("case", "CS-7")] == [(one.type, one.value) for one in story.last.references]

    outcome = story.tell(shipped("S-1", ("A", 10), of="SO-1-1"))

    assert "order.recovered" in names(outcome)
    assert ["XD-ORD-008"] == settled(outcome)
    close = story.sent("service_case")[-1]
    assert ("close", "CS-7") == (close.action, close.case_ref)
    assert not summary(story.order).at_risk


def test_a_case_the_desk_closed_stays_closed_while_the_risk_lasts():
    """An agent's decision counts; a new risk of the same cause after recovery opens a new case."""
    story = a_late_order()
    story.tell(("case.changed", {"order_number": "SO-1", "cause": "ship_by", "action": "closed"}))
    story.now = SHIP_BY
    story.tell(deadline("at_risk"))
    assert 1 == len(story.sent("service_case"))

    story.tell(answered("SO-1-1", "rejected"))
    story.now = story.order.fulfillments[-1].ship_by_at
    story.tell(deadline("at_risk"))

    cases = [one.key for one in story.requests if one.kind == "service_case"]
    assert ["service_case:SO-1:ship_by:1:open", "service_case:SO-1:ship_by:2:open"] == cases


def test_a_promise_about_to_be_missed_is_a_risk_of_its_own():
    """Shipped in time but not proven delivered before the promise: a second cause, a second case."""
    story = Story()
    story.tell(released(("A", 10), promised_on="2026-03-04"), shipped("S-1", ("A", 10), of="SO-1-1"))
    story.now = timer(story)
    story.tell(deadline("at_risk"))

    (case,) = story.sent("service_case")
    assert "promise" == case.cause
    assert "is promised for 2026-03-04: 10 of 10 shipped, 0 proven delivered" == case.detail

    story.tell(milestone("delivered", signed_by="Ann", hours=20))
    assert ["open", "close"] == [one.action for one in story.sent("service_case")]


def test_a_late_estimate_and_its_correction():
    """The carrier expects a late delivery, then an early one: at risk, then recovered."""
    story = Story()
    story.tell(released(("A", 10), promised_on="2026-03-04"), shipped("S-1", ("A", 10), of="SO-1-1"))
    story.tell(milestone("delivered", hours=90, milestone_class="estimated"))
    assert ("late_estimate",) == story.order.risks

    story.tell(milestone("delivered", hours=30, milestone_class="estimated"), after_minutes=1)
    assert () == story.order.risks


def test_trouble_on_the_way_is_overtaken_by_progress():
    """A delay is a risk until the goods move again; an older progress report does not hide it."""
    story = Story()
    story.tell(released(("A", 10)), shipped("S-1", ("A", 10), of="SO-1-1", tracking=["T-1"]))
    story.tell(milestone("delayed", hours=3, tracking="T-1"), milestone("in_transit", hours=2, tracking="T-1"))
    assert ("carrier_trouble",) == story.order.risks

    story.tell(milestone("out_for_delivery", hours=4, tracking="T-1"))
    assert () == story.order.risks


def test_a_cause_that_is_not_listed_is_not_watched():
    """The tenant decides which causes count, and which of them are worth a case."""
    story = Story(a_policy(cases=(CaseRule("ship_by", open=False),)))
    story.tell(released(("A", 10), promised_on="2026-03-02"))
    story.now = SHIP_BY

    story.tell(deadline("at_risk"))

    assert ("ship_by",) == story.order.risks
    assert [] == story.sent("service_case")


def test_a_timer_that_was_moved_does_nothing():
    """A deadline that is not due any more, or was cancelled, is a duplicate."""
    story = Story()
    story.tell(released(("A", 10)))

    assert story.tell(deadline("at_risk")).duplicate
    assert story.tell(deadline("backorder")).duplicate
