"""Measure how many orders a second one core sources: 50 sites, 20 rules, with the reason of every rule for every site.

Run it as `python -m bench.sourcing`. Two figures: `source` alone, and the back-test of as many orders against a
candidate with other costs (two decisions an order), as `crossdock route backtest` does it from the journal.
The goals: 2,000 orders/s, and 100,000 orders back-tested in two minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from crossdock.canonical.events import Event
from crossdock.canonical.orders import Order, OrderLine
from crossdock.canonical.parties import Address
from crossdock.mapping import compile_expression
from crossdock.processes.allocation import Need
from crossdock.processes.backtest import ORDER, SNAPSHOT, Backtest
from crossdock.processes.outcome import StockPosition
from crossdock.processes.policy import Calendar, OrderPolicy, ServiceLevel, Site, SourcingRule
from crossdock.processes.policy_compiler import CompiledPolicy, compile_policy
from crossdock.processes.sourcing import Facts, SourcingDecision, source

SITES = 50
SKUS = 200
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
REGIONS = ("west", "central", "south", "east", "north")
ORDERS_PER_S = 2_000
BACKTEST_SECONDS = 120.0


def policy() -> CompiledPolicy:
    """Return 50 sites under 20 rules; seven of them with a condition over the order."""
    sites = tuple(
        Site(
            site=f"SITE-{number:02}",
            partner=f"partner-{number % 7}",
            timezone=ZONES[number % len(ZONES)],
            regions=(REGIONS[number % 5], REGIONS[(number + 1) % 5], REGIONS[(number + 2) % 5]),
            services=("standard", "express") if number % 3 else ("standard",),
            calendar="working",
            cutoff=f"{11 + number % 6}:00",
            last_pickup="19:00",
            capacity_per_day=5_000 if number % 4 == 0 else None,
            cost_rank=10 + number % 9,
        )
        for number in range(SITES)
    )
    rules = (
        SourcingRule("credit", "hold", when="value > 900000", reason="over the limit"),
        SourcingRule("embargo", "hold", when='order.ship_to.country == "XX"', reason="embargo"),
        SourcingRule("region", "region"),
        SourcingRule("service", "service_level"),
        SourcingRule("service of the coast", "service_level", sites=("SITE-01", "SITE-06"), strict=False),
        SourcingRule("up", "partner_health"),
        SourcingRule("up for the urgent", "partner_health", when='service_level == "express"', strict=True),
        SourcingRule("in time", "cutoff_calendar", strict=False),
        SourcingRule("early for the urgent", "cutoff_calendar", when='service_level == "express"', prefer_earlier=True),
        SourcingRule("room", "capacity"),
        SourcingRule("room at the small ones", "capacity", sites=("SITE-00", "SITE-04", "SITE-08")),
        SourcingRule("fresh stock", "stock", buffer=Decimal(2), stale_minutes=600),
        SourcingRule("near", "region", when='region == "west"', strict=False),
        SourcingRule("own first", "prefer_site", sites=("SITE-10", "SITE-20", "SITE-30")),
        SourcingRule("marketplace", "prefer_site", when='order.channel == "market"', sites=("SITE-02", "SITE-12")),
        SourcingRule("big ones", "prefer_site", when="value > 5000", sites=("SITE-05",)),
        SourcingRule("up last", "partner_health"),
        SourcingRule("cheap", "cost"),
        SourcingRule("split", "split_policy", split="quantities", sites_max=3),
        SourcingRule("whole lines", "split_policy", when='order.channel == "market"', split="lines", sites_max=2),
    )
    made = OrderPolicy(
        sites=sites,
        calendars=(Calendar("working", country="US"),),
        service_levels=(ServiceLevel("standard", transit_days=3), ServiceLevel("express", transit_days=1)),
        sourcing=rules,
    )
    return compile_policy(made, compile_condition=lambda text, place: compile_expression(text, file=place).evaluate)


def stock() -> dict[tuple[str, str], StockPosition]:
    return {
        (f"SITE-{site:02}", f"SKU-{sku}"): StockPosition(
            Decimal((site * 7 + sku * 13) % 41), NOW - timedelta(minutes=5)
        )
        for site in range(SITES)
        for sku in range(SKUS)
        if (site + sku) % 3
    }


def orders(count: int) -> list[Order]:
    return [
        Order(
            number=f"SO-{number}",
            lines=tuple(
                OrderLine(str(line + 1), f"SKU-{(number * 3 + line * 17) % SKUS}", Decimal(1 + (number + line) % 9))
                for line in range(1 + number % 3)
            ),
            ship_to=Address(country="US", region="CA"),
            region=REGIONS[number % 5],
            service_level="express" if number % 4 == 0 else "standard",
            promised_on=date(2026, 3, 6),
            channel="market" if number % 5 == 0 else "web",
        )
        for number in range(count)
    ]


def decide(
    found: CompiledPolicy, order: Order, place: int, known: dict[tuple[str, str], StockPosition]
) -> SourcingDecision:
    needs = tuple(Need(line.line_no, line.sku, line.quantity) for line in order.lines)
    facts = Facts(
        order=order,
        region=order.region,
        service_level=order.service_level,
        now=NOW + timedelta(seconds=place % 3600),
        stock=known,
        health={"SITE-07": "down", "SITE-11": "degraded"},
        load={"SITE-00": 5_000},
        promised_on="2026-03-06",
    )
    return source(needs, found, facts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    count = parser.parse_args().orders
    found, known, wanted = policy(), stock(), orders(count)
    placed = split = traces = 0
    began, used = time.perf_counter(), time.process_time()
    for place, order in enumerate(wanted):
        decision = decide(found, order, place, known)
        placed += bool(decision.allocations)
        split += len(decision.allocations) > 1
        traces += len(decision.trace)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    rate = count / cpu
    print(f"{count} orders, {SITES} sites, {len(found.sourcing)} rules: {seconds:.1f} s, {cpu:.1f} s CPU")
    print(f"{rate:,.0f} orders/s on one core (goal {ORDERS_PER_S:,}); {traces / count:.0f} reasons an order")
    print(f"placed {placed}, split {split}")
    seconds = _backtest(found, known, wanted)
    return 0 if rate >= ORDERS_PER_S and seconds * 100_000 / count <= BACKTEST_SECONDS else 1


def _backtest(found: CompiledPolicy, known: dict[tuple[str, str], StockPosition], wanted: list[Order]) -> float:
    """Run the orders through the fold, as events of the journal, and return the seconds of CPU it took."""
    other = msgspec.structs.replace(
        found.source,
        sites=tuple(msgspec.structs.replace(site, cost_rank=30 - site.cost_rank) for site in found.source.sites),
    )
    candidate = compile_policy(
        other, compile_condition=lambda text, place: compile_expression(text, file=place).evaluate
    )
    fold = Backtest(found, candidate)
    shelves: dict[str, list[dict[str, object]]] = {}
    for (site, sku), position in known.items():
        shelves.setdefault(site, []).append({"sku": sku, "quantity": str(position.available * 100)})
    for site, lines in shelves.items():
        fold.add(_event(SNAPSHOT, {"site": site, "as_of": NOW.isoformat(), "lines": lines}, 0))
    events = [_event(ORDER, msgspec.to_builtins(order), place) for place, order in enumerate(wanted)]
    used = time.process_time()
    for event in events:
        fold.add(event)
    seconds = time.process_time() - used
    report = fold.report()
    print(f"back-test of {report.orders} orders: {seconds:.1f} s CPU (goal {BACKTEST_SECONDS:.0f} s for 100,000);")
    print(f"{report.moved} would go another way; split {report.before.split} -> {report.after.split}")
    return seconds


def _event(kind: str, data: dict[str, object], place: int) -> Event:
    at = NOW + timedelta(seconds=place % 3600)
    return Event(f"evt_{place}", "bench", kind, "order/x", data, at, at)


if __name__ == "__main__":
    sys.exit(main())
