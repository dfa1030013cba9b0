"""Which `rules/<kind>.yaml` a pack may hold: of every process that takes rules, of stock, and of reconciliation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ..errors import Finding
from ..processes.inventory.policy import InventoryRules
from ..processes.registry import PROCESSES
from ..reconcile.policy import ReconciliationRules
from ..reconcile.policy import findings as reconciliation_findings

if TYPE_CHECKING:
    from .configuration import Configuration, Pack

RULES: Mapping[str, Any] = {
    **{kind: process.policy for kind, process in PROCESSES.items() if process.policy is not None},
    "inventory": InventoryRules,
    "reconciliation": ReconciliationRules,
}


def rule_findings(pack: Pack) -> Iterator[tuple[str, Finding]]:
    """Yield what is wrong with the rules of stock and of reconciliation, each with its file."""
    sites = frozenset(site.site for site in pack.policy.sites)
    for fault in reconciliation_findings(pack.rules["reconciliation"], frozenset(pack.partners), sites):
        yield "rules/reconciliation.yaml", fault
    rules: InventoryRules = pack.rules["inventory"]
    named = [one.site for one in rules.buffers] + [one.site for one in rules.freshness] + list(rules.publish_sites)
    for name in sorted({name for name in named if name and name not in sites}):
        yield "rules/inventory.yaml", Finding("XD-CFG-001", f"there is no site {name}", value=name)
    for text in sorted({text for one in rules.freshness for text in one.by}):
        hours, _, minutes = text.partition(":")
        if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
            yield "rules/inventory.yaml", Finding("XD-CFG-001", f"{text!r} is no time such as 06:00", value=text)


def inventory_rules(configuration: Configuration) -> InventoryRules:
    """Return a tenant's rules of stock."""
    rules: InventoryRules = configuration.rules["inventory"]
    return rules


def reconciliation_rules(configuration: Configuration) -> ReconciliationRules:
    """Return what a tenant reconciles."""
    rules: ReconciliationRules = configuration.rules["reconciliation"]
    return rules


def zone_of(configuration: Configuration) -> ZoneInfo:
    """Return the tenant's own time zone."""
    return ZoneInfo(configuration.head.timezone)
