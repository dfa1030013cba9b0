"""A change of an order that is under way: another address, or other quantities.

What no site holds is changed at once. A site that holds some of it is asked to give it back first, in the two phases of
a cancel, and the changed order looks for sites again; that is possible until the site picks or its cut-off passes. One
site that refuses is enough: then the order ships as it was, and whoever asked is told. Goods that left are never asked
for.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.orders import ChangedLine, FulfillmentCancel, OrderChange
from ..calendars import local_instant
from ..ledger import is_quantity, quantity_text
from ..order_state import ACTIVE_STATES, ENDED, Fulfillment, PendingChange, changed
from .draft import Draft
from .release import place

TOO_LATE = "XD-ORD-012"
ALL_LEFT = ("shipped", *ENDED)


def change_requested(draft: Draft, _event: Event, change: OrderChange) -> bool:
    """Change the order, or ask the sites that hold it to give it back first."""
    if not _understood(draft, change):
        return False
    lines = tuple(line for line in change.lines if line.quantity != draft.lines[line.line_no].active)
    ship_to = change.ship_to if change.ship_to != draft.order.ship_to else None
    if not lines and ship_to is None:
        return False
    touched = _touched(draft, lines, everywhere=ship_to is not None)
    obstacle = _obstacle(draft, lines, touched)
    if obstacle:
        _too_late(draft, obstacle)
        return False
    if not touched:
        _apply(draft, PendingChange(ship_to, lines))
        return True
    for fulfillment in touched:
        document = FulfillmentCancel(
            fulfillment.number, draft.order.number, fulfillment.site, change.reason or "the order is changed"
        )
        draft.emit("fulfillment.cancel_requested", document)
        draft.request("fulfillment_cancel", fulfillment.number, document, site=fulfillment.site)
        draft.put(changed(fulfillment, state=draft.step(fulfillment, "cancel_asked")))
    draft.change = PendingChange(ship_to, lines, tuple(one.number for one in touched))
    return True


def resume(draft: Draft) -> None:
    """Carry a waiting change out, or drop it, once every site that was asked has answered."""
    change = draft.change
    if change is None:
        return
    asked = [draft.fulfillments[number] for number in change.waits]
    if any(one.state == "cancelling" for one in asked):
        return
    draft.change = None
    refused = next((one for one in asked if one.cancel_refused), None)
    obstacle = f"{refused.site} goes on with {refused.number}" if refused is not None else ""
    obstacle = obstacle or _obstacle(draft, change.lines, ())
    if obstacle:
        _refuse(draft, obstacle)
        place(draft, "open", why="the change was not possible")
        return
    _apply(draft, change)


def drop(draft: Draft, why: str) -> None:
    """Give up a change that waits: something stronger came."""
    if draft.change is not None:
        draft.change = None
        _refuse(draft, why)


def _understood(draft: Draft, change: OrderChange) -> bool:
    number, pointer, fault = draft.order.number, "", ""
    for index, line in enumerate(change.lines):
        if line.line_no not in draft.lines:
            pointer, fault = f"/lines/{index}/line_no", f"order {number} has no line {line.line_no}"
        elif any(line.line_no == other.line_no for other in change.lines[:index]):
            pointer, fault = f"/lines/{index}/line_no", f"line {line.line_no} is named twice"
        elif not is_quantity(line.quantity):
            pointer, fault = f"/lines/{index}/quantity", f"line {line.line_no} cannot become {line.quantity}"
    if change.action != "change":
        pointer, fault = "/action", f"order {number}: cannot {change.action!r} an order"
    elif change.ship_to is None and not change.lines:
        pointer, fault = "", f"order {number}: a change that names neither an address nor lines"
    if fault:
        draft.fault("XD-DOC-001", "order_change", fault, pointer)
    return not fault


def _touched(draft: Draft, lines: tuple[ChangedLine, ...], *, everywhere: bool) -> list[Fulfillment]:
    """Return the requests that sites must give back: all for an address, else those a smaller quantity reaches."""
    less: dict[str, Decimal] = {}
    for line in lines:
        ledger = draft.lines[line.line_no]
        beyond = ledger.active - line.quantity - ledger.open - ledger.backordered
        if beyond > 0:
            less[line.line_no] = beyond
    touched = []
    for fulfillment in draft.fulfillments.values():
        if fulfillment.state not in ACTIVE_STATES or fulfillment.outstanding <= 0:
            continue
        if everywhere or any(line.line_no in less and line.outstanding > 0 for line in fulfillment.lines):
            touched.append(fulfillment)
    return touched


def _obstacle(draft: Draft, lines: tuple[ChangedLine, ...], touched: list[Fulfillment] | tuple[()]) -> str:
    """Return in words why the change cannot be made any more; empty when it can."""
    if draft.change is not None:
        return "another change waits for the answer of a site"
    status = draft.current_status()
    if status in ALL_LEFT:
        return f"the order is {status}"
    for line in lines:
        gone = draft.lines[line.line_no].shipped
        if line.quantity < gone:
            return f"{quantity_text(gone)} of line {line.line_no} have left"
    for fulfillment in touched:
        if fulfillment.state == "cancelling":
            return f"{fulfillment.site} is being asked to cancel {fulfillment.number}"
        if fulfillment.cancel_refused:
            return f"{fulfillment.site} refused to give {fulfillment.number} back"
        if fulfillment.state in ("picked", "packed") or any(line.picked for line in fulfillment.lines):
            return f"{fulfillment.site} has picked {fulfillment.number}"
        until = _changeable_until(draft, fulfillment)
        if until is not None and draft.now >= until:
            return f"the cut-off of {fulfillment.site} for {fulfillment.number} has passed"
    return ""


def _changeable_until(draft: Draft, fulfillment: Fulfillment) -> datetime | None:
    """Return the site's cut-off on the day the request has to leave."""
    if fulfillment.ship_by_at is None or fulfillment.site not in draft.policy.sites:
        return None
    clock = draft.policy.clock(fulfillment.site, draft.service_level)
    day = fulfillment.ship_by_at.astimezone(clock.zone).date()
    return local_instant(clock.zone, day, clock.cutoff)


def _apply(draft: Draft, change: PendingChange) -> None:
    order = draft.order
    for line in change.lines:
        ledger = draft.lines[line.line_no]
        difference = line.quantity - ledger.active
        if difference > 0:
            ledger = ledger.grow(difference)
        less = -difference
        for bucket, held in (("backordered", ledger.backordered), ("open", ledger.open)):
            part = min(less, held)
            if part > 0:
                ledger = ledger.cancel(part, source="backordered" if bucket == "backordered" else "open")
                less -= part
        draft.lines[line.line_no] = ledger
    lines = tuple(msgspec.structs.replace(line, quantity=draft.lines[line.line_no].ordered) for line in order.lines)
    draft.order = msgspec.structs.replace(order, lines=lines, ship_to=change.ship_to or order.ship_to)
    address = draft.order.ship_to
    if not order.region and address is not None:
        draft.region = draft.policy.region(address.country, address.region)
    data: dict[str, object] = {"number": order.number}
    if change.ship_to is not None:
        data["ship_to"] = change.ship_to
    if change.lines:
        data["lines"] = [{"line_no": line.line_no, "quantity": quantity_text(line.quantity)} for line in change.lines]
    draft.emit("order.changed", data)
    place(draft, "open", why="changed")


def _refuse(draft: Draft, why: str) -> None:
    draft.emit("order.change_refused", {"number": draft.order.number, "reason": why})
    _too_late(draft, why)


def _too_late(draft: Draft, why: str) -> None:
    draft.fault(TOO_LATE, "change_too_late", f"order {draft.order.number} ships as it was: {why}")
