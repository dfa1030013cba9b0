"""Claims: evidence, filing, the carrier's clocks, the end; and properties over any sequence."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.canonical.claims import Claim, ClaimAnswer, ClaimDecision, ClaimEvidence, ClaimLine, Evidence
from crossdock.canonical.events import Event
from crossdock.processes import claims
from crossdock.processes.claims import STATUS_ARROWS, ClaimCarrier, ClaimRules, ClaimState, claimed, decide
from crossdock.processes.outcome import DecisionContext

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
RULES = ClaimRules((ClaimCarrier("RDGT", "ridge"),), {"*": ("bill_of_lading",), "damage": ("photo",)})
NIGHTLY = os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly"
# A night's walk takes longer than any single test may by day.
pytestmark = [pytest.mark.timeout(3_600)] if NIGHTLY else []
FEW = settings(max_examples=14_000 if NIGHTLY else 200, deadline=None)
PAGE = Path(__file__).parents[4] / "docs/why/freight.md"
BOTH = ("bill_of_lading", "photo")
_encode = msgspec.json.Encoder(decimal_format="string").encode


def event(kind: str, data: Any, *, at: datetime = NOW, partner: str = "ridge") -> Event:
    plain = msgspec.json.decode(_encode(data))
    return Event("evt_1", "acme", f"crossdock.{kind}.v1", "claim/C-1", plain, at, NOW, partner=partner)


def opened(*evidence: str, amount: Any = 50) -> Event:
    claim = Claim(
        "C-1",
        "damage",
        "RDGT",
        "USD",
        (ClaimLine("SAW-1", Decimal(5), Decimal(amount)),),
        delivered_at=NOW,
        evidence=tuple(Evidence(kind) for kind in evidence),
    )
    return event("claim.opened", claim, partner="wms")


def more(*evidence: str) -> Event:
    return event(
        "claim.evidence_added", ClaimEvidence("C-1", tuple(Evidence(kind) for kind in evidence)), partner="wms"
    )


def word(outcome: str, amount: Any = None, *, hours: float = 1, partner: str = "ridge") -> Event:
    at = NOW + timedelta(hours=hours)
    offer = None if amount is None else Decimal(str(amount))
    return event("claim.answered", ClaimAnswer("C-1", outcome, offer, at=at), at=at, partner=partner)  # type: ignore[arg-type]


def decision(action: str, *, partner: str = "") -> Event:
    return event("claim.decided", ClaimDecision("C-1", action, "anna"), partner=partner)  # type: ignore[arg-type]


class Story:
    def __init__(self, rules: ClaimRules = RULES) -> None:
        self.rules = rules
        self.state: ClaimState | None = None
        self.now = NOW
        self.outcomes: list[Any] = []

    def run(self, *events: Event) -> Story:
        for one in events:
            outcome = decide(self.state, one, DecisionContext(self.rules, self.now))
            if not outcome.duplicate and not outcome.parked_until:
                self.state = outcome.state
            self.outcomes.append(outcome)
        return self

    def later(self, **delay: float) -> Story:
        self.now += timedelta(**delay)
        for timer in [one for one in self.it.timers if one.due_at <= self.now]:
            self.run(event("deadline.passed", {"name": timer.name}))
        return self

    @property
    def it(self) -> ClaimState:
        assert self.state is not None
        return self.state

    def keys(self) -> list[str]:
        return [one.key for outcome in self.outcomes for one in outcome.requests]

    def codes(self) -> list[str]:
        standing: list[tuple[str, str]] = []
        for one in (one for outcome in self.outcomes for one in outcome.exceptions):
            if one.resolves:
                standing.remove((one.code, one.cause))
            else:
                standing.append((one.code, one.cause))
        return [code for code, _ in standing]


def test_a_claim_is_filed_when_its_evidence_is_complete():
    """The bill of lading alone is not enough for damage; with the photo it goes to the carrier, once."""
    story = Story().run(opened("bill_of_lading"))
    assert ("open", []) == (story.it.status, story.keys())

    story.run(more("photo"), more("photo"), opened("bill_of_lading"))

    assert ("filed", ["claim_filing:C-1"]) == (story.it.status, story.keys())


def test_an_accepted_offer_settles_and_the_rest_is_written_off():
    """50 claimed, 40 offered and accepted: 40 recovered, 10 written off."""
    story = Story().run(opened(*BOTH), word("acknowledged"), word("offered", 40, hours=2), decision("accept"))

    (ended,) = [
        one.document for outcome in story.outcomes for one in outcome.requests if one.kind == "claim_settlement"
    ]
    assert (Decimal(50), Decimal(40), Decimal(10)) == (
        ended.claimed.amount,
        ended.recovered.amount,
        ended.written_off.amount,
    )
    assert ("settled", ()) == (story.it.status, story.it.timers)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-1", "1000000000001"])
def test_a_claim_for_no_amount_is_refused(amount):
    """What is no amount is claimed from nobody."""
    story = Story().run(opened(*BOTH, amount=amount))

    assert (None, ["XD-DOC-001"], []) == (story.state, story.codes(), story.keys())


@pytest.mark.parametrize("rules", [RULES, ClaimRules()], ids=["named in the rules", "known by its word"])
def test_a_carrier_does_not_decide_its_own_claim(rules):
    """It accepts no offer of its own; our system, which is no carrier, does."""
    story = Story(rules).run(opened(*BOTH), word("offered", 1), decision("accept", partner="ridge"))
    assert ("offered", ["XD-FRT-008"]) == (story.it.status, story.codes())

    story.run(decision("accept", partner="erp"))

    assert "settled" == story.it.status


def test_the_carriers_clocks_run_from_the_filing():
    """30 days to acknowledge, 120 to decide; each fault goes away with the word that was missing."""
    story = Story().run(opened(*BOTH)).later(days=29)
    assert [] == story.codes()
    story.later(days=1)
    assert ["XD-FRT-012"] == story.codes()
    story.run(word("acknowledged", hours=24 * 30))
    assert [] == story.codes()
    story.later(days=90)
    assert ["XD-FRT-013"] == story.codes()

    story.run(word("declined", hours=24 * 120), decision("write_off"))

    assert ([], "written_off") == (story.codes(), story.it.status)


def test_the_deadline_to_file_is_announced():
    """30 days before nine months are over a person hears what is missing."""
    story = Story().run(opened("photo")).later(days=240)

    assert ["XD-FRT-011"] == story.codes()
    assert "bill_of_lading" in story.outcomes[-1].exceptions[0].message


def test_only_the_carrier_answers_and_offers_no_more_than_is_claimed():
    """A stranger's word and an offer above the claim change nothing."""
    story = Story().run(opened(*BOTH), word("offered", 40, partner="swift"), word("offered", 60), decision("accept"))

    assert ("filed", ["XD-FRT-008", "XD-FRT-014", "XD-FRT-014"]) == (story.it.status, story.codes())


steps = st.one_of(
    st.builds(opened, st.sampled_from(BOTH)),
    st.builds(more, st.sampled_from([*BOTH, "letter"])),
    st.builds(
        lambda outcome, amount, at, partner: word(outcome, amount, hours=at, partner=partner),
        st.sampled_from(["acknowledged", "offered", "offered", "declined"]),
        st.sampled_from([None, 0, 1, 40, 50, 51, "NaN"]),
        st.sampled_from([1, 2, 3, 500]),
        st.sampled_from(["ridge", "ridge", "swift"]),
    ),
    st.builds(decision, st.sampled_from(["file", "accept", "write_off"])),
    st.sampled_from([event("claim.answered", {"number": 1}), event("nothing.known", {})]),
)
SEEN: Counter[str] = Counter()


@FEW
@given(st.lists(st.tuples(steps, st.sampled_from([0, 0, 0, 40, 130])), max_size=12))
def test_any_sequence_keeps_the_claim(events):
    """No exception; filed once and ended once; at its end claimed = recovered + written off; every arrow is drawn."""
    story = Story()
    for one, days in [(opened(), 0), *events]:
        before = story.state.status if story.state is not None else "(new)"
        story.run(one)
        if days:
            story.later(days=days)
        state = story.it
        SEEN["steps"] += 1
        SEEN[f"{before} {state.status}"] += 1
        assert state == msgspec.json.decode(_encode(state), type=ClaimState)
        assert before == state.status or state.status in STATUS_ARROWS[before]
        assert len(story.keys()) == len(set(story.keys()))
        if state.status in ("settled", "written_off"):
            assert claimed(state) == state.recovered + state.written_off
        story.codes()


def test_a_claim_that_loses_money_is_caught(monkeypatch):
    """If what is not recovered were forgotten, the property would fail."""
    real = claims._Draft.put
    monkeypatch.setattr(
        claims._Draft,
        "put",
        lambda self, **changes: real(self, **{k: v for k, v in changes.items() if k != "written_off"}),
    )

    with pytest.raises((AssertionError, BaseExceptionGroup)):
        test_any_sequence_keeps_the_claim()


WALKS = [
    [
        opened(*BOTH),
        word("acknowledged"),
        word("offered", 40, hours=2),
        word("declined", hours=3),
        word("offered", 1, hours=4),
    ],
    [opened(), decision("write_off")],
    [
        opened(),
        more(*BOTH),
        word("offered", 40),
        word("acknowledged", hours=2),
        word("declined", hours=3),
        word("acknowledged", hours=4),
        decision("write_off"),
    ],
    [opened(*BOTH), word("declined"), decision("write_off")],
    [opened(*BOTH), decision("write_off")],
    [opened(*BOTH), word("offered", 40), decision("write_off")],
    [opened(*BOTH), word("offered", 40), decision("accept")],
]


@pytest.mark.parametrize(
    "text", [claims.__doc__ or "", PAGE.read_text().partition("## Claims")[2]], ids=["docstring", "page"]
)
def test_the_arrows_are_drawn(text):
    """Docstring and page show every arrow that the code allows, and no other."""
    drawn = re.compile(r"^ {4}(\S+) +→ (.+)$", re.MULTILINE)
    table = {start: ends or ("(end)",) for start, ends in STATUS_ARROWS.items()}

    assert table == {start: tuple(ends.split()) for start, ends in drawn.findall(text)}


def test_every_arrow_is_walked():
    """Each arrow of the table is taken by one of these stories."""
    walked: set[tuple[str, str]] = set()
    for walk in WALKS:
        story, found = Story(), ["(new)"]
        for one in walk:
            story.run(one)
            found += [story.it.status] if story.it.status != found[-1] else []
        walked |= set(itertools.pairwise(found))

    assert {(start, end) for start, ends in STATUS_ARROWS.items() for end in ends} == walked


@pytest.mark.nightly
def test_a_hundred_thousand_steps():
    """The night's walk is long enough to count."""
    if not SEEN["steps"]:
        test_any_sequence_keeps_the_claim()
    print(dict(SEEN))
    assert SEEN["steps"] >= 100_000
