"""Runs, differences and drifts as people see them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..durable.identity import from_micros
from ..processes.inventory.drift import Suspect
from ..reconcile.fixes import Fix, propose
from ..reconcile.policy import ReconciliationRules
from ..reconcile.records import KINDS, Difference
from ..store import drifts, reconciliation
from ..store.engine import Connection

PAGE_MAX = 200


class RunRow(msgspec.Struct, frozen=True):
    """One run. `state` is complete, or partial where a statement was missing."""

    run_id: str
    run: str
    state: str
    as_of: datetime
    matched: int
    timing: int
    differing: int


class DifferenceRow(msgspec.Struct, frozen=True):
    """One difference with its age and what is proposed."""

    difference_id: str
    comparison: str
    kind: str
    kind_words: str
    state: str
    difference: Difference
    first_seen_at: datetime
    last_seen_at: datetime
    days: int
    fix: Fix | None
    settled_by: str
    reason: str


class DriftRow(msgspec.Struct, frozen=True):
    """One drift. `suspects` come surest first; `confidence` is a percentage."""

    drift_id: str
    site: str
    sku: str
    lot: str
    status: str
    state: str
    kind: str
    expected: Decimal
    reported: Decimal
    from_at: datetime
    as_of: datetime
    confidence: int
    suspect: str
    reason: str
    suspects: tuple[Suspect, ...]
    closed_by: str
    resolution: str


def runs(connection: Connection, tenant_id: str, *, cursor: str = "", limit: int = 50) -> tuple[RunRow, ...]:
    """Return runs, newest first, behind an id."""
    rows = reconciliation.runs(connection, tenant_id, cursor, min(limit, PAGE_MAX))
    return tuple(RunRow(row[0], row[1], row[2], from_micros(row[3]), *row[5:8]) for row in rows)


def differences(
    connection: Connection,
    tenant_id: str,
    rules: ReconciliationRules,
    *,
    now: datetime,
    state: str = "open",
    cursor: str = "",
    limit: int = 50,
) -> tuple[DifferenceRow, ...]:
    """Return differences in a state, newest first, behind an id."""
    specs = {one.comparison: one for one in rules.comparisons}
    return tuple(
        _difference(row, specs, now)
        for row in reconciliation.listed(connection, tenant_id, state, cursor, min(limit, PAGE_MAX))
    )


def _difference(row: Any, specs: Any, now: datetime) -> DifferenceRow:
    one = msgspec.json.decode(bytes(row[5]), type=Difference)
    spec, first = specs.get(row[1]), from_micros(row[6])
    return DifferenceRow(
        row[0],
        row[1],
        row[2],
        KINDS[row[2]][1],
        row[4],
        one,
        first,
        from_micros(row[7]),
        (now - first).days,
        propose(one.kind, spec.kind, spec.partner) if spec is not None else None,
        row[10],
        row[11],
    )


def drift_rows(
    connection: Connection,
    tenant_id: str,
    *,
    state: str = "",
    site: str = "",
    sku: str = "",
    cursor: str = "",
    limit: int = 50,
) -> tuple[DriftRow, ...]:
    """Return drifts of stock, newest first, behind an id."""
    rows = drifts.listed(
        connection, tenant_id, state=state, site=site, sku=sku, before=cursor, limit=min(limit, PAGE_MAX)
    )
    return tuple(
        DriftRow(
            drift_id=row[0],
            site=row[1],
            sku=row[2],
            lot=row[3],
            status=row[4],
            state=row[5],
            kind=row[6],
            expected=Decimal(row[7]),
            reported=Decimal(row[8]),
            from_at=from_micros(row[9]),
            as_of=from_micros(row[10]),
            confidence=row[12],
            suspect=row[13],
            reason=row[14],
            suspects=msgspec.json.decode(bytes(row[15]), type=tuple[Suspect, ...]),
            closed_by=row[18],
            resolution=row[19],
        )
        for row in rows
    )
