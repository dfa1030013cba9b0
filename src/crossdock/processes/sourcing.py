"""Choose the sites that ship an order, and say why.

Rules run in the order of the policy. Each looks at the sites that are left and says of each, in words, why it passed or
not; preferences order what is left. Then the quantities are placed: on one site when one can take them all, else as the
split policy allows. The same order, policy, stock, health and instant give the same decision with the same reasons,
so a rule set can be tried on past orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from ..canonical.orders import Order
from ..errors import CrossdockError
from .allocation import UNLIMITED, AllocationLine, Need, Shelf, place
from .calendars import ShipBy
from .ledger import ZERO, quantity_text, rounded_down
from .outcome import StockPosition
from .policy import Site, SourcingRule, Substitute
from .policy_compiler import CompiledPolicy, Condition

Verdict = Literal["passed", "rejected", "last", "first", "chosen", "skipped", "held"]


class Allocation(msgspec.Struct, frozen=True):
    """What one site is to ship, and by when."""

    site: str
    lines: tuple[AllocationLine, ...]
    ship_by_at: datetime
    delivers_on: str


class Trace(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What one rule said of one site (of the whole order when `site` is empty)."""

    rule: str
    kind: str
    verdict: Verdict
    reason: str
    site: str = ""


class SourcingDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who ships what. `unplaced` found no site; `held` says why the order waits for a person."""

    allocations: tuple[Allocation, ...]
    unplaced: tuple[AllocationLine, ...] = ()
    trace: tuple[Trace, ...] = ()
    held: str = ""


class Facts(msgspec.Struct, frozen=True):
    """What a decision may look at: of the order, and of the world at `now`.

    `excluded` gives for sites that are out of the question the reason in words. `ignore_holds` skips the rules that
    hold, because a person let the order go.
    """

    order: Order
    region: str
    service_level: str
    now: datetime
    stock: Mapping[tuple[str, str], StockPosition] = {}
    health: Mapping[str, str] = {}
    load: Mapping[str, int] = {}
    excluded: Mapping[str, str] = {}
    promised_on: str = ""
    ignore_holds: bool = False


def source(needs: tuple[Need, ...], policy: CompiledPolicy, facts: Facts) -> SourcingDecision:
    """Return which sites ship the needed quantities, what found no site, and the reason of every rule for every site.

    Deterministic and total: a rule whose condition cannot be evaluated is skipped and says so (a hold then holds).
    """
    run = _Run(needs, policy, facts)
    for rule, condition in policy.sourcing:
        if run.applies(rule, condition):
            _RULES[rule.kind](run, rule)
        if run.held:
            return SourcingDecision((), _as_lines(needs), tuple(run.trace), run.held)
    allocations, unplaced = run.place()
    if unplaced and policy.substitutes:
        return _with_substitutes(run, allocations, unplaced)
    return SourcingDecision(allocations, unplaced, tuple(run.trace))


def _with_substitutes(
    run: _Run, allocations: tuple[Allocation, ...], unplaced: tuple[AllocationLine, ...]
) -> SourcingDecision:
    """Look for sites once more for what found none, by what may go instead. Each such part is a request of its own."""
    left: list[AllocationLine] = []
    trace = run.trace
    for line in unplaced:
        rest = line
        for one, condition in run.policy.substitutes.get(line.sku, ()):
            if rest.quantity <= 0 or not run.allows(one, condition):
                continue
            wanted = (Need(line.line_no, one.by, rest.quantity),)
            again = _Run(wanted, run.policy, run.facts)
            for rule, rule_condition in run.policy.sourcing:
                if rule.kind != "hold" and again.applies(rule, rule_condition):
                    _RULES[rule.kind](again, rule)
            found, missing = again.place()
            trace += [entry for entry in again.trace if entry.kind in ("stock", "allocation")]
            allocations += found
            rest = AllocationLine(line.line_no, line.sku, sum((one.quantity for one in missing), ZERO))
        if rest.quantity > 0:
            left.append(rest)
    return SourcingDecision(allocations, tuple(left), tuple(trace))


class _Run:
    """One pass over the rules: the sites left, their rank so far, and what was said."""

    def __init__(self, needs: tuple[Need, ...], policy: CompiledPolicy, facts: Facts) -> None:
        self.needs, self.policy, self.facts = needs, policy, facts
        self.trace: list[Trace] = []
        self.held = ""
        self.split: Literal["never", "lines", "quantities"] = "never"
        self.sites_max = 1
        self.limited: dict[str, dict[str, Decimal]] = {}
        self.rank: dict[str, list[int]] = {}
        self.sites: list[Site] = []
        self.note = ""
        for site in policy.sites.values():
            if not site.active:
                self.say("sites", "sites", "rejected", "the site is switched off", site.site)
            elif site.site in facts.excluded:
                self.say("sites", "sites", "rejected", facts.excluded[site.site], site.site)
            else:
                self.sites.append(site)
                self.rank[site.site] = []
        self._variables: dict[str, Any] | None = None

    def say(self, rule: str, kind: str, verdict: Verdict, reason: str, site: str = "") -> None:
        self.trace.append(Trace(rule, kind, verdict, reason, site))

    def applies(self, rule: SourcingRule, condition: Condition | None) -> bool:
        """Tell whether a rule's `when` holds for this order."""
        if rule.kind == "hold" and self.facts.ignore_holds:
            self.say(rule.rule, rule.kind, "skipped", "a person let the order go")
            return False
        if condition is None:
            return True
        if self._variables is None:
            self._variables = _variables(self.facts)
        try:
            holds = bool(condition(self._variables))
        except CrossdockError as error:
            if rule.kind == "hold":
                self.held = f"{rule.reason or rule.rule}: its condition failed ({error})"
            self.say(rule.rule, rule.kind, "held" if self.held else "skipped", f"the condition failed: {error}")
            return False
        if not holds:
            self.say(rule.rule, rule.kind, "skipped", f"does not apply: {rule.when}")
        return holds

    def allows(self, one: Substitute, condition: Condition | None) -> bool:
        """Tell whether an item may go instead of another in this order, and say so."""
        name = f"substitute {one.sku}"
        if condition is not None:
            if self._variables is None:
                self._variables = _variables(self.facts)
            try:
                holds = bool(condition(self._variables))
            except CrossdockError as error:
                self.say(name, "substitute", "skipped", f"the condition failed: {error}")
                return False
            if not holds:
                self.say(name, "substitute", "skipped", f"{one.by} does not go instead: {one.when}")
                return False
        self.say(name, "substitute", "passed", f"{one.by} may go instead of {one.sku}, which found no site")
        return True

    def ship_by(self, site: str) -> ShipBy:
        return self.policy.ship_by(site, self.facts.service_level, self.facts.now)

    def filter(self, rule: SourcingRule, judged: list[tuple[Site, bool, str]], *, strict: bool) -> None:
        """Keep the sites that passed. When not strict, the others stay but come last."""
        kept: list[Site] = []
        behind: set[str] = set()
        for site, passed, reason in judged:
            if passed:
                verdict: Verdict = "passed"
            else:
                verdict = "rejected" if strict else "last"
            self.trace.append(Trace(rule.rule, rule.kind, verdict, reason, site.site))
            if passed:
                kept.append(site)
            elif not strict:
                kept.append(site)
                behind.add(site.site)
        if rule.sites:
            # A rule for some sites only leaves the others as they are.
            names = {site.site for site in kept} | {site.site for site in self.sites if site.site not in rule.sites}
            kept = [site for site in self.sites if site.site in names]
        if behind:
            for site in kept:
                self.rank[site.site].append(1 if site.site in behind else 0)
        self.sites = kept

    def subjects(self, rule: SourcingRule) -> list[Site]:
        """Return the sites a rule looks at: those left, limited to its own `sites`."""
        return [site for site in self.sites if site.site in rule.sites] if rule.sites else self.sites

    def place(self) -> tuple[tuple[Allocation, ...], tuple[AllocationLine, ...]]:
        """Place the quantities on the ranked sites; what is left over found no site."""
        order = sorted(self.sites, key=lambda site: self.rank[site.site])
        shelf = Shelf([site.site for site in order], self.limited)
        taken = place(self.needs, shelf, self.split, self.sites_max)
        allocations: list[Allocation] = []
        for site, lines in taken.items():
            ship = self.ship_by(site)
            asked = {need.line_no: need.quantity for need in self.needs}
            words = "; ".join(_share(line, asked[line.line_no]) for line in lines)
            self.say("allocation", "allocation", "chosen", words, site)
            allocations.append(Allocation(site, tuple(lines), ship.ship_by_at, ship.delivers_on.isoformat()))
        placed: dict[str, Decimal] = {}
        for allocation in allocations:
            for line in allocation.lines:
                placed[line.line_no] = placed.get(line.line_no, ZERO) + line.quantity
        unplaced = tuple(
            AllocationLine(need.line_no, need.sku, need.quantity - placed.get(need.line_no, ZERO))
            for need in self.needs
            if placed.get(need.line_no, ZERO) < need.quantity
        )
        for line in unplaced:
            left = f"{line.sku}: {quantity_text(line.quantity)} found no site"
            self.say("allocation", "allocation", "rejected", left)
        return tuple(allocations), unplaced


def _share(line: AllocationLine, asked: Decimal) -> str:
    part = "" if line.quantity == asked else f" of {quantity_text(asked)}"
    return f"{line.sku} {quantity_text(line.quantity)}{part}"


def _as_lines(needs: tuple[Need, ...]) -> tuple[AllocationLine, ...]:
    return tuple(AllocationLine(need.line_no, need.sku, need.quantity) for need in needs)


def _variables(facts: Facts) -> dict[str, Any]:
    order: dict[str, Any] = msgspec.to_builtins(facts.order, builtin_types=(Decimal,))
    value = sum((line.quantity * line.unit_price for line in facts.order.lines if line.unit_price is not None), ZERO)
    return {"order": order, "region": facts.region, "service_level": facts.service_level, "value": value}


# --- the rules, one function each -------------------------------------------------------------------------------


def _hold(run: _Run, rule: SourcingRule) -> None:
    run.held = rule.reason or rule.rule
    run.say(rule.rule, rule.kind, "held", run.held)


def _region(run: _Run, rule: SourcingRule) -> None:
    region = run.facts.region
    serves = f"serves region {region}"
    judged = []
    for site in run.subjects(rule):
        if not site.regions:
            judged.append((site, True, "serves every region"))
        elif region in site.regions:
            judged.append((site, True, serves))
        else:
            judged.append((site, False, f"region {region or 'unknown'} is not among {', '.join(site.regions)}"))
    run.filter(rule, judged, strict=rule.strict is not False)


def _service_level(run: _Run, rule: SourcingRule) -> None:
    wanted = run.facts.service_level
    judged = []
    for site in run.subjects(rule):
        if not wanted:
            judged.append((site, True, "no service level asked"))
        elif not site.services or wanted in site.services:
            judged.append((site, True, f"offers {wanted}"))
        else:
            judged.append((site, False, f"offers {', '.join(site.services)}, not {wanted}"))
    run.filter(rule, judged, strict=rule.strict is not False)


def _partner_health(run: _Run, rule: SourcingRule) -> None:
    subjects = run.subjects(rule)
    up = []
    for site in subjects:
        health = run.facts.health.get(site.site, "healthy")
        up.append((site, health != "down", f"partner {site.partner} is {health}"))
    run.filter(rule, up, strict=True)
    degraded = {site.site for site in run.sites if run.facts.health.get(site.site) == "degraded"}
    if degraded:
        judged = [
            (site, site.site not in degraded, f"partner {site.partner} is degraded" if site.site in degraded else "")
            for site in run.subjects(rule)
        ]
        length = len(run.trace)
        run.filter(rule, judged, strict=rule.strict is True)
        # The healthy ones were told of above already.
        run.trace[length:] = [entry for entry in run.trace[length:] if entry.verdict != "passed"]


def _cutoff_calendar(run: _Run, rule: SourcingRule) -> None:
    promised = run.facts.promised_on
    judged = []
    for site in run.subjects(rule):
        ship = run.ship_by(site.site)
        in_time = not promised or ship.delivers_on.isoformat() <= promised
        reason = _cutoff_words(run, site, ship)
        if promised:
            reason += f", arrives {ship.delivers_on} {'≤' if in_time else '>'} promised {promised}"
        judged.append((site, in_time, reason))
    run.filter(rule, judged, strict=rule.strict is True)
    if rule.prefer_earlier:
        for site in run.sites:
            run.rank[site.site].append(run.ship_by(site.site).ships_on.toordinal())


def _cutoff_words(run: _Run, site: Site, ship: ShipBy) -> str:
    if not ship.working_day:
        return f"no working day ({site.timezone}), ships {ship.ships_on}"
    zone = run.policy.clock(site.site, run.facts.service_level).zone
    if not ship.late:
        return _in_time(ship.cutoff_at, ship.ships_on, zone, site.timezone)
    cutoff = ship.cutoff_at.astimezone(zone).isoformat()[11:16]
    at = run.facts.now.astimezone(zone).isoformat()[11:16]
    return f"cut-off {cutoff} passed at {at} ({site.timezone}), ships {ship.ships_on}"


@lru_cache(maxsize=4096)
def _in_time(cutoff_at: datetime, ships_on: date, zone: ZoneInfo, name: str) -> str:
    return f"before cut-off {cutoff_at.astimezone(zone).isoformat()[11:16]} ({name}), ships {ships_on}"


def _capacity(run: _Run, rule: SourcingRule) -> None:
    judged = []
    for site in run.subjects(rule):
        if site.capacity_per_day is None:
            judged.append((site, True, "no limit a day"))
        else:
            used = run.facts.load.get(site.site, 0)
            free = used < site.capacity_per_day
            sign = "<" if free else "≥"
            judged.append((site, free, f"{used} orders today {sign} capacity {site.capacity_per_day}"))
    run.filter(rule, judged, strict=rule.strict is not False)


def _stock(run: _Run, rule: SourcingRule) -> None:
    wanted: dict[str, Decimal] = {}
    for need in run.needs:
        wanted[need.sku] = wanted.get(need.sku, ZERO) + need.quantity
    judged = []
    for site in run.subjects(rule):
        shelf: dict[str, Decimal] = {}
        words: list[str] = []
        for sku, quantity in wanted.items():
            available, reason = _available(run, rule, site.site, sku, quantity)
            shelf[sku] = available
            words.append(f"{sku}: {reason}" if len(wanted) > 1 else reason)
        run.limited[site.site] = shelf
        judged.append((site, any(shelf.values()), "; ".join(words)))
    run.filter(rule, judged, strict=True)


def _available(run: _Run, rule: SourcingRule, site: str, sku: str, wanted: Decimal) -> tuple[Decimal, str]:
    position = run.facts.stock.get((site, sku))
    if position is None or not position.available.is_finite():
        return (UNLIMITED, "stock is not known, taken on trust") if rule.unknown_passes else (ZERO, "no stock known")
    if rule.stale_minutes and position.as_of is not None:
        age_minutes = int((run.facts.now - position.as_of).total_seconds() // 60)
        if age_minutes > rule.stale_minutes:
            return ZERO, f"stock is {age_minutes} min old, more than {rule.stale_minutes}"
    available = rounded_down(position.available - rule.buffer)
    buffer = f" (buffer {quantity_text(rule.buffer)})" if rule.buffer else ""
    sign = "≥" if available >= wanted else "<"
    return available, f"stock {quantity_text(position.available)}{buffer} {sign} {quantity_text(wanted)}"


def _prefer_site(run: _Run, rule: SourcingRule) -> None:
    places = {name: place for place, name in enumerate(rule.sites)}
    for site in run.sites:
        place = places.get(site.site, len(places))
        run.rank[site.site].append(place)
        if site.site in places:
            run.say(rule.rule, rule.kind, "first", f"preferred, place {place + 1} of {len(places)}", site.site)


def _cost(run: _Run, rule: SourcingRule) -> None:
    lowest = min((site.cost_rank for site in run.sites), default=0)
    for site in run.sites:
        run.rank[site.site].append(site.cost_rank)
        best = site.cost_rank == lowest
        reason = f"cost rank {site.cost_rank}" + (", the lowest" if best else f" > {lowest}")
        run.say(rule.rule, rule.kind, "first" if best else "passed", reason, site.site)


def _split_policy(run: _Run, rule: SourcingRule) -> None:
    run.split = rule.split
    run.sites_max = 1 if rule.split == "never" else rule.sites_max
    words = {"never": "one site only", "lines": "whole lines", "quantities": "lines and parts of lines"}[rule.split]
    reason = words if rule.split == "never" else f"{words} over at most {run.sites_max} sites"
    run.say(rule.rule, rule.kind, "passed", reason)


_RULES = {
    "hold": _hold,
    "region": _region,
    "service_level": _service_level,
    "partner_health": _partner_health,
    "cutoff_calendar": _cutoff_calendar,
    "capacity": _capacity,
    "stock": _stock,
    "prefer_site": _prefer_site,
    "cost": _cost,
    "split_policy": _split_policy,
}
