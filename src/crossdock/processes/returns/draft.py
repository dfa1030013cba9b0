"""The draft of one decision on a return: the state while it is being changed, and what should follow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from ...canonical.identifiers import Reference
from ..conditions import Conditions
from ..order_state import OrderState, Raised, Timer
from ..outcome import DecisionContext, NewEvent, Outcome, ProcessException, Request, Tell, TimerChange
from .policy import ReturnRules
from .state import BookedReceipt, CreditRecord, ReturnLineState, ReturnState, status_of


class Draft(Conditions):
    """A return under decision, with its order beside it (None when the record has it no more)."""

    def __init__(self, state: ReturnState, context: DecisionContext) -> None:
        self.before = state
        self.state = state
        self.now: datetime = context.now
        self.rules: ReturnRules = context.policy
        found = context.others.get(f"order/{state.order_number}")
        self.order: OrderState | None = found if isinstance(found, OrderState) else None
        self.lines: dict[str, ReturnLineState] = {line.line_no: line for line in state.lines if line.allowed}
        self.refused = tuple(line for line in state.lines if not line.allowed)
        self.receipts: dict[tuple[str, str], BookedReceipt] = {(one.site, one.number): one for one in state.receipts}
        self.credits: dict[str, CreditRecord] = {one.number: one for one in state.credits}
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
        return self.state.number

    def put(self, **changes: Any) -> None:
        """Change parts of the state that are not lines, receipts or credits."""
        self.state = msgspec.structs.replace(self.state, **changes)

    def emit(self, name: str, data: Any) -> None:
        """Add a fact to the journal; `name` is the event type without `crossdock.` and version."""
        self.events.append(NewEvent(f"crossdock.{name}.v1", data))

    def request(self, kind: str, identity: str, document: Any) -> None:
        """Ask for one effect; `identity` makes the key with the kind and never comes twice for a return."""
        self.requests.append(Request(kind, f"{kind}:{identity}", document, self.state.site, self._attributes()))

    def name(self, kind: str, value: str, issuer: str = "") -> None:
        """Let the return be found under a further name."""
        if value:
            self.references.append(Reference(kind, value, issuer))

    def current(self) -> ReturnState:
        """Return the state as it stands now."""
        state = msgspec.structs.replace(
            self.state,
            lines=(*self.lines.values(), *self.refused),
            receipts=tuple(self.receipts.values()),
            credits=tuple(self.credits.values()),
            raised=tuple(self.raised.values()),
            timers=tuple(Timer(name, due_at) for name, due_at in self.timers.items()),
        )
        return msgspec.structs.replace(state, status=status_of(state))

    def _attributes(self) -> Mapping[str, str]:
        request = self.state.request
        return {
            "return_number": request.number,
            "order_number": request.order_number,
            "channel": request.channel,
            "resolution": request.resolution,
        }

    def finish(self) -> Outcome:
        """Return the outcome: the new state with everything that follows."""
        return Outcome(
            self.current(),
            tuple(self.events),
            tuple(self.requests),
            tuple(self.timer_changes),
            tuple(self.exceptions),
            tuple(self.references),
            tuple(self.tells),
        )
