"""Compare the partners' own ledgers with each other: what was lost, what happened twice.

Nothing of the hub is asked here. An order that the ERP released must have left a site in the right quantity,
what a site shipped must be booked once, what was proven delivered must be invoiced once, and nobody may have
heard of goods that are another's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from .ledger import Entry, Ledger, Lines, lines_of


class Company(msgspec.Struct, frozen=True):
    """The ledgers of one tenant's world. `invoice_gate` says what must have happened before finance may invoice."""

    tenant: str
    releasing: tuple[Ledger, ...]
    sites: tuple[Ledger, ...]
    finance: Ledger
    carrier: Ledger | None = None
    desk: Ledger | None = None
    shop: Ledger | None = None
    invoice_gate: Literal["shipped", "delivered"] = "delivered"

    @property
    def ledgers(self) -> tuple[Ledger, ...]:
        """Every ledger once, in the order of partners' names."""
        all_of = (*self.releasing, *self.sites, self.finance, self.carrier, self.desk, self.shop)
        by_name = {ledger.partner: ledger for ledger in all_of if ledger is not None}
        return tuple(by_name[name] for name in sorted(by_name))


class Comparison(msgspec.Struct, frozen=True):
    """What the ledgers say against each other, one sentence for each fault."""

    lost: tuple[str, ...]
    double_effects: tuple[str, ...]


def compare(company: Company) -> Comparison:
    """Return everything that was lost or happened twice, by the partners' own books."""
    lost: list[str] = []
    double: list[str] = []
    orders = {entry.business: entry for ledger in company.releasing for entry in ledger.of("order")}
    shipments = [entry for site in company.sites for entry in site.of("shipment")]
    _compare_orders(company, orders, shipments, lost, double)
    _compare_requests(company, double)
    _compare_postings(company, orders, shipments, lost, double)
    _compare_invoices(company, orders, shipments, lost, double)
    _compare_returns(company, shipments, lost, double)
    _compare_words(company, orders, shipments, lost)
    _compare_cases(company, double)
    _compare_papers(company, shipments, lost)
    for ledger in company.ledgers:
        lost += [
            f"{ledger.partner}: {e.business} was turned away: {e.detail}" for e in ledger.of("refused", "given_up")
        ]
        lost += [f"{ledger.partner}: {e.business} could not be read: {e.detail}" for e in ledger.of("unreadable")]
    return Comparison(tuple(sorted(lost)), tuple(sorted(double)))


def _compare_orders(
    company: Company, orders: dict[str, Entry], shipments: Sequence[Entry], lost: list[str], double: list[str]
) -> None:
    asked = {entry.business for ledger in company.releasing for entry in ledger.of("cancel")}
    cancelled = {entry.about for site in company.sites for entry in site.of("cancelled")} & asked
    shipped = _sum_by_order(shipments)
    for number, order in orders.items():
        ordered, left = dict(order.lines), dict(shipped.get(number, ()))
        for sku in sorted({*ordered, *left}):
            difference = left.get(sku, Decimal(0)) - ordered.get(sku, Decimal(0))
            if difference < 0 and number not in cancelled:
                lost.append(f"order {number}: {-difference} of {sku} never left a site")
            if difference > 0:
                double.append(f"order {number}: {difference} of {sku} left a site too many")
    for number in sorted(set(shipped) - set(orders)):
        double.append(f"order {number}: shipped, but nobody of {company.tenant} released it")


def _compare_requests(company: Company, double: list[str]) -> None:
    for site in company.sites:
        times = Counter(entry.business for entry in site.of("request"))
        double += [f"{site.partner}: {number} was asked for {n} times" for number, n in times.items() if n > 1]


def _compare_postings(
    company: Company, orders: dict[str, Entry], shipments: Sequence[Entry], lost: list[str], double: list[str]
) -> None:
    made = {entry.business: entry for entry in shipments}
    posted: dict[str, list[Entry]] = {}
    for entry in company.finance.of("posting"):
        posted.setdefault(entry.business, []).append(entry)
        if entry.about not in orders:
            double.append(
                f"{company.finance.partner}: {entry.business} is of order {entry.about}, which is a stranger's"
            )
    for number, shipment in made.items():
        postings = posted.get(number, [])
        if not postings:
            lost.append(f"shipment {number}: never posted in {company.finance.partner}")
        elif len(postings) > 1:
            double.append(f"shipment {number}: posted {len(postings)} times in {company.finance.partner}")
        elif postings[0].lines != shipment.lines:
            lost.append(f"shipment {number}: posted as {_words(postings[0].lines)}, left as {_words(shipment.lines)}")
    double += [f"shipment {number}: posted, but no site made it" for number in sorted(set(posted) - set(made))]


def _compare_invoices(
    company: Company, orders: dict[str, Entry], shipments: Sequence[Entry], lost: list[str], double: list[str]
) -> None:
    shipped = _sum_by_order(shipments)
    proven = shipped
    if company.invoice_gate == "delivered":
        assert company.carrier is not None
        # One proof for each parcel: the carrier may tell it twice, it is one delivery.
        proofs = {entry.business: entry for entry in company.carrier.of("delivered")}
        proven = _sum_by_order(proofs.values())
    invoiced = _sum_by_order(company.finance.of("invoice"))
    for number, order in orders.items():
        complete = proven.get(number, ()) == order.lines
        bill = invoiced.get(number, ())
        if complete and not bill:
            lost.append(f"order {number}: delivered whole, never released for invoicing")
        for sku, quantity in bill:
            over = quantity - dict(proven.get(number, ())).get(sku, Decimal(0))
            if over > 0:
                double.append(f"order {number}: {over} of {sku} released for invoicing without proof, or twice")
        if complete and bill and any(dict(bill).get(sku, Decimal(0)) < quantity for sku, quantity in order.lines):
            lost.append(f"order {number}: released for invoicing as {_words(bill)}, delivered {_words(order.lines)}")
    double += [f"order {number}: invoiced, but a stranger's" for number in sorted(set(invoiced) - set(orders))]


def _compare_returns(company: Company, shipments: Sequence[Entry], lost: list[str], double: list[str]) -> None:
    """What sites found in returned parcels must be credited once, and nothing else may be."""
    found: dict[str, list[Entry]] = {}
    for site in company.sites:
        told = Counter(entry.business for entry in site.of("rma"))
        double += [f"{site.partner}: return {number} was announced {n} times" for number, n in told.items() if n > 1]
        for entry in site.of("return_receipt"):
            found.setdefault(entry.key, []).append(entry)
            if entry.key not in told:
                double.append(f"{site.partner}: receipt {entry.business} is of no return that was announced")
        lost += [f"{site.partner}: a parcel of {entry.business} came unannounced" for entry in site.of("unexpected")]
    posted: dict[str, list[Entry]] = {}
    for entry in company.finance.of("credit"):
        posted.setdefault(entry.about, []).append(entry)
    for number in sorted({*found, *posted}):
        came = lines_of(pair for entry in found.get(number, ()) for pair in entry.lines)
        paid = lines_of(pair for entry in posted.get(number, ()) for pair in entry.lines)
        for sku in sorted({*dict(came), *dict(paid)}):
            difference = dict(paid).get(sku, Decimal(0)) - dict(came).get(sku, Decimal(0))
            if difference < 0:
                lost.append(f"return {number}: {-difference} of {sku} came back and were never credited")
            if difference > 0:
                double.append(f"return {number}: {difference} of {sku} credited that did not come back")
    left = _sum_by_order(shipments)
    for entries in found.values():
        for entry in entries:
            for sku, quantity in entry.lines:
                if quantity > dict(left.get(entry.about, ())).get(sku, Decimal(0)):
                    double.append(f"order {entry.about}: {quantity} of {sku} came back, which never left")


def _compare_words(company: Company, orders: dict[str, Entry], shipments: Sequence[Entry], lost: list[str]) -> None:
    if company.shop is None:
        return
    mine = {entry.business for entry in company.shop.of("order")}
    told = {
        entry.business for entry in company.shop.of("status") if "ship" in entry.detail or "deliver" in entry.detail
    }
    for number in sorted({entry.about for entry in shipments} & mine - told):
        lost.append(f"order {number}: shipped, but the shop never heard of it")


def _compare_cases(company: Company, double: list[str]) -> None:
    if company.desk is None:
        return
    open_now: set[str] = set()
    for entry in company.desk.entries:
        if entry.kind == "case_open":
            if entry.business in open_now:
                double.append(f"case {entry.business}: opened while it was open")
            open_now.add(entry.business)
        elif entry.kind == "case_close":
            open_now.discard(entry.business)


def _compare_papers(company: Company, shipments: Sequence[Entry], lost: list[str]) -> None:
    for site in company.sites:
        answered = {entry.business.lstrip("0") for entry in site.of("acknowledged")}
        for entry in site.of("advice"):
            if entry.business.lstrip("0") not in answered:
                lost.append(f"{site.partner}: the advice of {entry.about} was never acknowledged")


def _sum_by_order(entries: Iterable[Entry]) -> dict[str, Lines]:
    by_order: dict[str, list[tuple[str, Decimal]]] = {}
    for entry in entries:
        by_order.setdefault(entry.about, []).extend(entry.lines)
    return {number: lines_of(rows) for number, rows in by_order.items()}


def _words(lines: Lines) -> str:
    return ", ".join(f"{quantity} × {sku}" for sku, quantity in lines) or "nothing"
