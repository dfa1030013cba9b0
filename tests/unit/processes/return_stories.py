"""An order and its returns told step by step, with the tells between them delivered as the shell does it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.canonical.events import Event
from crossdock.processes import order_fulfillment, returns
from crossdock.processes.ledger import check
from crossdock.processes.order_state import OrderState
from crossdock.processes.outcome import DecisionContext, Outcome, Request
from crossdock.processes.returns.policy import ReturnRules
from crossdock.processes.returns.state import STATUS_ARROWS, ReturnState
from tests.unit.processes.orders import NOW, PLENTY, a_policy, milestone, released, shipped

Step = tuple[str, str, dict[str, Any]]

RULES = ReturnRules(ask_label=True, instruct_site=True, tell_status=True)


def wants(
    *lines: tuple[str, int] | tuple[str, int, str], number: str = "R-1", **fields: Any
) -> tuple[str, str, dict[str, Any]]:
    """A customer asks: `wants(("1", 2))`, `wants(("1", 2, "damaged"))`."""
    rows = [
        {"line_no": line[0], "quantity": str(line[1]), "condition": line[2] if len(line) > 2 else "unopened"}
        for line in lines
    ]
    data = {"number": number, "order_number": "SO-1", "lines": rows, **fields}
    return f"return/{number}", "return.requested", data


def found(
    receipt: str, *lines: tuple[Any, ...], number: str = "R-1", final: bool = False, **fields: Any
) -> tuple[str, str, dict[str, Any]]:
    """The site received and inspected: `found("G-1", ("A", 2, "damaged"))`."""
    rows = [
        {"sku": line[0], "quantity": str(line[1]), "condition": line[2] if len(line) > 2 else "unopened"}
        for line in lines
    ]
    data = {"number": receipt, "return_number": number, "lines": rows, "final": final, **fields}
    return f"return/{number}", "return.received", data


def scanned(code: str, *, number: str = "R-1", hours: float = 100, **fields: Any) -> tuple[str, str, dict[str, Any]]:
    """A carrier scans the parcel on its way back; the order hears it first."""
    _, data = milestone(code, hours=hours, leg="return", **fields)
    return "order/SO-1", "milestone.recorded", data


def label(tracking: str = "RT-1", *, number: str = "R-1") -> tuple[str, str, dict[str, Any]]:
    return f"return/{number}", "return.labelled", {"number": number, "tracking": tracking, "document": "label.pdf"}


def credit(
    request: str = "R-1-C1", outcome: str = "posted", *, number: str = "R-1", **fields: Any
) -> tuple[str, str, dict[str, Any]]:
    data = {"request": request, "outcome": outcome, "return_number": number, "number": f"CM-{request}", **fields}
    return f"return/{number}", "credit.answered", data


def exchange(outcome: str = "ordered", *, number: str = "R-1") -> tuple[str, str, dict[str, Any]]:
    data = {"request": f"{number}-X1", "outcome": outcome, "return_number": number, "order_number": "SO-900"}
    return f"return/{number}", "exchange.answered", data


def person(action: str, *, number: str = "R-1") -> tuple[str, str, dict[str, Any]]:
    return f"return/{number}", "return.change_requested", {"number": number, "action": action, "reason": "said so"}


def told(name: str, *, number: str = "R-1", **data: Any) -> tuple[str, str, dict[str, Any]]:
    return f"return/{number}", name, {"number": number, **data}


class ReturnStory:
    """One order of ten A and five B, delivered, and whatever comes back of it. Every step is checked."""

    def __init__(self, rules: ReturnRules = RULES, *, delivered: bool = True, price: str = "2.50") -> None:
        self.rules = rules
        self.policy = a_policy(confirmation_grace_minutes=0)
        self.now = NOW
        self.states: dict[str, Any] = {}
        self.requests: list[Request] = []
        self.walked: list[tuple[str, str]] = []
        self.last = Outcome(None)
        self.outcomes: list[Outcome] = []
        order = [released(("A", 10), ("B", 5)), shipped("S-1", ("A", 10), ("B", 5), of="SO-1-1", tracking=["T-1"])]
        if delivered:
            order.append(milestone("delivered", hours=90, signed_by="Ann"))
        for name, data in order:
            self.tell(("order/SO-1", name, data))
        self.now = NOW + timedelta(hours=96)

    def tell(self, *steps: Step, after_hours: float = 0) -> Outcome:
        """Decide the events in turn, with all that aggregates tell one another; returns the outcome of the last."""
        for subject, name, data in steps:
            self.now += timedelta(hours=after_hours)
            self.outcomes = []
            self.last = self._decide(subject, f"crossdock.{name}.v1", data)
            self._check()
        return self.last

    def wait(self, **delay: float) -> None:
        """Let time pass; deadlines that are due come back as events."""
        self.now += timedelta(**delay)
        for subject, state in list(self.states.items()):
            for timer in list(state.timers):
                if timer.due_at <= self.now:
                    self.tell((subject, "deadline.passed", {"name": timer.name}))

    def _decide(self, subject: str, name: str, data: Any) -> Outcome:
        state = self.states.get(subject)
        plain = data if isinstance(data, dict) else msgspec.to_builtins(data)
        event = Event(f"evt_{len(self.requests)}", "tnt_1", name, subject, plain, self.now, self.now)
        if subject.startswith("order/"):
            outcome = order_fulfillment.decide(state, event, DecisionContext(self.policy, self.now, PLENTY))
            shape: Any = OrderState
        else:
            others = {one: self.states.get(one) for one in returns.others(state, event)}
            outcome = returns.decide(state, event, DecisionContext(self.rules, self.now, others=others))
            shape = ReturnState
            before = state.status if state is not None else "(new)"
            after = outcome.state.status if outcome.state is not None else before
            if before != after:
                self.walked.append((before, after))
        self.outcomes.append(outcome)
        if outcome.state is not None:
            self.states[subject] = msgspec.json.decode(msgspec.json.encode(outcome.state), type=shape)
        keys = {request.key for request in self.requests}
        fresh = [request.key for request in outcome.requests]
        assert len(fresh) == len(set(fresh)) and not keys & set(fresh), "an effect was asked for twice"
        self.requests += outcome.requests
        for one in outcome.tells:
            self._decide(one.subject, one.type, one.data)
        return outcome

    # -- what must always be true

    def _check(self) -> None:
        for before, after in self.walked:
            assert after in STATUS_ARROWS[before], f"{before} → {after} is not drawn"
        errors = violations(self.order, self.returns, self.requests)
        if errors:
            raise AssertionError("; ".join(errors))

    # -- asking

    @property
    def order(self) -> OrderState:
        found = self.states["order/SO-1"]
        assert isinstance(found, OrderState)
        return found

    @property
    def returns(self) -> list[ReturnState]:
        return [state for state in self.states.values() if isinstance(state, ReturnState)]

    def of(self, number: str = "R-1") -> ReturnState:
        found = self.states[f"return/{number}"]
        assert isinstance(found, ReturnState)
        return found

    def sent(self, kind: str) -> list[Any]:
        return [request.document for request in self.requests if request.kind == kind]

    def codes(self) -> list[str]:
        """The codes of the exceptions that the last step opened, in whatever aggregate."""
        return [one.code for outcome in self.outcomes for one in outcome.exceptions if not one.resolves]

    def settled(self) -> list[str]:
        return [one.code for outcome in self.outcomes for one in outcome.exceptions if one.resolves]


def violations(order: OrderState, found: list[ReturnState], requests: list[Request]) -> list[str]:
    """Return what contradicts itself between order, returns and what was asked of finance; computed anew here."""
    errors: list[str] = []
    credited: dict[tuple[str, str], Decimal] = {}
    for request in requests:
        if request.kind == "credit_request":
            for line in request.document.lines:
                place = (request.document.return_number, line.line_no)
                credited[place] = credited.get(place, Decimal(0)) + line.quantity
    for line in order.lines:
        try:
            check(line)
        except Exception as error:
            errors.append(str(error))
        came = sum((one.received for state in found for one in state.lines if one.line_no == line.line_no), Decimal(0))
        if line.returned != min(came, line.delivered):
            errors.append(f"line {line.line_no}: {came} came, {line.delivered} delivered, ledger says {line.returned}")
        paid = sum((quantity for (_, line_no), quantity in credited.items() if line_no == line.line_no), Decimal(0))
        if paid > line.shipped:
            errors.append(f"line {line.line_no}: {paid} credited of {line.shipped} shipped")
    for state in found:
        booked: dict[str, Decimal] = {}
        for receipt in state.receipts:
            for one in receipt.lines:
                booked[one.line_no] = booked.get(one.line_no, Decimal(0)) + one.quantity
        for line in state.lines:
            if not line.allowed:
                continue
            if booked.get(line.line_no, Decimal(0)) != line.received:
                errors.append(f"{state.number} line {line.line_no}: receipts and line differ")
            paid = credited.get((state.number, line.line_no), Decimal(0))
            if paid > line.received or paid > line.allowed:
                errors.append(f"{state.number} line {line.line_no}: {paid} credited, {line.received} received")
        known = next((one for one in order.returns if one.number == state.number), None)
        if known is None or known.status != state.status:
            errors.append(f"{state.number}: the order believes {known and known.status}, it is {state.status}")
    return errors
