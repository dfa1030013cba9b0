"""Order to cash: which confirmed quantity finance may invoice, what became of it, how a wrong invoice is replaced.

A release has a number of its own that is never used twice. A wrong invoice is credited first; only when the ERP says
that it is credited is the quantity free again and released under the next number, so that no two are alive at once.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.invoices import CreditMemo, Invoice, InvoiceCredit, InvoiceStatus, RebillRequest
from ...canonical.orders import FulfillmentLine, InvoiceRelease
from ..ledger import ZERO, quantity_text
from ..order_state import Bill, ShippedUnit, amount_of
from .draft import Draft

# Faults of one invoice, which end with it.
BILL_CODES = ("XD-ORD-031", "XD-ORD-032", "XD-ORD-033")
ALIVE = ("released", "posted", "paid", "disputed", "crediting")
# What an invoice may become, by what it is; a word that is not here is older news or a contradiction.
STEPS: dict[str, tuple[str, ...]] = {
    "released": ("posted", "paid", "disputed", "credited", "refused"),
    "posted": ("paid", "disputed", "credited"),
    "disputed": ("posted", "paid", "credited"),
    "paid": ("disputed", "credited"),
    "crediting": ("credited",),
    "refused": ("posted", "paid", "disputed"),
    "credited": (),
}


def release_invoice(draft: Draft) -> None:
    """Give finance the confirmed quantity once its gate is passed; each shipment is released once."""
    rules = draft.policy.rules
    passed = {
        key: one
        for key, one in draft.shipments.items()
        if one.lines and not one.invoiced and (rules.invoice_gate == "shipped" or one.delivered)
    }
    if not passed:
        return
    if rules.invoice_per == "order":
        under_way = any(line.at_sites for line in draft.lines.values())
        unproven = rules.invoice_gate == "delivered" and any(
            one.lines and not one.delivered for one in draft.shipments.values()
        )
        if under_way or unproven:
            return
    quantities: dict[str, Decimal] = {}
    evidence: list[str] = []
    for key, shipment in passed.items():
        for line in shipment.lines:
            quantities[line.line_no] = quantities.get(line.line_no, ZERO) + line.quantity
        evidence += _evidence(shipment)
        draft.shipments[key] = msgspec.structs.replace(shipment, invoiced=True)
    for line_no, quantity in quantities.items():
        draft.lines[line_no] = draft.lines[line_no].give_to_finance(quantity)
    _release(draft, quantities, tuple(evidence), "")


def invoice_issued(draft: Draft, event: Event, invoice: Invoice) -> bool:
    """The ERP posted an invoice: compare it with its release, line by line."""
    bill = _bill(draft, invoice.release, invoice.number, "posted")
    if bill is None:
        return False
    draft.name("invoice", invoice.number)
    news = _become(draft, bill, "posted", invoice.number, "", event)
    released = dict(bill.lines)
    billed: dict[str, Decimal] = {}
    for line in invoice.lines:
        billed[line.line_no] = billed.get(line.line_no, ZERO) + line.quantity
    wrong = [
        f"line {line_no}: {quantity_text(billed.get(line_no, ZERO))} invoiced, "
        f"{quantity_text(released.get(line_no, ZERO))} confirmed"
        for line_no in sorted(released.keys() | billed.keys())
        if billed.get(line_no, ZERO) != released.get(line_no, ZERO)
    ]
    if invoice.amount is not None and bill.amount is not None and invoice.amount != bill.amount:
        wrong.append(f"{invoice.amount.amount} invoiced, {bill.amount.amount} released")
    if wrong:
        message = f"invoice {invoice.number} of {bill.number} is not what was confirmed: {'; '.join(wrong)}"
        draft.raise_condition("XD-ORD-031", f"invoice_differs:{bill.number}", message)
    return news or bool(wrong)


def invoice_status(draft: Draft, event: Event, told: InvoiceStatus) -> bool:
    """The ERP says what became of a release."""
    bill = _bill(draft, told.release, told.number, told.status)
    if bill is None:
        return False
    if told.number:
        draft.name("invoice", told.number)
    if told.status == "credited":
        return _credited(draft, bill, told.credit_memo, told.reason, event)
    if bill.state == "crediting" and told.status == "refused":
        draft.bills[bill.number] = msgspec.structs.replace(bill, state=bill.before or "posted", reason=told.reason)
        message = f"the ERP does not credit {bill.invoice or bill.number}: {told.reason or 'no reason given'}"
        draft.raise_condition("XD-ORD-032", f"credit_refused:{bill.number}", message)
        return True
    news = _become(draft, bill, told.status, told.number, told.reason, event)
    if news and told.status in ("disputed", "refused"):
        verb = "is disputed" if told.status == "disputed" else "is refused by the ERP"
        message = (
            f"{told.number or bill.number} of order {draft.order.number} {verb}: {told.reason or 'no reason given'}"
        )
        draft.raise_condition("XD-ORD-033", f"{told.status}:{bill.number}", message)
    elif news:
        draft.take_back("XD-ORD-033", f"disputed:{bill.number}")
        draft.take_back("XD-ORD-033", f"refused:{bill.number}")
    return news


def invoice_credited(draft: Draft, event: Event, memo: CreditMemo) -> bool:
    """The ERP credited an invoice whole."""
    bill = _bill(draft, memo.release, memo.invoice_number, "credited")
    if bill is None:
        return False
    draft.name("credit", memo.number)
    return _credited(draft, bill, memo.number, memo.reason, event)


def rebill_requested(draft: Draft, _event: Event, asked: RebillRequest) -> bool:
    """Ask the ERP to credit a wrong invoice; it is released anew when the ERP has done so."""
    bill = draft.bills.get(asked.release)
    if bill is None or bill.state not in ("released", "posted", "paid", "disputed"):
        if bill is not None and bill.state == "crediting":
            return False
        state = "unknown" if bill is None else bill.state
        message = f"release {asked.release} of order {draft.order.number} is {state}: there is nothing to credit"
        draft.fault("XD-ORD-034", f"rebill:{asked.release}", message)
        return False
    asks = bill.credits_asked + 1
    draft.bills[bill.number] = msgspec.structs.replace(
        bill, state="crediting", before=bill.state, reason=asked.reason, credits_asked=asks
    )
    draft.take_back("XD-ORD-032", f"credit_refused:{bill.number}")
    paper = InvoiceCredit(
        f"{bill.number}:credit", draft.order.number, bill.number, bill.invoice, bill.amount, asked.reason
    )
    draft.emit("invoice.credit_requested", paper)
    # Asked again after a refusal it is another question, so the key counts them.
    draft.request("invoice_credit", f"{bill.number}:{asks}", paper)
    return True


def _release(draft: Draft, quantities: dict[str, Decimal], evidence: tuple[str, ...], replaces: str) -> None:
    draft.invoices += 1
    number = f"{draft.order.number}:{draft.invoices}"
    release = InvoiceRelease(
        order_number=draft.order.number,
        lines=tuple(
            FulfillmentLine(line.line_no, line.sku, quantities[line.line_no], line.uom, line.description)
            for line in draft.order.lines
            if line.line_no in quantities
        ),
        evidence=evidence,
        amount=amount_of(draft.order, quantities),
        number=number,
        replaces=replaces,
    )
    draft.bills[number] = Bill(
        number, tuple(quantities.items()), amount=release.amount, at=draft.now, replaces=replaces
    )
    draft.name("release", number)
    draft.emit("invoice.released", release)
    draft.request("invoice_release", number, release)


def _credited(draft: Draft, bill: Bill, memo: str, reason: str, event: Event) -> bool:
    """An invoice is no more: its quantity is free again, and released anew where a person asked for that."""
    if bill.state in ("credited", "refused"):
        return False
    for line_no, quantity in bill.lines:
        draft.lines[line_no] = draft.lines[line_no].take_from_finance(quantity)
    draft.bills[bill.number] = msgspec.structs.replace(
        bill, state="credited", credit_memo=memo, reason=reason or bill.reason, at=event.occurred_at
    )
    for code, cause in list(draft.raised):
        if code in BILL_CODES and cause.endswith(f":{bill.number}"):
            draft.take_back(code, cause)
    if bill.state == "crediting":
        quantities = dict(bill.lines)
        for line_no, quantity in bill.lines:
            draft.lines[line_no] = draft.lines[line_no].give_to_finance(quantity)
        evidence = [word for one in draft.shipments.values() if one.invoiced for word in _evidence(one)]
        _release(draft, quantities, (*evidence, f"replaces {bill.invoice or bill.number}"), bill.number)
    return True


def _become(draft: Draft, bill: Bill, state: str, invoice: str, reason: str, event: Event) -> bool:
    if state not in STEPS[bill.state]:
        # The number of an invoice may come after the word that it is paid.
        if invoice and not bill.invoice:
            draft.bills[bill.number] = msgspec.structs.replace(bill, invoice=invoice)
            return True
        return False
    draft.bills[bill.number] = msgspec.structs.replace(
        bill, state=state, invoice=invoice or bill.invoice, reason=reason, at=event.occurred_at
    )
    return True


def _bill(draft: Draft, release: str, invoice: str, word: str) -> Bill | None:
    """Return the bill that the ERP means: by our number, else its own, else the only one that is alive."""
    found = draft.bills.get(release)
    if found is None and invoice:
        found = next((bill for bill in draft.bills.values() if bill.invoice == invoice), None)
    if found is None and not release:
        alive = [bill for bill in draft.bills.values() if bill.state in ALIVE and bill.invoice in ("", invoice)]
        found = alive[0] if len(alive) == 1 else None
    if found is None:
        about = release or invoice or "an invoice"
        message = f"the ERP says {word} of {about}, which the hub never released for order {draft.order.number}"
        draft.fault("XD-ORD-034", f"unreleased:{about}", message)
    return found


def _evidence(shipment: ShippedUnit) -> list[str]:
    words = [f"shipment {shipment.site}:{shipment.number}"]
    return [*words, shipment.evidence] if shipment.evidence else words
