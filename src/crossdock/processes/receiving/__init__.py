"""Steer a purchase order from its release to the last receipt.

`decide` is pure and total, as every process: state, event and the facts of the moment in, an Outcome out. Only the
partner whose supplier it is may acknowledge or announce (`rules/purchase.yaml`). Each receipt is posted to the ERP
once; each difference is told once. Quantities stand in `ledger.py`.

The status follows from quantities and papers (`state.status_of`):

    (new)           → sent
    sent            → acknowledged rejected in_transit partly_received closed cancelled
    acknowledged    → sent rejected in_transit partly_received closed cancelled
    rejected        → sent acknowledged in_transit closed cancelled
    in_transit      → sent acknowledged rejected partly_received closed cancelled
    partly_received → in_transit closed
    cancelled       → sent in_transit closed
    closed          → sent acknowledged rejected in_transit partly_received cancelled

`closed` ends with the last receipt or by the buyer's word; a change of the buyer opens the order again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...canonical.events import Event
from ...canonical.receiving import (
    AdvanceShipNotice,
    PurchaseOrder,
    PurchaseOrderAck,
    PurchaseOrderChange,
    Receipt,
)
from ..ledger import LedgerViolation
from ..outcome import DecisionContext, Outcome, ProcessException
from .arrivals import announced, received
from .consequences import settle
from .draft import Draft
from .orders import acknowledged, changed, released_again, take_on
from .state import PurchaseState

__all__ = ["HANDLERS", "decide"]

Handler = Callable[[Draft, Event, Any], bool]

RELEASED = "crossdock.purchase.released.v1"


class Deadline(msgspec.Struct, frozen=True):
    """The data of `crossdock.deadline.passed.v1`: which timer."""

    name: str
    override: bool = False


def _passed(draft: Draft, _event: Event, deadline: Deadline) -> bool:
    """Look at the clocks again. A timer that was moved or cancelled meanwhile does nothing."""
    due_at = draft.timers.get(deadline.name)
    return due_at is not None and (deadline.override or due_at <= draft.now)


# Which function takes which event, and the shape of its data. A handler returns whether the event told anything new.
HANDLERS: dict[str, tuple[Any, Handler]] = {
    RELEASED: (PurchaseOrder, released_again),
    "crossdock.purchase.changed.v1": (PurchaseOrderChange, changed),
    "crossdock.purchase.acknowledged.v1": (PurchaseOrderAck, acknowledged),
    "crossdock.receipt.announced.v1": (AdvanceShipNotice, announced),
    "crossdock.receipt.completed.v1": (Receipt, received),
    "crossdock.deadline.passed.v1": (Deadline, _passed),
}


def decide(state: PurchaseState | None, event: Event, context: DecisionContext) -> Outcome:
    """Return everything that follows from one event for one purchase order.

    An event for an order nobody knows is parked under its number. `context.policy` is a `PurchaseRules`.
    """
    known = HANDLERS.get(event.type)
    if known is None:
        return Outcome(state)
    shape, handler = known
    try:
        data = msgspec.convert(event.data, shape)
    except msgspec.ValidationError as error:
        return Outcome(
            state, exceptions=(ProcessException("XD-DOC-001", f"shape:{event.type}", f"{event.type}: {error}"),)
        )
    try:
        if state is None:
            return _without_order(data, context)
        draft = Draft(state, context)
        if handler(draft, event, data):
            settle(draft)
            return draft.finish()
    except LedgerViolation as violation:
        fault = ProcessException(violation.code, f"ledger:{event.type}", str(violation), violation.pointer)
        return Outcome(state, exceptions=(fault,))
    return Outcome(state, exceptions=tuple(draft.exceptions), duplicate=not draft.exceptions)


def _without_order(data: Any, context: DecisionContext) -> Outcome:
    """Take a released order on; park everything else."""
    if isinstance(data, PurchaseOrder):
        draft = take_on(data, context)
        if isinstance(draft, Outcome):
            return draft
        settle(draft)
        return draft.finish()
    number = data.po_number if isinstance(data, AdvanceShipNotice | Receipt) else getattr(data, "number", "")
    if number:
        return Outcome(None, parked_until=f"purchase:{number}")
    message = "The paper names no purchase order, and nothing else that leads to one"
    return Outcome(None, exceptions=(ProcessException("XD-DOC-001", "purchase:nameless", message),))
