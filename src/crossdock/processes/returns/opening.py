"""A return begins: the request is judged line by line, and what may come back is authorized to the site.

Also a person's word: approve or refuse what waits for review, cancel what has not left yet.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.identifiers import Reference
from ...canonical.returns import (
    AuthorizedLine,
    LabelRequest,
    ReturnAuthorization,
    ReturnChange,
    ReturnLabel,
    ReturnRequest,
)
from ..ledger import ZERO
from ..order_state import RETURNS_MAX, OrderState
from ..outcome import DecisionContext, Outcome, ProcessException
from .draft import Draft
from .eligibility import judge, reason_to_review
from .policy import ReturnRules
from .state import ReturnLineState, ReturnState

LINES_MAX = 500


def take_on(request: ReturnRequest, context: DecisionContext) -> Draft | Outcome:
    """Begin a return, or park the request until its order is known."""
    order = context.others.get(f"order/{request.order_number}")
    if not isinstance(order, OrderState):
        return Outcome(None, parked_until=f"order:{request.order_number}")
    if len(order.returns) >= RETURNS_MAX and all(one.number != request.number for one in order.returns):
        return _not_taken(request, f"order {request.order_number} has {RETURNS_MAX} returns already")
    rules: ReturnRules = context.policy
    party, address = order.order.customer, order.order.ship_to
    name = (party.name or party.code) if party is not None else ""
    state = ReturnState(
        request=msgspec.structs.replace(request, lines=request.lines[:LINES_MAX]),
        status="(new)",
        lines=(),
        customer=name or (address.name if address is not None else ""),
        ship_from=address,
        currency=order.order.currency,
    )
    draft = Draft(state, context)
    draft.references.append(Reference("return", request.number))
    draft.references.append(Reference("rma", request.number))
    lines = judge(request.lines[:LINES_MAX], order, rules, draft.now, besides=request.number)
    if request.channel == "portal" and not any(line.allowed for line in lines):
        # A customer sees why on the page; partners, who cannot, are answered by a return that is refused.
        return _not_taken(request, next((line.refusal for line in lines if line.refusal), "nothing may come back"))
    _set_lines(draft, lines)
    prices = {line.line_no: line.unit_price for line in order.order.lines}
    review = reason_to_review(lines, request.channel, prices, rules)
    draft.put(site=rules.site or _origin(order, lines), review=review)
    draft.emit("return.judged", {"number": request.number, "review": review, "lines": _words(lines)})
    if not review:
        authorize(draft)
    return draft


def _not_taken(request: ReturnRequest, why: str) -> Outcome:
    return Outcome(None, exceptions=(ProcessException("XD-RET-014", f"order:{request.order_number}", why),))


def requested_again(draft: Draft, _event: Event, request: ReturnRequest) -> bool:
    """The same number again: a repetition tells nothing; anything else is another return under a taken number."""
    known = draft.state.request
    same = known.order_number == request.order_number and known.lines == request.lines[:LINES_MAX]
    if not same:
        message = f"return {request.number} exists for order {known.order_number}; this request names other goods"
        draft.fault("XD-RET-001", "number_taken", message, "/number")
    return False


def change_requested(draft: Draft, _event: Event, change: ReturnChange) -> bool:
    """Approve, refuse or cancel. What has left the customer, or came, is not cancelled any more."""
    state = draft.state
    if change.action in ("approve", "refuse"):
        if not state.review or state.ended:
            return _too_late(draft, change)
        if change.action == "refuse":
            draft.put(review="", ended="refused", ended_why=change.reason or "refused by a person")
        else:
            # Its quantities were claimed while it waited, so nobody else can have taken them.
            draft.put(review="")
            authorize(draft)
        return True
    if state.ended == "cancelled":
        return False
    if (
        state.ended
        or state.status == "refused"
        or state.receipts
        or state.moved_at is not None
        or state.arrived_at is not None
    ):
        return _too_late(draft, change)
    draft.put(ended="cancelled", ended_why=change.reason or "cancelled", review="")
    return True


def labelled(draft: Draft, _event: Event, label: ReturnLabel) -> bool:
    """Keep the label. Goods that wait for another label may still come under the old one: it stays a name."""
    state = draft.state
    if (label.tracking, label.document) == (state.tracking, state.label):
        return False
    draft.put(tracking=label.tracking, carrier=label.carrier or state.carrier, label=label.document)
    draft.name("return_label", label.tracking, label.carrier)
    return True


def authorize(draft: Draft) -> None:
    """Let what is allowed come back: tell the site, ask for the label. Nothing happens where nothing is allowed."""
    if not any(line.allowed for line in draft.lines.values()) or draft.state.authorized_at is not None:
        return
    state, rules = draft.state, draft.rules
    days = rules.label_days
    expires_at = draft.now + timedelta(days=days) if days else None
    draft.put(authorized_at=draft.now, expires_at=expires_at)
    paper = ReturnAuthorization(
        number=state.number,
        order_number=state.order_number,
        site=state.site,
        lines=tuple(
            AuthorizedLine(
                line.line_no, line.sku, line.allowed, line.uom, line.description, line.condition, line.reason
            )
            for line in draft.lines.values()
            if line.allowed
        ),
        ship_from=state.ship_from,
        resolution=state.request.resolution,
        authorized_at=draft.now,
        expires_at=expires_at,
    )
    draft.emit("return.authorized", paper)
    if rules.tell_site:
        draft.request("return_authorization", state.number, paper)
    if rules.ask_label:
        draft.put(label_asked=True)
        label = LabelRequest(state.number, state.order_number, state.site, state.ship_from, expires_at)
        draft.request("return_label", state.number, label)


def _set_lines(draft: Draft, lines: tuple[ReturnLineState, ...]) -> None:
    known = {line.line_no for line in draft.order.order.lines} if draft.order is not None else set()
    draft.lines = {line.line_no: line for line in lines if line.line_no in known and line.allowed}
    draft.refused = tuple(line for line in lines if line.line_no not in draft.lines)


def _too_late(draft: Draft, change: ReturnChange) -> bool:
    message = f"return {change.number} is {draft.state.status.replace('_', ' ')}: too late to {change.action} it"
    draft.fault("XD-RET-002", f"too_late:{change.action}", message)
    return False


def _origin(order: OrderState, lines: tuple[ReturnLineState, ...]) -> str:
    """Return the site that shipped most of what comes back; the first by name where several did."""
    wanted = {line.line_no for line in lines if line.allowed}
    amounts: dict[str, Decimal] = {}
    for shipment in order.shipments:
        for line in shipment.lines:
            if line.line_no in wanted:
                amounts[shipment.site] = amounts.get(shipment.site, ZERO) + line.quantity
    return min(amounts, key=lambda site: (-amounts[site], site), default="")


def _words(lines: tuple[ReturnLineState, ...]) -> list[dict[str, object]]:
    return [
        {
            "line_no": line.line_no,
            "sku": line.sku,
            "asked": line.asked,
            "allowed": line.allowed,
            "verdict": line.verdict,
            "words": list(line.words),
            "refusal": line.refusal,
        }
        for line in lines
    ]
