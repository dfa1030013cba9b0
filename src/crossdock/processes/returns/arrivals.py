"""What happens to the goods: the site answers, the parcel moves, is received and inspected, and is disposed of.

A receipt is booked once by its number at the site. What was found is compared with what may come: short, too much,
another item, another condition. Stock is never touched here; the site's own report raises it.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from decimal import Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.milestones import rank_of
from ...canonical.returns import Disposition, InspectedLine, ReturnAnswer, ReturnReceipt
from ...canonical.shipments import Milestone
from ..ledger import ZERO, is_quantity, quantity_text
from ..order_fulfillment.draft import is_instant
from .draft import Draft
from .eligibility import uncredited
from .state import BookedReceipt, FoundLine, ReturnLineState

RECEIPTS_MAX = 200
DEPARTED = rank_of("departed_pickup")
ARRIVED = rank_of("arrived_delivery")


def answered(draft: Draft, _event: Event, answer: ReturnAnswer) -> bool:
    """Note whether the site takes the goods. A refusal is for a person: the customer has been told where to send."""
    if answer.outcome == draft.state.site_word:
        return False
    draft.put(site_word=answer.outcome)
    cause = f"site_refused:{draft.state.site}"
    if answer.outcome == "rejected":
        why = f": {answer.reason}" if answer.reason else ""
        draft.raise_condition("XD-RET-003", cause, f"{draft.state.site} refuses return {draft.number}{why}")
    else:
        draft.take_back("XD-RET-003", cause)
    return True


def moved(draft: Draft, _event: Event, milestone: Milestone) -> bool:
    """A carrier scanned the parcel on its way back: keep its latest scan, and its latest arrival."""
    if milestone.milestone_class != "actual" or not is_instant(milestone.at):
        return False
    rank, state = rank_of(milestone.code), draft.state
    if rank < DEPARTED:
        return False
    moved_at = _later(state.moved_at, milestone.at)
    arrived_at = _later(state.arrived_at, milestone.at) if rank >= ARRIVED else state.arrived_at
    if (moved_at, arrived_at) == (state.moved_at, state.arrived_at):
        return False
    draft.put(moved_at=moved_at, arrived_at=arrived_at)
    return True


def received(draft: Draft, event: Event, receipt: ReturnReceipt) -> bool:
    """Book what a site found. The same receipt again tells nothing; the same number with other goods is a fault."""
    site = receipt.site or draft.state.site
    place = (site, receipt.number)
    fingerprint = _fingerprint(receipt)
    known = draft.receipts.get(place)
    if known is not None:
        if known.fingerprint != fingerprint:
            message = f"{site} reports receipt {receipt.number} of return {draft.number} again, with other goods"
            draft.fault("XD-RET-004", f"receipt_changed:{receipt.number}", message, "/number")
        return False
    if len(draft.receipts) >= RECEIPTS_MAX:
        draft.fault("XD-RET-004", "receipts_max", f"return {draft.number} has {RECEIPTS_MAX} receipts already")
        return False
    if not all(is_quantity(line.quantity) for line in receipt.lines):
        message = f"receipt {receipt.number} of return {draft.number} has a quantity that is none"
        draft.fault("XD-DOC-001", f"receipt_quantity:{receipt.number}", message, "/lines")
        return False
    lines = tuple([_book_line(draft, line) for line in receipt.lines if line.quantity])
    at = receipt.at or event.occurred_at
    draft.receipts[place] = BookedReceipt(receipt.number, site, lines, fingerprint, at, receipt.final)
    draft.name("receipt", receipt.number, site)
    return True


def disposed(draft: Draft, _event: Event, told: Disposition) -> bool:
    """Note what the site did with goods of a receipt."""
    place = next((key for key, one in draft.receipts.items() if one.number == told.receipt_number), None)
    if place is None:
        message = f"return {draft.number} has no receipt {told.receipt_number}"
        draft.fault("XD-RET-004", f"receipt_unknown:{told.receipt_number}", message, "/receipt_number")
        return False
    receipt, lines = draft.receipts[place], list(draft.receipts[place].lines)
    for line in told.lines:
        for index, found in enumerate(lines):
            if line.sku == found.sku and line.line_no in ("", found.line_no) and not found.settled:
                lines[index] = msgspec.structs.replace(found, disposition=line.disposition, settled=True)
                break
    if tuple(lines) == receipt.lines:
        return False
    draft.receipts[place] = msgspec.structs.replace(receipt, lines=tuple(lines))
    return True


def _book_line(draft: Draft, line: InspectedLine) -> FoundLine:
    quantity = line.quantity
    disposition = line.disposition or draft.rules.disposition_of(line.condition)
    settled = bool(line.disposition)
    known = _line_of(draft, line)
    if known is None:
        message = f"{quantity_text(quantity)} of {line.sku} came with return {draft.number}, which does not name it"
        draft.raise_condition("XD-RET-005", f"stray:{line.sku}", message)
        return FoundLine(line.sku, quantity, condition=line.condition, disposition="hold", settled=settled)
    total = known.received + quantity
    creditable = _creditable(draft, known, quantity)
    if total > known.allowed:
        message = (
            f"return {draft.number} line {known.line_no}: {quantity_text(total)} came, "
            f"{quantity_text(known.allowed)} were authorized"
        )
        draft.raise_condition("XD-RET-006", f"surplus:{known.line_no}", message)
    draft.lines[known.line_no] = msgspec.structs.replace(
        known, received=total, creditable=known.creditable + creditable
    )
    return FoundLine(line.sku, quantity, known.line_no, line.condition, disposition, settled, creditable)


def _line_of(draft: Draft, line: InspectedLine) -> ReturnLineState | None:
    if line.line_no:
        known = draft.lines.get(line.line_no)
        return known if known is not None and known.sku == line.sku else None
    fitting = [known for known in draft.lines.values() if known.sku == line.sku]
    return next((known for known in fitting if known.received < known.allowed), fitting[0] if fitting else None)


def _creditable(draft: Draft, line: ReturnLineState, quantity: Decimal) -> Decimal:
    """Return how much of a received quantity may be credited: never more than allowed, nor than is the customer's.

    Where a return had expired and another took its place, what came under the one is not credited under the other.
    """
    left = line.allowed - line.creditable
    if draft.order is not None:
        left = min(left, uncredited(draft.order, line.line_no, draft.rules, besides=draft.number) - line.creditable)
    return max(min(quantity, left), ZERO)


def _later(known: datetime | None, told: datetime) -> datetime:
    return told if known is None else max(known, told)


def _fingerprint(receipt: ReturnReceipt) -> int:
    return zlib.crc32(msgspec.json.encode((receipt.lines, receipt.final)))
