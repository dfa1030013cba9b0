"""A cancel, in two phases: what is at no site is cancelled at once, the rest waits for the sites' answers.

Goods that left win: a ship confirmation after the request is booked, and the cancel settles for what is left.
The second phase, the site's answer, is in `answers.py`.
"""

from __future__ import annotations

from ...canonical.events import Event
from ...canonical.orders import FulfillmentCancel, OrderChange
from ..order_state import ACTIVE_STATES, changed
from .changes import drop
from .draft import Draft


def cancel_requested(draft: Draft, _event: Event, change: OrderChange) -> bool:
    """Cancel the order, or the lines named, as far as they have not left."""
    if change.action != "cancel":
        message = f"order {draft.order.number}: cannot {change.action!r} an order"
        draft.fault("XD-DOC-001", f"unknown_change:{change.action}", message, "/action")
        return False
    wanted = change.line_nos or tuple(draft.lines)
    unknown = [line_no for line_no in wanted if line_no not in draft.lines]
    if unknown:
        message = f"order {draft.order.number} has no line {', '.join(unknown)}"
        draft.fault("XD-DOC-001", "unknown_line", message, "/line_nos")
        return False
    drop(draft, "the order is being cancelled")
    at_once = _cancel_waiting(draft, wanted)
    asked, waits, refused = _ask_sites(draft, wanted, change.reason)
    done = all(draft.lines[line_no].active == 0 for line_no in wanted)
    if refused or not (at_once or asked or waits or done):
        message = f"order {draft.order.number}: {'a site goes on shipping' if refused else 'everything has left'}"
        draft.fault("XD-ORD-004", "too_late", message)
    return at_once or asked


def _cancel_waiting(draft: Draft, wanted: tuple[str, ...]) -> bool:
    """Cancel what is open or backordered of the lines; returns whether there was any."""
    any_cancelled = False
    for line_no in wanted:
        ledger = draft.lines[line_no]
        if ledger.backordered > 0:
            ledger = ledger.cancel(ledger.backordered, source="backordered")
        if ledger.open > 0:
            ledger = ledger.cancel(ledger.open)
        if ledger is not draft.lines[line_no]:
            draft.lines[line_no] = ledger
            any_cancelled = True
    return any_cancelled


def _ask_sites(draft: Draft, wanted: tuple[str, ...], reason: str) -> tuple[bool, bool, bool]:
    """Ask every site that still has to ship one of the lines. Returns whether any was asked, waits, or refused before.

    A site can only cancel a request whole: lines nobody wants to cancel look for a site again after its answer.
    """
    asked = waits = refused = False
    for fulfillment in list(draft.fulfillments.values()):
        if fulfillment.state not in ACTIVE_STATES:
            continue
        lines = tuple(line.line_no for line in fulfillment.lines if line.line_no in wanted and line.outstanding > 0)
        if not lines:
            continue
        if fulfillment.cancel_refused:
            refused = True
            continue
        added = tuple(line_no for line_no in lines if line_no not in fulfillment.cancel_lines)
        if not added:
            waits = True
            continue
        asked = True
        if fulfillment.state != "cancelling":
            document = FulfillmentCancel(fulfillment.number, draft.order.number, fulfillment.site, reason)
            draft.emit("fulfillment.cancel_requested", document)
            draft.request("fulfillment_cancel", fulfillment.number, document, site=fulfillment.site)
        draft.put(
            changed(
                fulfillment,
                state=draft.step(fulfillment, "cancel_asked"),
                cancel_lines=(*fulfillment.cancel_lines, *added),
            )
        )
    return asked, waits, refused
