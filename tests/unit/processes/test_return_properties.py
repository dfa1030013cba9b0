"""Properties of orders with their returns over any sequence of events, with known-bad variants that must be caught."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.canonical.events import Event
from crossdock.processes import returns
from crossdock.processes.outcome import DecisionContext
from crossdock.processes.returns import HANDLERS, arrivals, consequences, decide
from crossdock.processes.returns.policy import NotReturnable, ReturnRules, Review
from crossdock.processes.returns.state import STATUS_ARROWS
from tests.unit.processes.orders import NOW
from tests.unit.processes.return_stories import (
    RULES,
    ReturnStory,
    credit,
    exchange,
    found,
    label,
    person,
    scanned,
    told,
    wants,
)

NIGHTLY = os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly"
FEW = settings(max_examples=10_000 if NIGHTLY else 120, deadline=None)
PAGE = Path(__file__).parents[3] / "docs/why/returns.md"
STATUS_LINE = re.compile(r"^ {4}(\S+) +→ (.+)$", re.MULTILINE)

RULE_SETS = [
    RULES,
    ReturnRules(credit_per="receipt", credit_percent={"damaged": Decimal(0), "opened": Decimal("33.3")}),
    ReturnRules(review=(Review("worth a look", value_above=Decimal(10)),), needs_delivery=False, label_days=0),
    ReturnRules(not_returnable=(NotReturnable("no B", skus=("B",), unless=("damaged",)),), tell_site=False),
]

numbers = st.sampled_from(["R-1", "R-1", "R-2"])
quantities = st.sampled_from([1, 2, 3, 5, 10, 12])
conditions = st.sampled_from(["unopened", "damaged", "opened"])
steps = st.one_of(
    st.builds(
        lambda number, lines, resolution: wants(*lines, number=number, resolution=resolution),
        numbers,
        st.lists(st.tuples(st.sampled_from(["1", "2", "7"]), quantities, conditions), max_size=3),
        st.sampled_from(["refund", "refund", "exchange"]),
    ),
    st.builds(
        lambda receipt, number, lines, final: found(receipt, *lines, number=number, final=final),
        st.sampled_from(["G-1", "G-2", "G-3"]),
        numbers,
        st.lists(st.tuples(st.sampled_from(["A", "A", "B", "Z"]), quantities, conditions), max_size=3),
        st.booleans(),
    ),
    st.builds(
        lambda code, tracking, hours: scanned(code, tracking=tracking, hours=hours),
        st.sampled_from(["departed_pickup", "in_transit", "delivered", "delayed"]),
        st.sampled_from(["", "T-1", "RT-1", "RT-2"]),
        st.sampled_from([90, 100, 130]),
    ),
    st.builds(
        lambda number, tracking: label(tracking, number=number), numbers, st.sampled_from(["T-1", "RT-1", "RT-2"])
    ),
    st.builds(
        lambda number, action: person(action, number=number), numbers, st.sampled_from(["cancel", "approve", "refuse"])
    ),
    st.builds(
        lambda number, count, outcome: credit(f"{number}-C{count}", outcome, number=number),
        numbers,
        st.sampled_from([1, 1, 2, 3]),
        st.sampled_from(["posted", "posted", "refused"]),
    ),
    st.builds(
        lambda number, outcome: exchange(outcome, number=number), numbers, st.sampled_from(["ordered", "refused"])
    ),
    st.builds(
        lambda number, receipt: told(
            "return.disposed",
            number=number,
            return_number=number,
            receipt_number=receipt,
            lines=[{"sku": "A", "quantity": "1", "disposition": "restock"}],
        ),
        numbers,
        st.sampled_from(["G-1", "G-2"]),
    ),
    st.builds(
        lambda number, outcome: told("return.answered", number=number, outcome=outcome),
        numbers,
        st.sampled_from(["accepted", "rejected"]),
    ),
)

SEEN: set[tuple[str, str]] = set()


@FEW
@given(
    st.sampled_from(RULE_SETS), st.booleans(), st.lists(st.tuples(steps, st.sampled_from([0, 0, 2, 20])), max_size=14)
)
def test_no_sequence_of_events_breaks_a_return(rules, delivered, sequence):
    """Any events in any order never raise, always add up, credit no unit twice and keep to the drawn arrows."""
    story = ReturnStory(rules, delivered=delivered)
    for step, days in sequence:
        if days:
            story.wait(days=days)
        story.tell(step)
        again = story.tell(step)
        assert ((), (), ()) == (again.requests, again.events, again.tells)
    SEEN.update(story.walked)


@FEW
@given(st.data())
def test_papers_of_a_return_may_come_in_any_order(data):
    """Status, receipts and credited quantities are the same whatever order scans, receipts and answers come in."""
    papers = data.draw(
        st.lists(
            st.one_of(
                st.just(label("RT-1")),
                st.builds(
                    lambda code, hours: scanned(code, tracking="RT-1", hours=hours),
                    st.sampled_from(["in_transit", "delivered"]),
                    st.sampled_from([100, 130]),
                ),
                st.builds(lambda quantity: found("G-1", ("A", quantity)), st.just(2)),
                st.builds(lambda quantity: found("G-2", ("A", quantity, "damaged"), final=True), st.just(3)),
                st.just(told("return.answered", outcome="accepted")),
            ),
            max_size=6,
        )
    )
    shuffled = data.draw(st.permutations(papers))

    assert ending(papers) == ending(shuffled)


def ending(papers: list[Any]) -> tuple[Any, ...]:
    """Tell a return with the papers and return what is left of it, but not in which order it was told.

    Scans are understood by the label, so the label comes first.
    """
    story = ReturnStory(ReturnRules(credit_per="receipt"))
    story.tell(wants(("1", 6)), label("RT-1"), *papers)
    credited: dict[str, Decimal] = {}
    for paper in story.sent("credit_request"):
        for line in paper.lines:
            credited[line.condition] = credited.get(line.condition, Decimal(0)) + line.quantity
    state = story.of()
    receipts = sorted((one.number, one.final) for one in state.receipts)
    return state.status, state.lines[0].received, state.moved_at, state.arrived_at, receipts, credited


def test_the_last_scan_that_wins_is_caught(monkeypatch):
    """Control: with the last word instead of the latest, the order of scans shows."""
    monkeypatch.setattr(arrivals, "_later", lambda known, moment: moment)
    papers = [scanned("delivered", tracking="RT-1"), scanned("in_transit", tracking="RT-1", hours=130)]

    assert ending(papers) != ending(papers[::-1])


def test_a_credit_without_a_limit_is_caught(monkeypatch):
    """Control: crediting all that came, whoever's it is, breaks what must always be true."""
    monkeypatch.setattr(arrivals, "_creditable", lambda draft, line, quantity: quantity)
    story = ReturnStory()
    story.tell(wants(("1", 3)))
    with pytest.raises(AssertionError, match="credited"):
        story.tell(found("G-1", ("A", 5)))


def test_a_return_that_tells_its_order_nothing_is_caught(monkeypatch):
    """Control: without the word to the order, order and return believe different things at once."""
    monkeypatch.setattr(consequences, "_tell", lambda draft, state: None)
    with pytest.raises(AssertionError, match="the order believes"):
        ReturnStory().tell(wants(("1", 3)))


def test_a_credit_asked_for_twice_is_caught(monkeypatch):
    """Control: forgetting what was asked for makes the same effect again, and the story notices."""
    story = ReturnStory()
    story.tell(wants(("1", 3)), found("G-1", ("A", 3)))
    state = story.states["return/R-1"]
    story.states["return/R-1"] = msgspec.structs.replace(state, credits=())
    story.states["return/R-1"] = msgspec.structs.replace(
        story.states["return/R-1"],
        receipts=tuple(
            msgspec.structs.replace(
                one, lines=tuple(msgspec.structs.replace(ln, credited=Decimal(0)) for ln in one.lines)
            )
            for one in state.receipts
        ),
    )
    with pytest.raises(AssertionError, match="twice"):
        story.tell(found("G-2", ("B", 1)))


@pytest.mark.parametrize("text", [returns.__doc__ or "", PAGE.read_text()], ids=["docstring", "page"])
def test_the_arrows_are_drawn(text):
    """Docstring and page show every arrow between statuses that the code allows, and no other."""
    drawn: dict[str, tuple[str, ...]] = {}
    for start, ends in STATUS_LINE.findall(text):
        drawn[start] = (*drawn.get(start, ()), *ends.split())

    assert dict(STATUS_ARROWS) == drawn


TEMPLATES = {
    f"crossdock.{name}.v1": data
    for _, name, data in (
        wants(("1", 2)),
        person("cancel"),
        told("return.answered", outcome="accepted"),
        label(),
        ("", "return.moved", scanned("in_transit")[2]),
        found("G-1", ("A", 2)),
        told(
            "return.disposed",
            return_number="R-1",
            receipt_number="G-0",
            lines=[{"sku": "A", "quantity": "1", "disposition": "scrap"}],
        ),
        credit(amount={"amount": "5.00", "currency": "USD"}, lines=[{"line_no": "1", "sku": "A", "quantity": "2"}]),
        exchange(),
        ("", "deadline.passed", {"name": "label"}),
    )
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
odd_values = st.one_of(
    json_values,
    st.sampled_from(["NaN", "Infinity", "-5", "1e30", "0.00000000001", "9999-12-31", "0001-01-01T00:00:00Z"]),
)


@FEW
@given(st.sampled_from(sorted(HANDLERS)), st.data())
def test_no_data_makes_a_decision_raise(name, data):
    """Whatever stands in an event, a decision answers; what it cannot read is an exception with a code."""
    story = ReturnStory()
    story.tell(wants(("1", 3)), found("G-0", ("A", 1), final=True))
    template = msgspec.json.decode(msgspec.json.encode(TEMPLATES[name]))
    for place in _places(template):
        if data.draw(st.booleans()):
            _put(template, place, data.draw(odd_values))
    for state in (None, story.of()):
        event = Event("evt_x", "tnt_1", name, "return/R-1", template, NOW, NOW)
        others = {one: story.states.get(one) for one in returns.others(state, event)}
        outcome = decide(state, event, DecisionContext(RULES, story.now, others=others))
        assert all(one.code.startswith("XD-") for one in outcome.exceptions)


def test_every_handler_has_a_template():
    """A new event is tried with odd values as well."""
    assert set(HANDLERS) == set(TEMPLATES)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield (*path, key)
        yield from _places(value[key], (*path, key))


def _put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(document, dict) or (isinstance(document, list) and len(document) > path[-1]):
        document[path[-1]] = value


@pytest.mark.nightly
def test_a_hundred_thousand_steps_break_nothing():
    """A long walk through all rule sets; the figure of steps is printed."""
    total = itertools.count()

    @settings(max_examples=12_000, deadline=None, database=None)
    @given(
        st.sampled_from(RULE_SETS), st.lists(st.tuples(steps, st.sampled_from([0, 0, 2, 20])), min_size=6, max_size=14)
    )
    def walk(rules: ReturnRules, sequence: list[Any]) -> None:
        story = ReturnStory(rules)
        for step, days in sequence:
            if days:
                story.wait(days=days)
            story.tell(step)
            next(total)
        SEEN.update(story.walked)

    walk()
    steps_made = next(total)
    drawn = {(before, after) for before, afters in STATUS_ARROWS.items() for after in afters}
    print(f"{steps_made} steps; arrows never walked: {sorted(drawn - SEEN)}")
    assert steps_made >= 100_000
