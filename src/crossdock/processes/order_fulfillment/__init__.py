"""Steer an order from its release to its delivery, or its cancel.

`decide` is pure and total: the state so far, one event and the facts of the moment go in, an Outcome comes out; it
reads no clock and no table, and no event makes it raise. Deadlines come back as events. One file per family of events;
`consequences.py` adds what follows from the new state.

The status of an order follows from its quantities and requests (`order_state.status_of`):

    (new)           → released backordered on_hold
    on_hold         → released in_fulfillment partly_shipped shipped delivered backordered cancelling cancelled
    on_hold         → partly_returned returned
    backordered     → released partly_shipped shipped delivered on_hold cancelled
    released        → in_fulfillment partly_shipped shipped delivered backordered on_hold cancelling
    in_fulfillment  → released partly_shipped shipped delivered backordered on_hold cancelling
    partly_shipped  → shipped delivered on_hold cancelling partly_returned returned
    cancelling      → released in_fulfillment partly_shipped shipped delivered backordered on_hold cancelled
    cancelling      → partly_returned returned
    shipped         → delivered partly_returned returned
    delivered       → partly_returned returned
    partly_returned → returned
    returned        → (end)
    cancelled       → (end)

What one site was asked for, a fulfillment, moves by what the site says (`order_state.FULFILLMENT_ARROWS`):

    accepted                    requested → accepted
    picked                      requested accepted → picked
    packed                      requested accepted picked → packed
    rejected                    requested accepted picked packed partly_shipped cancelling → rejected
    cancelled                   requested accepted picked packed partly_shipped cancelling → cancelled
    cancel_asked                requested accepted picked packed partly_shipped cancelling → cancelling
    shipped_part                requested accepted picked packed partly_shipped → partly_shipped
    shipped_part                cancelling → cancelling
    shipped_final               requested accepted picked packed partly_shipped cancelling → shipped
    shipped_nothing             requested accepted picked packed partly_shipped cancelling → short
    cancel_rejected             cancelling → accepted
    cancel_rejected_after_pick  cancelling → picked
    cancel_rejected_after_part  cancelling → partly_shipped
    shipped_late                shipped short rejected cancelled → shipped
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...canonical.events import Event
from ...canonical.invoices import CreditMemo, Invoice, InvoiceStatus, ProofOfDelivery, RebillRequest
from ...canonical.orders import FulfillmentAnswer, Order, OrderChange, ServiceCase
from ...canonical.returns import ReturnProgress
from ...canonical.shipments import Milestone, Shipment
from ..ledger import LedgerViolation
from ..order_state import OrderState
from ..outcome import DecisionContext, Outcome, ProcessException
from .answers import answered
from .billing import invoice_credited, invoice_issued, invoice_status, rebill_requested
from .cancels import cancel_requested
from .changes import change_requested
from .consequences import settle
from .deadlines import Deadline, case_changed, passed
from .draft import Draft
from .milestones import recorded
from .release import released_again, take_on
from .returned import delivery_proven, return_changed
from .shipments import departed

__all__ = ["HANDLERS", "decide"]

Handler = Callable[[Draft, Event, Any], bool]

RELEASED = "crossdock.order.released.v1"

# Which function takes which event, and the shape of its data. A handler returns whether the event told anything new.
HANDLERS: dict[str, tuple[Any, Handler]] = {
    RELEASED: (Order, released_again),
    "crossdock.order.cancel_requested.v1": (OrderChange, cancel_requested),
    "crossdock.order.change_requested.v1": (OrderChange, change_requested),
    "crossdock.fulfillment.answered.v1": (FulfillmentAnswer, answered),
    "crossdock.shipment.departed.v1": (Shipment, departed),
    "crossdock.milestone.recorded.v1": (Milestone, recorded),
    "crossdock.case.changed.v1": (ServiceCase, case_changed),
    "crossdock.deadline.passed.v1": (Deadline, passed),
    "crossdock.return.changed.v1": (ReturnProgress, return_changed),
    "crossdock.delivery.proven.v1": (ProofOfDelivery, delivery_proven),
    "crossdock.invoice.issued.v1": (Invoice, invoice_issued),
    "crossdock.invoice.status.v1": (InvoiceStatus, invoice_status),
    "crossdock.invoice.credited.v1": (CreditMemo, invoice_credited),
    "crossdock.invoice.rebill_requested.v1": (RebillRequest, rebill_requested),
}


def decide(state: OrderState | None, event: Event, context: DecisionContext) -> Outcome:
    """Return everything that follows from one event for one order; an unknown type of event changes nothing.

    An event for an order nobody knows is parked under the name it waits for. The same event again is a duplicate and
    has no effect. `context.policy` is a `CompiledPolicy`.
    """
    known = HANDLERS.get(event.type)
    if known is None:
        return Outcome(state)
    shape, handler = known
    try:
        data = msgspec.convert(event.data, shape)
    except msgspec.ValidationError as error:
        message = f"{event.type}: {error}"
        return Outcome(state, exceptions=(ProcessException("XD-DOC-001", f"shape:{event.type}", message),))
    try:
        if state is None:
            return _without_order(event, data, context)
        draft = Draft(state, context)
        if handler(draft, event, data):
            settle(draft)
            return draft.finish()
    except LedgerViolation as violation:
        fault = ProcessException(violation.code, f"ledger:{event.type}", str(violation), violation.pointer)
        return Outcome(state, exceptions=(fault,))
    if draft.parked_until:
        return Outcome(state, parked_until=draft.parked_until)
    return Outcome(state, exceptions=tuple(draft.exceptions), duplicate=not draft.exceptions)


def _without_order(event: Event, data: Any, context: DecisionContext) -> Outcome:
    """Take a released order on; park everything else."""
    if event.type == RELEASED:
        draft = take_on(data, context)
        if isinstance(draft, Outcome):
            return draft
        settle(draft)
        return draft.finish()
    return Outcome(None, parked_until=_awaited(data))


def _awaited(data: Any) -> str:
    """Return the name under which an event waits for its order; empty when it names nothing."""
    if isinstance(data, OrderChange):
        return f"order:{data.number}"
    if isinstance(data, FulfillmentAnswer):
        return f"fulfillment:{data.number}"
    if isinstance(data, ServiceCase):
        return f"order:{data.order_number}"
    if isinstance(data, Invoice | InvoiceStatus | CreditMemo | RebillRequest | ReturnProgress) and data.order_number:
        return f"order:{data.order_number}"
    if isinstance(data, Shipment | Milestone | ProofOfDelivery):
        names = [("order", data.order_number), ("fulfillment", data.fulfillment_number)]
        if not isinstance(data, Shipment):
            names += [("shipment", data.shipment_number), ("tracking", data.tracking)]
        return next((f"{kind}:{value}" for kind, value in names if value), "")
    return ""
