"""Orders, policies, events and contexts for the tests of the processes, in as few words as a story needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.canonical.events import Event
from crossdock.processes.ledger import check
from crossdock.processes.order_fulfillment import decide
from crossdock.processes.order_state import ACTIVE_STATES, OrderState
from crossdock.processes.outcome import DecisionContext, Outcome, Request, StockPosition
from crossdock.processes.policy import Calendar, OrderPolicy, OrderRules, ServiceLevel, Site, SourcingRule
from crossdock.processes.policy_compiler import CompiledPolicy, compile_policy

# A Monday, 10:00 in Reno and 12:00 in Chicago.
NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)

RULES = (
    SourcingRule("region served", "region"),
    SourcingRule("service offered", "service_level"),
    SourcingRule("partner up", "partner_health"),
    SourcingRule("leaves in time", "cutoff_calendar"),
    SourcingRule("in stock", "stock"),
    SourcingRule("cheapest", "cost"),
    SourcingRule("may split", "split_policy"),
)

SITES = (
    Site("reno", "northgate", "America/Los_Angeles", cost_rank=1),
    Site("swift", "swift", "America/Chicago", calendar="us", cost_rank=2),
    Site("harbor", "harbor", "America/New_York", cost_rank=3),
)


def a_policy(
    *,
    sites: tuple[Site, ...] = SITES,
    sourcing: tuple[SourcingRule, ...] = RULES,
    timezone: str = "America/Los_Angeles",
    **rules: Any,
) -> CompiledPolicy:
    """Return a compiled policy; `rules` are fields of OrderRules."""
    return compile_policy(
        OrderPolicy(
            sites=sites,
            calendars=(Calendar("us", country="US"),),
            service_levels=(ServiceLevel("ground", carrier="FXG"), ServiceLevel("next_day", transit_days=1)),
            sourcing=sourcing,
            orders=OrderRules(**rules),
            timezone=timezone,
        )
    )


def stock_of(**sites: Mapping[str, int]) -> dict[tuple[str, str], StockPosition]:
    """Return stock by site and SKU: `stock_of(reno={"A": 40})`."""
    return {
        (site, sku): StockPosition(Decimal(quantity))
        for site, shelf in sites.items()
        for sku, quantity in shelf.items()
    }


PLENTY = stock_of(reno={"A": 1000, "B": 1000}, swift={"A": 1000, "B": 1000}, harbor={"A": 1000, "B": 1000})
SPLIT = stock_of(reno={"A": 40, "B": 5}, swift={"A": 70})


def released(*lines: tuple[str, int], number: str = "SO-1", **fields: Any) -> tuple[str, dict[str, Any]]:
    """An order is released: `released(("A", 100), ("B", 5))`."""
    rows = [
        {"line_no": str(index), "sku": sku, "quantity": str(quantity), "unit_price": "2.50"}
        for index, (sku, quantity) in enumerate(lines, 1)
    ]
    data = {"number": number, "lines": rows, "currency": "USD", "service_level": "ground", **fields}
    return "order.released", data


def answered(number: str, outcome: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "fulfillment.answered", {"number": number, "outcome": outcome, **fields}


def shipped(
    number: str, *lines: tuple[str, int], of: str = "", site: str = "", **fields: Any
) -> tuple[str, dict[str, Any]]:
    """A site confirms a shipment: `shipped("S-1", ("A", 40), of="SO-1-1")`."""
    rows = [{"sku": sku, "quantity": str(quantity)} for sku, quantity in lines]
    data = {"number": number, "lines": rows, "fulfillment_number": of, "site": site, "order_number": "SO-1", **fields}
    return "shipment.departed", data


def milestone(code: str, *, hours: float = 1, signed_by: str = "", **fields: Any) -> tuple[str, dict[str, Any]]:
    data = {"code": code, "at": (NOW + timedelta(hours=hours)).isoformat(), "order_number": "SO-1", **fields}
    if signed_by:
        data["evidence"] = {"signed_by": signed_by}
    return "milestone.recorded", data


def cancel(*line_nos: str) -> tuple[str, dict[str, Any]]:
    return "order.cancel_requested", {"number": "SO-1", "line_nos": list(line_nos), "reason": "customer"}


def change(*lines: tuple[str, int], street: str = "", **fields: Any) -> tuple[str, dict[str, Any]]:
    """A sender changes the order: `change(("1", 6))`, `change(street="2 Elm")`."""
    rows = [{"line_no": line_no, "quantity": str(quantity)} for line_no, quantity in lines]
    data = {"number": "SO-1", "action": "change", "lines": rows, **fields}
    if street:
        data["ship_to"] = {"street": street, "country": "US", "region": "NV"}
    return "order.change_requested", data


def deadline(name: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "deadline.passed", {"name": name, **fields}


def return_told(number: str = "R-1", received: str = "2", **fields: Any) -> tuple[str, dict[str, Any]]:
    """A return tells its order where it stands."""
    lines = [{"line_no": "1", "sku": "A", "claimed": "3", "received": received}]
    return "return.changed", {
        "number": number,
        "order_number": "SO-1",
        "status": "partly_received",
        "lines": lines,
        **fields,
    }


def proof_told(**fields: Any) -> tuple[str, dict[str, Any]]:
    at = (NOW + timedelta(hours=2)).isoformat()
    return "delivery.proven", {"kind": "photo", "at": at, "order_number": "SO-1", "document": "pod.jpg", **fields}


def invoice_told(status: str = "posted", **fields: Any) -> tuple[str, dict[str, Any]]:
    return "invoice.status", {"status": status, "release": "SO-1:1", "order_number": "SO-1", "number": "I-1", **fields}


def invoice_issued(*lines: tuple[str, int], **fields: Any) -> tuple[str, dict[str, Any]]:
    rows = [{"line_no": line_no, "sku": "A", "quantity": str(quantity)} for line_no, quantity in lines]
    return "invoice.issued", {"number": "I-1", "release": "SO-1:1", "order_number": "SO-1", "lines": rows, **fields}


def memo_told(**fields: Any) -> tuple[str, dict[str, Any]]:
    return "invoice.credited", {"number": "M-1", "release": "SO-1:1", "order_number": "SO-1", **fields}


def rebill(release: str = "SO-1:1", **fields: Any) -> tuple[str, dict[str, Any]]:
    return "invoice.rebill_requested", {"release": release, "order_number": "SO-1", "reason": "wrong price", **fields}


class Story:
    """An order told step by step. Every step is checked: invariants hold, no effect comes twice."""

    def __init__(
        self, policy: CompiledPolicy | None = None, *, stock: Mapping[tuple[str, str], StockPosition] = PLENTY
    ) -> None:
        self.policy = policy or a_policy()
        self.stock = stock
        self.health: Mapping[str, Any] = {}
        self.now = NOW
        self.state: OrderState | None = None
        self.last = Outcome(None)
        self.requests: list[Request] = []
        self.statuses: list[str] = []

    def tell(self, *steps: tuple[str, dict[str, Any]], after_minutes: float = 0) -> Outcome:
        """Decide the events in turn; returns the last outcome."""
        for name, data in steps:
            self.now += timedelta(minutes=after_minutes)
            event = Event(
                f"evt_{len(self.requests)}", "tnt_1", f"crossdock.{name}.v1", "order/SO-1", data, self.now, self.now
            )
            context = DecisionContext(self.policy, self.now, self.stock, self.health)
            self.last = decide(self.state, event, context)
            self.state = through_json(self.last.state)
            known = {request.key for request in self.requests}
            fresh = [request.key for request in self.last.requests]
            assert len(fresh) == len(set(fresh)) and not known & set(fresh), "an effect was asked for twice"
            self.requests += self.last.requests
            if self.state is not None:
                assert_sound(self.state)
                self.statuses.append(self.state.status)
        return self.last

    @property
    def order(self) -> OrderState:
        assert self.state is not None
        return self.state

    def sent(self, kind: str) -> list[Any]:
        """The documents of every request of one kind so far."""
        return [request.document for request in self.requests if request.kind == kind]

    def words(self) -> list[str]:
        """What the customer was told, in order."""
        return [document.status for document in self.sent("order_status")]

    def bucket(self, name: str) -> int:
        return int(sum((getattr(line, name) for line in self.order.lines), Decimal(0)))


def through_json(state: OrderState | None) -> OrderState | None:
    """Return the state as the store gives it back."""
    return None if state is None else msgspec.json.decode(msgspec.json.encode(state), type=OrderState)


def assert_sound(state: OrderState) -> None:
    """Every line adds up, and the sites' requests add up to what the ledger says is at sites and has left."""
    for line in state.lines:
        check(line)
        requested = [one for ful in state.fulfillments for one in ful.lines if one.line_no == line.line_no]
        assert line.at_sites == sum((one.outstanding for one in requested), Decimal(0)), line
        assert line.picked == sum((one.picked for one in requested), Decimal(0)), line
        assert line.shipped == sum((one.shipped for one in requested), Decimal(0)), line
        booked = [one for shipment in state.shipments for one in shipment.lines if one.line_no == line.line_no]
        assert line.shipped == sum((one.quantity for one in booked), Decimal(0)), line
        billed = [bill for bill in state.bills if bill.state != "credited"]
        held = [quantity for bill in billed for line_no, quantity in bill.lines if line_no == line.line_no]
        assert line.invoiced == sum(held, Decimal(0)), line
    for fulfillment in state.fulfillments:
        for one in fulfillment.lines:
            assert 0 <= one.picked <= one.outstanding <= one.quantity and one.withdrawn >= 0, one
        if fulfillment.state not in ACTIVE_STATES:
            assert fulfillment.outstanding == 0, fulfillment


def codes(outcome: Outcome) -> list[str]:
    """The codes of the exceptions an outcome opens."""
    return [one.code for one in outcome.exceptions if not one.resolves]


def settled(outcome: Outcome) -> list[str]:
    """The codes of the exceptions an outcome takes back."""
    return [one.code for one in outcome.exceptions if one.resolves]


def names(outcome: Outcome) -> list[str]:
    """The events of an outcome, without prefix and version."""
    return [event.type.removeprefix("crossdock.").removesuffix(".v1") for event in outcome.events]
