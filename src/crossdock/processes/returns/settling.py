"""What was promised for the goods: credit or exchange, asked of the ERP once, and completed by its answer."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.quantities import Money
from ...canonical.returns import AuthorizedLine, Credit, CreditLine, CreditRequest, Exchange, ExchangeRequest
from ..ledger import ZERO, is_quantity, quantity_text
from .draft import Draft
from .policy import HUNDRED
from .state import CreditRecord, ExchangeRecord, is_complete

CENT = Decimal("0.01")


def credited(draft: Draft, event: Event, credit: Credit) -> bool:
    """Book the ERP's answer. A posted credit stays posted; one for more than was asked is a fault for a person."""
    known = draft.credits.get(credit.request)
    if known is None:
        message = f"return {draft.number}: the ERP answers credit request {credit.request}, which was never made"
        draft.fault("XD-RET-007", f"credit_unknown:{credit.request}", message, "/request")
        return False
    if known.state == "posted":
        if credit.outcome == "posted" and credit.number not in ("", known.memo):
            message = f"credit request {credit.request} is posted as {known.memo}, and now as {credit.number} too"
            draft.raise_condition("XD-RET-007", f"credit_twice:{credit.request}", message)
            return True
        return False
    cause = f"credit_refused:{credit.request}"
    if credit.outcome == "refused":
        if known.state == "refused" and known.reason == credit.reason:
            return False
        draft.credits[known.number] = msgspec.structs.replace(known, state="refused", reason=credit.reason)
        why = f": {credit.reason}" if credit.reason else ""
        draft.raise_condition("XD-RET-008", cause, f"the ERP refuses credit {known.number}{why}")
        return True
    draft.take_back("XD-RET-008", cause)
    posted = credit.amount or known.amount
    draft.credits[known.number] = msgspec.structs.replace(
        known, state="posted", memo=credit.number, posted=posted, posted_at=credit.at or event.occurred_at, reason=""
    )
    draft.name("credit", credit.number)
    _compare(draft, known, credit)
    draft.emit(
        "credit.completed",
        {"number": credit.number, "request": known.number, "return_number": draft.number, "amount": posted},
    )
    return True


def exchanged(draft: Draft, _event: Event, exchange: Exchange) -> bool:
    """Book the ERP's answer to an exchange. Where it refuses, the customer gets the money: a credit is asked for."""
    known = draft.state.exchange
    if known is None or known.number != exchange.request:
        message = f"return {draft.number}: the ERP answers exchange request {exchange.request}, which was never made"
        draft.fault("XD-RET-007", f"exchange_unknown:{exchange.request}", message, "/request")
        return False
    if known.state != "requested":
        return False
    record = msgspec.structs.replace(
        known, state=exchange.outcome, order_number=exchange.order_number, reason=exchange.reason
    )
    draft.put(exchange=record)
    draft.name("exchange_order", exchange.order_number)
    return True


def ask(draft: Draft) -> None:
    """Ask for what is owed for the received goods and was not asked for yet; for nothing that nobody authorized."""
    if draft.state.authorized_at is None:
        return
    complete = is_complete(draft.current())
    exchange = draft.state.exchange
    if draft.state.request.resolution == "exchange" and (exchange is None or exchange.state != "refused"):
        if complete and exchange is None and any(line.creditable for line in draft.lines.values()):
            _ask_exchange(draft)
        return
    if complete or draft.rules.credit_per == "receipt":
        _ask_credit(draft)


def _ask_credit(draft: Draft) -> None:
    """Ask for one credit over everything received that no request named yet."""
    lines: list[CreditLine] = []
    evidence: list[str] = []
    for place, receipt in draft.receipts.items():
        found = list(receipt.lines)
        for index, one in enumerate(found):
            due = one.creditable - one.credited
            if due <= 0:
                continue
            found[index] = msgspec.structs.replace(one, credited=one.creditable)
            known = draft.lines[one.line_no]
            draft.lines[one.line_no] = msgspec.structs.replace(known, credited=known.credited + due)
            percent = draft.rules.percent_of(one.condition)
            if percent:
                lines.append(CreditLine(one.line_no, one.sku, due, one.condition, percent, known.uom))
        if tuple(found) != receipt.lines:
            draft.receipts[place] = msgspec.structs.replace(receipt, lines=tuple(found))
            evidence.append(f"receipt {receipt.site}:{receipt.number}")
    if not lines:
        return
    number = f"{draft.number}-C{len(draft.credits) + 1}"
    amount = amount_of(draft, lines)
    request = CreditRequest(number, draft.number, draft.state.order_number, tuple(lines), amount, tuple(evidence))
    quantities = tuple((line.line_no, line.quantity) for line in lines)
    draft.credits[number] = CreditRecord(number, quantities, amount, requested_at=draft.now)
    draft.name("credit_request", number)
    draft.emit("credit.requested", request)
    draft.request("credit_request", number, request)


def _ask_exchange(draft: Draft) -> None:
    number = f"{draft.number}-X1"
    paper = ExchangeRequest(
        number=number,
        return_number=draft.number,
        order_number=draft.state.order_number,
        lines=tuple(
            AuthorizedLine(line.line_no, line.sku, line.creditable, line.uom, line.description)
            for line in draft.lines.values()
            if line.creditable
        ),
        ship_to=draft.state.ship_from,
    )
    draft.put(exchange=ExchangeRecord(number, requested_at=draft.now))
    draft.name("exchange_request", number)
    draft.emit("exchange.requested", paper)
    draft.request("exchange_request", number, paper)


def amount_of(draft: Draft, lines: list[CreditLine]) -> Money | None:
    """Return what lines are worth at the order's prices and their percent; None where a price is missing."""
    if draft.order is None or not draft.state.currency:
        return None
    prices = {line.line_no: line.unit_price for line in draft.order.order.lines}
    total = ZERO
    for line in lines:
        price = prices.get(line.line_no)
        if price is None:
            return None
        total += line.quantity * price * line.percent / HUNDRED
    return Money(total.quantize(CENT, ROUND_HALF_EVEN), draft.state.currency)


def _compare(draft: Draft, known: CreditRecord, credit: Credit) -> None:
    """Raise what the ERP credited beyond the request: other money, or more goods than were received."""
    asked = dict(known.lines)
    posted: dict[str, Decimal] = {}
    for line in credit.lines:
        if is_quantity(line.quantity):
            posted[line.line_no] = posted.get(line.line_no, ZERO) + line.quantity
    for line_no, quantity in posted.items():
        if quantity > asked.get(line_no, ZERO):
            message = (
                f"credit {credit.number or known.number}: the ERP credits {quantity_text(quantity)} of line {line_no}, "
                f"{quantity_text(asked.get(line_no, ZERO))} came back"
            )
            draft.raise_condition("XD-RET-009", f"credit_over:{known.number}", message)
    if credit.amount is not None and known.amount is not None and credit.amount != known.amount:
        message = (
            f"credit {credit.number or known.number}: {known.amount.amount} {known.amount.currency} were asked for, "
            f"the ERP posted {credit.amount.amount} {credit.amount.currency}"
        )
        draft.raise_condition("XD-RET-009", f"credit_differs:{known.number}", message)
