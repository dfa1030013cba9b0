"""Steer a return from its request to the credit: one lifecycle that finance, warehouse and service all look at.

`decide` is pure and total. A request is judged line by line (`eligibility.py`) against its order, which is looked at
through `context.others`; what is allowed is authorized to a site; what the site found decides what is credited, and
the ERP's answer completes it. Each change is told to the order in the same transaction, so that its ledger and this
one never differ.

The status follows from the facts (`state.status_of`):

    (new)           → in_review authorized refused
    in_review       → authorized labelled in_transit arrived refused cancelled
    in_review       → partly_received inspected credit_pending closed
    authorized      → labelled in_transit arrived partly_received inspected credit_pending closed cancelled expired
    labelled        → in_transit arrived partly_received inspected credit_pending closed cancelled expired
    in_transit      → arrived partly_received inspected credit_pending closed
    arrived         → partly_received inspected credit_pending closed
    partly_received → inspected credit_pending closed
    inspected       → credit_pending closed
    credit_pending  → inspected closed
    closed          → credit_pending inspected
    refused         → partly_received inspected closed
    cancelled       → in_transit arrived partly_received inspected credit_pending closed
    expired         → in_transit arrived partly_received inspected credit_pending closed

Goods that come although nobody expects them any more are received all the same: a late parcel reopens what was over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...canonical.events import Event
from ...canonical.returns import (
    Credit,
    Disposition,
    Exchange,
    ReturnAnswer,
    ReturnChange,
    ReturnLabel,
    ReturnReceipt,
    ReturnRequest,
)
from ...canonical.shipments import Milestone
from ..outcome import DecisionContext, Outcome, ProcessException
from .arrivals import answered, disposed, moved, received
from .consequences import settle
from .draft import Draft
from .opening import change_requested, labelled, requested_again, take_on
from .settling import credited, exchanged
from .state import ReturnState

__all__ = ["HANDLERS", "decide", "others"]

Handler = Callable[[Draft, Event, Any], bool]

REQUESTED = "crossdock.return.requested.v1"


class Deadline(msgspec.Struct, frozen=True):
    """The data of `crossdock.deadline.passed.v1`: which timer."""

    name: str
    override: bool = False


def _passed(draft: Draft, _event: Event, deadline: Deadline) -> bool:
    """Look at the clocks. A timer that was moved or cancelled meanwhile does nothing."""
    due_at = draft.timers.get(deadline.name)
    if due_at is None or due_at > draft.now:
        return False
    draft.timers.pop(deadline.name)
    return True


# Which function takes which event, and the shape of its data. A handler returns whether the event told anything new.
HANDLERS: dict[str, tuple[Any, Handler]] = {
    REQUESTED: (ReturnRequest, requested_again),
    "crossdock.return.change_requested.v1": (ReturnChange, change_requested),
    "crossdock.return.answered.v1": (ReturnAnswer, answered),
    "crossdock.return.labelled.v1": (ReturnLabel, labelled),
    "crossdock.return.moved.v1": (Milestone, moved),
    "crossdock.return.received.v1": (ReturnReceipt, received),
    "crossdock.return.disposed.v1": (Disposition, disposed),
    "crossdock.credit.answered.v1": (Credit, credited),
    "crossdock.exchange.answered.v1": (Exchange, exchanged),
    "crossdock.deadline.passed.v1": (Deadline, _passed),
}


def others(state: ReturnState | None, event: Event) -> tuple[str, ...]:
    """Return the order that a return must look at."""
    number = state.order_number if state is not None else event_order(event.data)
    return (f"order/{number}",) if number else ()


def event_order(data: Any) -> str:
    """Return the order that a request names; empty for anything else."""
    found = data.get("order_number", "") if isinstance(data, dict) else getattr(data, "order_number", "")
    return found if isinstance(found, str) else ""


def decide(state: ReturnState | None, event: Event, context: DecisionContext) -> Outcome:
    """Return everything that follows from one event for one return.

    An event for a return nobody knows is parked under its number. `context.policy` is a `ReturnRules`.
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
    if state is None:
        return _without_return(data, context)
    draft = Draft(state, context)
    if handler(draft, event, data):
        settle(draft)
        return draft.finish()
    return Outcome(state, exceptions=tuple(draft.exceptions), duplicate=not draft.exceptions)


def _without_return(data: Any, context: DecisionContext) -> Outcome:
    """Take a request on; park everything else."""
    if isinstance(data, ReturnRequest):
        draft = take_on(data, context)
        if isinstance(draft, Outcome):
            return draft
        settle(draft)
        return draft.finish()
    number = getattr(data, "return_number", "") or getattr(data, "number", "")
    if isinstance(data, Milestone | Deadline) or not number:
        return Outcome(None)
    return Outcome(None, parked_until=f"return:{number}")
