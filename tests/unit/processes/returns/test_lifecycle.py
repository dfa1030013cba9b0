"""One return from the request to the credit, and everything that may go wrong on the way."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from crossdock.canonical.quantities import Money
from crossdock.processes.returns.policy import NotReturnable, ReturnRules, Review
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


def test_a_return_goes_from_request_to_credit_and_all_three_see_the_same():
    """Authorized, labelled, under way, arrived, inspected, credited: the order's word is the return's at every step."""
    story = ReturnStory()
    seen = []
    for step in (
        wants(("1", 3, "damaged")),
        label(),
        scanned("in_transit", tracking="RT-1"),
        scanned("delivered", tracking="RT-1", hours=120),
        found("G-1", ("A", 3, "damaged")),
        credit(amount={"amount": "7.50", "currency": "USD"}),
    ):
        story.tell(step)
        seen.append(story.of().status)
        assert story.order.returns[0].status == story.of().status

    assert ["authorized", "labelled", "in_transit", "arrived", "credit_pending", "closed"] == seen
    assert "partly_returned" == story.order.status
    assert Decimal(3) == story.order.lines[0].returned
    assert Money(Decimal("7.50"), "USD") == story.sent("credit_request")[0].amount == story.order.returns[0].credited
    assert ["scrap"] == [line.disposition for line in story.sent("return_disposition")[0].lines]
    assert 1 == len(story.sent("return_authorization")) == len(story.sent("return_label"))


def test_what_is_not_taken_on_begins_no_return(monkeypatch):
    """A customer's request of which nothing may come back, and one for an order that is full, leave only a reason."""
    story = ReturnStory()
    story.tell(wants(("1", 10)))
    again = story.tell(wants(("1", 1), number="R-2", channel="portal"))
    monkeypatch.setattr("crossdock.processes.returns.opening.RETURNS_MAX", 1)
    full = story.tell(wants(("2", 1), number="R-3"))

    assert [["XD-RET-014"]] * 2 == [[one.code for one in outcome.exceptions] for outcome in (again, full)]
    assert "already" in again.exceptions[0].message and "1 returns already" in full.exceptions[0].message
    assert ["R-1"] == [one.number for one in story.order.returns] == [one.number for one in story.returns]


def test_a_repeated_paper_asks_for_nothing_twice():
    """Every paper again, in any state, changes nothing; a receipt of the same number with other goods is a fault."""
    story = ReturnStory()
    papers = [wants(("1", 3)), label(), scanned("in_transit"), found("G-1", ("A", 3)), credit()]
    for paper in papers:
        story.tell(paper)
    state, asked = story.of(), len(story.requests)
    for paper in papers:
        assert story.tell(paper).duplicate

    assert (state, asked) == (story.of(), len(story.requests))
    story.tell(found("G-1", ("A", 2)))
    assert ["XD-RET-004"] == story.codes()
    story.tell(wants(("2", 1)))
    assert ["XD-RET-001"] == story.codes()


@pytest.mark.parametrize(
    "rules, line, why",
    [
        ({}, ("1", 11), "11 asked for, 10 may come back"),
        ({}, ("9", 1), "the order has no line 9"),
        ({"window_days": 1}, ("1", 1), "the 1 days since the delivery of 06 Mar 2026 are over"),
        ({"conditions": ("unopened",)}, ("1", 1, "opened"), "goods that are opened are not taken back"),
        ({"not_returnable": (NotReturnable("food stays", skus=("A*",)),)}, ("1", 1), "food stays"),
        (
            {"categories": {"food": ("A",)}, "not_returnable": (NotReturnable("food stays", category="food"),)},
            ("1", 1),
            "food stays",
        ),
    ],
)
def test_every_refusal_is_explained(rules, line, why):
    """What may not come back says why, in one sentence."""
    story = ReturnStory(ReturnRules(**rules))
    if "window_days" in rules:
        story.wait(days=2)
    story.tell(wants(line))

    (judged,) = story.of().lines
    assert why == judged.refusal
    assert (judged.allowed == 0) == (story.of().status == "refused")
    assert judged.allowed <= 10


def test_what_another_return_claims_may_not_come_back_again():
    """Two returns never claim one unit; what expired is free again."""
    story = ReturnStory()
    story.tell(wants(("1", 8)), wants(("1", 5), number="R-2"))

    assert [8, 2] == [int(story.of(number).lines[0].allowed) for number in ("R-1", "R-2")]
    story.wait(days=15)
    assert ["expired", "expired"] == [story.of(number).status for number in ("R-1", "R-2")]
    story.tell(wants(("1", 10), number="R-3"))
    assert 10 == story.of("R-3").lines[0].allowed


def test_nothing_comes_back_before_it_is_delivered():
    """Without proof of delivery the line is refused; the rule can be off, and then the ledger waits for the proof."""
    assert "refused" == told_undelivered(ReturnRules()).of().status
    story = told_undelivered(ReturnRules(needs_delivery=False))
    story.tell(found("G-1", ("A", 2)))

    assert 0 == story.order.lines[0].returned
    story.tell(("order/SO-1", "delivery.proven", {"kind": "photo", "at": "2026-03-06T12:00:00Z", "document": "p.jpg"}))
    assert 2 == story.order.lines[0].returned
    assert "partly_returned" == story.order.status


def told_undelivered(rules: ReturnRules) -> ReturnStory:
    story = ReturnStory(rules, delivered=False)
    story.tell(wants(("1", 2)))
    return story


def test_an_exception_that_is_unless_its_condition():
    """Food that is damaged comes back although food does not."""
    rule = NotReturnable("food stays", skus=("A",), unless=("damaged",))
    story = ReturnStory(ReturnRules(not_returnable=(rule,)))
    story.tell(wants(("1", 1, "damaged")))

    assert "authorized" == story.of().status


def test_a_person_looks_at_what_the_rules_say():
    """A request in review asks nobody for anything until a person approves; a refusal ends it and frees the claim."""
    rules = ReturnRules(review=(Review("worth a look", value_above=Decimal(20)),))
    story = ReturnStory(rules)
    story.tell(wants(("1", 9)), wants(("1", 1), number="R-2"))

    assert ("in_review", "authorized") == (story.of().status, story.of("R-2").status)
    assert ["R-2"] == [paper.number for paper in story.sent("return_authorization")]
    story.tell(person("approve"))
    assert "authorized" == story.of().status
    story.tell(person("approve"))
    assert ["XD-RET-002"] == story.codes()

    other = ReturnStory(rules)
    other.tell(wants(("1", 9)), person("refuse"), wants(("1", 10), number="R-2"))
    assert ("refused", 10) == (other.of().status, other.of("R-2").lines[0].allowed)


def test_goods_that_came_without_approval_are_not_credited():
    """Goods of a return in review are received and credited only once somebody approves."""
    story = ReturnStory(ReturnRules(review=(Review("always"),)))
    story.tell(wants(("1", 2)), found("G-1", ("A", 2)))
    assert ("inspected", []) == (story.of().status, story.sent("credit_request"))

    story.tell(person("approve"))
    assert ("credit_pending", 1) == (story.of().status, len(story.sent("credit_request")))


def test_a_cancel_is_possible_until_the_parcel_moves():
    """A cancel frees the claim; once a carrier has it, it is too late."""
    story = ReturnStory()
    story.tell(wants(("1", 10)), person("cancel"), wants(("1", 10), number="R-2"))
    assert ("cancelled", "authorized") == (story.of().status, story.of("R-2").status)

    story.tell(label("RT-2", number="R-2"), scanned("in_transit", tracking="RT-2"), person("cancel", number="R-2"))
    assert ["XD-RET-002"] == story.codes()


def test_short_over_wrong_and_damaged_goods_are_told_apart():
    """Each difference has its code; credit covers what came and was allowed, at the percent of its condition."""
    rules = msgspec.structs.replace(RULES, credit_percent={"damaged": Decimal(50)})
    story = ReturnStory(rules)
    story.tell(wants(("1", 4), ("2", 2)))
    story.tell(found("G-1", ("A", 3), ("A", 2, "damaged"), ("Z", 1), final=True))

    assert ["XD-RET-006", "XD-RET-005", "XD-RET-010"] == story.codes()
    (paper,) = story.sent("credit_request")
    assert [("1", 3, 100), ("1", 1, 50)] == [(ln.line_no, int(ln.quantity), int(ln.percent)) for ln in paper.lines]
    assert Money(Decimal("8.75"), "USD") == paper.amount

    story.tell(found("G-2", ("B", 2)))
    assert ["XD-RET-010"] == story.settled()
    assert [("2", 2)] == [(ln.line_no, int(ln.quantity)) for ln in story.sent("credit_request")[1].lines]


def test_goods_of_a_refused_line_are_strays():
    """What was refused and comes all the same is noted, and neither credited nor counted for the order."""
    story = ReturnStory(ReturnRules(not_returnable=(NotReturnable("B stays", skus=("B",)),)))
    story.tell(wants(("1", 1), ("2", 1)))
    story.tell(found("G-1", ("A", 1), ("B", 1)))

    assert ["XD-RET-005"] == story.codes()
    assert [1, 0] == [int(line.returned) for line in story.order.lines]
    assert ["1"] == [line.line_no for line in story.sent("credit_request")[0].lines]


def test_a_late_parcel_of_an_expired_return_is_not_credited_twice():
    """What expired and was claimed anew is received, but the same units are credited once."""
    story = ReturnStory()
    story.tell(wants(("1", 10)))
    story.wait(days=15)
    story.tell(wants(("1", 10), number="R-2"), found("G-1", ("A", 10), number="R-1"))
    story.tell(found("G-2", ("A", 10), number="R-2"))

    credited = sum(line.quantity for paper in story.sent("credit_request") for line in paper.lines)
    assert 10 == credited


def test_the_erp_answers_once_and_what_differs_is_told():
    """A refusal waits for a person, a post ends it; a second memo or another amount is a fault."""
    story = ReturnStory()
    story.tell(wants(("1", 2)), found("G-1", ("A", 2)), credit(outcome="refused", reason="period closed"))
    assert (["XD-RET-008"], "credit_pending") == (story.codes(), story.of().status)

    story.tell(credit(amount={"amount": "9.00", "currency": "USD"}))
    assert (["XD-RET-009"], ["XD-RET-008"], "closed") == (story.codes(), story.settled(), story.of().status)
    story.tell(credit(number="R-1"))
    assert story.last.duplicate
    step = credit()
    story.tell((step[0], step[1], {**step[2], "number": "CM-other"}))
    assert ["XD-RET-007"] == story.codes()


def test_an_exchange_is_ordered_instead_of_money():
    """The ERP is asked for an order, once; where it refuses, the customer gets the money."""
    story = ReturnStory()
    story.tell(wants(("1", 2), resolution="exchange"), found("G-1", ("A", 2)), exchange())
    assert ("closed", "SO-900", []) == (
        story.of().status,
        story.order.returns[0].exchange_order,
        story.sent("credit_request"),
    )

    other = ReturnStory()
    other.tell(wants(("1", 2), resolution="exchange"), found("G-1", ("A", 2)), exchange("refused"))
    assert ("credit_pending", 1) == (other.of().status, len(other.sent("credit_request")))


def test_every_clock_is_watched_and_stops_by_itself():
    """Label unused, parcel lost, inspection late, credit late: each is told once and taken back by its news."""
    story = ReturnStory()
    story.tell(wants(("1", 2)), label(), scanned("in_transit", tracking="RT-1"))
    for delay, step, code in (
        ({"days": 11}, scanned("delivered", tracking="RT-1", hours=400), "XD-RET-011"),
        ({"days": 12}, found("G-1", ("A", 2)), "XD-RET-012"),
        ({"days": 4}, credit(), "XD-RET-013"),
    ):
        story.wait(**delay)
        assert [code] == story.codes()
        assert [code] == [one.code for one in story.of().raised]
        story.tell(step)
        assert [code] == story.settled()
    assert () == story.of().timers

    unused = ReturnStory()
    unused.tell(wants(("1", 2)))
    unused.wait(days=15)
    assert ("expired", ()) == (unused.of().status, unused.of().timers)


def test_a_site_may_refuse_and_accept_after_all():
    """A refusal of the authorization is a fault until the site accepts."""
    story = ReturnStory()
    story.tell(wants(("1", 2)), told("return.answered", outcome="rejected", reason="no dock"))
    assert ["XD-RET-003"] == story.codes()
    story.tell(told("return.answered", outcome="accepted"))
    assert ["XD-RET-003"] == story.settled()


def test_the_same_waybill_may_start_again_on_the_way_back():
    """A return leg on the outbound tracking number moves the return and leaves the delivery as it was."""
    story = ReturnStory()
    story.tell(wants(("1", 2)), scanned("in_transit", tracking="T-1"))

    assert ("in_transit", "delivered") == (story.of().status, story.order.status)
    story.tell(scanned("delivered", tracking="T-1", hours=130))
    assert ("arrived", "delivered") == (story.of().status, story.order.status)
    assert 1 == story.tell(wants(("2", 1), number="R-2")).state.lines[0].allowed


def test_a_label_of_its_own_is_known_as_the_way_back():
    """A carrier that says nothing of legs is understood by the label's number."""
    story = ReturnStory()
    story.tell(wants(("1", 2)), label("RT-1"))
    step = scanned("delivered", tracking="RT-1")
    story.tell((step[0], step[1], {**step[2], "leg": "outbound", "evidence": {"signed_by": "dock"}}))

    assert "arrived" == story.of().status
    assert {"return", "outbound"} == {fact.leg for fact in story.order.milestones}
