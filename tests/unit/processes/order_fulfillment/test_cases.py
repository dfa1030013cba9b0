"""Cases: what becomes one, what is kept from the desk, how a case escalates, and what the desk says back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from crossdock.canonical.events import Event
from crossdock.governance.case_rules import compile_case_rules
from crossdock.mapping import compile_expression
from crossdock.processes.case_rules import CaseRules
from crossdock.processes.order_fulfillment import decide
from crossdock.processes.outcome import DecisionContext
from crossdock.processes.policy import Calendar, OrderPolicy, ServiceLevel
from crossdock.processes.policy_compiler import CompiledPolicy, compile_policy
from tests.unit.processes.orders import RULES, SITES, Story, deadline, milestone, names, released, shipped

RISK_AT = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
SHIP_BY = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)


def ready(text: str, place: str) -> Any:
    """Compile a condition as a pack does."""
    return compile_expression(text, file=place, line=1).evaluate


def a_policy(**rules: Any) -> CompiledPolicy:
    case = msgspec.convert(rules, CaseRules)
    calendars = (Calendar("us", country="US"),)
    levels = (ServiceLevel("ground", carrier="FXG"),)
    policy = OrderPolicy(
        sites=SITES,
        calendars=calendars,
        service_levels=levels,
        sourcing=RULES,
        case=case,
        timezone="America/Los_Angeles",
    )
    return compile_policy(policy, compile_condition=ready)


def a_story(**rules: Any) -> Story:
    """An order that is released and, half an hour before its ship-by, at risk."""
    story = Story(a_policy(**rules))
    customer = {"code": "C-1", "name": "Ada Moss"}
    story.tell(released(("A", 10), customer=customer, email="ada@example.com", phone="+15551234567"))
    story.now = RISK_AT
    story.tell(deadline("at_risk"))
    return story


def actions(story: Story) -> list[str]:
    return [case.action for case in story.sent("service_case")]


def test_a_rule_says_what_is_relevant() -> None:
    """The first rule that holds decides whether a case is opened and how urgent it is."""
    quiet = a_story(relevance=[{"when": "value < 100", "open": False, "why": "small orders wait"}])
    loud = a_story(
        relevance=[{"when": 'cause == "promise"', "open": False}, {"when": "value < 100", "priority": "low"}]
    )

    assert [] == actions(quiet)
    assert ["low"] == [case.priority for case in loud.sent("service_case")]


def test_a_risk_that_passes_within_its_grace_is_never_a_case() -> None:
    """Ten minutes of grace: what leaves meanwhile tells nobody; what does not opens when they are over."""
    story = a_story(grace="10m")
    assert [] == actions(story)
    assert RISK_AT + timedelta(minutes=10) == {one.name: one.due_at for one in story.order.timers}["at_risk"]
    story.now = RISK_AT + timedelta(minutes=5)
    story.tell(shipped("S-1", ("A", 10), of="SO-1-1"))
    assert ([], ()) == (actions(story), story.order.cases)

    story = a_story(grace="10m")
    story.now = RISK_AT + timedelta(minutes=10)
    story.tell(deadline("at_risk"))
    assert ["open"] == actions(story)


def test_the_noise_budget_of_an_order_keeps_the_rest_back() -> None:
    """Two cases a day of one order; the third is kept as suppressed, and the journal says so."""
    story = Story(a_policy(per_order_per_day=1))
    story.tell(released(("A", 10), promised_on="2026-03-03"))
    story.now = RISK_AT
    story.tell(deadline("at_risk"))
    outcome = story.tell(milestone("delayed", hours=8))

    assert 1 == actions(story).count("open")
    assert "case.suppressed" in names(outcome)
    assert ["suppressed"] == [case.state for case in story.order.cases if case.state != "open"]


@pytest.mark.parametrize("priority, opened", [("high", 0), ("urgent", 1)])
def test_the_budget_of_a_day_lets_only_the_urgent_through(priority: str, opened: int) -> None:
    """Beyond so many cases a day of the tenant nothing but an urgent one is opened."""
    story = Story(a_policy(per_day=200, relevance=[{"priority": priority}]))
    story.tell(released(("A", 10)))
    story.now = RISK_AT
    context = DecisionContext(story.policy, story.now, story.stock, cases_today=200)
    event = Event("e", "t", "crossdock.deadline.passed.v1", "order/SO-1", {"name": "at_risk"}, story.now, story.now)
    outcome = decide(story.state, event, context)

    assert opened == sum(1 for request in outcome.requests if request.kind == "service_case")


def test_what_nobody_takes_on_escalates_and_what_somebody_has_does_not() -> None:
    """After ten minutes without an owner the case becomes urgent and is the lead's; one with an owner stays."""
    rules = {"escalate": [{"after": "10m", "priority": "urgent", "owner": "lead"}]}
    story = a_story(**rules)
    story.now = RISK_AT + timedelta(minutes=10)
    story.tell(deadline("at_risk"))
    assert [("open", "high", ""), ("update", "urgent", "lead")] == [
        (case.action, case.priority, case.owner) for case in story.sent("service_case")
    ]

    taken = a_story(**rules)
    taken.tell(("case.changed", {"order_number": "SO-1", "cause": "ship_by", "action": "update", "owner": "kim"}))
    taken.now = RISK_AT + timedelta(minutes=10)
    taken.tell(deadline("at_risk"))
    assert ["open"] == actions(taken)


def test_only_the_fields_that_the_pack_names_go_to_the_desk() -> None:
    """By default nothing personal; what is named goes, masked where the pack says so, also inside texts."""
    (case,) = a_story().sent("service_case")
    assert ("", "", "", None) == (case.customer, case.email, case.phone, case.value)

    (case,) = a_story(fields=["subject", "customer", "email", "phone"], masked=["customer", "email"]).sent(
        "service_case"
    )
    assert ("A. M.", "a***@example.com", "+15551234567") == (case.customer, case.email, case.phone)
    assert ("", None) == (case.detail, case.due_at)


def test_what_the_desk_says_is_kept_and_an_older_word_never_replaces_a_newer() -> None:
    """Owner, status and note come back; words that arrive in another order end in the same state."""
    first = {"owner": "kim", "status": "in progress", "changed_at": "2026-03-03T01:40:00Z"}
    second = {"note": "called the carrier", "changed_at": "2026-03-03T01:50:00Z"}

    def told(*words: Mapping[str, str]) -> Any:
        story = a_story()
        for word in words:
            body = {"order_number": "SO-1", "cause": "ship_by", "action": "update", **word}
            story.tell(("case.changed", body))
        return story.order.cases[0]

    case = told(first, second)
    assert ("kim", "in progress", "called the carrier") == (case.owner, case.status, case.note)
    stale = {"owner": "lee", "changed_at": "2026-03-03T01:30:00Z"}
    assert "kim" == told(first, second, stale).owner


def test_a_case_says_how_old_its_tracking_data_is() -> None:
    """The newest word of a carrier goes along, so that an agent sees what the case is based on."""
    story = a_story()
    outcome = story.tell(milestone("delayed", hours=7))

    case = next(one.document for one in outcome.requests if one.kind == "service_case")
    assert "carrier_trouble" == case.cause
    assert story.order.cases[-1].tracking_as_of == case.tracking_as_of is not None


def test_a_faulty_rule_is_found_on_save() -> None:
    """An expression that does not compile names its rule."""
    with pytest.raises(Exception, match="rule 1"):
        compile_case_rules("relevance:\n  - {when: 'value <'}\n")
