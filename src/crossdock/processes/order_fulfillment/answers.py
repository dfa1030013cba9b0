"""A site answers: accepted, rejected, picked, packed, cancelled, or it refuses a cancel.

What a site gives back is cancelled when a cancel waits for it, else it looks for another site.
"""

from __future__ import annotations

from ...canonical.events import Event
from ...canonical.orders import FulfillmentAnswer
from ..ledger import ZERO, quantity_text
from ..order_state import ACTIVE_STATES, Fulfillment, RequestedLine, changed
from .draft import Draft
from .release import place


def answered(draft: Draft, _event: Event, answer: FulfillmentAnswer) -> bool:
    """Take in what a site says of a request; a request that is not known yet parks the answer."""
    fulfillment = draft.fulfillments.get(answer.number)
    if fulfillment is None:
        draft.parked_until = f"fulfillment:{answer.number}"
        return False
    if answer.site and answer.site != fulfillment.site:
        message = f"{answer.site} answered {answer.number}, which was asked of {fulfillment.site}"
        draft.fault("XD-ORD-005", f"wrong_site:{answer.site}", message, "/site")
        return False
    handler = _OUTCOMES.get(answer.outcome)
    if handler is None:
        message = f"unknown answer {answer.outcome!r} to {answer.number}"
        draft.fault("XD-DOC-001", f"unknown_answer:{answer.outcome}", message, "/outcome")
        return False
    return handler(draft, fulfillment, answer)


def withdraw(draft: Draft, fulfillment: Fulfillment, state: str) -> tuple[Fulfillment, bool]:
    """Take back everything a site has not shipped: lines with a cancel waiting are cancelled, others are open again.

    Returns the fulfillment in its new state and whether anything became open. The caller looks for other sites.
    """
    opened = False
    lines: list[RequestedLine] = []
    for line in fulfillment.lines:
        quantity = line.outstanding
        if quantity <= 0:
            lines.append(line)
            continue
        ledger = draft.lines[line.line_no].give_back(quantity, picked=line.picked)
        if line.line_no in fulfillment.cancel_lines:
            ledger = ledger.cancel(quantity)
        else:
            opened = True
        draft.lines[line.line_no] = ledger
        lines.append(
            RequestedLine(line.line_no, line.sku, line.quantity, ZERO, line.shipped, line.withdrawn + quantity)
        )
    done = Fulfillment(
        fulfillment.number,
        fulfillment.site,
        state,
        tuple(lines),
        fulfillment.ship_by_at,
        fulfillment.accepted,
        cancel_refused=fulfillment.cancel_refused,
    )
    draft.put(done)
    return done, opened


def _accepted(draft: Draft, fulfillment: Fulfillment, answer: FulfillmentAnswer) -> bool:
    if fulfillment.accepted or fulfillment.state not in ACTIVE_STATES:
        return False
    draft.put(changed(fulfillment, state=draft.step(fulfillment, "accepted"), accepted=True))
    draft.emit("fulfillment.accepted", _about(fulfillment, answer))
    return True


def _progress(draft: Draft, fulfillment: Fulfillment, answer: FulfillmentAnswer) -> bool:
    """The site picked or packed everything it still has to ship."""
    if fulfillment.state not in ACTIVE_STATES:
        return False
    lines: list[RequestedLine] = []
    moved = False
    for line in fulfillment.lines:
        quantity = line.outstanding - line.picked
        if quantity > 0:
            moved = True
            draft.lines[line.line_no] = draft.lines[line.line_no].pick(quantity)
            line = RequestedLine(line.line_no, line.sku, line.quantity, line.outstanding, line.shipped, line.withdrawn)
        lines.append(line)
    state = draft.step(fulfillment, answer.outcome)
    if not moved and state == fulfillment.state:
        return False
    draft.put(changed(fulfillment, state=state, lines=tuple(lines), accepted=True))
    draft.emit(f"fulfillment.{answer.outcome}", _about(fulfillment, answer))
    return True


def _rejected(draft: Draft, fulfillment: Fulfillment, answer: FulfillmentAnswer) -> bool:
    if fulfillment.state == "rejected":
        return False
    if fulfillment.state not in ACTIVE_STATES:
        return _contradiction(draft, fulfillment, answer)
    _, opened = withdraw(draft, fulfillment, draft.step(fulfillment, "rejected"))
    draft.emit("fulfillment.rejected", _about(fulfillment, answer))
    _elsewhere(draft, fulfillment, opened, f"{fulfillment.site} refused {fulfillment.number}", answer.reason)
    return True


def _cancelled(draft: Draft, fulfillment: Fulfillment, answer: FulfillmentAnswer) -> bool:
    """The site cancelled: because it was asked to, or by itself, which is a refusal."""
    if fulfillment.state == "cancelled":
        return False
    if fulfillment.state not in ACTIVE_STATES:
        return _contradiction(draft, fulfillment, answer)
    asked = fulfillment.state == "cancelling"
    _, opened = withdraw(draft, fulfillment, draft.step(fulfillment, "cancelled"))
    draft.emit("fulfillment.cancelled", _about(fulfillment, answer))
    if asked and opened and draft.change is None:
        place(draft, "open", why=f"{fulfillment.number} was cancelled for other lines")
    elif not asked:
        _elsewhere(draft, fulfillment, opened, f"{fulfillment.site} cancelled {fulfillment.number}", answer.reason)
    return True


def _cancel_rejected(draft: Draft, fulfillment: Fulfillment, answer: FulfillmentAnswer) -> bool:
    if fulfillment.state != "cancelling":
        return False
    if any(line.shipped for line in fulfillment.lines):
        trigger = "cancel_rejected_after_part"
    elif any(line.picked for line in fulfillment.lines):
        trigger = "cancel_rejected_after_pick"
    else:
        trigger = "cancel_rejected"
    draft.put(
        changed(
            fulfillment, state=draft.step(fulfillment, trigger), accepted=True, cancel_lines=(), cancel_refused=True
        )
    )
    reason = f": {answer.reason}" if answer.reason else ""
    message = f"{fulfillment.site} goes on with {fulfillment.number}{reason}"
    draft.fault("XD-ORD-004", f"cancel_refused:{fulfillment.site}", message)
    return True


def _contradiction(draft: Draft, fulfillment: Fulfillment, answer: FulfillmentAnswer) -> bool:
    message = f"{fulfillment.site} answers {answer.outcome} to {fulfillment.number}, which is {fulfillment.state}"
    draft.fault("XD-ORD-005", f"contradiction:{fulfillment.site}", message, "/outcome")
    return False


def _elsewhere(draft: Draft, fulfillment: Fulfillment, opened: bool, why: str, reason: str) -> None:
    """Look for another site for what this one will not ship; it is not asked again for this order."""
    if not opened:
        return
    if fulfillment.site not in draft.refused_by:
        draft.refused_by = (*draft.refused_by, fulfillment.site)
    if not place(draft, "open", why=why, report=False):
        message = f"{why}{': ' + reason if reason else ''}; no other site took over"
        draft.raise_condition("XD-ORD-009", f"refused:{fulfillment.site}", message)


def _about(fulfillment: Fulfillment, answer: FulfillmentAnswer) -> dict[str, object]:
    data: dict[str, object] = {
        "number": fulfillment.number,
        "site": fulfillment.site,
        "lines": [
            {"line_no": line.line_no, "sku": line.sku, "quantity": quantity_text(line.outstanding)}
            for line in fulfillment.lines
        ],
    }
    if answer.reason:
        data["reason"] = answer.reason
    if answer.at is not None:
        data["at"] = answer.at
    return data


_OUTCOMES = {
    "accepted": _accepted,
    "picked": _progress,
    "packed": _progress,
    "rejected": _rejected,
    "cancelled": _cancelled,
    "cancel_rejected": _cancel_rejected,
}
