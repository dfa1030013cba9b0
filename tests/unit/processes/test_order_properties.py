"""Properties of the order process over any sequence of events, with known-bad variants that the checks must catch."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crossdock.canonical.events import Event
from crossdock.processes.ledger import LedgerViolation, LineLedger
from crossdock.processes.order_fulfillment import HANDLERS, decide, milestones
from crossdock.processes.order_state import STATUS_ARROWS, MilestoneFact
from crossdock.processes.outcome import DecisionContext
from tests.unit.processes.orders import (
    NOW,
    Story,
    a_policy,
    answered,
    cancel,
    change,
    deadline,
    invoice_issued,
    invoice_told,
    memo_told,
    milestone,
    proof_told,
    rebill,
    released,
    return_told,
    shipped,
    stock_of,
)

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly" or os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly"
FEW = settings(max_examples=5_000 if NIGHTLY else 120, deadline=None)

STOCKS = [
    stock_of(reno={"A": 100, "B": 100}, swift={"A": 100, "B": 100}),
    stock_of(reno={"A": 40, "B": 5}, swift={"A": 70}),
    stock_of(reno={"A": 3}),
    {},
]
POLICIES = [
    a_policy(),
    a_policy(on_short="resource", invoice_gate="shipped", invoice_per="shipment"),
    a_policy(backorder=False, hold_retry_minutes=30, delivered_needs_evidence=False),
    a_policy(requests_max=3, backorder_retry_minutes=10),
]

fulfillments = st.sampled_from(["SO-1-1", "SO-1-2", "SO-1-3", "SO-9-1"])
sites = st.sampled_from(["", "reno", "swift", "harbor", "nowhere"])
skus = st.sampled_from(["A", "A", "B", "Z"])
quantities = st.sampled_from([0, 1, 3, 5, 40, 60, 100])
shipment_numbers = st.sampled_from(["S-1", "S-2", "S-3"])
instants = st.sampled_from([0.5, 1, 2, 30, 200])

steps = st.one_of(
    st.builds(
        answered,
        fulfillments,
        st.sampled_from(["accepted", "rejected", "cancelled", "cancel_rejected", "picked", "packed", "?"]),
    ),
    st.builds(
        lambda number, lines, of, site, final, tracking: shipped(
            number, *lines, of=of, site=site, final=final, tracking=tracking
        ),
        shipment_numbers,
        st.lists(st.tuples(skus, quantities), max_size=3),
        st.one_of(st.just(""), fulfillments),
        sites,
        st.booleans(),
        st.lists(st.sampled_from(["T-1", "T-2"]), max_size=2, unique=True),
    ),
    st.builds(
        lambda code, hours, signed, shipment, tracking, leg, kind: milestone(
            code,
            hours=hours,
            signed_by=signed,
            shipment_number=shipment,
            tracking=tracking,
            leg=leg,
            milestone_class=kind,
        ),
        st.sampled_from(["departed_pickup", "in_transit", "delivered", "delivered", "delayed", "refused", "odd"]),
        instants,
        st.sampled_from(["", "Ann"]),
        st.sampled_from(["", "S-1", "S-2"]),
        st.sampled_from(["", "T-1", "T-2"]),
        st.sampled_from(["outbound", "outbound", "return"]),
        st.sampled_from(["actual", "actual", "estimated", "planned"]),
    ),
    st.builds(lambda lines: cancel(*lines), st.lists(st.sampled_from(["1", "2", "7"]), max_size=2, unique=True)),
    st.builds(
        lambda lines, street: change(*lines, street=street),
        st.lists(st.tuples(st.sampled_from(["1", "2", "7"]), quantities), max_size=2),
        st.sampled_from(["", "", "1 Oak", "2 Elm"]),
    ),
    st.builds(
        lambda name, override: deadline(name, override=override),
        st.sampled_from(["at_risk", "backorder", "hold", "?"]),
        st.booleans(),
    ),
    st.builds(
        lambda cause, action: ("case.changed", {"order_number": "SO-1", "cause": cause, "action": action}),
        st.sampled_from(["ship_by", "promise", "?"]),
        st.sampled_from(["opened", "closed", "?"]),
    ),
    st.builds(lambda a, b: released(("A", a), ("B", b)), quantities, quantities),
)

releases = st.sampled_from(["SO-1:1", "SO-1:1", "SO-1:2", "SO-1:9", ""])
PAPERS = (return_told(), proof_told(), invoice_told(), invoice_issued(("1", 40)), memo_told(), rebill())

steps = st.one_of(
    steps,
    st.builds(
        lambda number, received, tracking: return_told(number, received, tracking=tracking),
        st.sampled_from(["R-1", "R-2"]),
        st.sampled_from(["0", "2", "40", "500"]),
        st.sampled_from(["", "T-1", "T-9"]),
    ),
    st.builds(
        lambda status, release, number: invoice_told(status, release=release, number=number),
        st.sampled_from(["posted", "paid", "disputed", "credited", "refused"]),
        releases,
        st.sampled_from(["I-1", "I-2", ""]),
    ),
    st.builds(lambda release: rebill(release), releases),
    st.builds(lambda release: memo_told(release=release), releases),
    st.builds(lambda quantity: invoice_issued(("1", quantity)), quantities),
    st.builds(lambda shipment: proof_told(shipment_number=shipment), shipment_numbers),
)

SEEN_ARROWS: set[tuple[str, str]] = set()


def check_step(story: Story, step: tuple[str, dict[str, Any]], minutes: float = 0) -> None:
    """Decide one event and hold the outcome against everything that must always be true."""
    before = story.state.status if story.state is not None else "(new)"
    outcome = story.tell(step, after_minutes=minutes)
    assert not [one for one in outcome.exceptions if one.cause.startswith("ledger:")], outcome.exceptions
    after = story.state.status if story.state is not None else "(new)"
    if before != after:
        SEEN_ARROWS.add((before, after))
        assert after in STATUS_ARROWS[before], f"{before} → {after} is not drawn"
    assert_gates(story)


def assert_gates(story: Story) -> None:
    """Finance hears of confirmed and proven quantities only, the customer of proven deliveries only."""
    if story.state is None:
        return
    invoiced: dict[str, Decimal] = {}
    for release in story.sent("invoice_release"):
        for line in release.lines:
            invoiced[line.line_no] = invoiced.get(line.line_no, Decimal(0)) + line.quantity
    for bill in story.state.bills:
        if bill.state == "credited":
            for line_no, quantity in bill.lines:
                invoiced[line_no] -= quantity
    gate = story.policy.rules.invoice_gate
    for line in story.state.lines:
        proven = line.shipped if gate == "shipped" else line.delivered
        assert invoiced.get(line.line_no, 0) == line.invoiced <= proven
    if "delivered" in story.words():
        assert all(line.delivered == line.shipped for line in story.state.lines)
    open_cases = [case.cause for case in story.state.cases if case.state == "open"]
    assert len(open_cases) == len(set(open_cases))


@FEW
@given(
    st.sampled_from(POLICIES),
    st.lists(st.tuples(steps, st.sampled_from([0, 5, 600]), st.sampled_from(STOCKS)), max_size=14),
)
def test_no_sequence_of_events_breaks_an_order(policy, story_steps):
    """Any events in any order never raise, always add up, ask for no effect twice and keep to the drawn arrows."""
    story = Story(policy, stock=STOCKS[1])
    check_step(story, released(("A", 100), ("B", 5)))
    for step, minutes, stock in story_steps:
        story.stock = stock
        check_step(story, step, minutes)


@FEW
@given(st.sampled_from(POLICIES), st.lists(steps, max_size=8))
def test_the_same_event_again_has_no_effect(policy, story_steps):
    """Every event that is decided a second time at once asks for nothing, tells nothing and changes nothing."""
    story = Story(policy, stock=STOCKS[1])
    for step in [released(("A", 100), ("B", 5)), *story_steps]:
        story.tell(step)
        if step[1].get("override"):
            continue  # a person's order to try again is meant to be repeated
        before = story.state
        again = story.tell(step)
        assert ((), (), ()) == (again.requests, again.events, again.timers)
        assert before == story.state
        assert again.duplicate or again.exceptions or again.parked_until


@FEW
@given(st.data())
def test_milestones_may_come_in_any_order(data):
    """The state, and what finance and the customer hear in the end, are the same whatever order milestones come in."""
    reports = data.draw(
        st.lists(
            st.builds(
                lambda code, hours, signed, tracking: milestone(code, hours=hours, signed_by=signed, tracking=tracking),
                st.sampled_from(["departed_pickup", "in_transit", "out_for_delivery", "delivered", "delayed"]),
                instants,
                st.sampled_from(["", "Ann", "Bob"]),
                st.sampled_from(["T-1", "T-2"]),
            ),
            max_size=6,
        )
    )
    shuffled = data.draw(st.permutations(reports))

    assert ending(reports) == ending(shuffled)


def ending(reports: list[tuple[str, dict[str, Any]]]) -> tuple[Any, ...]:
    """Tell a split order with the reports and return what is left of it, but not in which order it was told."""
    story = Story(stock=STOCKS[1])
    story.tell(
        released(("A", 100), ("B", 5)),
        shipped("S-1", ("A", 40), ("B", 5), of="SO-1-1", tracking=["T-1"]),
        shipped("S-2", ("A", 60), of="SO-1-2", tracking=["T-2"]),
    )
    story.tell(*reports)
    invoices = [sorted((line.line_no, line.quantity) for line in one.lines) for one in story.sent("invoice_release")]
    facts = sorted(story.order.milestones, key=lambda fact: (fact.code, fact.tracking))
    delivered = [(one.number, one.delivered) for one in story.order.shipments]
    return story.order.status, story.order.lines, story.order.risks, facts, delivered, invoices


def test_a_merge_that_lets_the_last_word_win_is_caught(monkeypatch):
    """Control: with last-write-wins instead of a join, the order of milestones shows."""
    monkeypatch.setattr(milestones, "join", lambda left, right: right)
    reports = [
        milestone("delivered", hours=2, signed_by="Ann", tracking="T-1"),
        milestone("delivered", hours=1, tracking="T-1"),
    ]

    assert ending(reports) != ending(reports[::-1])


moves = st.tuples(
    st.sampled_from(
        [
            "release",
            "pick",
            "ship",
            "give_back",
            "backorder",
            "reopen",
            "cancel",
            "deliver",
            "give_to_finance",
            "take_return",
            "grow",
        ]
    ),
    st.decimals(min_value=-1, max_value=12, places=1),
)


@FEW
@given(st.lists(moves, max_size=25))
def test_no_move_breaks_the_ledger_of_a_line(sequence):
    """A move either keeps the buckets in balance or is refused with a typed error."""
    assert balance_errors(LineLedger.of("1", Decimal(10)), sequence) == []


def balance_errors(line: LineLedger, sequence: list[tuple[str, Decimal]]) -> list[str]:
    """Return every moment at which the buckets did not add up; computed here, not by the ledger's own check."""
    errors: list[str] = []
    for move, quantity in sequence:
        try:
            line = getattr(line, move)(quantity)
        except LedgerViolation:
            continue
        total = line.open + line.released + line.picked + line.shipped + line.cancelled + line.backordered
        if total != line.ordered or not 0 <= line.returned <= line.delivered <= line.shipped:
            errors.append(f"{move} {quantity}: {line}")
    return errors


def test_a_ledger_that_forgets_to_subtract_is_caught(monkeypatch):
    """Control: a pick that leaves the quantity in released breaks the balance, and both checks see it."""

    def forgetful(line: LineLedger, quantity: Decimal) -> LineLedger:
        return msgspec.structs.replace(line, picked=line.picked + quantity)

    monkeypatch.setattr(LineLedger, "pick", forgetful)
    moves_made = [("release", Decimal(5)), ("pick", Decimal(2))]

    assert len(balance_errors(LineLedger.of("1", Decimal(10)), moves_made)) == 1
    story = Story()
    with pytest.raises((AssertionError, LedgerViolation)):
        story.tell(released(("A", 10)), answered("SO-1-1", "picked"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
odd_values = st.one_of(
    json_values,
    st.sampled_from(
        ["NaN", "Infinity", "-5", "1e30", "0.00000000001", "9999-12-31", "0001-01-01T00:00:00Z", "2026-03-02T10:00:00"]
    ),
)


@FEW
@given(st.sampled_from(sorted(HANDLERS)), st.data())
def test_no_data_makes_a_decision_raise(name, data):
    """Whatever stands in an event, a decision answers; what it cannot read is an exception with a code."""
    story = Story(stock=STOCKS[1])
    story.tell(released(("A", 100), ("B", 5)), shipped("S-1", ("A", 40), ("B", 5), of="SO-1-1"))
    template = {
        "crossdock.order.released.v1": released(("A", 5)),
        "crossdock.shipment.departed.v1": shipped("S-2", ("A", 60), of="SO-1-2", shipped_at=NOW.isoformat()),
        "crossdock.milestone.recorded.v1": milestone("delivered"),
        "crossdock.order.cancel_requested.v1": cancel("1"),
        "crossdock.order.change_requested.v1": change(("1", 3), street="2 Elm"),
        "crossdock.fulfillment.answered.v1": answered("SO-1-2", "accepted"),
        "crossdock.deadline.passed.v1": deadline("backorder"),
        **{f"crossdock.{step[0]}.v1": step for step in PAPERS},
        "crossdock.case.changed.v1": ("case.changed", {"order_number": "SO-1", "cause": "promise", "action": "opened"}),
    }[name][1]
    for place in _places(template):
        if data.draw(st.booleans()):
            _put(template, place, data.draw(odd_values))
    for state in (None, story.order):
        event = Event("evt_x", "tnt_1", name, "order/SO-1", template, NOW, NOW)
        outcome = decide(state, event, DecisionContext(story.policy, NOW, story.stock))
        assert all(one.code.startswith("XD-") for one in outcome.exceptions)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield (*path, key)
        yield from _places(value[key], (*path, key))


def _put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(document, dict | list):
            return
        try:
            document = document[key]
        except (KeyError, IndexError):
            return
    if isinstance(document, dict) or (isinstance(document, list) and len(document) > path[-1]):
        document[path[-1]] = value


@given(st.data())
@FEW
def test_the_join_of_milestones_is_a_join(data):
    """Joining is commutative, associative and idempotent, for facts and for estimates."""
    estimated = data.draw(st.booleans())
    fact = st.builds(
        lambda hours, told, evidence: MilestoneFact(
            "delivered",
            NOW + timedelta(hours=hours),
            estimated=estimated,
            told_at=NOW + timedelta(hours=told) if estimated else None,
            evidence=evidence,
        ),
        instants,
        instants,
        st.sampled_from(["", "pod a", "pod b"]),
    )
    a, b, c = data.draw(fact), data.draw(fact), data.draw(fact)
    join = milestones.join

    assert a == join(a, a)
    assert join(a, b) == join(b, a)
    assert join(a, join(b, c)) == join(join(a, b), c)


class OrderMachine(RuleBasedStateMachine):
    """An order, two sites that do what they are asked, and a customer who changes their mind, in any interleaving."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.numbers = itertools.count(1)

    @initialize(
        policy=st.sampled_from(POLICIES), stock=st.sampled_from(STOCKS[:3]), a=quantities, b=st.sampled_from([1, 5])
    )
    def release(self, policy: Any, stock: Any, a: int, b: int) -> None:
        self.story = Story(policy, stock=stock)
        check_step(self.story, released(("A", a or 7), ("B", b)))

    def active(self) -> list[Any]:
        return [one for one in self.story.order.fulfillments if one.outstanding > 0]

    @rule(pick=st.integers(0, 5), outcome=st.sampled_from(["accepted", "picked", "packed", "rejected"]))
    def site_answers(self, pick: int, outcome: str) -> None:
        if active := self.active():
            check_step(self.story, answered(active[pick % len(active)].number, outcome))

    @rule(pick=st.integers(0, 5), share=st.sampled_from([0, 1, 2]), final=st.booleans())
    def site_ships(self, pick: int, share: int, final: bool) -> None:
        if active := self.active():
            one = active[pick % len(active)]
            number = f"S-{next(self.numbers)}"
            lines = [(line.sku, int(line.outstanding) * share // 2) for line in one.lines]
            check_step(self.story, shipped(number, *lines, of=one.number, final=final, tracking=[f"T-{number}"]))

    @rule(lines=st.sampled_from([(), ("1",), ("2",)]))
    def customer_cancels(self, lines: tuple[str, ...]) -> None:
        check_step(self.story, cancel(*lines))

    @rule(
        line_no=st.sampled_from(["1", "2"]), quantity=st.sampled_from([1, 4, 90]), street=st.sampled_from(["", "2 Elm"])
    )
    def customer_changes(self, line_no: str, quantity: int, street: str) -> None:
        check_step(self.story, change((line_no, quantity), street=street))

    @rule(outcome=st.sampled_from(["cancelled", "cancel_rejected"]))
    def site_settles_a_cancel(self, outcome: str) -> None:
        waiting = [one for one in self.story.order.fulfillments if one.state == "cancelling"]
        if waiting:
            check_step(self.story, answered(waiting[0].number, outcome))

    @rule(pick=st.integers(0, 5), signed=st.sampled_from(["", "Ann"]))
    def carrier_delivers(self, pick: int, signed: str) -> None:
        shipments = self.story.order.shipments
        if shipments:
            one = shipments[pick % len(shipments)]
            check_step(self.story, milestone("delivered", hours=5, signed_by=signed, shipment_number=one.number))

    @rule(stock=st.sampled_from(STOCKS), minutes=st.sampled_from([1, 60, 2000]))
    def time_passes(self, stock: Any, minutes: int) -> None:
        self.story.stock = stock
        self.story.now += timedelta(minutes=minutes)
        for timer in self.story.order.timers:
            if timer.due_at <= self.story.now:
                check_step(self.story, deadline(timer.name))

    @invariant()
    def nothing_is_stuck(self) -> None:
        """While quantity waits, something will wake the order, or a person was told."""
        state = self.story.state
        if state is None:
            return
        waits = [line for line in state.lines if line.open or line.backordered]
        if waits:
            woken = any(timer.name in ("backorder", "hold") for timer in state.timers)
            assert woken or state.raised, state


TestOrderMachine = OrderMachine.TestCase
TestOrderMachine.settings = settings(
    max_examples=1_000 if NIGHTLY else 60,
    stateful_step_count=60 if NIGHTLY else 25,
    deadline=None,
)
