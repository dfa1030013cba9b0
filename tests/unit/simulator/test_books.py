"""The comparison of ledgers sees what was lost and what happened twice; each kind has its doctored ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from crossdock.simulator.books import Company, Comparison, compare
from crossdock.simulator.ledger import Entry, Ledger, lines_of

AT = datetime(2026, 11, 23, 15, tzinfo=UTC)
TEN = lines_of([("A", 10)])
SIX, FOUR = lines_of([("A", 6)]), lines_of([("A", 4)])


def a_clean_company() -> Company:
    """One order of ten, shipped from two sites, posted, delivered, invoiced, told; one case; one acknowledged 945."""
    erp, shop, reno, swift, carrier, desk = (
        Ledger(name) for name in ("erp", "shop", "reno", "swift", "carrier", "desk")
    )
    erp.book(Entry(AT, "order", "SO-1", lines=TEN))
    shop.book(Entry(AT, "order", "W-1", lines=SIX))
    reno.book(Entry(AT, "request", "SO-1-1", "m1", "SO-1", SIX))
    reno.book(Entry(AT, "shipment", "R1", "T1", "SO-1", SIX))
    swift.book(Entry(AT, "request", "SO-1-2", "m2", "SO-1", FOUR))
    swift.book(Entry(AT, "shipment", "S1", "T2", "SO-1", FOUR))
    swift.book(Entry(AT, "advice", "7", about="S1"))
    swift.book(Entry(AT, "acknowledged", "0007"))
    reno.book(Entry(AT, "request", "W-1-1", "m3", "W-1", SIX))
    reno.book(Entry(AT, "shipment", "R2", "T3", "W-1", SIX))
    for shipment, order, lines in (("R1", "SO-1", SIX), ("S1", "SO-1", FOUR), ("R2", "W-1", SIX)):
        erp.book(Entry(AT, "posting", shipment, f"k-{shipment}", order, lines))
    for tracking, order, lines in (("T1", "SO-1", SIX), ("T2", "SO-1", FOUR)):
        carrier.book(Entry(AT, "delivered", tracking, f"e-{tracking}", order, lines))
    erp.book(Entry(AT, "invoice", "SO-1", "k-inv", "SO-1", TEN))
    shop.book(Entry(AT, "status", "W-1", detail="shipped"))
    desk.book(Entry(AT, "case_open", "SO-1/ship_by", about="SO-1"))
    desk.book(Entry(AT, "case_close", "SO-1/ship_by", about="SO-1"))
    return Company("northgate", (erp, shop), (reno, swift), erp, carrier, desk, shop)


def ledger_of(company: Company, partner: str) -> Ledger:
    return next(ledger for ledger in company.ledgers if ledger.partner == partner)


def without(company: Company, partner: str, kind: str, business: str) -> Comparison:
    ledger = ledger_of(company, partner)
    ledger.entries = [entry for entry in ledger.entries if (entry.kind, entry.business) != (kind, business)]
    return compare(company)


def doubled(company: Company, partner: str, kind: str, business: str) -> Comparison:
    ledger = ledger_of(company, partner)
    ledger.entries += [entry for entry in ledger.entries if (entry.kind, entry.business) == (kind, business)]
    return compare(company)


def test_a_good_day_has_neither_loss_nor_double_effect():
    """Ledgers that agree with each other give an empty comparison."""
    assert Comparison((), ()) == compare(a_clean_company())


@pytest.mark.parametrize(
    "partner,kind,business",
    [
        ("reno", "shipment", "R2"),
        ("erp", "posting", "S1"),
        ("erp", "invoice", "SO-1"),
        ("shop", "status", "W-1"),
        ("swift", "acknowledged", "0007"),
    ],
)
def test_a_dropped_line_is_a_loss(partner, kind, business):
    """Taking any of these lines out of a ledger is seen as lost."""
    assert without(a_clean_company(), partner, kind, business).lost


@pytest.mark.parametrize(
    "partner,kind,business",
    [
        ("reno", "request", "SO-1-1"),
        ("reno", "shipment", "R1"),
        ("erp", "posting", "R1"),
        ("erp", "invoice", "SO-1"),
        ("desk", "case_open", "SO-1/ship_by"),
    ],
)
def test_a_doubled_line_is_a_double_effect(partner, kind, business):
    """Writing any of these lines twice into a ledger is seen as a double effect."""
    company = a_clean_company()
    if kind == "case_open":
        ledger_of(company, "desk").entries.pop()

    assert doubled(company, partner, kind, business).double_effects


def _post_less(company: Company) -> None:
    ledger_of(company, "erp").entries = [
        Entry(AT, "posting", "R1", "k", "SO-1", FOUR) if entry.business == "R1" else entry
        for entry in ledger_of(company, "erp").entries
    ]


def _turn_away(company: Company) -> None:
    ledger_of(company, "carrier").book(Entry(AT, "refused", "cgl-1", detail="401"))


@pytest.mark.parametrize("doctor", [_post_less, _turn_away])
def test_a_wrong_quantity_or_a_refusal_is_a_loss(doctor: Callable[[Company], None]):
    """A posting that differs from the shipment, and a telling that the hub turned away, are losses."""
    company = a_clean_company()
    doctor(company)

    assert 1 == len(compare(company).lost)


def test_an_invoice_without_proof_is_a_double_effect():
    """Finance that hears of goods whose delivery is not proven is seen."""
    assert without(a_clean_company(), "carrier", "delivered", "T2").double_effects


def test_goods_of_a_stranger_are_seen():
    """A posting for an order that nobody of this company released is seen, so tenants cannot leak into each other."""
    company = a_clean_company()
    ledger_of(company, "erp").book(Entry(AT, "posting", "X1", "k-x", "SO-999", FOUR))

    assert compare(company).double_effects


def test_a_cancelled_order_is_not_lost():
    """An order that the ERP cancelled and a site took off its floor needs no shipment."""
    company = a_clean_company()
    ledger_of(company, "erp").book(Entry(AT, "order", "SO-2", lines=SIX))
    ledger_of(company, "erp").book(Entry(AT, "cancel", "SO-2"))
    ledger_of(company, "reno").book(Entry(AT, "request", "SO-2-1", "m9", "SO-2", SIX))
    ledger_of(company, "reno").book(Entry(AT, "cancelled", "SO-2-1", about="SO-2"))

    assert Comparison((), ()) == compare(company)
