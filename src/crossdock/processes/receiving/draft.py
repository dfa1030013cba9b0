"""The draft of one decision on a purchase order: the state while it changes, and what follows from the change."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from ...canonical.identifiers import Reference
from ...canonical.receiving import PurchaseOrder
from ..conditions import Conditions
from ..order_state import Raised
from ..outcome import DecisionContext, NewEvent, Outcome, ProcessException, Request, Tell, TimerChange
from .policy import PurchaseRules, SupplierRules, Tolerance
from .state import Line, Notice, PurchaseState, Received, Timer, status_of

_encode = msgspec.json.Encoder(decimal_format="string").encode


def fingerprint(paper: Any) -> int:
    """Return what tells a repeated paper from one that says something else under the same number."""
    return zlib.crc32(_encode(paper))


class Draft(Conditions):
    """A purchase order under decision. It lives for one call of `decide`."""

    def __init__(self, state: PurchaseState, context: DecisionContext) -> None:
        self.before = state
        self.now: datetime = context.now
        self.rules: PurchaseRules = context.policy
        self.order: PurchaseOrder = state.order
        self.agreed: SupplierRules = self.rules.of(state.order.supplier)
        self.lines: dict[str, Line] = {line.line_no: line for line in state.lines}
        self.notices: dict[str, Notice] = {notice.number: notice for notice in state.notices}
        self.receipts: dict[tuple[str, str], Received] = {(one.site, one.number): one for one in state.receipts}
        self.changes = state.changes
        self.asked_at = state.asked_at
        self.first_asked_at = state.first_asked_at
        self.acked_at = state.acked_at
        self.answers = state.answers
        self.closed = state.closed
        self.status = state.status
        self.raised: dict[tuple[str, str], Raised] = {(one.code, one.cause): one for one in state.raised}
        self.timers: dict[str, datetime] = {timer.name: timer.due_at for timer in state.timers}
        self.events: list[NewEvent] = []
        self.requests: list[Request] = []
        self.timer_changes: list[TimerChange] = []
        self.exceptions: list[ProcessException] = []
        self.references: list[Reference] = []
        self.tells: list[Tell] = []

    @property
    def number(self) -> str:
        return self.order.number

    def tolerance(self, sku: str) -> Tolerance:
        return self.rules.tolerance(self.order.supplier, sku, self.order.site)

    def emit(self, name: str, data: Any) -> None:
        """Add a fact to the journal; `name` is the event type without `crossdock.` and version."""
        self.events.append(NewEvent(f"crossdock.{name}.v1", data))

    def request(self, kind: str, identity: str, document: Any) -> None:
        """Ask for one effect; the kind and `identity` within the order are its stable key."""
        key = f"{kind}:{self.number}:{identity}" if identity else f"{kind}:{self.number}"
        self.requests.append(Request(kind, key, document, self.order.site, self.attributes()))

    def attributes(self) -> Mapping[str, str]:
        """Return what routes may look at besides the document's own fields."""
        return {"order_number": self.number, "supplier": self.order.supplier, "partner": self.agreed.partner}

    def set_timer(self, name: str, due_at: datetime | None) -> None:
        """Set, move or (None) cancel a deadline."""
        if self.timers.get(name) == due_at:
            return
        if due_at is None:
            del self.timers[name]
        else:
            self.timers[name] = due_at
        self.timer_changes.append(TimerChange(name, due_at))

    def current_status(self) -> str:
        return status_of(self.closed, self.lines.values(), self.notices.values(), self.receipts.values())

    def finish(self) -> Outcome:
        """Return the outcome: the new state with everything that follows."""
        state = PurchaseState(
            order=self.order,
            status=self.status,
            lines=tuple(self.lines.values()),
            asked_at=self.asked_at,
            notices=tuple(self.notices.values()),
            receipts=tuple(self.receipts.values()),
            changes=self.changes,
            first_asked_at=self.first_asked_at,
            acked_at=self.acked_at,
            answers=self.answers,
            closed=self.closed,
            raised=tuple(self.raised.values()),
            timers=tuple(Timer(name, due_at) for name, due_at in self.timers.items()),
        )
        return Outcome(
            state,
            tuple(self.events),
            tuple(self.requests),
            tuple(self.timer_changes),
            tuple(self.exceptions),
            tuple(self.references),
            tuple(self.tells),
        )
