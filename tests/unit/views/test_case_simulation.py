"""Rules on history: how many cases, and how many of use, counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from crossdock.canonical.orders import Order, OrderLine
from crossdock.governance.case_rules import compile_case_rules
from crossdock.processes.order_state import OrderState
from crossdock.views.case_simulation import Episode, Simulation, simulate

START = datetime(2026, 11, 23, 15, tzinfo=UTC)
NOW = START + timedelta(days=2)
HIGH = {"ship_by": "high", "promise": "high"}


def minutes(count: int) -> datetime:
    return START + timedelta(minutes=count)


def an_order(number: str, price: int) -> OrderState:
    lines = (OrderLine("1", "A", Decimal(1), unit_price=Decimal(price)),)
    return OrderState(Order(number, lines, currency="USD"), "released", ())


# Of each order: what happened, and whether a case would have been of use.
HISTORY = [
    # passed after three minutes
    Episode("SO-1", "ship_by", "", "", minutes(0), minutes(60), minutes(3)),
    # outlasted its deadline
    Episode("SO-2", "ship_by", "", "", minutes(0), minutes(60), minutes(90)),
    # an agent took it on, although it passed in time
    Episode("SO-3", "ship_by", "", "", minutes(0), minutes(60), minutes(40), agent=True),
    # lasts, and its deadline is over
    Episode("SO-4", "promise", "", "", minutes(0), minutes(60)),
    # a cheap order, outlasted
    Episode("SO-5", "ship_by", "", "", minutes(0), minutes(60), minutes(70)),
    # a cause nobody opens cases for
    Episode("SO-6", "late_estimate", "", "", minutes(0), minutes(60), minutes(10)),
]
STATES = {f"SO-{n}": an_order(f"SO-{n}", 5 if n == 5 else 500) for n in range(1, 7)}


def tried(text: str) -> Simulation:
    rules = compile_case_rules(text)
    return simulate(HISTORY, STATES, rules, HIGH, zone=ZoneInfo("UTC"), now=NOW, days=30)  # type: ignore[arg-type]


def test_without_rules_every_risk_is_a_case() -> None:
    """Five open, four of them useful; the sixth is of a cause that opens none."""
    found = tried("{}")

    assert "would have opened 5 cases, 4 useful" == found.words
    assert {"the cause opens no case": 1} == found.because


def test_a_grace_spares_what_passes_by_itself() -> None:
    """Five minutes of grace: the noise is gone and nothing useful is missed."""
    found = tried("grace: 5m")

    assert (4, 4, 0, 1) == (found.opened, found.useful, found.missed, found.passed_in_grace)


def test_what_a_rule_leaves_out_is_counted_when_it_would_have_been_of_use() -> None:
    """Small orders left out: one case less, and one that would have been useful is missed."""
    found = tried('relevance:\n  - {when: "value < 10", open: false, why: small}')

    assert (4, 3, 1) == (found.opened, found.useful, found.missed)
    assert 1 == found.because["small"]


def test_a_budget_is_spent_in_the_order_of_the_day() -> None:
    """Two a day: the first two risks have them, the rest is suppressed."""
    found = tried("per_day: 2")

    assert (2, 1, 3) == (found.opened, found.useful, found.suppressed)
