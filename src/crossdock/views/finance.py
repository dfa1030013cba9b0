"""What finance may know of an order: confirmed quantities, what was released for invoicing and on which evidence.

A fold of its own with its own gate: nothing counts here before its confirmation, and a customer's page never reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec

from ..canonical.quantities import Money
from ..processes.order_state import Bill, amount_of
from ..processes.policy import OrderRules
from ..store.engine import Connection
from . import order_facts
from .gates import Obstacle, why_not_invoiced
from .order_facts import OrderFacts, OutboundFact

_DEFAULTS = OrderRules()


class FinanceLine(msgspec.Struct, frozen=True):
    """One line. `releasable` is confirmed and not yet released."""

    line_no: str
    sku: str
    ordered: Decimal
    confirmed: Decimal
    delivered: Decimal
    released: Decimal
    cancelled: Decimal

    @property
    def releasable(self) -> Decimal:
        return self.confirmed - self.released


class Release(msgspec.Struct, frozen=True, omit_defaults=True):
    """One word to finance. `sent_at` is when the ERP took it; empty means that it does not know yet."""

    at: datetime
    lines: tuple[tuple[str, Decimal], ...]
    evidence: tuple[str, ...]
    amount: Money | None = None
    message_id: str = ""
    sent_at: datetime | None = None
    state: str = ""


class OrderFinance(msgspec.Struct, frozen=True):
    """The financial side of one order. `gap` is what was shipped and not released, at the order's prices.

    `obstacles` say why not all of it is invoiced; empty means that nothing is missing.
    """

    number: str
    lines: tuple[FinanceLine, ...]
    ordered: Money | None
    confirmed: Money | None
    released: Money | None
    gap: Money | None
    releases: tuple[Release, ...]
    evidence_missing: tuple[str, ...]
    bills: tuple[Bill, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()


def load(connection: Connection, tenant_id: str, text: str, rules: OrderRules = _DEFAULTS) -> OrderFinance:
    """Return the financial side of the order that `text` names, or raise `NotFound`."""
    return fold(order_facts.load(connection, tenant_id, order_facts.find_number(connection, tenant_id, text)), rules)


def fold(facts: OrderFacts, rules: OrderRules = _DEFAULTS) -> OrderFinance:
    """Return the financial side that these facts make."""
    order = facts.state.order
    skus = {line.line_no: line.sku for line in order.lines}
    lines = tuple(
        FinanceLine(
            ledger.line_no,
            skus.get(ledger.line_no, ""),
            ledger.ordered,
            ledger.shipped,
            ledger.delivered,
            ledger.invoiced,
            ledger.cancelled,
        )
        for ledger in facts.state.lines
    )
    outbound = [fact for fact in facts.outbound if fact.document_type == "invoice_release"]
    return OrderFinance(
        number=facts.number,
        lines=lines,
        ordered=amount_of(order),
        confirmed=amount_of(order, {line.line_no: line.confirmed for line in lines}),
        released=amount_of(order, {line.line_no: line.released for line in lines}),
        gap=amount_of(order, {line.line_no: line.releasable for line in lines}),
        releases=tuple(_releases(facts, outbound)),
        evidence_missing=tuple(s.number for s in facts.state.shipments if s.delivered and not s.evidence),
        bills=facts.state.bills,
        obstacles=why_not_invoiced(facts, rules),
    )


def _releases(facts: OrderFacts, outbound: list[OutboundFact]) -> Iterable[Release]:
    """Pair each release in the journal with the message that told the ERP, by cause, else by order of time."""
    by_cause = {fact.causation_id: fact for fact in outbound}
    events = [event for event in facts.events if event.type == "crossdock.invoice.released.v1"]
    for number, event in enumerate(events):
        fact = by_cause.get(event.id) or (outbound[number] if number < len(outbound) else None)
        amount = event.data.get("amount")
        yield Release(
            at=event.occurred_at,
            lines=tuple(
                (str(line.get("line_no", "")), Decimal(str(line.get("quantity", 0))))
                for line in event.data.get("lines", ())
            ),
            evidence=tuple(map(str, event.data.get("evidence", ()))),
            amount=Money(Decimal(str(amount["amount"])), str(amount["currency"])) if isinstance(amount, dict) else None,
            message_id=fact.message_id if fact else "",
            sent_at=fact.sent_at if fact else None,
            state=fact.state if fact else "",
        )
