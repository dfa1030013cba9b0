"""What follows from the state of an order, whatever brought it there.

`settle` compares the state with what was already booked and told: deliveries, the invoice gate, the customer's words,
risks, timers. Because it looks at facts and not at the event, the order in which events came does not matter, and
what was told once is not told again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from ...canonical.orders import OrderStatus
from ..ledger import ZERO, quantity_text
from ..order_state import DELIVERED, ENDED, Told
from ..outcome import TimerChange
from .billing import release_invoice
from .changes import resume
from .draft import Draft
from .milestones import delivery_of
from .returned import book_returns
from .risks import next_look, watch
from .unconfirmed import next_confirmation_look, watch_confirmations
from .unknown_items import UNKNOWN_ITEM, take_back_settled

# Faults that last as long as some quantity has no site.
WAITING_CODES = ("XD-ORD-001", "XD-ORD-002", "XD-ORD-009", UNKNOWN_ITEM)


def settle(draft: Draft) -> None:
    """Add everything that follows from the changed state to the draft."""
    before = draft.status
    resume(draft)
    _book_deliveries(draft)
    book_returns(draft)
    release_invoice(draft)
    # Most events are carriers' milestones, which move no quantity: what follows from quantities is skipped then.
    if draft.quantities_moved() or not draft.told.accepted:
        _journal_moves(draft)
        if not any(line.open for line in draft.lines.values()):
            draft.hold = ""
        draft.status = draft.current_status()
        _tell_customer(draft)
    watch(draft)
    watch_confirmations(draft)
    _take_back(draft)
    _set_timers(draft)
    _report_stuck(draft)
    if draft.status in ENDED and before not in ENDED:
        draft.emit("order.completed", {"number": draft.order.number, "status": draft.status})


def _journal_moves(draft: Draft) -> None:
    """Write down what became cancelled or backordered, by line."""
    before = {line.line_no: line for line in draft.before.lines}
    for bucket, name in (("cancelled", "order.cancelled"), ("backordered", "order.backordered")):
        lines: list[dict[str, str]] = []
        for line in draft.order.lines:
            known = before.get(line.line_no)
            more = getattr(draft.lines[line.line_no], bucket) - (getattr(known, bucket) if known is not None else ZERO)
            if more > 0:
                lines.append({"line_no": line.line_no, "sku": line.sku, "quantity": quantity_text(more)})
        if lines:
            draft.emit(name, {"number": draft.order.number, "lines": lines})


def _book_deliveries(draft: Draft) -> None:
    for key, shipment in draft.shipments.items():
        if shipment.delivered:
            continue
        proof = delivery_of(draft, shipment)
        if not proof:
            continue
        for line in shipment.lines:
            draft.lines[line.line_no] = draft.lines[line.line_no].deliver(line.quantity)
        draft.shipments[key] = msgspec.structs.replace(shipment, delivered=True, evidence=proof)
        draft.emit(
            "shipment.delivered",
            {
                "number": shipment.number,
                "site": shipment.site,
                "fulfillment_number": shipment.fulfillment,
                "evidence": proof,
                "lines": [
                    {"line_no": line.line_no, "quantity": quantity_text(line.quantity)} for line in shipment.lines
                ],
            },
        )


def _tell_customer(draft: Draft) -> None:
    """Tell the shop what a customer would want to hear, each thing once, never before its evidence."""
    told = draft.told
    totals = [(line.active, line.shipped, line.cancelled, line.backordered) for line in draft.lines.values()]
    active, shipped, cancelled, backordered = (sum(column, ZERO) for column in zip(*totals, strict=True))
    accepted = told.accepted
    if not accepted and draft.status not in ("on_hold", "cancelled"):
        accepted = True
        _tell(draft, "accepted", "")
    if backordered > told.backordered:
        _tell(draft, "backordered", f"{quantity_text(backordered)} of {quantity_text(active)} wait for stock")
    shipped_word = told.shipped
    if shipped > 0:
        whole = shipped == active
        shipped_word = f"{'shipped' if whole else 'partly_shipped'}:{quantity_text(shipped)}"
        if shipped_word != told.shipped:
            detail = "" if whole else f"{quantity_text(shipped)} of {quantity_text(active)} have left"
            _tell(draft, "shipped" if whole else "partly_shipped", detail)
    delivered = draft.status in DELIVERED
    returned = sum((line.returned for line in draft.lines.values()), ZERO)
    if delivered and not told.delivered:
        _tell(draft, "delivered", "")
    if returned > told.returned:
        whole_back = returned == shipped
        detail = "" if whole_back else f"{quantity_text(returned)} of {quantity_text(shipped)} came back"
        _tell(draft, "returned" if whole_back else "partly_returned", detail)
    if cancelled > told.cancelled:
        if active:
            _tell(draft, "partly_cancelled", f"{quantity_text(cancelled)} will not be shipped")
        else:
            _tell(draft, "cancelled", "")
    draft.told = Told(
        accepted,
        shipped_word,
        delivered or told.delivered,
        max(cancelled, told.cancelled),
        max(backordered, told.backordered),
        draft.told.count,
        max(returned, told.returned),
    )


def _tell(draft: Draft, word: str, detail: str) -> None:
    count = draft.told.count + 1
    draft.told = msgspec.structs.replace(draft.told, count=count)
    tracking: tuple[str, ...] = ()
    if word in ("partly_shipped", "shipped", "delivered"):
        tracking = tuple(dict.fromkeys(number for one in draft.shipments.values() for number in one.tracking))
    status = OrderStatus(draft.order.number, word, draft.now, detail, tracking, draft.order.refs)
    draft.request("order_status", f"{draft.order.number}:{word}:{count}", status)


def _take_back(draft: Draft) -> None:
    """Settle faults whose reason is gone: nothing waits for a site any more, or an unknown item no longer does."""
    take_back_settled(draft)
    if any(line.open or line.backordered for line in draft.lines.values()):
        return
    for code, cause in list(draft.raised):
        if code in WAITING_CODES:
            draft.take_back(code, cause)


def _set_timers(draft: Draft) -> None:
    rules = draft.policy.rules
    wanted: dict[str, datetime] = {}
    look = next_look(draft)
    if look is not None:
        wanted["at_risk"] = look
    may_ask = len(draft.fulfillments) < rules.requests_max
    confirmation = next_confirmation_look(draft)
    if confirmation is not None:
        wanted["confirmation"] = confirmation
    waits = any(line.backordered for line in draft.lines.values())
    if waits and may_ask and rules.backorder_retry_minutes:
        wanted["backorder"] = _keep(draft, "backorder", rules.backorder_retry_minutes)
    if draft.hold and may_ask and rules.hold_retry_minutes:
        wanted["hold"] = _keep(draft, "hold", rules.hold_retry_minutes)
    # A timer that ran out was taken from the draft; it is set again or, when it is not wanted, was gone already.
    for name in draft.timers:
        if name not in wanted:
            draft.timer_changes.append(TimerChange(name))
    for name, due_at in wanted.items():
        if draft.timers.get(name) != due_at:
            draft.timer_changes.append(TimerChange(name, due_at))
    draft.timers = wanted


def _report_stuck(draft: Draft) -> None:
    """Tell a person when a quantity waits and nothing will look at it again by itself."""
    if "backorder" in draft.timers or "hold" in draft.timers:
        return
    if any(code in WAITING_CODES for code, _ in draft.raised):
        return
    if any(line.open or line.backordered for line in draft.lines.values()):
        message = f"order {draft.order.number}: a quantity waits, and no site is looked for by itself any more"
        draft.raise_condition("XD-ORD-001", "nobody_looks_again", message)


def _keep(draft: Draft, name: str, minutes: int) -> datetime:
    return draft.timers.get(name) or draft.now + timedelta(minutes=minutes)
