"""The buyer's and the supplier's words: a new order, its changes, the supplier's answers."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.identifiers import Reference
from ...canonical.receiving import (
    PURCHASE,
    PurchaseConfirmation,
    PurchaseLine,
    PurchaseOrder,
    PurchaseOrderAck,
    PurchaseOrderChange,
)
from ..ledger import PRICE_MAX, ZERO, is_quantity
from ..outcome import DecisionContext, Outcome, ProcessException
from .draft import Draft, fingerprint
from .ledger import PurchaseBook
from .state import Line, PurchaseState, in_transit

FOREIGN, TWICE, LATE, UNKNOWN_LINE = "XD-SUP-005", "XD-SUP-006", "XD-SUP-007", "XD-SUP-010"


def take_on(order: PurchaseOrder, context: DecisionContext) -> Draft | Outcome:
    """Take a new order on and send it to its supplier; a faulty one makes no state."""
    rules = context.policy
    fault = _faulty(order.lines, rules.lines_max)
    if fault:
        return Outcome(None, exceptions=(ProcessException("XD-DOC-001", f"purchase:{order.number}", fault),))
    state = PurchaseState(order, "(new)", tuple(_line(line) for line in order.lines), context.now)
    draft = Draft(state, context)
    draft.first_asked_at = context.now
    draft.request("purchase_order", "", order)
    draft.emit("purchase.requested", {"number": order.number, "supplier": order.supplier, "lines": len(order.lines)})
    draft.references.append(Reference(PURCHASE, order.number))
    draft.references.extend(order.refs)
    return draft


def _faulty(lines: tuple[PurchaseLine, ...], lines_max: int) -> str:
    numbers = [line.line_no for line in lines]
    if not lines or len(lines) > lines_max:
        return f"an order has 1 to {lines_max} lines, this one {len(lines)}"
    if len(set(numbers)) != len(numbers) or not all(line.line_no and line.sku for line in lines):
        return "each line has a number of its own and an item"
    if bad := [line.line_no for line in lines if not (is_quantity(line.quantity) and line.quantity > 0)]:
        return f"line {bad[0]}: an ordered quantity is more than 0, at most 1,000,000,000, with at most 6 decimals"
    if dear := [line.line_no for line in lines if not _is_price(line.unit_price)]:
        return f"line {dear[0]}: a price is from 0 to 1,000,000,000"
    return ""


def _is_price(price: Decimal | None) -> bool:
    return price is None or (price.is_finite() and 0 <= price <= PRICE_MAX)


def _line(line: PurchaseLine, change_no: int = 0) -> Line:
    book = PurchaseBook(line.line_no, line.quantity, open=line.quantity)
    return Line(line.line_no, line.sku, book, line.uom, line.unit_price, line.due_on, change_no=change_no)


def released_again(draft: Draft, _event: Event, order: PurchaseOrder) -> bool:
    """An order is released once; another content under its number is no change."""
    if fingerprint(order) != fingerprint(draft.order):
        draft.fault(
            TWICE, f"order:{draft.number}", f"Order {draft.number} came again with another content: send a change"
        )
    return False


def changed(draft: Draft, event: Event, change: PurchaseOrderChange) -> bool:
    """Apply a change of the buyer and tell the supplier; each change number counts once for each line."""
    if change.change_no in draft.changes or len(draft.changes) >= draft.rules.lines_max:
        return False
    draft.changes = (*draft.changes, change.change_no)
    if change.action == "close":
        draft.closed = change.reason or "closed by the buyer"
        return True
    if change.action == "cancel":
        touched = _cancel(draft, event, change)
    else:
        touched = _replace(draft, event, change)
    if touched:
        draft.closed = ""
        draft.asked_at = draft.now
        draft.request("purchase_change", str(change.change_no), change)
        draft.emit("purchase.requested", {"number": draft.number, "change_no": change.change_no, "lines": touched})
    return True


def _bound(draft: Draft, line: Line) -> Decimal:
    """Return how much of a line can no longer be taken back: it is here or on its way."""
    moving = in_transit(draft.notices.values(), draft.receipts.values()).get(line.line_no, ZERO)
    return line.book.accepted + moving


def _cancel(draft: Draft, event: Event, change: PurchaseOrderChange) -> list[str]:
    touched: list[str] = []
    for line_no in change.line_nos or tuple(draft.lines):
        line = draft.lines.get(line_no)
        if line is None:
            draft.fault(UNKNOWN_LINE, f"line:{draft.number}", f"The change cancels line {line_no}, which is not there")
            continue
        if change.change_no <= line.change_no:
            continue
        keep = min(line.book.wanted, _bound(draft, line))
        if keep:
            message = f"Order {draft.number} line {line_no}: {keep:f} is here or on its way and cannot be cancelled"
            draft.fault(LATE, f"late:{draft.number}:{line_no}", message)
        more = line.book.wanted - keep
        book = line.book.cancel(more) if more else line.book
        draft.lines[line_no] = msgspec.structs.replace(
            line, book=book, change_no=change.change_no, word_at=event.occurred_at
        )
        touched.append(line_no)
    return touched


def _replace(draft: Draft, event: Event, change: PurchaseOrderChange) -> list[str]:
    touched: list[str] = []
    for wanted in change.lines:
        line = draft.lines.get(wanted.line_no)
        readable = wanted.line_no and wanted.sku and is_quantity(wanted.quantity) and _is_price(wanted.unit_price)
        if not readable or (line is None and wanted.quantity == 0):
            draft.fault(
                "XD-DOC-001",
                f"change:{draft.number}",
                f"Line {wanted.line_no}: {wanted.quantity} at {wanted.unit_price}",
            )
            continue
        if line is None:
            if len(draft.lines) < draft.rules.lines_max:
                fresh = _line(wanted, change.change_no)
                draft.lines[wanted.line_no] = msgspec.structs.replace(fresh, word_at=event.occurred_at)
                touched.append(wanted.line_no)
            continue
        if change.change_no <= line.change_no:
            continue
        bound = _bound(draft, line)
        over = draft.tolerance(line.sku).over_percent
        book = line.book.ask(wanted.quantity)
        if book.accept_max(over) < bound:
            message = (
                f"Order {draft.number} line {wanted.line_no}: {bound:f} is here or on its way, more than the change"
            )
            draft.fault(LATE, f"late:{draft.number}:{wanted.line_no}", message)
            continue
        # Another item under the same line number would mix two things in one book: only quantity, price and date move.
        draft.lines[wanted.line_no] = msgspec.structs.replace(
            line,
            book=book,
            unit_price=wanted.unit_price if wanted.unit_price is not None else line.unit_price,
            due_on=wanted.due_on or line.due_on,
            agreed_price=None,
            agreed_on=None,
            word_at=event.occurred_at,
            change_no=change.change_no,
        )
        touched.append(wanted.line_no)
    return touched


def is_foreign(draft: Draft, event: Event, what: str) -> bool:
    """Tell whether a partner speaks for a supplier that is not its own, and report it."""
    partner = draft.agreed.partner
    if not partner or event.partner == partner:
        return False
    message = f"{event.partner or 'a partner without a name'} sent {what} for {draft.number}, which is {partner}'s"
    draft.fault(FOREIGN, f"foreign:{event.partner}", message)
    return True


def acknowledged(draft: Draft, event: Event, ack: PurchaseOrderAck) -> bool:
    """Take the supplier's word by line; on each line the latest word counts, by the time it was spoken."""
    if is_foreign(draft, event, "an acknowledgment"):
        return False
    news = False
    if ack.lines:
        for line_no in dict.fromkeys(line.line_no for line in ack.lines):
            news |= _take_word(draft, ack, line_no)
    else:
        for line in tuple(draft.lines.values()):
            if line.book.open and _is_fresh(line, ack):
                book = line.book.word(line.book.wanted, ZERO, ZERO)
                draft.lines[line.line_no] = msgspec.structs.replace(line, book=book, word_at=ack.at)
                news = True
    if not news:
        return False
    draft.acked_at = draft.acked_at or draft.now
    confirmation = PurchaseConfirmation(draft.number, draft.order.supplier, ack.lines, ack.at)
    draft.answers += 1
    draft.request("purchase_confirmation", str(draft.answers), confirmation)
    draft.emit("purchase.confirmed", {"number": draft.number, "lines": _words(draft)})
    return True


def _is_fresh(line: Line, ack: PurchaseOrderAck) -> bool:
    return line.word_at is None or ack.at >= line.word_at


def _take_word(draft: Draft, ack: PurchaseOrderAck, line_no: str) -> bool:
    line = draft.lines.get(line_no)
    if line is None:
        draft.fault(
            UNKNOWN_LINE, f"line:{draft.number}", f"The acknowledgment names line {line_no}, which is not ordered"
        )
        return False
    if not _is_fresh(line, ack):
        return False
    words = [one for one in ack.lines if one.line_no == line_no]
    if not all(is_quantity(one.quantity) and _is_price(one.unit_price) for one in words):
        draft.fault("XD-DOC-001", f"ack:{draft.number}", f"Line {line_no}: a confirmed quantity or price is none")
        return False

    def said(*outcomes: str) -> Decimal:
        return sum((one.quantity for one in words if one.outcome in outcomes), ZERO)

    confirmed, backordered, rejected = said("accepted", "changed"), said("backordered"), said("rejected")
    if any(one.outcome == "changed" for one in words):
        # A changed quantity is the supplier's last word on the line: what it leaves out will not come.
        rejected = max(rejected, line.book.wanted - confirmed - backordered)
    prices = [one.unit_price for one in words if one.unit_price is not None and one.outcome != "rejected"]
    dates = [one.due_on for one in words if one.due_on is not None and one.outcome != "rejected"]
    updated = msgspec.structs.replace(
        line,
        book=line.book.word(confirmed, backordered, rejected),
        agreed_price=prices[-1] if prices else line.agreed_price,
        agreed_on=max(dates) if dates else line.agreed_on,
        word_at=ack.at,
    )
    if updated == line:
        return False
    draft.lines[line_no] = updated
    return True


def _words(draft: Draft) -> list[dict[str, str]]:
    return [
        {
            "line_no": line.line_no,
            "confirmed": f"{line.book.confirmed:f}",
            "backordered": f"{line.book.backordered:f}",
            "rejected": f"{line.book.rejected:f}",
            "open": f"{line.book.open:f}",
        }
        for line in draft.lines.values()
    ]


def variances(draft: Draft, line: Line) -> list[str]:
    """Return in words what the supplier confirmed otherwise than ordered, beyond tolerance."""
    tolerance, book, found = draft.tolerance(line.sku), line.book, []
    if book.rejected * 100 > book.wanted * tolerance.short_percent:
        found.append(f"line {line.line_no}: {book.rejected:f} of {book.wanted:f} will not come")
    if _above(line.agreed_price, line.unit_price, tolerance.price_percent):
        found.append(f"line {line.line_no}: {line.agreed_price:f} instead of {line.unit_price:f} each")
    due_on = line.due_on or draft.order.due_on
    late = due_on is not None and line.agreed_on is not None and line.agreed_on - due_on
    if late and late > timedelta(days=tolerance.date_days):
        found.append(f"line {line.line_no}: {line.agreed_on} instead of {due_on}")
    return found


def _above(agreed: Decimal | None, price: Decimal | None, percent: Decimal) -> bool:
    if agreed is None or price is None:
        return False
    return (agreed - price) * 100 > price * percent
