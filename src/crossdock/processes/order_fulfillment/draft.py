"""The draft of one decision: the state while it is being changed, and what should follow from the change.

Handlers change the draft, `consequences.settle` adds what follows, `finish` freezes both into an Outcome.
A draft lives for one call of `decide`; when a handler fails it is thrown away and the order is as before.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...canonical.identifiers import Reference
from ...canonical.orders import Order
from ...canonical.returns import ReturnProgress
from ..conditions import Conditions
from ..ledger import LineLedger
from ..order_state import (
    FULFILLMENT_ARROWS,
    Bill,
    CaseRecord,
    Fulfillment,
    MilestoneFact,
    OrderState,
    Raised,
    ShippedUnit,
    Timer,
    status_of,
)
from ..outcome import DecisionContext, NewEvent, Outcome, ProcessException, Request, Tell, TimerChange
from ..policy_compiler import CompiledPolicy

# Years a partner may mean; anything else is a slip of the pen and would break the arithmetic of zones.
YEAR_MIN = 1990
YEAR_MAX = 2200

FactKey = tuple[str, str, str, str, str, bool]


def is_instant(moment: datetime) -> bool:
    """Tell whether a moment can be compared with others: with its offset, in a year somebody could mean."""
    return moment.tzinfo is not None and YEAR_MIN <= moment.year <= YEAR_MAX


def fact_key(fact: MilestoneFact) -> FactKey:
    """Return what makes two words on a milestone words on the same one."""
    return (fact.code, fact.leg, fact.shipment, fact.tracking, fact.fulfillment, fact.estimated)


class Draft(Conditions):
    """An order under decision. Attributes are the state's own, as dictionaries by their key."""

    def __init__(self, state: OrderState, context: DecisionContext) -> None:
        self.before = state
        self.context = context
        self.now: datetime = context.now
        self.policy: CompiledPolicy = context.policy
        self.order: Order = state.order
        self.region = state.region
        self.service_level = state.service_level
        self.promise_at = state.promise_at
        self.hold = state.hold
        self.status = state.status
        self.lines: dict[str, LineLedger] = {line.line_no: line for line in state.lines}
        self.fulfillments: dict[str, Fulfillment] = {one.number: one for one in state.fulfillments}
        self.shipments: dict[tuple[str, str], ShippedUnit] = {(one.site, one.number): one for one in state.shipments}
        self.milestones: dict[FactKey, MilestoneFact] = {fact_key(fact): fact for fact in state.milestones}
        self.refused_by = state.refused_by
        self.told = state.told
        self.invoices = state.invoices
        self.cases: dict[str, CaseRecord] = {case.cause: case for case in state.cases}
        self.cases_opened = state.cases_opened
        self.risks = state.risks
        self.raised: dict[tuple[str, str], Raised] = {(one.code, one.cause): one for one in state.raised}
        self.timers: dict[str, datetime] = {timer.name: timer.due_at for timer in state.timers}
        self.change = state.change
        self.returns: dict[str, ReturnProgress] = {one.number: one for one in state.returns}
        self.bills: dict[str, Bill] = {one.number: one for one in state.bills}
        self.parked_until = ""
        self.events: list[NewEvent] = []
        self.requests: list[Request] = []
        self.timer_changes: list[TimerChange] = []
        self.exceptions: list[ProcessException] = []
        self.references: list[Reference] = []
        self.tells: list[Tell] = []

    def emit(self, name: str, data: Any) -> None:
        """Add a fact to the journal; `name` is the event type without `crossdock.` and version."""
        self.events.append(NewEvent(f"crossdock.{name}.v1", data))

    def request(self, kind: str, identity: str, document: Any, *, site: str = "") -> None:
        """Ask for one effect. `identity` makes the key with the kind, so it must never come twice for an order."""
        self.requests.append(Request(kind, f"{kind}:{identity}", document, site, self._attributes(site)))

    def name(self, kind: str, value: str, issuer: str = "") -> None:
        """Let the order be found under a further name."""
        if value:
            self.references.append(Reference(kind, value, issuer))

    def step(self, fulfillment: Fulfillment, trigger: str) -> str:
        """Return the state a fulfillment takes on; its own state when the trigger has no arrow there."""
        return FULFILLMENT_ARROWS[fulfillment.state].get(trigger, fulfillment.state)

    def put(self, fulfillment: Fulfillment) -> None:
        self.fulfillments[fulfillment.number] = fulfillment

    def _attributes(self, site: str) -> Mapping[str, str]:
        customer = self.order.customer
        settings = self.policy.sites.get(site)
        return {
            "order_number": self.order.number,
            "channel": self.order.channel,
            "region": self.region,
            "service_level": self.service_level,
            "customer": customer.code if customer is not None else "",
            "partner": settings.partner if settings is not None else "",
        }

    def quantities_moved(self) -> bool:
        """Tell whether any line, fulfillment or shipment differs from before, or the hold does.

        All of them are frozen: what was not put anew is the same object.
        """
        before = self.before
        return (
            self.hold != before.hold
            or any(map(operator.is_not, self.lines.values(), before.lines))
            or len(self.fulfillments) != len(before.fulfillments)
            or any(map(operator.is_not, self.fulfillments.values(), before.fulfillments))
            or len(self.shipments) != len(before.shipments)
            or any(map(operator.is_not, self.shipments.values(), before.shipments))
        )

    @property
    def today(self) -> str:
        """Return the day of the decision in the tenant's zone."""
        return self.now.astimezone(self.policy.zone).date().isoformat()

    def current_status(self) -> str:
        return status_of(self.hold, self.lines.values(), self.fulfillments.values())

    def finish(self) -> Outcome:
        """Return the outcome: the new state with everything that follows."""
        state = OrderState(
            order=self.order,
            status=self.status,
            lines=tuple(self.lines.values()),
            region=self.region,
            service_level=self.service_level,
            promise_at=self.promise_at,
            hold=self.hold,
            fulfillments=tuple(self.fulfillments.values()),
            shipments=tuple(self.shipments.values()),
            milestones=tuple(self.milestones.values()),
            refused_by=self.refused_by,
            told=self.told,
            invoices=self.invoices,
            cases=tuple(self.cases.values()),
            risks=self.risks,
            raised=tuple(self.raised.values()),
            timers=tuple([Timer(name, due_at) for name, due_at in self.timers.items()]),
            cases_opened=self.cases_opened,
            change=self.change,
            returns=tuple(self.returns.values()),
            bills=tuple(self.bills.values()),
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
