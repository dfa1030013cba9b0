"""The report at 18:00: what the hub says of the day, and what the partners' own ledgers say of the hub.

`lost` and `double_effects` come from the ledgers alone. The same seed gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .. import __version__
from .books import Company, compare
from .faults import Fault
from .hub_api import HubApi

FINDINGS_MAX = 20


async def make_report(
    seed: int, companies: Sequence[tuple[Company, HubApi]], faults: Sequence[Fault]
) -> dict[str, Any]:
    """Return the report as plain JSON values."""
    report: dict[str, Any] = {
        "version": __version__,
        "seed": seed,
        "orders": 0,
        "messages_in": 0,
        "messages_out": 0,
        "duplicates_ignored": 0,
        "lost": 0,
        "double_effects": 0,
        "open_issues": 0,
        "findings": [],
        "faults": [fault.row() for fault in faults],
        "tenants": {},
    }
    for company, api in companies:
        comparison = compare(company)
        said = await _what_the_hub_says(api)
        tenant = {
            "orders": sum(1 for ledger in company.releasing for _ in ledger.of("order")),
            **said,
            "told_by_partners": _told(company),
            "lost": len(comparison.lost),
            "double_effects": len(comparison.double_effects),
            "partners": {ledger.partner: ledger.counts() for ledger in company.ledgers},
        }
        report["tenants"][company.tenant] = tenant
        for name in (*said, "orders", "lost", "double_effects"):
            report[name] += tenant[name]
        report["findings"] += [*comparison.lost, *comparison.double_effects][:FINDINGS_MAX]
    return report


def render_report(report: dict[str, Any]) -> str:
    """Return the report as it is printed and written."""
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def is_clean(report: dict[str, Any]) -> bool:
    """Tell whether nothing was lost and nothing happened twice."""
    return not report["lost"] and not report["double_effects"]


def _told(company: Company) -> int:
    """Count what partners told the hub, and know was taken: messages and files, without what they told twice."""
    kinds = [entry.kind for ledger in company.ledgers for entry in ledger.entries]
    return sum(kind in ("told", "file") for kind in kinds) - kinds.count("told_twice")


async def _what_the_hub_says(api: HubApi) -> dict[str, int]:
    counts = {"messages_in": 0, "messages_out": 0, "duplicates_ignored": 0}
    async for _ in api.every("/messages", direction="out", state="sent", limit="200"):
        counts["messages_out"] += 1
    async for message in api.every("/messages", direction="in", limit="200"):
        counts["duplicates_ignored" if message["state"] == "duplicate" else "messages_in"] += 1
    return {**counts, "open_issues": len(await api.open_issues())}
