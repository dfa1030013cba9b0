"""Check an order policy as a whole and make it ready to decide with.

`compile_policy` finds every contradiction at once, so that it shows on `crossdock plan` and not in the night.
The result, `CompiledPolicy`, is what `DecisionContext.policy` carries. It holds no state of any order; what it
remembers are answers that depend on the policy alone (ship-by instants between two cut-offs).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

from ..errors import ConfigurationError, CrossdockError, Finding
from .calendars import ShipBy, SiteClock, later_today, ship_by, wall_clock
from .case_rules import CompiledCaseRules
from .policy import Calendar, OrderPolicy, OrderRules, ServiceLevel, Site, SourcingRule, Substitute

Condition = Callable[[Mapping[str, Any]], Any]
ConditionCompiler = Callable[[str, str], Condition]

_NO_SERVICE = ServiceLevel("")
_EVERY_WORKDAY = Calendar("")
_MEMORY_MAX = 10_000


class CompiledPolicy:
    """A checked policy with its rules compiled. Make one with `compile_policy`; it may be shared by all workers."""

    def __init__(
        self,
        policy: OrderPolicy,
        conditions: dict[int, Condition],
        allowed: dict[int, Condition] | None = None,
        case_conditions: dict[int, Condition] | None = None,
    ) -> None:
        calendars = {calendar.calendar: calendar for calendar in policy.calendars}
        self.source = policy
        self.rules: OrderRules = policy.orders
        self.zone = ZoneInfo(policy.timezone)
        self.sites: dict[str, Site] = {site.site: site for site in policy.sites}
        self.service_levels = {level.service_level: level for level in policy.service_levels}
        self.sourcing: tuple[tuple[SourcingRule, Condition | None], ...] = tuple(
            (rule, conditions.get(index)) for index, rule in enumerate(policy.sourcing)
        )
        self.needs_variables = bool(conditions)
        # Item → what may go instead, with the condition; in the order of the file.
        self.substitutes: dict[str, list[tuple[Substitute, Condition | None]]] = {}
        for index, one in enumerate(policy.substitutes):
            self.substitutes.setdefault(one.sku, []).append((one, (allowed or {}).get(index)))
        # Sites whose requests of a day are counted.
        self.limited = frozenset(site.site for site in policy.sites if site.capacity_per_day is not None)
        self.cases = {case.cause: case for case in policy.orders.cases}
        relevant = case_conditions or {}
        self.case_rules = CompiledCaseRules(
            policy.case, tuple(relevant.get(index) for index, _ in enumerate(policy.case.relevance))
        )
        self._region_of = {code: name for name, codes in policy.regions.items() for code in codes}
        self._clocks: dict[tuple[str, str], SiteClock] = {}
        for site in policy.sites:
            calendar = calendars.get(site.calendar, _EVERY_WORKDAY)
            for level in ("", *self.service_levels):
                self._clocks[site.site, level] = _clock(site, calendar, site.cutoffs.get(level, site.cutoff))
        self._ship_by: dict[tuple[str, str], tuple[datetime, ShipBy]] = {}

    def with_substitutes(self, skus: Iterable[str]) -> set[str]:
        """Return the items and everything that may go instead of them."""
        items = set(skus)
        if self.substitutes:
            items.update(one.by for sku in skus for one, _ in self.substitutes.get(sku, ()))
        return items

    def service(self, name: str) -> ServiceLevel:
        """Return a service level; an unknown or empty name is one that ships the same working day."""
        return self.service_levels.get(name, _NO_SERVICE)

    def region(self, country: str, state: str) -> str:
        """Return the region of a destination: a configured group, else the state, else the country."""
        names = self._region_of
        return names.get(f"{country}-{state}") or names.get(state) or names.get(country) or state or country

    def clock(self, site: str, service: str = "") -> SiteClock:
        """Return the zone, calendar and times of a site under a service level."""
        return self._clocks.get((site, service)) or self._clocks[site, ""]

    def clock_or_usual(self, site: str) -> SiteClock:
        """Return the clock of a site; without one every working day from Monday to Friday, in the tenant's own zone."""
        found = self._clocks.get((site, ""))
        return found or SiteClock(
            self.zone, _EVERY_WORKDAY, wall_clock("08:00"), wall_clock("16:00"), wall_clock("18:00")
        )

    def ship_by(self, site: str, service: str, now: datetime) -> ShipBy:
        """Return when an order given to the site at `now` has to leave; remembered until the next cut-off."""
        remembered = self._ship_by.get((site, service))
        if remembered is not None and remembered[0] <= now < remembered[1].valid_until:
            return remembered[1]
        answer = ship_by(self.clock(site, service), self.service(service), now)
        if len(self._ship_by) >= _MEMORY_MAX:
            self._ship_by.clear()
        self._ship_by[site, service] = (now, answer)
        return answer


def compile_policy(policy: OrderPolicy, *, compile_condition: ConditionCompiler | None = None) -> CompiledPolicy:
    """Return the policy ready for `decide`, or raise ConfigurationError with every finding.

    `compile_condition(text, place)` turns a rule's `when` into a callable over its variables; it comes from outside
    because the mapping language is a neighbour: `lambda text, place: compile_expression(text, file=place).evaluate`.
    """
    findings = list(_findings(policy))
    conditions = _conditions("sourcing", [(one.rule, one.when) for one in policy.sourcing], compile_condition, findings)
    substitutes = [(f"{one.sku} by {one.by}", one.when) for one in policy.substitutes]
    allowed = _conditions("substitutes", substitutes, compile_condition, findings)
    relevance = [(f"{number}", one.when) for number, one in enumerate(policy.case.relevance, 1)]
    cases = _conditions("case/relevance", relevance, compile_condition, findings)
    if findings:
        raise ConfigurationError(f"the order policy has {len(findings)} faults", findings=tuple(findings))
    return CompiledPolicy(policy, conditions, allowed, cases)


def _conditions(
    part: str, rules: list[tuple[str, str]], compile_condition: ConditionCompiler | None, findings: list[Finding]
) -> dict[int, Condition]:
    """Compile the conditions of a list of (name, `when`), by place; what does not compile becomes a finding."""
    conditions: dict[int, Condition] = {}
    for index, (name, when) in enumerate(rules):
        if not when:
            continue
        pointer = f"/{part}/{index}/when"
        if compile_condition is None:
            findings.append(_finding(pointer, f"rule {name}: conditions need the mapping language", when))
            continue
        try:
            conditions[index] = compile_condition(when, f"rules/sourcing.yaml {name}")
        except CrossdockError as error:
            findings.append(_finding(pointer, f"rule {name}: {error}", when))
    return conditions


def _clock(site: Site, calendar: Calendar, cutoff_text: str) -> SiteClock:
    cutoff = wall_clock(cutoff_text)
    last_pickup = wall_clock(site.last_pickup) if site.last_pickup else later_today(cutoff, 2)
    return SiteClock(ZoneInfo(site.timezone), calendar, wall_clock(site.opens), cutoff, last_pickup)


def _finding(pointer: str, message: str, value: str | None = None, known: tuple[str, ...] = ()) -> Finding:
    close = difflib.get_close_matches(value or "", known, n=1)
    hint = f"closest: {close[0]}" if close else None
    return Finding("XD-CFG-001", message, pointer=pointer, value=value, hint=hint)


def _findings(policy: OrderPolicy) -> Iterator[Finding]:
    """Yield every contradiction of a policy, in the order of its files."""
    yield from _zone_findings("/timezone", policy.timezone)
    yield from _duplicates("sites", [site.site for site in policy.sites])
    yield from _duplicates("calendars", [calendar.calendar for calendar in policy.calendars])
    yield from _duplicates("service_levels", [level.service_level for level in policy.service_levels])
    yield from _duplicates("sourcing", [rule.rule for rule in policy.sourcing])
    levels = tuple(level.service_level for level in policy.service_levels)
    calendars = tuple(calendar.calendar for calendar in policy.calendars)
    for index, calendar in enumerate(policy.calendars):
        yield from _calendar_findings(f"/calendars/{index}", calendar)
    for index, site in enumerate(policy.sites):
        yield from _site_findings(f"/sites/{index}", site, calendars, levels)
    for index, level in enumerate(policy.service_levels):
        if (
            min(level.ship_days, level.ship_hours, level.transit_days) < 0
            or max(level.ship_days, level.transit_days) > 60
        ):
            yield _finding(f"/service_levels/{index}", f"{level.service_level}: days must lie between 0 and 60")
    names = tuple(site.site for site in policy.sites)
    for index, rule in enumerate(policy.sourcing):
        yield from _rule_findings(f"/sourcing/{index}", rule, names)
    for index, one in enumerate(policy.substitutes):
        if one.sku == one.by:
            yield _finding(f"/substitutes/{index}/by", f"{one.sku} cannot go instead of itself", one.by)
    yield from _order_rule_findings(policy.orders, levels)


def _zone_findings(pointer: str, name: str) -> Iterator[Finding]:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield _finding(pointer, f"unknown time zone {name!r}: use a name such as America/Chicago", name)


def _duplicates(part: str, names: list[str]) -> Iterator[Finding]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield _finding(f"/{part}", f"{name!r} stands twice in {part}", name)


def _calendar_findings(pointer: str, calendar: Calendar) -> Iterator[Finding]:
    if not calendar.weekdays and not calendar.open_on:
        yield _finding(f"{pointer}/weekdays", f"calendar {calendar.calendar} has no working day")
    if calendar.country:
        subdivisions = _countries().get(calendar.country)
        if subdivisions is None:
            yield _finding(f"{pointer}/country", f"no public holidays known for {calendar.country!r}", calendar.country)
        elif calendar.subdivision and calendar.subdivision not in subdivisions:
            message = f"no public holidays known for {calendar.country} {calendar.subdivision!r}"
            yield _finding(f"{pointer}/subdivision", message, calendar.subdivision, subdivisions)


@lru_cache(maxsize=1)
def _countries() -> dict[str, tuple[str, ...]]:
    supported = holidays.list_supported_countries(include_aliases=True)
    return {country: tuple(subdivisions) for country, subdivisions in supported.items()}


def _site_findings(pointer: str, site: Site, calendars: tuple[str, ...], levels: tuple[str, ...]) -> Iterator[Finding]:
    yield from _zone_findings(f"{pointer}/timezone", site.timezone)
    if site.calendar and site.calendar not in calendars:
        message = f"site {site.site}: unknown calendar {site.calendar!r}"
        yield _finding(f"{pointer}/calendar", message, site.calendar, calendars)
    for name in (*site.services, *site.cutoffs):
        if name not in levels:
            yield _finding(f"{pointer}/services", f"site {site.site}: unknown service level {name!r}", name, levels)
    times: dict[str, time] = {}
    named = {"opens": site.opens, "cutoff": site.cutoff, "last_pickup": site.last_pickup}
    for field, text in (*named.items(), *((f"cutoffs/{level}", text) for level, text in site.cutoffs.items())):
        if field == "last_pickup" and not text:
            continue
        try:
            times[field] = wall_clock(text)
        except ValueError as error:
            yield _finding(f"{pointer}/{field}", f"site {site.site}: {error}", text)
    last = times.get("last_pickup")
    for field, at in times.items():
        if field.startswith("cutoff") and last is not None and at > last:
            yield _finding(f"{pointer}/{field}", f"site {site.site}: the cut-off is later than the last pickup")
    if site.capacity_per_day is not None and site.capacity_per_day < 0:
        yield _finding(f"{pointer}/capacity_per_day", f"site {site.site}: capacity is below zero")


def _rule_findings(pointer: str, rule: SourcingRule, sites: tuple[str, ...]) -> Iterator[Finding]:
    for name in rule.sites:
        if name not in sites:
            yield _finding(f"{pointer}/sites", f"rule {rule.rule}: unknown site {name!r}", name, sites)
    if rule.kind == "prefer_site" and not rule.sites:
        yield _finding(f"{pointer}/sites", f"rule {rule.rule}: names no site to prefer")
    if rule.kind == "split_policy" and rule.sites_max < 1:
        yield _finding(f"{pointer}/sites_max", f"rule {rule.rule}: at least one site is needed")
    if not rule.buffer.is_finite() or rule.buffer < 0 or rule.stale_minutes < 0:
        yield _finding(pointer, f"rule {rule.rule}: buffer and stale_minutes are not below zero")


def _order_rule_findings(rules: OrderRules, levels: tuple[str, ...]) -> Iterator[Finding]:
    if rules.default_service_level and rules.default_service_level not in levels:
        name = rules.default_service_level
        yield _finding("/orders/default_service_level", f"unknown service level {name!r}", name, levels)
    minutes = (
        rules.at_risk_margin_minutes,
        rules.promise_margin_minutes,
        rules.backorder_retry_minutes,
        rules.hold_retry_minutes,
    )
    if min(minutes) < 0:
        yield _finding("/orders", "minutes are not below zero")
    if not rules.over_ship_tolerance_percent.is_finite() or rules.over_ship_tolerance_percent < 0:
        yield _finding("/orders/over_ship_tolerance_percent", "a tolerance is not below zero")
    if not 1 <= rules.requests_max <= 100:
        yield _finding("/orders/requests_max", "between 1 and 100 requests an order")
