"""Goods: what was announced, and what came in."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.identifiers import Reference
from ...canonical.receiving import (
    AdvanceShipNotice,
    Discrepancy,
    DiscrepancyKind,
    PostingLine,
    Receipt,
    ReceiptLine,
    ReceiptPosting,
)
from ..ledger import ZERO, is_quantity
from .draft import Draft, fingerprint
from .orders import TWICE, is_foreign
from .state import Line, Notice, NoticeItem, Received, ReceivedItem

OTHERWISE = "XD-SUP-009"


def announced(draft: Draft, event: Event, notice: AdvanceShipNotice) -> bool:
    """Book a notice on the lines it names and tell the warehouse what to expect."""
    if is_foreign(draft, event, "a ship notice"):
        return False
    print_ = fingerprint(notice)
    known = draft.notices.get(notice.number)
    if known is not None:
        if known.fingerprint != print_:
            draft.fault(TWICE, f"notice:{draft.number}", f"Notice {notice.number} came again with another content")
        return False
    if len(draft.notices) >= draft.rules.notices_max or not all(is_quantity(line.quantity) for line in notice.lines):
        draft.fault(
            "XD-DOC-001", f"notice:{draft.number}", f"Notice {notice.number} is one too many or has no quantities"
        )
        return False
    items: dict[tuple[str, str], Decimal] = {}
    for line in notice.lines:
        found = _line_for(draft, line.line_no, line.sku)
        key = (found.line_no if found is not None else "", line.sku)
        items[key] = items.get(key, ZERO) + line.quantity
    for (line_no, sku), quantity in items.items():
        if line_no:
            _put(draft, line_no, draft.lines[line_no].book.ship(quantity))
        elif quantity:
            draft.fault(
                OTHERWISE,
                f"unexpected:{draft.order.supplier}",
                f"Notice {notice.number} announces {sku}, which was not ordered",
            )
    draft.notices[notice.number] = Notice(
        notice.number,
        print_,
        tuple(NoticeItem(sku, quantity, line_no) for (line_no, sku), quantity in items.items()),
        draft.now,
        notice.shipped_at,
        notice.expected_at,
        notice.carrier,
        notice.load_number,
    )
    draft.references.append(Reference("asn", notice.number))
    draft.references.extend(Reference("sscc", unit.sscc) for unit in notice.units)
    advice = msgspec.structs.replace(notice, site=notice.site or draft.order.site, supplier=draft.order.supplier)
    draft.request("receipt_advice", notice.number, advice)
    return True


def _line_for(draft: Draft, line_no: str, sku: str) -> Line | None:
    """Return the line an item belongs to: by its number, else the first line of that item that is not full."""
    line = draft.lines.get(line_no)
    if line is not None and sku in ("", line.sku):
        return line
    lines = [one for one in draft.lines.values() if one.sku == sku]
    return next((one for one in lines if one.book.outstanding), lines[0] if lines else None)


def _put(draft: Draft, line_no: str, book: object) -> None:
    draft.lines[line_no] = msgspec.structs.replace(draft.lines[line_no], book=book)


def received(draft: Draft, event: Event, receipt: Receipt) -> bool:
    """Book a receipt once, judge each line, and tell the ERP what it may post."""
    # Warehouses that tell a receipt again stamp it anew: the time alone makes no other receipt.
    site, print_ = receipt.site or draft.order.site, fingerprint(msgspec.structs.replace(receipt, received_at=None))
    known = draft.receipts.get((site, receipt.number))
    if known is not None:
        if known.fingerprint != print_:
            draft.fault(TWICE, f"receipt:{draft.number}", f"Receipt {receipt.number} came again with another content")
        return False
    if len(draft.receipts) >= draft.rules.receipts_max or not all(is_quantity(line.quantity) for line in receipt.lines):
        draft.fault(
            "XD-DOC-001", f"receipt:{draft.number}", f"Receipt {receipt.number} is one too many or has no quantities"
        )
        return False
    items: dict[tuple[str, str], ReceivedItem] = {}
    lots: dict[tuple[str, str], dict[str, None]] = {}
    for line in receipt.lines:
        item = _book(draft, line)
        key = (item.line_no, item.sku)
        items[key] = _added(items[key], item) if key in items else item
        if line.lot:
            lots.setdefault(key, {})[line.lot] = None
    taken = Received(
        receipt.number,
        site,
        print_,
        tuple(items.values()),
        receipt.received_at or event.occurred_at,
        receipt.asn_number,
        receipt.final,
    )
    draft.receipts[site, receipt.number] = taken
    draft.references.append(Reference("receipt", receipt.number, site))
    _post(draft, taken, {key: tuple(names) for key, names in lots.items()})
    _judge(draft, taken, {line.sku: line.reason for line in receipt.lines if line.reason})
    return True


def _book(draft: Draft, line: ReceiptLine) -> ReceivedItem:
    found = _line_for(draft, line.line_no, line.sku) if line.condition != "wrong_item" else None
    if found is None:
        return ReceivedItem(line.sku, surplus=line.quantity)
    damaged = line.quantity if line.condition == "damaged" else ZERO
    book = found.book.receive(line.quantity - damaged, damaged, draft.tolerance(found.sku).over_percent)
    _put(draft, found.line_no, book)
    return ReceivedItem(
        found.sku,
        found.line_no,
        book.accepted - found.book.accepted,
        book.damaged - found.book.damaged,
        book.surplus - found.book.surplus,
    )


def _added(one: ReceivedItem, other: ReceivedItem) -> ReceivedItem:
    return ReceivedItem(
        one.sku, one.line_no, one.accepted + other.accepted, one.damaged + other.damaged, one.surplus + other.surplus
    )


def _post(draft: Draft, receipt: Received, lots: dict[tuple[str, str], tuple[str, ...]]) -> None:
    lines = tuple(
        PostingLine(
            item.line_no,
            item.sku,
            item.accepted,
            item.damaged,
            item.surplus,
            draft.lines[item.line_no].uom,
            lots.get((item.line_no, item.sku), ()),
        )
        for item in receipt.items
        if item.line_no
    )
    if not lines:
        return
    posting = ReceiptPosting(
        receipt.number,
        draft.number,
        draft.order.supplier,
        receipt.site,
        lines,
        receipt.asn_number,
        receipt.received_at,
    )
    draft.request("receipt_posting", f"{receipt.site}:{receipt.number}", posting)
    draft.emit("receipt.posted", posting)


def _judge(draft: Draft, receipt: Received, reasons: dict[str, str]) -> None:
    for item in receipt.items:
        reason = reasons.get(item.sku, "")
        if not item.line_no:
            tell_discrepancy(draft, "unexpected", item.sku, item.surplus, receipt=receipt, reason=reason)
            continue
        if item.damaged:
            tell_discrepancy(
                draft, "damaged", item.sku, item.damaged, line_no=item.line_no, receipt=receipt, reason=reason
            )
        book = draft.lines[item.line_no].book
        if item.surplus:
            tell_discrepancy(
                draft, "over", item.sku, item.surplus, line_no=item.line_no, receipt=receipt, expected=book.wanted
            )
        elif item.accepted and book.accepted > book.wanted:
            more = min(item.accepted, book.accepted - book.wanted)
            tell_discrepancy(
                draft,
                "over",
                item.sku,
                more,
                line_no=item.line_no,
                receipt=receipt,
                expected=book.wanted,
                tolerated=True,
            )


def tell_discrepancy(
    draft: Draft,
    kind: DiscrepancyKind,
    sku: str,
    quantity: Decimal,
    *,
    line_no: str = "",
    receipt: Received | None = None,
    asn_number: str = "",
    expected: Decimal | None = None,
    tolerated: bool = False,
    reason: str = "",
) -> None:
    """Write a difference down, and tell the supplier and a person unless a rule lets it pass."""
    if quantity <= 0:
        return
    number = receipt.number if receipt is not None else ""
    found = Discrepancy(
        draft.number,
        kind,
        sku,
        quantity,
        line_no,
        expected,
        number,
        receipt.asn_number if receipt is not None else asn_number,
        draft.order.supplier,
        tolerated,
        reason,
    )
    draft.emit("receipt.discrepancy", found)
    if tolerated:
        return
    place = f"{receipt.site}:{number}" if receipt is not None else f"asn:{asn_number}"
    draft.request("discrepancy", f"{place}:{line_no}:{sku}:{kind}", found)
    message = f"Order {draft.number}: {quantity:f} of {sku} {kind}"
    draft.fault(
        OTHERWISE, f"{kind}:{draft.order.supplier}:{draft.number}", message, f"/lines/{line_no}" if line_no else ""
    )
