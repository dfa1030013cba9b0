"""Find out why snapshots differed from what was expected, tell people, and see drifts settle. Outside the cycle."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..canonical.units import TABLE, UnitTable
from ..durable.identity import Ids, to_micros
from ..errors import NotFound
from ..governance import audit
from ..governance.configuration import Configuration
from ..governance.rule_files import inventory_rules
from ..processes.inventory.drift import Difference, OpenRequest, is_timing, settled_by, suspects_of
from ..processes.inventory.positions import Movement
from ..processes.order_state import ACTIVE_STATES, OrderState
from ..store import drifts, issues, stock
from ..store.engine import Connection
from .inventory import movement_of

DRIFTS_MAX = 500
ORDERS_MAX = 5_000
MICROS_PER_MINUTE = 60_000_000
_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode_order = msgspec.json.Decoder(OrderState).decode
Rows = list[Any]


def is_due(connection: Connection, tenant_id: str) -> bool:
    """Tell whether any drift waits to be judged or settled."""
    return bool(drifts.unsettled(connection, tenant_id, 1))


def watch(connection: Connection, configuration: Configuration, *, ids: Ids, now: datetime) -> int:
    """Judge every drift that is not settled; return how many settled by themselves."""
    tenant_id, at = configuration.tenant_id, to_micros(now)
    rules = inventory_rules(configuration)
    units = UnitTable(configuration.lookups.get(TABLE, {}))
    rows = list(drifts.unsettled(connection, tenant_id, DRIFTS_MAX))
    small = [row for row in rows if abs(_amount(row)) <= rules.tolerance]
    gone = {row[0]: "within the tolerance" for row in small}
    gone.update(_corrected([row for row in rows if row[0] not in gone]))
    by_site: dict[str, Rows] = {}
    for row in rows:
        if row[0] not in gone:
            by_site.setdefault(row[1], []).append(row)
    judged, faults = [], []
    for site, mine in by_site.items():
        moves = [
            movement_of(row)
            for row in stock.movements_of_site(
                connection, tenant_id, site, min(row[9] for row in mine), max(row[10] for row in mine)
            )
        ]
        requests = _open_requests(connection, tenant_id, site, {row[2] for row in mine})
        for row in mine:
            between = [move for move in moves if move.sku == row[2] and row[9] < move.moved_at <= row[10]]
            late = _late(between, row)
            if references := settled_by(_amount(row), late):
                gone[row[0]] = "confirmed late: " + ", ".join(references)
                continue
            if row[5] == "open":
                continue
            siblings = [_difference(one) for one in mine if one[2] == row[2] and one[10] == row[10]]
            known = [move for move in between if move.recorded_at <= row[16]]
            found = suspects_of(_difference(row), siblings, known, requests, units.slips(row[2]), row[10])
            first, due = found[0], row[10] + rules.confirm_within_minutes * MICROS_PER_MINUTE
            state = "timing" if is_timing(first, at, due) else "open"
            judged.append(
                (
                    state,
                    first.kind,
                    due,
                    first.confidence,
                    first.reference,
                    first.reason,
                    _encode(found),
                    tenant_id,
                    row[0],
                )
            )
            if state == "open":
                faults.append(_fault(tenant_id, row, first.reason))
    drifts.judge(connection, judged)
    drifts.settle(connection, [(at, "the hub", words, tenant_id, drift_id) for drift_id, words in gone.items()])
    for drift_id, words in gone.items():
        issues.resolve_objects(connection, tenant_id, [drift_id], words, at)
    if faults:
        issues.raise_faults(connection, faults, ids=ids, now_micros=at)
    return len(gone)


def settle(connection: Connection, tenant_id: str, drift_id: str, actor: str, reason: str, now: datetime) -> None:
    """Settle a drift at a person's word; audited. Raises NotFound where it is settled or not there."""
    row = drifts.load(connection, tenant_id, drift_id)
    if row is None or row[5] == "settled":
        raise NotFound(f"There is no open drift {drift_id}")
    drifts.settle(connection, [(to_micros(now), actor, reason, tenant_id, drift_id)])
    issues.resolve_objects(connection, tenant_id, [drift_id], reason, to_micros(now))
    audit.append(
        connection, tenant_id, actor=actor, action="stock.settle_drift", object=drift_id, reason=reason, at=now
    )


def _difference(row: Any) -> Difference:
    return Difference(row[2], row[3], row[4], Decimal(row[7]), Decimal(row[8]))


def _amount(row: Any) -> Decimal:
    return Decimal(row[8]) - Decimal(row[7])


def _late(moves: list[Movement], row: Any) -> dict[str, Decimal]:
    """Return by reference what happened before the snapshot and was heard of only after it."""
    found: dict[str, Decimal] = {}
    for move in moves:
        if move.recorded_at > row[16] and move.status == row[4]:
            reference = move.reference or move.movement_id
            found[reference] = found.get(reference, Decimal(0)) + move.delta
    return found


def _corrected(rows: Rows) -> dict[str, str]:
    """Return the drifts that a later snapshot of the same shelf took back, and that snapshot's own."""
    gone: dict[str, str] = {}
    by_shelf: dict[tuple[str, ...], Rows] = {}
    for row in sorted(rows, key=lambda one: (one[10], one[0])):
        earlier = by_shelf.setdefault(tuple(row[1:5]), [])
        match = next((one for one in earlier if _amount(one) == -_amount(row)), None)
        if match is None:
            earlier.append(row)
        else:
            earlier.remove(match)
            gone[match[0]] = gone[row[0]] = "a later snapshot took it back"
    return gone


def _open_requests(connection: Connection, tenant_id: str, site: str, skus: set[str]) -> list[OpenRequest]:
    rows = connection.query(
        "select key, state, created_at from aggregates where tenant_id = ? and kind = 'order' and sites like ?"
        " and status not in ('completed', 'cancelled', 'delivered', 'shipped') limit ?",
        (tenant_id, f"%,{site},%", ORDERS_MAX),
    )
    found = []
    for key, state, created_at in rows:
        order = _decode_order(bytes(state))
        for one in order.fulfillments:
            if one.site != site or one.state not in ACTIVE_STATES:
                continue
            for line in one.lines:
                if line.sku in skus and line.outstanding > 0:
                    found.append(OpenRequest(one.number, f"order/{key}", line.sku, line.outstanding, created_at))
    return found


def _fault(tenant_id: str, row: Any, reason: str) -> issues.Fault:
    return issues.Fault(
        tenant_id=tenant_id,
        code="XD-STK-002",
        cause=f"XD-STK-002|{row[1]}",
        title=f"Stock at {row[1]} is not what was expected",
        object_kind="drift",
        object_id=row[0],
        detail=f"{' lot '.join(filter(None, row[2:4]))} ({row[4]}): expected {row[7]}, reported {row[8]}; {reason}",
        error_class="data",
    )
