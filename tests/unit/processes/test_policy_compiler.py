"""A policy is checked as a whole when it is compiled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from crossdock.errors import ConfigurationError
from crossdock.processes.policy import (
    Calendar,
    OrderPolicy,
    OrderRules,
    ServiceLevel,
    Site,
    SourcingFile,
    SourcingRule,
)
from crossdock.processes.policy_compiler import compile_policy

GOOD = {
    "sites": (Site("reno", "p", "America/Los_Angeles"),),
    "calendars": (Calendar("us", country="US", subdivision="NV"),),
    "service_levels": (ServiceLevel("ground"),),
    "sourcing": (SourcingRule("stock", "stock"),),
}


@pytest.mark.parametrize(
    "part, pointer, words",
    [
        ({"timezone": "Mars/Base"}, "/timezone", "unknown time zone"),
        ({"sites": (Site("a", "p", "Nowhere"),)}, "/sites/0/timezone", "unknown time zone"),
        ({"sites": (Site("a", "p", "UTC"),) * 2}, "/sites", "stands twice"),
        ({"sites": (Site("a", "p", "UTC", calendar="uss"),)}, "/sites/0/calendar", "unknown calendar"),
        ({"sites": (Site("a", "p", "UTC", services=("air",)),)}, "/sites/0/services", "unknown service level"),
        ({"sites": (Site("a", "p", "UTC", cutoff="4pm"),)}, "/sites/0/cutoff", "HH:MM"),
        ({"sites": (Site("a", "p", "UTC", last_pickup="12:00"),)}, "/sites/0/cutoff", "later than the last pickup"),
        ({"sites": (Site("a", "p", "UTC", capacity_per_day=-1),)}, "/sites/0/capacity_per_day", "below zero"),
        ({"calendars": (Calendar("x", country="XX"),)}, "/calendars/0/country", "no public holidays"),
        ({"calendars": (Calendar("x", country="US", subdivision="QQ"),)}, "/calendars/0/subdivision", "no public"),
        ({"calendars": (Calendar("x", weekdays=()),)}, "/calendars/0/weekdays", "no working day"),
        ({"service_levels": (ServiceLevel("x", ship_days=-1),)}, "/service_levels/0", "between 0 and 60"),
        ({"sourcing": (SourcingRule("x", "cost", sites=("rno",)),)}, "/sourcing/0/sites", "unknown site"),
        ({"sourcing": (SourcingRule("x", "prefer_site"),)}, "/sourcing/0/sites", "names no site"),
        ({"sourcing": (SourcingRule("x", "split_policy", sites_max=0),)}, "/sourcing/0/sites_max", "at least one"),
        ({"sourcing": (SourcingRule("x", "stock", buffer=Decimal(-1)),)}, "/sourcing/0", "not below zero"),
        ({"sourcing": (SourcingRule("x", "cost", when="a"),)}, "/sourcing/0/when", "mapping language"),
        ({"orders": OrderRules(default_service_level="air")}, "/orders/default_service_level", "unknown service"),
        ({"orders": OrderRules(backorder_retry_minutes=-1)}, "/orders", "not below zero"),
        ({"orders": OrderRules(requests_max=0)}, "/orders/requests_max", "between 1 and 100"),
        ({"orders": OrderRules(over_ship_tolerance_percent=Decimal("NaN"))}, "/orders/over_ship_tolerance_percent", ""),
    ],
)
def test_each_contradiction_is_found_at_its_place(part: dict[str, Any], pointer: str, words: str):
    """A fault names its file position and what is wrong."""
    with pytest.raises(ConfigurationError) as refused:
        compile_policy(OrderPolicy(**{**GOOD, **part}))

    found = {finding.pointer: finding.message for finding in refused.value.findings}
    assert words in found[pointer]


def test_all_contradictions_are_found_at_once():
    """Nobody has to fix one fault to see the next, and a near miss is suggested."""
    policy = OrderPolicy(
        sites=(Site("reno", "p", "X/Y", cutoff="?"),), sourcing=(SourcingRule("r", "cost", sites=("rno",)),)
    )

    with pytest.raises(ConfigurationError) as refused:
        compile_policy(policy)

    assert ["/sites/0/timezone", "/sites/0/cutoff", "/sourcing/0/sites"] == [f.pointer for f in refused.value.findings]
    assert "closest: reno" == refused.value.findings[-1].hint


def test_a_condition_that_does_not_compile_is_a_finding():
    """The mapping language's own error becomes a finding of the rule."""

    def compile_condition(text: str, place: str) -> Any:
        raise ConfigurationError("unknown function now()")

    policy = OrderPolicy(**{**GOOD, "sourcing": (SourcingRule("r", "cost", when="now() > 1"),)})

    with pytest.raises(ConfigurationError) as refused:
        compile_policy(policy, compile_condition=compile_condition)

    assert "rule r: unknown function now()" == refused.value.findings[0].message


def test_an_unknown_key_in_a_rule_is_refused():
    """A typing slip in YAML is an error, never ignored."""
    with pytest.raises(msgspec.ValidationError, match="strickt"):
        msgspec.convert({"rules": [{"rule": "r", "kind": "stock", "strickt": True}]}, SourcingFile)


def test_regions_come_from_groups_states_and_countries():
    """A configured group wins, then the state, then the country."""
    policy = compile_policy(OrderPolicy(regions={"west": ("US-NV", "CA"), "europe": ("DE",)}))

    assert ("west", "west", "europe", "TX", "FR", "") == (
        policy.region("US", "NV"),
        policy.region("US", "CA"),
        policy.region("DE", ""),
        policy.region("US", "TX"),
        policy.region("FR", ""),
        policy.region("", ""),
    )
