"""What a load costs: accessorials with evidence, and the match of each bill by line.

Three sides meet on each charge code: the rate of the awarded tender, what was approved beside it, and what is billed.
What was agreed is paid once for the load, however many bills name it; what is not agreed is disputed. Over all bills
of a load and each code: invoiced = paid + disputed + withdrawn, and paid ≤ agreed + tolerance, unless a person granted
more.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.freight import (
    Accessorial,
    AccessorialDecision,
    Dispute,
    DisputeAnswer,
    FreightInvoice,
    SettledLine,
    Settlement,
)
from ...canonical.identifiers import Reference
from ...canonical.quantities import Money
from .draft import Draft
from .moving import is_foreign, is_not_ours
from .state import ZERO, Bill, Extra, agreed, delivered
from .tendering import TWICE

DISPUTED = "XD-FRT-010"
AMOUNT_MAX = Decimal(10) ** 12


def _is_amount(amount: Decimal) -> bool:
    return amount.is_finite() and abs(amount) <= AMOUNT_MAX and amount == amount.quantize(Decimal("0.0001"))


def requested(draft: Draft, event: Event, wish: Accessorial) -> bool:
    """Take an accessorial; a rule approves it, or it waits for a person."""
    if is_foreign(draft, event, "an accessorial"):
        return False
    known = draft.extras.get(wish.number)
    if known is not None:
        if (known.code, known.asked) != (wish.code, wish.amount):
            draft.fault(
                TWICE, f"accessorial:{draft.number}", f"Accessorial {wish.number} came again with another content"
            )
        return False
    if not _is_amount(wish.amount) or wish.amount <= 0 or wish.currency != draft.currency:
        message = f"Accessorial {wish.number}: {wish.amount} {wish.currency} is no amount in {draft.currency}"
        draft.fault("XD-DOC-001", f"accessorial:{draft.number}", message)
        return False
    if draft.is_full(draft.extras, "accessorials"):
        return False
    extra = Extra(wish.number, wish.code, wish.amount, evidence=wish.evidence)
    rule = next((one for one in draft.rules.accessorials if one.code == wish.code), None)
    if rule is not None and wish.amount <= rule.amount_max and set(rule.evidence) <= set(wish.evidence):
        _decide(draft, extra, approved=True, amount=wish.amount, by="rule", reason="")
    else:
        draft.extras[extra.number] = extra
    return True


def _decide(draft: Draft, extra: Extra, *, approved: bool, amount: Decimal, by: str, reason: str) -> None:
    winner = draft.winner
    carrier, partner = (winner.carrier, winner.partner) if winner is not None else ("", "")
    draft.extras[extra.number] = msgspec.structs.replace(
        extra, state="approved" if approved else "denied", approved=amount if approved else ZERO, reason=reason
    )
    word = AccessorialDecision(
        extra.number, draft.number, approved, extra.code, amount if approved else ZERO, carrier, by, reason
    )
    draft.request("accessorial_decision", extra.number, word, carrier=carrier, partner=partner)


def decided(draft: Draft, event: Event, decision: AccessorialDecision) -> bool:
    """Take a person's decision on an accessorial that waits; it is decided once, and not by a carrier."""
    if is_not_ours(draft, event, "a decision on an accessorial"):
        return False
    extra = draft.extras.get(decision.number)
    if extra is None or extra.state != "pending":
        return False
    amount = decision.amount or extra.asked
    if decision.approved and (not _is_amount(amount) or not 0 < amount <= extra.asked):
        message = f"Accessorial {decision.number}: {amount} cannot be approved of {extra.asked}"
        draft.fault("XD-DOC-001", f"accessorial:{draft.number}", message)
        return False
    _decide(draft, extra, approved=decision.approved, amount=amount, by=decision.by, reason=decision.reason)
    return True


def billed(draft: Draft, event: Event, invoice: FreightInvoice) -> bool:
    """Take a bill; it is matched as soon as the gate is passed."""
    key = (invoice.carrier, invoice.number)
    known = draft.bills.get(key)
    if known is not None:
        if known.invoice != invoice:
            draft.fault(TWICE, f"invoice:{draft.number}", f"Invoice {invoice.number} came again with another content")
        return False
    if not invoice.lines or len(invoice.lines) > 200 or not all(_is_amount(line.amount) for line in invoice.lines):
        draft.fault("XD-DOC-001", f"invoice:{draft.number}", f"Invoice {invoice.number} has no lines or no amounts")
        return False
    if draft.is_full(draft.bills, "invoices"):
        return False
    draft.bills[key] = Bill(invoice, event.partner)
    draft.references.append(Reference("invoice", invoice.number, invoice.carrier))
    return True


def match_bills(draft: Draft) -> None:
    """Match every bill that has not been, once what it needs has happened."""
    winner = draft.winner
    if winner is None or draft.cancelled:
        return
    if draft.rules.pay_gate == "delivered" and delivered(draft.load, draft.facts.values()) is None:
        return
    for key, bill in tuple(draft.bills.items()):
        if not bill.state:
            _match(draft, key, bill)


def _match(draft: Draft, key: tuple[str, str], bill: Bill) -> None:
    invoice, wrong = bill.invoice, _wrong(draft, bill)
    limits, paid_before = agreed(draft.offers.values(), draft.extras.values()), _paid(draft)
    by_code: dict[str, Decimal] = {}
    for line in invoice.lines:
        by_code[line.code] = by_code.get(line.code, ZERO) + line.amount
    lines = [
        _line(draft, code, amount, limits.get(code), paid_before.get(code, ZERO)) for code, amount in by_code.items()
    ]
    reasons = tuple(dict.fromkeys([*wrong, *(line.reason for line in lines if line.reason)]))
    if wrong or (reasons and draft.rules.on_difference == "hold"):
        lines = [
            msgspec.structs.replace(line, paid=ZERO, reason=line.reason or (wrong or ["held"])[0]) for line in lines
        ]
    paid = sum((line.paid for line in lines), ZERO)
    state = "approved" if not reasons else "short_paid" if paid > 0 else "disputed"
    matched = msgspec.structs.replace(bill, state=state, lines=tuple(lines), paid=paid, reasons=reasons)
    draft.bills[key] = matched
    _settle(draft, matched, paid, tuple(lines), 1)
    if reasons:
        amount = Money(sum((line.invoiced - line.paid for line in lines), ZERO), invoice.currency)
        left = tuple(line for line in lines if line.reason)
        dispute = Dispute(draft.number, invoice.number, invoice.carrier, amount, left, reasons)
        identity = f"{invoice.carrier}:{invoice.number}"
        draft.request("freight_dispute", identity, dispute, carrier=invoice.carrier, partner=bill.partner)


def _wrong(draft: Draft, bill: Bill) -> list[str]:
    """Return what is wrong with a bill as a whole."""
    winner, invoice, found = draft.winner, bill.invoice, []
    if winner is None or bill.partner != winner.partner or invoice.carrier != winner.carrier:
        found.append("wrong_carrier")
    if invoice.currency != draft.currency:
        found.append("currency")
    if invoice.total is not None and invoice.total != sum((line.amount for line in invoice.lines), ZERO):
        found.append("total")
    return found


def _paid(draft: Draft) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for bill in draft.bills.values():
        for line in bill.lines:
            found[line.code] = found.get(line.code, ZERO) + line.paid
    return found


def _line(draft: Draft, code: str, invoiced: Decimal, limit: Decimal | None, paid_before: Decimal) -> SettledLine:
    if invoiced <= 0:
        return SettledLine(code, invoiced, ZERO, invoiced)
    if limit is None:
        pending = any(extra.code == code and extra.state == "pending" for extra in draft.extras.values())
        return SettledLine(code, invoiced, ZERO, ZERO, "not_yet_approved" if pending else "not_agreed")
    left = max(ZERO, limit - paid_before)
    if invoiced <= limit + draft.rules.tolerance(code).of(limit) - paid_before:
        return SettledLine(code, invoiced, left, invoiced)
    return SettledLine(code, invoiced, left, min(invoiced, left), "above_agreed" if left else "already_paid")


def _settle(draft: Draft, bill: Bill, amount: Decimal, lines: tuple[SettledLine, ...], sequence: int) -> None:
    invoice = bill.invoice
    settlement = Settlement(
        draft.number,
        invoice.number,
        invoice.carrier,
        bill.state or "approved",
        Money(amount, invoice.currency),
        lines,
        sequence,
    )
    identity = f"{invoice.carrier}:{invoice.number}:{sequence}"
    draft.request("freight_settlement", identity, settlement, carrier=invoice.carrier, partner=bill.partner)
    draft.emit("freight.settled", settlement)


def dispute_answered(draft: Draft, event: Event, answer: DisputeAnswer) -> bool:
    """End a dispute once: what was granted is paid, what was withdrawn is not.

    A carrier may withdraw what it billed itself, and grants nothing.
    """
    found = [
        (key, bill)
        for key, bill in draft.bills.items()
        if bill.invoice.number == answer.invoice_number and answer.carrier in ("", bill.invoice.carrier)
    ]
    if len(found) > 1:
        message = f"Several carriers have an invoice {answer.invoice_number}: the answer must name its carrier"
        draft.fault("XD-DOC-001", f"dispute:{draft.number}", message)
        return False
    withdraws = answer.outcome == "withdrawn" and any(bill.partner == event.partner for _, bill in found)
    if not withdraws and is_not_ours(draft, event, "the end of a dispute"):
        return False
    if not found or found[0][1].state not in ("short_paid", "disputed") or found[0][1].answer:
        return False
    key, bill = found[0]
    bill = msgspec.structs.replace(bill, answer=answer.outcome)
    if answer.outcome == "granted":
        granted = tuple(
            msgspec.structs.replace(line, paid=line.invoiced - line.paid, reason="granted")
            for line in bill.lines
            if line.invoiced != line.paid
        )
        # What was granted is paid: a later bill finds it in the lines, as it finds what was agreed.
        lines = tuple(msgspec.structs.replace(line, paid=line.invoiced) for line in bill.lines)
        bill = msgspec.structs.replace(bill, lines=lines, paid=sum((line.paid for line in lines), ZERO))
        _settle(draft, bill, sum((line.paid for line in granted), ZERO), granted, 2)
    draft.bills[key] = bill
    return True


def watch_bills(draft: Draft) -> None:
    """Keep a fault open for each bill that is disputed."""
    for bill in draft.bills.values():
        cause = f"invoice:{bill.invoice.carrier}:{bill.invoice.number}"
        if bill.reasons and not bill.answer:
            message = (
                f"{bill.invoice.carrier} bills {draft.number} with {bill.invoice.number} otherwise than agreed:"
                f" {', '.join(bill.reasons)}"
            )
            draft.raise_condition(DISPUTED, cause, message)
        else:
            draft.take_back(DISPUTED, cause)
