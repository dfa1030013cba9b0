"""What follows from the state of a purchase order, whatever brought it there: shortages, ends, clocks.

It looks at facts and not at the event, so what was told once is not told again and order does not matter.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from ...canonical.claims import CLAIM, Claim, ClaimLine, Evidence
from ..ledger import ZERO
from ..outcome import Tell
from .arrivals import tell_discrepancy
from .draft import Draft
from .ledger import share
from .orders import variances
from .state import ENDED, brought, in_transit, is_in, received_on

ACK_OVERDUE, NOTICE_OVERDUE, OTHERWISE_CONFIRMED, GOODS_OVERDUE = (
    "XD-SUP-001",
    "XD-SUP-002",
    "XD-SUP-003",
    "XD-SUP-004",
)

COMPLETE = "complete"


def settle(draft: Draft) -> None:
    """Add everything that follows from the changed state to the draft."""
    before = draft.status
    _tell_shortages(draft)
    _claim_damage(draft)
    if draft.closed in ("", COMPLETE):
        # A notice that comes after the last receipt may announce more: then the order is not complete after all.
        draft.closed = COMPLETE if _is_complete(draft) else ""
    draft.status = draft.current_status()
    _look_at_words(draft)
    _watch_clocks(draft)
    if draft.status == "closed" and before != "closed":
        draft.emit("purchase.closed", {"number": draft.number, "reason": draft.closed})


def _tell_shortages(draft: Draft) -> None:
    """Tell once what a notice announced and its final receipt did not bring."""
    receipts = tuple(draft.receipts.values())
    for notice in tuple(draft.notices.values()):
        if notice.short_told or not is_in(receipts, notice.number):
            continue
        came = received_on(receipts, notice.number)
        draft.notices[notice.number] = msgspec.structs.replace(notice, short_told=True)
        for item in notice.items:
            if not item.line_no:
                continue
            missing = item.quantity - came.get((item.line_no, item.sku), ZERO)
            percent = draft.tolerance(item.sku).short_percent
            tell_discrepancy(
                draft,
                "short",
                item.sku,
                missing,
                line_no=item.line_no,
                asn_number=notice.number,
                expected=item.quantity,
                tolerated=missing <= share(item.quantity, percent),
            )


def _claim_damage(draft: Draft) -> None:
    """Open a claim against the carrier for damaged goods, once notice and receipt are both there."""
    if not draft.rules.claim_damage:
        return
    for key, receipt in tuple(draft.receipts.items()):
        notice = draft.notices.get(receipt.asn_number)
        broken = [item for item in receipt.items if item.damaged and item.line_no]
        if receipt.claimed or not broken or notice is None or not notice.carrier:
            continue
        draft.receipts[key] = msgspec.structs.replace(receipt, claimed=True)
        claim = Claim(
            f"CL-{draft.number}-{receipt.site}-{receipt.number}",
            "damage",
            notice.carrier,
            draft.order.currency or "USD",
            tuple(ClaimLine(item.sku, item.damaged, item.damaged * _price(draft, item.line_no)) for item in broken),
            notice.load_number,
            draft.number,
            receipt_number=receipt.number,
            delivered_at=receipt.received_at,
            evidence=(Evidence("receipt", receipt.number),),
        )
        draft.tells.append(Tell(f"{CLAIM}/{claim.number}", "crossdock.claim.opened.v1", claim))


def _price(draft: Draft, line_no: str) -> Decimal:
    line = draft.lines[line_no]
    return line.agreed_price if line.agreed_price is not None else line.unit_price or ZERO


def _is_complete(draft: Draft) -> bool:
    """Tell whether every line is full within its tolerance, something came in, and nothing is on its way."""
    if not brought(draft.receipts.values()):
        return False
    if in_transit(draft.notices.values(), draft.receipts.values()):
        return False
    return all(
        line.book.outstanding <= share(line.book.wanted, draft.tolerance(line.sku).short_percent)
        for line in draft.lines.values()
    )


def _look_at_words(draft: Draft) -> None:
    cause = f"confirmed:{draft.number}"
    found = [words for line in draft.lines.values() for words in variances(draft, line)]
    if found and draft.status not in ENDED:
        message = f"{draft.order.supplier} confirms {draft.number} otherwise: {'; '.join(found[:5])}"
        draft.raise_condition(OTHERWISE_CONFIRMED, cause, message)
    else:
        draft.take_back(OTHERWISE_CONFIRMED, cause)


def _watch_clocks(draft: Draft) -> None:
    """Set the three clocks anew from the facts; one that has run out is a fault until its reason is gone."""
    supplier = draft.order.supplier
    for name, code, due_at, words in (
        ("ack", ACK_OVERDUE, _ack_due(draft), "has not answered"),
        ("asn", NOTICE_OVERDUE, _notice_due(draft), "has not announced what it ships of"),
        ("receipt", GOODS_OVERDUE, _goods_due(draft), "goods have not come in of"),
    ):
        cause = f"{name}:{supplier}"
        late = due_at is not None and due_at <= draft.now
        if late:
            draft.raise_condition(code, cause, f"{supplier} {words} {draft.number} in time")
        else:
            draft.take_back(code, cause)
        draft.set_timer(name, None if late else due_at)


def _ack_due(draft: Draft) -> datetime | None:
    if draft.status in ENDED or not any(line.book.open for line in draft.lines.values()):
        return None
    return _later(draft.asked_at, hours=draft.agreed.ack_hours)


def _notice_due(draft: Draft) -> datetime | None:
    """Return by when the supplier must have announced what is not on its way and did not come in."""
    if draft.status in ENDED or draft.agreed.asn != "required":
        return None
    moving = in_transit(draft.notices.values(), draft.receipts.values())
    days = [
        due
        for line in draft.lines.values()
        if line.book.outstanding > share(line.book.wanted, draft.tolerance(line.sku).short_percent)
        and line.book.outstanding > moving.get(line.line_no, ZERO)
        and (due := line.agreed_on or line.due_on or draft.order.due_on)
    ]
    return _end_of(draft, min(days), hours=-draft.agreed.asn_hours_before_due) if days else None


def _goods_due(draft: Draft) -> datetime | None:
    """Return when the next goods must be in, by the notices, else by the days of the lines."""
    if draft.status in ENDED:
        return None
    receipts = tuple(draft.receipts.values())
    grace = draft.agreed.receipt_grace_hours
    dues = [
        due
        for notice in draft.notices.values()
        if notice.expected_at is not None
        and not is_in(receipts, notice.number)
        and (due := _later(notice.expected_at, hours=grace))
    ]
    dues += [
        due
        for line in draft.lines.values()
        if line.book.outstanding > share(line.book.wanted, draft.tolerance(line.sku).short_percent)
        and (day := line.agreed_on or line.due_on or draft.order.due_on)
        and (due := _end_of(draft, day, hours=grace))
    ]
    return min(dues, default=None)


def _end_of(draft: Draft, day: date, *, hours: int) -> datetime | None:
    if not 1990 <= day.year <= 2200:
        return None
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(draft.rules.timezone))
    return _later(midnight, hours=hours)


def _later(moment: datetime, *, hours: int) -> datetime | None:
    """Return a moment some hours later; None beyond any year somebody could mean."""
    if not 1990 <= moment.year <= 2200 or abs(hours) > 200_000:
        return None
    return moment.astimezone(UTC) + timedelta(hours=hours)
