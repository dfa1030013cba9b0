"""Find out why snapshots differed from what was expected, tell people, and see drifts settle. Outside the cycle.

`look` reads: what waits to be judged comes first, whatever is open beside it; the open ones are read in pages, to see
which have settled. `enter` writes what came of it.
"""

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
# Site, item and drift: how far the open drifts have been read.
Place = tuple[str, str, str]
BEGINNING: Place = ("", "", "")


class Watched(msgspec.Struct):
    """What a look found: rows to judge (`drifts.judge`) with their faults by drift, and what is settled, with why.

    `read_to` is where the next look at the open drifts goes on.
    """

    judged: list[tuple[Any, ...]] = msgspec.field(default_factory=list)
    faults: dict[str, issues.Fault] = msgspec.field(default_factory=dict)
    gone: dict[str, str] = msgspec.field(default_factory=dict)
    read_to: Place = BEGINNING

    def __bool__(self) -> bool:
        return bool(self.judged or self.gone)


def look(connection: Connection, configuration: Configuration, now: datetime, behind: Place = BEGINNING) -> Watched:
    """Judge the drifts that wait for it, and see which of these and of a page of open ones are settled. Reads only."""
    tenant_id, at = configuration.tenant_id, to_micros(now)
    rules = inventory_rules(configuration)
    units = UnitTable(configuration.lookups.get(TABLE, {}))
    rows, read_to = _rows(connection, tenant_id, behind)
    seen = Watched(read_to=read_to)
    seen.gone.update({row[0]: "within the tolerance" for row in rows if abs(_amount(row)) <= rules.tolerance})
    seen.gone.update(_corrected([row for row in rows if row[0] not in seen.gone]))
    by_site: dict[str, Rows] = {}
    for row in rows:
        if row[0] not in seen.gone:
            by_site.setdefault(row[1], []).append(row)
    for site, mine in by_site.items():
        moves = [
            movement_of(row)
            for row in stock.movements_of_site(
                connection, tenant_id, site, min(row[9] for row in mine), max(row[10] for row in mine)
            )
        ]
        waiting = []
        for row in mine:
            between = [move for move in moves if move.sku == row[2] and row[9] < move.moved_at <= row[10]]
            if references := settled_by(_amount(row), _late(between, row)):
                seen.gone[row[0]] = "confirmed late: " + ", ".join(references)
            elif row[5] != "open":
                waiting.append((row, [move for move in between if move.recorded_at <= row[16]]))
        if not waiting:
            continue
        requests = _open_requests(connection, tenant_id, site, {row[2] for row, _ in waiting})
        for row, known in waiting:
            siblings = [_difference(one) for one in mine if one[2] == row[2] and one[10] == row[10]]
            found = suspects_of(_difference(row), siblings, known, requests, units.slips(row[2]), row[10])
            first, due = found[0], row[10] + rules.confirm_within_minutes * MICROS_PER_MINUTE
            state = "timing" if is_timing(first, at, due) else "open"
            words = (first.kind, due, first.confidence, first.reference, first.reason, _encode(found))
            if (state, *words) != (row[5], row[6], row[11], *row[12:15], bytes(row[15])):
                seen.judged.append((state, *words, tenant_id, row[0]))
            if state == "open":
                seen.faults[row[0]] = _fault(tenant_id, row, first.reason)
    return seen


def _rows(connection: Connection, tenant_id: str, behind: Place) -> tuple[Rows, Place]:
    """Return what waits to be judged, the open drifts of the same items, and a page of the other open ones."""
    waiting = list(drifts.waiting(connection, tenant_id, DRIFTS_MAX))
    page = drifts.open_behind(connection, tenant_id, behind, DRIFTS_MAX)
    items: dict[str, set[str]] = {}
    for row in waiting:
        items.setdefault(row[1], set()).add(row[2])
    found = {row[0]: row for row in (*waiting, *page)}
    for site, skus in items.items():
        beside = drifts.open_of(connection, tenant_id, site, sorted(skus), DRIFTS_MAX)
        found.update({row[0]: row for row in beside})
    last = page[-1] if len(page) == DRIFTS_MAX else None
    return sorted(found.values(), key=_place), BEGINNING if last is None else _place(last)


def _place(row: Any) -> Place:
    return (row[1], row[2], row[0])


def enter(connection: Connection, tenant_id: str, seen: Watched, *, ids: Ids, now: datetime) -> int:
    """Write what a look found, but of drifts that a person settled meanwhile; return how many settled."""
    at = to_micros(now)
    states = drifts.states_of(connection, tenant_id, [*seen.gone, *(row[-1] for row in seen.judged)])
    lasting = {drift_id for drift_id, state in states.items() if state != "settled"}
    gone = {drift_id: words for drift_id, words in seen.gone.items() if drift_id in lasting}
    drifts.judge(connection, [row for row in seen.judged if row[-1] in lasting])
    drifts.settle(connection, [(at, "the hub", words, tenant_id, drift_id) for drift_id, words in gone.items()])
    for drift_id, words in gone.items():
        issues.resolve_objects(connection, tenant_id, [drift_id], words, at)
    faults = [fault for drift_id, fault in seen.faults.items() if drift_id in lasting]
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
