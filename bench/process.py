"""Measure the order process: decisions a second, and what it costs to read and write its state.

Run as `python -m bench.process`. Figures are the best of several rounds, in microseconds, on one core.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.canonical.events import Event
from crossdock.processes.allocation import Need
from crossdock.processes.order_fulfillment import decide
from crossdock.processes.order_state import OrderState, summary
from crossdock.processes.outcome import DecisionContext, StockPosition
from crossdock.processes.policy import OrderPolicy, ServiceLevel, Site, SourcingRule
from crossdock.processes.policy_compiler import CompiledPolicy, compile_policy
from crossdock.processes.sourcing import Facts, source

NOW = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


def a_policy(sites: int, rules: int) -> CompiledPolicy:
    """Return a policy of so many sites and rules, every kind among them."""
    filters = (
        SourcingRule("region", "region"),
        SourcingRule("service", "service_level"),
        SourcingRule("health", "partner_health"),
        SourcingRule("cut-off", "cutoff_calendar"),
        SourcingRule("stock", "stock"),
        SourcingRule("cost", "cost"),
        SourcingRule("split", "split_policy"),
    )
    more = tuple(SourcingRule(f"region {index}", "region") for index in range(max(0, rules - len(filters))))
    return compile_policy(
        OrderPolicy(
            sites=tuple(
                Site(f"site-{index}", "partner", "America/Chicago", regions=("west",), cost_rank=index)
                for index in range(sites)
            ),
            service_levels=(ServiceLevel("ground"),),
            sourcing=(*more, *filters),
        )
    )


def an_event(name: str, data: dict[str, Any], at: datetime = NOW) -> Event:
    return Event(f"evt_{name}", "tnt_bench", f"crossdock.{name}.v1", "order/SO-1", data, at, at)


RELEASED = {
    "number": "SO-1",
    "lines": [
        {"line_no": "1", "sku": "A", "quantity": "100", "unit_price": "2.50"},
        {"line_no": "2", "sku": "B", "quantity": "5", "unit_price": "10"},
    ],
    "customer": {"name": "Acme", "code": "C-1"},
    "ship_to": {"name": "Acme", "city": "Reno", "region": "NV", "country": "US", "postcode": "89501"},
    "service_level": "ground",
    "currency": "USD",
    "region": "west",
    "refs": [{"type": "po", "value": "PO-7"}],
}


def a_context(policy: CompiledPolicy) -> DecisionContext:
    stock = {}
    for site in policy.sites:
        stock[site, "A"] = StockPosition(Decimal(60 if site != "site-0" else 40))
        stock[site, "B"] = StockPosition(Decimal(50))
    return DecisionContext(policy, NOW, stock)


def microseconds(work: Callable[[], object], count: int = 2000, rounds: int = 7) -> float:
    """Return the time of one call, the best of several rounds."""
    return min(timeit.repeat(work, number=count, repeat=rounds)) / count * 1e6


def a_story(context: DecisionContext) -> list[tuple[str, OrderState | None, Event]]:
    """Return the steps of one split order, each with the state it meets."""
    events = [
        an_event("order.released", RELEASED),
        an_event("fulfillment.answered", {"number": "SO-1-1", "outcome": "accepted"}),
        an_event("fulfillment.answered", {"number": "SO-1-2", "outcome": "accepted"}),
    ]
    for number, site, shipment, lines in (
        ("SO-1-1", "site-0", "S-1", [{"sku": "A", "quantity": "40"}, {"sku": "B", "quantity": "5"}]),
        ("SO-1-2", "site-1", "S-2", [{"sku": "A", "quantity": "60"}]),
    ):
        data = {"number": shipment, "fulfillment_number": number, "site": site, "lines": lines, "tracking": [shipment]}
        events.append(an_event("shipment.departed", data))
    for code, hours in (("departed_pickup", 1), ("in_transit", 4), ("out_for_delivery", 20)):
        at = NOW + timedelta(hours=hours)
        events.append(an_event("milestone.recorded", {"code": code, "at": at.isoformat(), "tracking": "S-1"}))
    delivered = {"code": "delivered", "at": (NOW + timedelta(hours=22)).isoformat(), "tracking": "S-1"}
    events.append(an_event("milestone.recorded", {**delivered, "evidence": {"signed_by": "J. Ortiz"}}))
    steps: list[tuple[str, OrderState | None, Event]] = []
    state: OrderState | None = None
    for event in events:
        name = event.type.split(".", 1)[1].rsplit(".", 1)[0]
        steps.append((f"{name} {event.data.get('code') or event.data.get('outcome') or ''}".strip(), state, event))
        state = decide(state, event, context).state
    steps.append(("(the state at the end)", state, events[-1]))
    return steps


def main() -> None:
    """Print the table."""
    context = a_context(a_policy(3, 7))
    steps = a_story(context)
    print("decide, 2 lines split over 2 sites")
    for name, state, event in steps[:-1]:
        print(f"  {name:<40} {microseconds(lambda s=state, e=event: decide(s, e, context)):8.1f} µs")  # type: ignore[misc]
    print("state of 2 lines as JSON")
    encoder, decoder = msgspec.json.Encoder(), msgspec.json.Decoder(OrderState)
    for name, state in (("released", steps[1][1]), ("shipped twice, 4 milestones", steps[-1][1])):
        assert state is not None
        written = encoder.encode(state)
        print(f"  {name:<40} {len(written):6} bytes")
        print(f"    {'write':<38} {microseconds(lambda s=state: encoder.encode(s)):8.1f} µs")  # type: ignore[misc]
        print(f"    {'read':<38} {microseconds(lambda w=written: decoder.decode(w)):8.1f} µs")  # type: ignore[misc]
        print(f"    {'summary':<38} {microseconds(lambda s=state: summary(s)):8.1f} µs")  # type: ignore[misc]
    print("sourcing alone, 2 lines")
    for sites, rules in ((3, 7), (50, 20)):
        policy = a_policy(sites, rules)
        order = steps[1][1].order  # type: ignore[union-attr]
        needs = tuple(Need(line.line_no, line.sku, line.quantity) for line in order.lines)
        facts = Facts(order, "west", "ground", NOW, a_context(policy).stock)
        cost = microseconds(lambda p=policy, n=needs, f=facts: source(n, p, f), 200, 5)  # type: ignore[misc]
        print(f"  {f'{sites} sites, {rules} rules':<40} {cost:8.1f} µs  {1e6 / cost:8.0f} orders/s")


if __name__ == "__main__":
    main()
