"""Properties of the load process over any sequence of events, and known-bad variants that they must catch."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.canonical.events import Event
from crossdock.processes import freight
from crossdock.processes.freight import billing, tendering
from crossdock.processes.freight.policy import ChargeTolerance, LoadRules
from crossdock.processes.freight.state import STATUS_ARROWS, TENDER_ARROWS, LoadState, agreed
from tests.unit.processes.loads import (
    RULES,
    Story,
    answered,
    billed,
    booked,
    changed,
    deadline,
    ended,
    event,
    extra,
    extra_decided,
    moved,
    planned,
    statuses,
    wish,
)

NIGHTLY = os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly"
# A night's walk takes longer than any single test may by day.
pytestmark = [pytest.mark.timeout(3_600)] if NIGHTLY else []
FEW = settings(max_examples=10_000 if NIGHTLY else 100, deadline=None)
PAGE = Path(__file__).parents[3] / "docs/why/freight.md"
ZERO = Decimal(0)

POLICIES = [
    RULES,
    LoadRules(),
    msgspec.structs.replace(RULES, pay_gate="accepted", on_difference="hold"),
    msgspec.structs.replace(RULES, papers_max=3, tolerances=(ChargeTolerance(absolute=Decimal(50)),)),
]
carriers = st.sampled_from(["ridge", "ridge", "swift", "stranger"])
codes = st.sampled_from(["LINEHAUL", "FUEL", "DETENTION", "LUMPER"])
amounts = st.sampled_from([0, 1, 50, 100, 105, 106, 150, 1000, 1002, 1003, 1100, -20, "0.00001"])
hours = st.sampled_from([0, 1, 5, 8, 15, 30])
moving = (
    st.builds(
        answered,
        carriers,
        st.sampled_from(["accepted", "accepted", "declined"]),
        st.sampled_from(["", "", "L-1-T1", "L-1-T2"]),
        st.sampled_from(["", "PRO-1"]),
    ),
    st.builds(
        lambda partner, code, at, kind, stop, said: moved(partner, code, at, kind=kind, stop=stop, said=said),
        carriers,
        st.sampled_from(["departed_pickup", "in_transit", "delivered", "arrived_delivery"]),
        hours,
        st.sampled_from(["actual", "actual", "estimated"]),
        st.sampled_from([None, 0, 1]),
        st.sampled_from([None, 0, 2, 9]),
    ),
)
billing_steps = (
    st.builds(
        lambda number, lines, partner, total, currency: billed(
            number, *lines, partner=partner, total=total, currency=currency
        ),
        st.sampled_from(["I-1", "I-2", "I-3"]),
        st.lists(st.tuples(codes, amounts), max_size=3),
        carriers,
        st.sampled_from([None, None, 1100]),
        st.sampled_from(["USD", "USD", "CAD"]),
    ),
    st.builds(
        lambda number, code, amount, evidence, partner: extra(number, code, amount, *evidence, partner=partner),
        st.sampled_from(["X-1", "X-2"]),
        codes,
        st.sampled_from([1, 100, 150, 151]),
        st.sampled_from([(), ("gate_log",)]),
        carriers,
    ),
    st.builds(extra_decided, st.sampled_from(["X-1", "X-2"]), st.booleans(), st.sampled_from([0, 50, 1000])),
    st.builds(ended, st.sampled_from(["I-1", "I-2"]), st.sampled_from(["withdrawn", "granted"])),
)
steps = st.one_of(
    *moving,
    *billing_steps,
    st.builds(
        lambda state, at, stop: booked(state, hours=at, stop=stop),
        st.sampled_from(["requested", "confirmed", "refused", "not_on_tool", "cancelled"]),
        hours,
        st.sampled_from([0, 1, 7]),
    ),
    st.builds(lambda action: wish(action), st.sampled_from(["schedule", "reschedule", "cancel"])),
    st.builds(changed, st.sampled_from(["cancel", "tender", "tender"])),
    st.sampled_from([answered("ridge"), moved("ridge", "delivered", 15), moved("swift", "departed_pickup", 9)]),
    st.builds(deadline, st.sampled_from(["tender", "pickup", "delivery", "?"])),
    st.sampled_from([planned(), event("freight.invoiced", {"number": 5}), event("nothing.known", {})]),
)
stories = st.tuples(
    st.sampled_from(POLICIES), st.lists(st.tuples(steps, st.sampled_from([0, 0, 0, 1, 30])), max_size=14)
)
SEEN: Counter[str] = Counter()
_encode = msgspec.json.Encoder(decimal_format="string").encode


def holds(story: Story, before: LoadState | None) -> None:
    """Raise unless everything that must always be true of a load is."""
    state = story.state
    if state is None:
        return
    assert state == msgspec.json.decode(_encode(state), type=LoadState)
    was = before.status if before is not None else "(new)"
    assert was == state.status or state.status in STATUS_ARROWS[was], (was, state.status)
    had = {offer.number: offer.state for offer in before.offers} if before is not None else {}
    for offer in state.offers:
        old = had.get(offer.number, "offered")
        assert old == offer.state or offer.state in TENDER_ARROWS[old], (old, offer.state)
    alive = [offer for offer in state.offers if offer.state in ("offered", "accepted")]
    assert len(alive) <= 1, "two carriers at once"
    told = story.documents("tender_withdrawal")
    assert {offer.number for offer in state.offers if offer.state in ("expired", "withdrawn")} == {
        word.number for word in told
    }, "a carrier was not told that its tender no longer stands"
    assert len(story.keys()) == len(set(story.keys())), "an effect was asked for twice"
    money(story, state)
    story.codes()


def money(story: Story, state: LoadState) -> None:
    """Raise unless each code is paid at most as agreed, tolerated and granted, and each amount is paid or disputed."""
    limits = agreed(state.offers, state.extras)
    settled = story.documents("freight_settlement")
    paid: dict[str, Decimal] = {}
    for word in settled:
        for line in word.lines:
            paid[line.code] = paid.get(line.code, ZERO) + line.paid
            limit = limits.get(line.code, ZERO)
            tolerated = story.rules.tolerance(line.code).of(limit) if line.code in limits else ZERO
            # What a person granted may go beyond; what is paid of a bill by itself never does, nor on top of a grant.
            assert word.sequence == 2 or line.paid <= 0 or paid[line.code] <= limit + tolerated, "paid beyond the limit"
    for bill in state.bills:
        if bill.state:
            assert bill.paid == sum((line.paid for line in bill.lines), ZERO)
            assert (bill.state == "approved") == (bill.reasons == ())
    told = sum((one.amount.amount for one in settled), ZERO)
    assert told == sum((bill.paid for bill in state.bills), ZERO), "finance was told otherwise than is remembered"
    invoiced = sum((line.amount for bill in state.bills if bill.state for line in bill.invoice.lines), ZERO)
    disputed = sum((one.amount.amount for one in story.documents("freight_dispute")), ZERO)
    assert invoiced == disputed + sum((one.amount.amount for one in settled if one.sequence == 1), ZERO), (
        "an amount is neither paid nor disputed"
    )


def run(policy: LoadRules, events: list[tuple[Event, int]]) -> Story:
    story = Story(policy)
    for one, delay in [(planned(), 0), *events]:
        before = story.state
        story.run(one)
        holds(story, before)
        SEEN["steps"] += 1
        _note(before, story)
        if delay and story.state is not None:
            before = story.state
            story.later(hours=delay)
            _note(before, story)
    return story


def _note(before: LoadState | None, story: Story) -> None:
    if story.state is not None and before is not None and before.status != story.state.status:
        SEEN[f"{before.status} {story.state.status}"] += 1


@FEW
@given(stories)
def test_any_sequence_keeps_the_rules(story):
    """Whatever comes: no exception, one carrier at a time, nothing paid twice or beyond what was agreed."""
    run(*story)


plain_bills = st.builds(
    lambda number, code, amount: billed(number, (code, amount)),
    st.sampled_from(["I-1", "I-2", "I-3", "I-4"]),
    st.sampled_from(["LINEHAUL", "FUEL"]),
    st.sampled_from([60, 100, 600, 1000]),
)


@FEW
@given(
    st.sampled_from(POLICIES[:1] + POLICIES[2:]),
    st.lists(st.one_of(plain_bills, *billing_steps), min_size=1, max_size=8),
)
def test_bills_of_a_delivered_load_are_paid_as_agreed(policy, bills):
    """However a carrier bills: each code at most as agreed and tolerated, each amount paid or disputed."""
    run(policy, [(answered("ridge"), 0), (moved("ridge", "delivered", 15), 0), *((one, 0) for one in bills)])


@FEW
@given(st.lists(st.one_of(plain_bills, billing_steps[-1]), max_size=6))
def test_what_was_granted_is_not_paid_again(bills):
    """Held bills, one granted: whatever is billed afterwards, its codes are not paid a second time."""
    policy = msgspec.structs.replace(RULES, on_difference="hold")
    held = [billed("I-1", ("LINEHAUL", 1000), ("LUMPER", 80)), ended("I-1", "granted")]
    again = [billed("I-2", ("LINEHAUL", 1000))]
    end = run(policy, [(one, 0) for one in (answered("ridge"), moved("ridge", "delivered", 15), *held, *again)]).it
    run(policy, [(one, 0) for one in (answered("ridge"), moved("ridge", "delivered", 15), *held, *bills, *again)])

    assert [Decimal(1080), ZERO] == [bill.paid for bill in end.bills]


PAPERS = [
    moved("ridge", "departed_pickup", 5),
    moved("ridge", "delivered", 15, kind="estimated", said=6),
    moved("ridge", "delivered", 18, kind="estimated", said=9),
    moved("ridge", "delivered", 17),
    extra("X-1", "DETENTION", 100, "gate_log"),
    billed("I-1", ("LINEHAUL", 1000), ("FUEL", 120), ("LUMPER", 40)),
    booked("confirmed", hours=2),
    booked("confirmed", hours=3, confirmation="C-2"),
]


@FEW
@given(st.permutations(PAPERS))
def test_the_order_of_papers_does_not_matter(papers):
    """Milestones, estimates, appointments, a bill and its accessorial lead to the same load in any order."""

    def end(order: list[Event]) -> Any:
        it = run(RULES, [(answered("ridge"), 0), *((one, 0) for one in order)]).it
        return (
            it.status,
            {(one.code, one.kind, one.at) for one in it.facts},
            it.extras,
            it.bills,
            {(one.stop_seq, one.state, one.confirmation) for one in it.bookings},
        )

    assert end(PAPERS) == end(papers)


@FEW
@given(stories)
def test_twice_the_same_is_once(story):
    """Every paper told twice asks for no more and pays no more."""
    policy, events = story
    once, twice = run(policy, events), run(policy, [pair for one, delay in events for pair in ((one, 0), (one, delay))])

    assert set(once.keys("freight")) == set(twice.keys("freight"))


L, YES, NO = planned(), answered("ridge"), answered("ridge", "declined")
YES2, NO2 = answered("swift"), answered("swift", "declined")
GONE, THERE = moved("ridge", "departed_pickup", 5), moved("ridge", "delivered", 15)
GOOD, BAD = billed("I-1", ("LINEHAUL", 1000)), billed("I-2", ("LUMPER", 50))
WALKS: list[tuple[LoadRules, list[Event]]] = [
    (RULES, [L, YES, GONE, THERE, GOOD, BAD, ended("I-2", "withdrawn")]),
    (RULES, [L, YES, GONE, THERE, BAD]),
    (RULES, [L, YES, THERE]),
    (RULES, [L, NO, NO2, changed("tender"), changed("cancel")]),
    (RULES, [L, NO, NO2, changed("cancel")]),
    (RULES, [L, YES, NO, YES2, NO2]),
    (RULES, [L, YES, changed("cancel")]),
    (RULES, [L, GOOD, THERE, YES]),
    (RULES, [L, BAD, THERE, YES]),
    (RULES, [L, GONE, YES]),
    (RULES, [L, THERE, YES]),
    (RULES, [L, YES, GOOD, THERE]),
    (RULES, [L, YES, BAD, THERE]),
    (RULES, [L, YES, GONE, GOOD, THERE]),
    (RULES, [L, YES, GONE, BAD, THERE]),
    (RULES, [planned(lane="nowhere")]),
]


@pytest.mark.parametrize(
    "text", [freight.__doc__ or "", PAGE.read_text().partition("## Claims")[0]], ids=["docstring", "page"]
)
def test_the_arrows_are_drawn(text):
    """Docstring and page show every arrow of loads and tenders that the code allows, and no other."""
    drawn = re.compile(r"^ {4}(\S+) +→ (.+)$", re.MULTILINE)
    table = {**STATUS_ARROWS, **{start: ends for start, ends in TENDER_ARROWS.items() if ends}}
    found: dict[str, set[str]] = {}
    for start, targets in drawn.findall(text):
        found.setdefault(start, set()).update(set(targets.split()) - {"(end)"})
    merged = {name: set(ends) for name, ends in STATUS_ARROWS.items()}
    for name, ends in TENDER_ARROWS.items():
        if ends:
            merged.setdefault(name, set()).update(ends)

    assert table
    assert merged == found


def test_every_arrow_is_walked():
    """Each arrow of the table is taken by one of these stories, so none is drawn that does not exist."""
    walked: set[tuple[str, str]] = set()
    for rules, walk in WALKS:
        walked |= set(itertools.pairwise(statuses(walk, rules=rules)))

    assert {(start, end) for start, ends in STATUS_ARROWS.items() for end in ends} == walked


def _pays_all(draft: Any, code: str, invoiced: Decimal, limit: Any, paid_before: Decimal) -> Any:
    return billing.SettledLine(code, invoiced, limit or ZERO, invoiced)


def _forgets_paid(draft: Any) -> dict[str, Decimal]:
    return {}


def _silent(draft: Any, offer: Any, state: Any, reason: str) -> None:
    tendering.end(draft, offer, state, reason)


def _accepts_late(draft: Any, event: Event, response: Any) -> bool:
    for offer in tuple(draft.offers.values()):
        if offer.partner == event.partner and response.outcome == "accepted":
            tendering.end(draft, offer, "accepted")
            return True
    return False


VARIANTS: dict[str, tuple[Any, str, Any, Any]] = {
    "pays what is billed": (billing, "_line", _pays_all, test_bills_of_a_delivered_load_are_paid_as_agreed),
    "forgets what was paid": (billing, "_paid", _forgets_paid, test_bills_of_a_delivered_load_are_paid_as_agreed),
    "does not withdraw": (tendering, "withdraw", _silent, test_any_sequence_keeps_the_rules),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_known_bad_variant_is_caught(monkeypatch, variant):
    """Each guard that is taken out makes the property fail."""
    owner, name, bad, check = VARIANTS[variant]
    monkeypatch.setattr(owner, name, bad)

    with pytest.raises((AssertionError, BaseExceptionGroup)):
        check()


def test_two_carriers_at_once_are_caught(monkeypatch):
    """A late yes that counts gives a load to two carriers, or wakes a dead tender."""
    name = "crossdock.tender.answered.v1"
    monkeypatch.setitem(freight.HANDLERS, name, (freight.HANDLERS[name][0], _accepts_late))

    with pytest.raises((AssertionError, BaseExceptionGroup)):
        test_any_sequence_keeps_the_rules()


@pytest.mark.nightly
def test_a_hundred_thousand_steps():
    """The night's walk is long enough to count."""
    if not SEEN["steps"]:
        test_any_sequence_keeps_the_rules()
    print(dict(SEEN))
    assert SEEN["steps"] >= 100_000
