"""Steer a load from its tender to the payment of its freight.

`decide` is pure and total, as every process. The status follows from tenders, milestones and bills
(`state.status_of`):

    (new)      → tendering no_carrier
    tendering  → accepted no_carrier in_transit delivered disputed settled cancelled
    no_carrier → tendering cancelled
    accepted   → tendering no_carrier in_transit delivered disputed settled cancelled
    in_transit → delivered disputed settled
    delivered  → disputed settled
    disputed   → settled
    settled    → disputed
    cancelled  → (end)

A tender, one at a time in the order of the routing guide (`state.TENDER_ARROWS`):

    offered  → accepted declined expired withdrawn
    accepted → given_back withdrawn
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...canonical.events import Event
from ...canonical.freight import (
    Accessorial,
    AccessorialDecision,
    Appointment,
    AppointmentRequest,
    DisputeAnswer,
    FreightInvoice,
    Load,
    LoadChange,
    LoadMilestone,
    TenderResponse,
)
from ..outcome import DecisionContext, Outcome, ProcessException
from . import billing, docks, moving, tendering
from .draft import Draft
from .state import LoadState

__all__ = ["HANDLERS", "decide"]

Handler = Callable[[Draft, Event, Any], bool]

PLANNED = "crossdock.load.planned.v1"


class Deadline(msgspec.Struct, frozen=True):
    """The data of `crossdock.deadline.passed.v1`: which timer."""

    name: str
    override: bool = False


def _passed(draft: Draft, _event: Event, deadline: Deadline) -> bool:
    """Run a timer's work. A timer that was moved or cancelled meanwhile does nothing."""
    due_at = draft.timers.get(deadline.name)
    if due_at is None or (due_at > draft.now and not deadline.override):
        return False
    return tendering.expire(draft) if deadline.name == "tender" else True


# Which function takes which event, and the shape of its data. A handler returns whether the event told anything new.
HANDLERS: dict[str, tuple[Any, Handler]] = {
    PLANNED: (Load, tendering.planned_again),
    "crossdock.load.changed.v1": (LoadChange, tendering.changed),
    "crossdock.tender.answered.v1": (TenderResponse, tendering.answered),
    "crossdock.load.milestone.recorded.v1": (LoadMilestone, moving.recorded),
    "crossdock.appointment.wanted.v1": (AppointmentRequest, docks.wanted),
    "crossdock.appointment.changed.v1": (Appointment, docks.answered),
    "crossdock.accessorial.requested.v1": (Accessorial, billing.requested),
    "crossdock.accessorial.decided.v1": (AccessorialDecision, billing.decided),
    "crossdock.freight.invoiced.v1": (FreightInvoice, billing.billed),
    "crossdock.dispute.answered.v1": (DisputeAnswer, billing.dispute_answered),
    "crossdock.deadline.passed.v1": (Deadline, _passed),
}


def decide(state: LoadState | None, event: Event, context: DecisionContext) -> Outcome:
    """Return everything that follows from one event for one load.

    An event for a load nobody knows is parked under its number. `context.policy` is a `LoadRules`.
    """
    known = HANDLERS.get(event.type)
    if known is None:
        return Outcome(state)
    shape, handler = known
    try:
        data = msgspec.convert(event.data, shape)
    except msgspec.ValidationError as error:
        fault = ProcessException("XD-DOC-001", f"shape:{event.type}", f"{event.type}: {error}")
        return Outcome(state, exceptions=(fault,))
    if state is None:
        return _without_load(data, context)
    draft = Draft(state, context)
    if handler(draft, event, data):
        return _settled(draft)
    return Outcome(state, exceptions=tuple(draft.exceptions), duplicate=not draft.exceptions)


def _settled(draft: Draft) -> Outcome:
    """Add what follows from the changed state, whatever changed it."""
    billing.match_bills(draft)
    draft.status = draft.current_status()
    docks.watch_docks(draft)
    billing.watch_bills(draft)
    moving.watch_clocks(draft)
    return draft.finish()


def _without_load(data: Any, context: DecisionContext) -> Outcome:
    """Take a planned load on; park everything else."""
    if isinstance(data, Load):
        draft = tendering.take_on(data, context)
        return draft if isinstance(draft, Outcome) else _settled(draft)
    number = data.number if isinstance(data, LoadChange) else getattr(data, "load_number", "")
    if number:
        return Outcome(None, parked_until=f"load:{number}")
    message = "The paper names no load, and nothing else that leads to one"
    return Outcome(None, exceptions=(ProcessException("XD-DOC-001", "load:nameless", message),))
