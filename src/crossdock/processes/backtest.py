"""Try sourcing rules on the past: what would have gone elsewhere, split, missed its promise, cost more.

`Backtest` is a fold over the journal. Stock follows what sites reported at the time; each of the two rule sets binds
the stock of its own decisions until the site reports anew, as in life. The same journal and the same two policies give
the same report. The health of partners at the time is not in the journal: every partner counts as healthy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..canonical.events import Event
from ..canonical.inventory import InventoryAdjustment, InventorySnapshot
from ..canonical.orders import Order
from .allocation import Need
from .ledger import ZERO
from .outcome import StockPosition
from .policy_compiler import CompiledPolicy
from .sourcing import Facts, SourcingDecision, source

ORDER = "crossdock.order.created.v1"
SNAPSHOT = "crossdock.inventory.snapshot.v1"
ADJUSTED = "crossdock.inventory.adjusted.v1"
EVENTS = (ORDER, SNAPSHOT, ADJUSTED)
MOVES_SHOWN = 50

Place = tuple[str, str]


class Figures(msgspec.Struct):
    """What one rule set made of the orders. `missed` arrive after the promised day; `cost` sums the sites' own."""

    orders: int = 0
    split: int = 0
    held: int = 0
    short: int = 0
    missed: int = 0
    requests: int = 0
    cost: Decimal = ZERO
    by_site: dict[str, int] = msgspec.field(default_factory=dict)


class Move(msgspec.Struct, frozen=True):
    """An order that the candidate would have given to other sites, with the rules that say otherwise."""

    order_number: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    reasons: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """The comparison. `moves` shows the first of `moved` orders."""

    orders: int
    moved: int
    before: Figures
    after: Figures
    moves: tuple[Move, ...]


class _Shelf(Mapping[Place, StockPosition]):
    """The stock as one rule set would have found it."""

    def __init__(self) -> None:
        self.on_hand: dict[Place, tuple[Decimal, datetime]] = {}
        self.bound: dict[Place, Decimal] = {}

    def __getitem__(self, place: Place) -> StockPosition:
        on_hand, as_of = self.on_hand[place]
        return StockPosition(on_hand - self.bound.get(place, ZERO), as_of)

    def __iter__(self) -> Iterator[Place]:
        return iter(self.on_hand)

    def __len__(self) -> int:
        return len(self.on_hand)

    def report(self, snapshot: InventorySnapshot) -> None:
        totals: dict[str, Decimal] = {}
        for line in snapshot.lines:
            if line.status == "available":
                totals[line.sku] = totals.get(line.sku, ZERO) + line.quantity
        if snapshot.complete:
            for site, sku in self.on_hand:
                if site == snapshot.site:
                    totals.setdefault(sku, ZERO)
        for sku, quantity in totals.items():
            self.on_hand[snapshot.site, sku] = (quantity, snapshot.as_of)
            self.bound.pop((snapshot.site, sku), None)

    def adjust(self, adjustment: InventoryAdjustment, at: datetime) -> None:
        for line in adjustment.lines:
            on_hand, as_of = self.on_hand.get((adjustment.site, line.sku), (ZERO, at))
            if line.from_status == "available":
                self.on_hand[adjustment.site, line.sku] = (on_hand - abs(line.delta), as_of)
            elif line.to_status == "available":
                self.on_hand[adjustment.site, line.sku] = (on_hand + line.delta, as_of)

    def bind(self, decision: SourcingDecision) -> None:
        for allocation in decision.allocations:
            for line in allocation.lines:
                place = (allocation.site, line.sku)
                self.bound[place] = self.bound.get(place, ZERO) + line.quantity


class Backtest:
    """Fold the journal's events (`EVENTS`, in its order) into a report."""

    def __init__(self, before: CompiledPolicy, after: CompiledPolicy) -> None:
        self._sides = ((before, _Shelf(), Figures()), (after, _Shelf(), Figures()))
        self._loads: tuple[dict[tuple[str, str], int], ...] = ({}, {})
        self._moved = 0
        self._moves: list[Move] = []

    def add(self, event: Event) -> None:
        """Take in one event; types other than `EVENTS` are passed over."""
        if event.type == ORDER:
            self._order(msgspec.convert(event.data, Order, strict=False), event.recorded_at)
        elif event.type == SNAPSHOT:
            snapshot = msgspec.convert(event.data, InventorySnapshot, strict=False)
            for _, shelf, _ in self._sides:
                shelf.report(snapshot)
        elif event.type == ADJUSTED:
            adjustment = msgspec.convert(event.data, InventoryAdjustment, strict=False)
            for _, shelf, _ in self._sides:
                shelf.adjust(adjustment, event.occurred_at)

    def report(self) -> Report:
        (_, _, before), (_, _, after) = self._sides
        return Report(before.orders, self._moved, before, after, tuple(self._moves))

    def _order(self, order: Order, now: datetime) -> None:
        decisions = []
        for (policy, shelf, figures), load in zip(self._sides, self._loads, strict=True):
            facts = facts_of(order, policy, now, shelf, _today(policy, load, now))
            decision = source(needs_of(order), policy, facts)
            shelf.bind(decision)
            _count(figures, decision, policy, facts.promised_on)
            for allocation in decision.allocations:
                if allocation.site in policy.limited:
                    day = (allocation.site, _day(policy, allocation.site, now))
                    load[day] = load.get(day, 0) + 1
            decisions.append(decision)
        before, after = decisions
        if _shares(before) == _shares(after) and before.held == after.held:
            return
        self._moved += 1
        if len(self._moves) < MOVES_SHOWN:
            self._moves.append(Move(order.number, _sites(before), _sites(after), _otherwise(before, after)))


def needs_of(order: Order) -> tuple[Need, ...]:
    """Return everything an order asks for."""
    return tuple(Need(line.line_no, line.sku, line.quantity) for line in order.lines)


def facts_of(
    order: Order,
    policy: CompiledPolicy,
    now: datetime,
    stock: Mapping[Place, StockPosition],
    load: Mapping[str, int] | None = None,
) -> Facts:
    """Return what a decision on a fresh order looks at, as its release would gather it."""
    address = order.ship_to
    return Facts(
        order=order,
        region=order.region or (policy.region(address.country, address.region) if address is not None else ""),
        service_level=order.service_level or policy.rules.default_service_level,
        now=now,
        stock=stock,
        load=load or {},
        promised_on=order.promised_on.isoformat() if order.promised_on is not None else "",
    )


def _day(policy: CompiledPolicy, site: str, now: datetime) -> str:
    return now.astimezone(policy.clock(site).zone).date().isoformat()


def _today(policy: CompiledPolicy, load: Mapping[tuple[str, str], int], now: datetime) -> dict[str, int]:
    return {site: load.get((site, _day(policy, site, now)), 0) for site in policy.limited}


def _count(figures: Figures, decision: SourcingDecision, policy: CompiledPolicy, promised_on: str) -> None:
    figures.orders += 1
    figures.held += bool(decision.held)
    figures.short += bool(decision.unplaced) and not decision.held
    figures.split += len(decision.allocations) > 1
    figures.requests += len(decision.allocations)
    figures.missed += bool(promised_on) and any(one.delivers_on > promised_on for one in decision.allocations)
    for allocation in decision.allocations:
        figures.by_site[allocation.site] = figures.by_site.get(allocation.site, 0) + 1
        figures.cost += policy.sites[allocation.site].cost_per_order


def _sites(decision: SourcingDecision) -> tuple[str, ...]:
    return tuple(allocation.site for allocation in decision.allocations)


def _shares(decision: SourcingDecision) -> list[tuple[str, Any]]:
    return sorted((allocation.site, allocation.lines) for allocation in decision.allocations)


def _otherwise(before: SourcingDecision, after: SourcingDecision) -> tuple[str, ...]:
    """Return what the candidate's rules say of the sites that changed and the old ones did not."""
    known = {(one.site, one.kind, one.verdict, one.reason) for one in before.trace}
    changed = set(_sites(before)) ^ set(_sites(after))
    return tuple(
        f"{one.rule}: {one.site} {one.verdict}: {one.reason}"
        for one in after.trace
        if one.site in changed
        and one.kind != "allocation"
        and (one.site, one.kind, one.verdict, one.reason) not in known
    )[:6]
