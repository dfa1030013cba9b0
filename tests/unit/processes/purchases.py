"""Purchase orders for tests: their papers, and a story that runs them one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.canonical.events import Event
from crossdock.canonical.receiving import (
    AdvanceShipNotice,
    NoticeLine,
    PurchaseAckLine,
    PurchaseLine,
    PurchaseOrder,
    PurchaseOrderAck,
    PurchaseOrderChange,
    Receipt,
    ReceiptLine,
)
from crossdock.processes.outcome import DecisionContext, Outcome
from crossdock.processes.receiving import decide
from crossdock.processes.receiving.policy import PurchaseRules, SupplierRules, Tolerance
from crossdock.processes.receiving.state import PurchaseState

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
DUE = date(2026, 11, 30)
RULES = PurchaseRules(
    suppliers=(SupplierRules("ALPINE", "alpine", ack_hours=24),),
    tolerances=(
        Tolerance(sku="BOLT", over_percent=Decimal(10), short_percent=Decimal(5)),
        Tolerance(price_percent=Decimal(2), date_days=2),
    ),
)

_encode = msgspec.json.Encoder(decimal_format="string").encode


def event(kind: str, data: Any, *, at: datetime = NOW, partner: str = "alpine") -> Event:
    """Return an event as the journal would hold it."""
    plain = msgspec.json.decode(_encode(data))
    return Event("evt_1", "acme", f"crossdock.{kind}.v1", "purchase/PO-1", plain, at, NOW, partner=partner)


def released(*lines: tuple[str, int], number: str = "PO-1", **more: Any) -> Event:
    rows = tuple(
        PurchaseLine(str(place), sku, Decimal(quantity), unit_price=Decimal(10))
        for place, (sku, quantity) in enumerate(lines or (("SAW", 100), ("BOLT", 200)), 1)
    )
    more = {"site": "RENO", "currency": "USD", "due_on": DUE, **more}
    return event("purchase.released", PurchaseOrder(number, "ALPINE", rows, **more), partner="erp")


def acked(*lines: tuple[Any, ...], hours: float = 1, partner: str = "alpine") -> Event:
    """An acknowledgment: lines are (line number, outcome, quantity[, price[, day]])."""
    at = NOW + timedelta(hours=hours)
    rows = tuple(
        PurchaseAckLine(
            line[0],
            line[1],
            Decimal(line[2]),
            Decimal(str(line[3])) if len(line) > 3 and line[3] is not None else None,
            line[4] if len(line) > 4 else None,
        )
        for line in lines
    )
    return event("purchase.acknowledged", PurchaseOrderAck("PO-1", at, f"A-{hours}", rows), at=at, partner=partner)


def changed(
    change_no: int, *lines: tuple[str, str, int], action: str = "change", hours: float = 2, **more: Any
) -> Event:
    rows = tuple(PurchaseLine(no, sku, Decimal(quantity), unit_price=Decimal(10)) for no, sku, quantity in lines)
    change = PurchaseOrderChange("PO-1", change_no, action, rows, **more)  # type: ignore[arg-type]
    return event("purchase.changed", change, at=NOW + timedelta(hours=hours), partner="erp")


def announced(number: str, *lines: tuple[str, str, int], partner: str = "alpine", **more: Any) -> Event:
    """A ship notice: lines are (line number, SKU, quantity)."""
    rows = tuple(NoticeLine(no, sku, Decimal(quantity)) for no, sku, quantity in lines)
    more = {"expected_at": NOW + timedelta(days=3), **more}
    return event("receipt.announced", AdvanceShipNotice(number, "PO-1", rows, **more), partner=partner)


def received(
    number: str, *lines: tuple[Any, ...], asn: str = "", final: bool = True, site: str = "RENO", **more: Any
) -> Event:
    """A receipt: lines are (line number, SKU, quantity[, condition])."""
    rows = tuple(
        ReceiptLine(line[1], Decimal(line[2]), line[0], line[3] if len(line) > 3 else "good") for line in lines
    )
    receipt = Receipt(number, rows, "PO-1", asn, site, NOW + timedelta(days=3), final, **more)
    return event("receipt.completed", receipt, partner="wms")


def deadline(name: str) -> Event:
    return event("deadline.passed", {"name": name}, partner="")


class Story:
    """Runs events through `decide` and keeps everything that followed."""

    def __init__(self, rules: PurchaseRules = RULES, decide: Any = decide) -> None:
        self.rules = rules
        self.decide = decide
        self.state: PurchaseState | None = None
        self.now = NOW
        self.outcomes: list[Outcome] = []

    def run(self, *events: Event) -> Story:
        for one in events:
            outcome = self.decide(self.state, one, DecisionContext(self.rules, self.now))
            if not outcome.duplicate and not outcome.parked_until:
                self.state = outcome.state
            self.outcomes.append(outcome)
        return self

    def later(self, **delay: float) -> Story:
        """Move the clock and run the timers that are due, as the hub would."""
        self.now += timedelta(**delay)
        assert self.state is not None
        for timer in [one for one in self.state.timers if one.due_at <= self.now]:
            self.run(deadline(timer.name))
        return self

    @property
    def it(self) -> PurchaseState:
        assert self.state is not None
        return self.state

    def book(self, line_no: str = "1") -> Any:
        return next(line.book for line in self.it.lines if line.line_no == line_no)

    def keys(self, kind: str = "") -> list[str]:
        """Return the keys of everything asked for, in order."""
        return [one.key for outcome in self.outcomes for one in outcome.requests if one.kind.startswith(kind)]

    def documents(self, kind: str) -> list[Any]:
        return [one.document for outcome in self.outcomes for one in outcome.requests if one.kind == kind]

    def codes(self) -> list[str]:
        """Return the codes of the faults that stand: reported, and not taken back."""
        standing: list[tuple[str, str]] = []
        for outcome in self.outcomes:
            for one in outcome.exceptions:
                if one.resolves:
                    standing.remove((one.code, one.cause))
                else:
                    standing.append((one.code, one.cause))
        return [code for code, _ in standing]

    def facts(self, name: str) -> list[Any]:
        return [one.data for outcome in self.outcomes for one in outcome.events if one.type == f"crossdock.{name}.v1"]


def statuses(events: Iterable[Event], **story: Any) -> list[str]:
    """Return the statuses an order goes through, `(new)` first."""
    told, found = Story(**story), ["(new)"]
    for one in events:
        told.run(one)
        if told.state is not None and told.state.status != found[-1]:
            found.append(told.state.status)
    return found
