"""The match of freight bills by line: rate, approved accessorials, bill."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tests.unit.processes.loads import (
    RULES,
    Story,
    answered,
    billed,
    ended,
    extra,
    extra_decided,
    moved,
    planned,
)

DELIVERED = (planned(), answered("ridge"), moved("ridge", "departed_pickup", 5), moved("ridge", "delivered", 15))


def words(story: Story) -> list[tuple[str, str]]:
    """Return (state, amount) of every word to finance."""
    return [(one.state, f"{one.amount.amount:f}") for one in story.documents("freight_settlement")]


def reasons(story: Story) -> dict[str, str]:
    return {
        line.code: line.reason for one in story.documents("freight_settlement") for line in one.lines if line.reason
    }


def test_a_bill_as_agreed_is_paid():
    """Rate and fuel as tendered, fuel within its five percent: paid, nobody disputes."""
    story = Story().run(*DELIVERED, billed("I-1", ("LINEHAUL", 1000), ("FUEL", 105)))

    assert ([("approved", "1105")], [], "settled") == (words(story), story.keys("freight_dispute"), story.it.status)


def test_one_wrong_line_is_short_paid_and_disputed():
    """An unagreed lumper of 80 is left out; the carrier hears why, finance pays the rest."""
    story = Story().run(*DELIVERED, billed("I-1", ("LINEHAUL", 1000), ("FUEL", 100), ("LUMPER", 80)))

    assert ([("short_paid", "1100")], {"LUMPER": "not_agreed"}) == (words(story), reasons(story))
    (dispute,) = story.documents("freight_dispute")
    assert (Decimal(80), ("not_agreed",)) == (dispute.amount.amount, dispute.reasons)
    assert ("disputed", ["XD-FRT-010"]) == (story.it.status, story.codes())


def test_above_the_tolerance_only_the_agreed_amount_is_paid():
    """1002 of 1000 passes with two dollars of tolerance, 1003 does not: then 1000 are paid."""
    fine = Story().run(*DELIVERED, billed("I-1", ("LINEHAUL", 1002)))
    dear = Story().run(*DELIVERED, billed("I-1", ("LINEHAUL", 1003)))

    assert ([("approved", "1002")], [("short_paid", "1000")]) == (words(fine), words(dear))
    assert {"LINEHAUL": "above_agreed"} == reasons(dear)


def test_what_was_paid_is_not_paid_again():
    """A second bill for the same line under another number is disputed as already paid."""
    story = Story().run(*DELIVERED, billed("I-1", ("LINEHAUL", 1000)), billed("I-2", ("LINEHAUL", 1000), ("FUEL", 100)))

    assert [("approved", "1000"), ("short_paid", "100")] == words(story)
    assert {"LINEHAUL": "already_paid"} == reasons(story)


def test_the_same_bill_again_is_a_duplicate_and_another_content_is_reported():
    """Nothing is matched twice."""
    story = Story().run(*DELIVERED, *[billed("I-1", ("LINEHAUL", 1000))] * 2, billed("I-1", ("LINEHAUL", 900)))

    assert ([("approved", "1000")], ["XD-FRT-009"]) == (words(story), story.codes())


def test_a_bill_waits_for_the_delivery():
    """Before the proof nothing is matched; afterwards by itself."""
    story = Story().run(*DELIVERED[:3], billed("I-1", ("LINEHAUL", 1000)))
    assert ([], "in_transit") == (words(story), story.it.status)

    story.run(DELIVERED[3])

    assert ([("approved", "1000")], "settled") == (words(story), story.it.status)


def test_a_bill_that_is_wrong_as_a_whole_is_not_paid():
    """Another currency, a wrong total, another carrier: nothing is paid."""
    for wrong, why in (
        (billed("I-1", ("LINEHAUL", 1000), currency="CAD"), "currency"),
        (billed("I-1", ("LINEHAUL", 1000), total=1100), "total"),
        (billed("I-1", ("LINEHAUL", 1000), partner="swift"), "wrong_carrier"),
    ):
        story = Story().run(*DELIVERED, wrong)

        assert ([("disputed", "0")], {"LINEHAUL": why}) == (words(story), reasons(story))


def test_an_accessorial_with_its_evidence_is_approved_by_the_rule():
    """Detention of 100 with a gate log may be billed; the carrier is told at once."""
    story = Story().run(
        *DELIVERED, extra("X-1", "DETENTION", 100, "gate_log"), billed("I-1", ("LINEHAUL", 1000), ("DETENTION", 100))
    )

    assert [("approved", "1100")] == words(story)
    assert [True] == [one.approved for one in story.documents("accessorial_decision")]


def test_an_accessorial_without_evidence_waits_for_a_person():
    """Billed before anybody decided it is disputed; approved in part, that much may be billed."""
    early = Story().run(*DELIVERED, extra("X-1", "DETENTION", 100), billed("I-1", ("DETENTION", 100)))
    later = Story().run(
        *DELIVERED, extra("X-1", "DETENTION", 100), extra_decided("X-1", True, 60), billed("I-1", ("DETENTION", 100))
    )
    denied = Story().run(
        *DELIVERED, extra("X-1", "DETENTION", 100), extra_decided("X-1", False), extra_decided("X-1", True)
    )

    assert {"DETENTION": "not_yet_approved"} == reasons(early)
    assert ([("short_paid", "60")], {"DETENTION": "above_agreed"}) == (words(later), reasons(later))
    assert (["denied"], True) == ([one.state for one in denied.it.extras], denied.outcomes[-1].duplicate)


def test_a_dispute_ends_once():
    """Granted, the rest is paid in a second word; withdrawn, nothing more."""
    bill = billed("I-1", ("LINEHAUL", 1000), ("LUMPER", 80))
    granted = Story().run(*DELIVERED, bill, ended("I-1", "granted"), ended("I-1", "withdrawn"))
    withdrawn = Story().run(*DELIVERED, bill, ended("I-1", "withdrawn"))

    assert [("short_paid", "1000"), ("short_paid", "80")] == words(granted)
    assert (1, "settled", []) == (len(words(withdrawn)), withdrawn.it.status, withdrawn.codes())
    assert granted.outcomes[-1].duplicate


def test_bills_may_be_held_instead_of_cut():
    """With `hold` nothing is paid until the dispute ends."""
    rules = msgspec.structs.replace(RULES, on_difference="hold")
    story = Story(rules).run(*DELIVERED, billed("I-1", ("LINEHAUL", 1000), ("LUMPER", 80)), ended("I-1", "granted"))

    assert [("disputed", "0"), ("disputed", "1080")] == words(story)


def test_a_carrier_does_not_decide_its_own_money():
    """It approves no accessorial and grants no dispute of its own; it may withdraw what it billed, no other carrier."""
    asked = Story().run(*DELIVERED, extra("X-1", "DETENTION", 100), extra_decided("X-1", True, partner="ridge"))
    bill = billed("I-1", ("LINEHAUL", 1000), ("LUMPER", 80))
    greedy = Story().run(*DELIVERED, bill, ended("I-1", "granted", partner="ridge"))
    other = Story().run(*DELIVERED, bill, ended("I-1", "withdrawn", partner="swift"))
    fair = Story().run(*DELIVERED, bill, ended("I-1", "withdrawn", partner="ridge"))

    assert (["pending"], ["XD-FRT-008"]) == ([one.state for one in asked.it.extras], asked.codes())
    assert ([("short_paid", "1000")], ["XD-FRT-010", "XD-FRT-008"]) == (words(greedy), greedy.codes())
    assert ("disputed", ["XD-FRT-010", "XD-FRT-008"]) == (other.it.status, other.codes())
    assert ("settled", []) == (fair.it.status, fair.codes())


def test_a_dispute_is_found_by_its_carrier():
    """Two carriers use the same invoice number: the answer names whose it is, or is refused."""
    both = (billed("I-1", ("LUMPER", 80)), billed("I-1", ("LUMPER", 70), partner="swift"))
    vague = Story().run(*DELIVERED, *both, ended("I-1", "granted"))
    named = Story().run(*DELIVERED, *both, ended("I-1", "granted", carrier="SWFT"))

    assert ["XD-FRT-010", "XD-FRT-010", "XD-DOC-001"] == vague.codes()
    assert [("SWFT", "70")] == [
        (one.carrier, f"{one.amount.amount:f}") for one in named.documents("freight_settlement") if one.sequence == 2
    ]
