"""Properties of the purchase process over any sequence of events, and known-bad variants that they must catch."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.canonical.events import Event
from crossdock.processes import receiving
from crossdock.processes.receiving import arrivals, decide, orders
from crossdock.processes.receiving.ledger import PurchaseBook, check
from crossdock.processes.receiving.policy import PurchaseRules, SupplierRules, Tolerance
from crossdock.processes.receiving.state import STATUS_ARROWS, PurchaseState
from tests.unit.processes.purchases import (
    NOW,
    RULES,
    Story,
    acked,
    announced,
    changed,
    deadline,
    event,
    received,
    released,
    statuses,
)

NIGHTLY = os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly"
# A night's walk takes longer than any single test may by day.
pytestmark = [pytest.mark.timeout(3_600)] if NIGHTLY else []
FEW = settings(max_examples=12_000 if NIGHTLY else 100, deadline=None)
PAGE = Path(__file__).parents[3] / "docs/why/receiving.md"

POLICIES = [
    RULES,
    PurchaseRules(),
    PurchaseRules((SupplierRules("ALPINE", "alpine", asn="optional"),), (Tolerance(over_percent=Decimal(50)),)),
    PurchaseRules(notices_max=2, receipts_max=2, lines_max=3),
]
places = st.sampled_from([("1", "SAW"), ("2", "BOLT"), ("", "SAW"), ("7", "GLUE"), ("1", "BOLT")])
counts = st.sampled_from([0, 1, 10, 90, 100, 200, 230])
hours = st.sampled_from([0, 1, 2, 3, 5, 40])
steps = st.one_of(
    st.builds(
        lambda lines, at, partner: acked(*lines, hours=at, partner=partner),
        st.lists(
            st.tuples(
                st.sampled_from(["1", "2", "9"]),
                st.sampled_from(["accepted", "changed", "backordered", "rejected"]),
                counts,
                st.sampled_from([None, "10", "11", "-1", "NaN"]),
                st.sampled_from([None, date(2026, 12, 1), date(2027, 1, 1)]),
            ),
            max_size=3,
        ),
        hours,
        st.sampled_from(["alpine", "alpine", "brisk"]),
    ),
    st.builds(
        lambda number, lines, expected: announced(
            number, *[(*place, count) for place, count in lines], expected_at=expected
        ),
        st.sampled_from(["A-1", "A-2", "A-3"]),
        st.lists(st.tuples(places, counts), max_size=3),
        st.sampled_from([None, NOW + timedelta(days=3)]),
    ),
    st.builds(
        lambda number, lines, asn, final: received(
            number, *[(*place, count, condition) for place, count, condition in lines], asn=asn, final=final
        ),
        st.sampled_from(["R-1", "R-2", "R-3"]),
        st.lists(st.tuples(places, counts, st.sampled_from(["good", "good", "damaged", "wrong_item"])), max_size=3),
        st.sampled_from(["", "A-1", "A-2"]),
        st.booleans(),
    ),
    st.builds(
        lambda no, lines, action, at: changed(
            no, *[(*place, count) for place, count in lines], action=action, hours=at
        ),
        st.sampled_from([1, 2, 3]),
        st.lists(st.tuples(places, counts), max_size=2),
        st.sampled_from(["change", "change", "cancel", "close"]),
        hours,
    ),
    st.builds(deadline, st.sampled_from(["ack", "asn", "receipt", "?"])),
    st.sampled_from(
        [
            released(),
            acked(("1", "rejected", 100), ("2", "rejected", 200), hours=3),
            changed(4, action="cancel", hours=4),
            announced("A-4", ("1", "SAW", 0)),
            received("R-4", ("1", "SAW", 0), asn="A-1"),
        ]
    ),
    st.sampled_from(
        [
            event("purchase.acknowledged", {"number": 7}),
            event("receipt.completed", {"number": "R", "lines": [{"sku": "SAW", "quantity": "-5"}]}),
            event(
                "receipt.completed",
                {"number": "R", "lines": [{"sku": "SAW", "quantity": "1E+40"}], "po_number": "PO-1"},
            ),
            event("nothing.known", {}),
        ]
    ),
)
stories = st.tuples(
    st.sampled_from(POLICIES), st.lists(st.tuples(steps, st.sampled_from([0, 0, 1, 30, 400])), max_size=12)
)

SEEN: Counter[str] = Counter()
_encode = msgspec.json.Encoder(decimal_format="string").encode


def holds(story: Story, before: str) -> None:
    """Raise unless everything that must always be true of a purchase order is."""
    state = story.state
    if state is None:
        return
    assert state == msgspec.json.decode(_encode(state), type=PurchaseState)
    arrow = (before, state.status)
    assert arrow[0] == arrow[1] or arrow[1] in STATUS_ARROWS[arrow[0]], arrow
    for line in state.lines:
        check(line.book)
        over = story.rules.tolerance("ALPINE", line.sku, "RENO").over_percent
        assert line.book.accepted <= line.book.accept_max(over), "accepted above order and tolerance"
        mine = [item for receipt in state.receipts for item in receipt.items if item.line_no == line.line_no]
        assert line.book.received == sum((item.quantity for item in mine), Decimal(0)), "received is not what came in"
        shipped = [item for notice in state.notices for item in notice.items if item.line_no == line.line_no]
        assert line.book.shipped == sum((item.quantity for item in shipped), Decimal(0)), (
            "shipped is not what was announced"
        )
    posted = [line for document in story.documents("receipt_posting") for line in document.lines]
    for line in state.lines:
        told = sum((one.accepted for one in posted if one.line_no == line.line_no), Decimal(0))
        assert line.book.accepted == told, "the ERP was told another quantity"
    assert len(story.keys()) == len(set(story.keys())), "an effect was asked for twice"
    story.codes()


def nothing_lost(story: Story, event: Event) -> None:
    """Raise unless the receipt that was just taken is in the books with every piece, damaged or not."""
    taken, lines = story.it.receipts[-1], event.data["lines"]
    ordered = {line.sku for line in story.it.lines}
    broken = [line for line in lines if line.get("condition") == "damaged" and line["sku"] in ordered]
    for found, papers in ((lambda item: item.quantity, lines), (lambda item: item.damaged, broken)):
        came = sum((Decimal(line["quantity"]) for line in papers), Decimal(0))
        assert came == sum(map(found, taken.items), Decimal(0)), "pieces were lost"


def run(policy: PurchaseRules, events: list[tuple[Event, int]], decide: Callable[..., Any] = decide) -> Story:
    story = Story(policy, decide)
    for one, hours in [(released(), 0), *events]:
        before = story.state.status if story.state is not None else "(new)"
        receipts = story.state.receipts if story.state is not None else ()
        story.run(one)
        holds(story, before)
        if story.state is not None and len(story.state.receipts) > len(receipts):
            nothing_lost(story, one)
        SEEN["steps"] += 1
        if story.state is not None and story.state.status != before:
            SEEN[f"{before} {story.state.status}"] += 1
        if hours and story.state is not None:
            before = story.state.status
            story.later(hours=hours)
            holds(story, before)
    return story


@FEW
@given(stories)
def test_any_sequence_keeps_the_books(story):
    """Whatever comes in whatever order: no exception, the sums hold, each effect once, every arrow is drawn."""
    run(*story)


ORDER = released(("SAW", 100))
ALL, NONE = acked(("1", "accepted", 100), hours=1), acked(("1", "rejected", 100), hours=2)
GONE, NOTHING = announced("A-1", ("1", "SAW", 100)), received("R-1", ("1", "SAW", 0), asn="A-1")
SOME, REST = received("R-2", ("1", "SAW", 40)), received("R-3", ("1", "SAW", 60))
CLOSE, CANCEL = changed(1, action="close"), changed(2, action="cancel")
MORE = changed(3, ("1", "SAW", 150), hours=3)
TWO = released(("SAW", 100), ("BOLT", 200))
WALKS = [
    [ORDER, ALL, NONE, acked(("1", "accepted", 100), hours=3), MORE, NONE],
    [ORDER, NONE, MORE],
    [ORDER, NONE, GONE, NOTHING, SOME],
    [ORDER, NONE, SOME],
    [ORDER, NONE, CANCEL, GONE, NOTHING, MORE],
    [ORDER, CANCEL, SOME],
    [ORDER, GONE, NOTHING],
    [ORDER, ALL, GONE, NOTHING, CANCEL],
    [ORDER, ALL, SOME, REST, GONE],
    [ORDER, SOME, GONE, received("R-1", ("1", "SAW", 60), asn="A-1")],
    [ORDER, GONE, SOME, received("R-1", ("1", "SAW", 0), asn="A-1"), REST, MORE],
    [ORDER, ALL, received("R-9", ("1", "SAW", 100))],
    [ORDER, received("R-9", ("1", "SAW", 100))],
    [ORDER, CLOSE, MORE],
    [TWO, CLOSE, changed(5, action="cancel", line_nos=("1",)), CLOSE],
    [TWO, acked(("1", "accepted", 100), ("2", "accepted", 200)), CLOSE, changed(5, action="cancel", line_nos=("1",))],
    [TWO, acked(("1", "accepted", 100), ("2", "rejected", 200)), CLOSE, changed(5, action="cancel", line_nos=("1",))],
    [ORDER, CLOSE, CANCEL],
]


@pytest.mark.parametrize("text", [receiving.__doc__ or "", PAGE.read_text()], ids=["docstring", "page"])
def test_the_arrows_are_drawn(text):
    """Docstring and page show every arrow between statuses that the code allows, and no other."""
    drawn = re.compile(r"^ {4}(\S+) +→ (.+)$", re.MULTILINE)

    assert STATUS_ARROWS == {start: tuple(ends.split()) for start, ends in drawn.findall(text)}


def test_every_arrow_is_walked():
    """Each arrow of the table is taken by one of these stories, so none is drawn that does not exist."""
    walked = set()
    for walk in WALKS:
        seen = statuses(walk)
        walked |= set(itertools.pairwise(seen))

    assert {(start, end) for start, ends in STATUS_ARROWS.items() for end in ends} == walked


facts = st.permutations(
    [
        acked(("1", "changed", 90), ("2", "accepted", 200), hours=1),
        acked(("1", "accepted", 100), hours=3),
        acked(("1", "backordered", 50), ("1", "accepted", 50), hours=2),
        announced("A-1", ("1", "SAW", 60), ("2", "BOLT", 200)),
        announced("A-2", ("1", "SAW", 45)),
        received("R-1", ("1", "SAW", 58), ("1", "SAW", 2, "damaged"), ("2", "BOLT", 150), asn="A-1"),
        received("R-2", ("1", "SAW", 46), asn="A-2", final=False),
        received("R-3", ("2", "BOLT", 75)),
    ]
)


def ends(story: Story) -> tuple[Any, ...]:
    shorts = {
        (one.asn_number, one.line_no, one.quantity, one.tolerated)
        for one in story.facts("receipt.discrepancy")
        if one.kind == "short"
    }
    return story.it.status, tuple(line.book for line in story.it.lines), shorts, frozenset(story.it.timers)


@FEW
@given(facts)
def test_the_order_of_papers_does_not_matter(papers):
    """Answers, notices and receipts of an order lead to the same books in any order."""
    assert ends(run(RULES, [(one, 0) for one in sorted(papers, key=repr)])) == ends(
        run(RULES, [(one, 0) for one in papers])
    )


@FEW
@given(stories)
def test_twice_the_same_is_once(story):
    """Every paper told twice leaves the same books and asks for no more."""
    policy, events = story
    once = run(policy, events)
    twice = run(policy, [pair for one, hours in events for pair in ((one, 0), (one, hours))])

    assert set(once.keys()) == set(twice.keys())
    assert once.it.lines == twice.it.lines


# -- known-bad variants: the checks above must catch each of them


def _accept_all(self: PurchaseBook, good: Decimal, damaged: Decimal, over_percent: Decimal) -> PurchaseBook:
    return msgspec.structs.replace(self, accepted=self.accepted + good, damaged=self.damaged + damaged)


def _damage_is_lost(self: PurchaseBook, good: Decimal, damaged: Decimal, over_percent: Decimal) -> PurchaseBook:
    return REAL_RECEIVE(self, good, Decimal(0), over_percent)


REAL_RECEIVE = PurchaseBook.receive


def _changed_key(draft: Any, event: Event, receipt: Any) -> bool:
    draft.receipts.pop((receipt.site, receipt.number), None)
    return arrivals_received(draft, event, receipt)


arrivals_received = arrivals.received

VARIANTS: dict[str, tuple[Any, str, Any, Callable[..., Any]]] = {
    "no limit to what is accepted": (PurchaseBook, "receive", _accept_all, test_any_sequence_keeps_the_books),
    "damaged goods vanish": (PurchaseBook, "receive", _damage_is_lost, test_any_sequence_keeps_the_books),
    "old words count": (orders, "_is_fresh", lambda line, ack: True, test_the_order_of_papers_does_not_matter),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_known_bad_variant_is_caught(monkeypatch, variant):
    """Each guard that is taken out makes a property fail."""
    owner, name, bad, check_ = VARIANTS[variant]
    monkeypatch.setattr(owner, name, bad)

    with pytest.raises((AssertionError, BaseExceptionGroup)):
        check_()


def test_a_receipt_booked_twice_is_caught(monkeypatch):
    """Without the memory of receipts the ERP would hear twice."""
    handlers = {**receiving.HANDLERS}
    shape, _ = handlers["crossdock.receipt.completed.v1"]
    handlers["crossdock.receipt.completed.v1"] = (shape, _changed_key)
    monkeypatch.setattr(receiving, "HANDLERS", handlers)

    with pytest.raises((AssertionError, BaseExceptionGroup)):
        test_any_sequence_keeps_the_books()


@pytest.mark.nightly
def test_a_hundred_thousand_steps():
    """The night's walk is long enough to count."""
    if not SEEN["steps"]:
        test_any_sequence_keeps_the_books()
    print(dict(SEEN))
    assert SEEN["steps"] >= 100_000
