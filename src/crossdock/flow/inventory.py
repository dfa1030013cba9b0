"""Apply what sites say of their stock. A snapshot replaces, a movement adds; neither is ever taken for the other.

Each is applied once: an adjustment or movement is known by its number at the site, a snapshot by its content.
What can be promised is the site's last word and every movement behind its instant, in whatever order they come.
A snapshot that is not what was expected is a drift; `stock_watch.py` finds out why, outside the cycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from ..canonical.events import Event
from ..canonical.inventory import AVAILABLE, IN_TRANSIT, InventoryAdjustment, InventoryMovement, InventorySnapshot
from ..canonical.shipments import Shipment
from ..canonical.units import to_base
from ..durable.identity import to_micros
from ..processes.inventory.positions import Movement, differences, expected
from ..processes.order_state import ACTIVE_STATES, OrderState
from ..store import payloads, stock
from .batch import Batch, Position
from .papers import Paper, Trouble

Commitments = dict[tuple[str, str], tuple[Decimal, Decimal]]
Factors = Mapping[str, str]
NOTHING = (Decimal(0), Decimal(0))
# The canonical objects whose lines are converted into base units.
STOCK_REPORTS = frozenset(("inventory_snapshot", "inventory_adjustment", "inventory_movement"))
# What a site said longer ago than this is no expectation any more.
# How far a site's clock may go ahead of ours.
CLOCKS_DIFFER = timedelta(minutes=5)
EXPECTED_MICROS_MAX = 7 * 24 * 3_600 * 1_000_000


def commitments(state: OrderState | None) -> Commitments:
    """Return what an order binds at each (site, sku): the quantity a site still has to ship, and what it shipped."""
    result: Commitments = {}
    if state is None:
        return result
    for fulfillment in state.fulfillments:
        active = fulfillment.state in ACTIVE_STATES
        for line in fulfillment.lines:
            place = (fulfillment.site, line.sku)
            reserved, shipped = result.get(place, (Decimal(0), Decimal(0)))
            result[place] = (reserved + (line.outstanding if active else 0), shipped + line.shipped)
    return result


def bind_stock(
    batch: Batch, tenant_id: str, subject: str, before: OrderState | None, after: OrderState, event: Event
) -> None:
    """Let the positions follow an order: what it reserves now, and what left with this event."""
    was, now = commitments(before), commitments(after)
    for place in was.keys() | now.keys():
        reserved_before, shipped_before = was.get(place, NOTHING)
        reserved, shipped = now.get(place, NOTHING)
        if reserved != reserved_before:
            batch.position(tenant_id, *place).reserved += reserved - reserved_before
        if shipped != shipped_before:
            _depart(batch, tenant_id, subject, place, shipped - shipped_before, event)


def _depart(
    batch: Batch, tenant_id: str, subject: str, place: tuple[str, str], quantity: Decimal, event: Event
) -> None:
    site, sku = place
    shipment = event.data if isinstance(event.data, Shipment) else None
    # A shipment that gives only its day is taken to have left when the hub heard of it.
    moved_at = to_micros(event.occurred_at) if shipment is not None and shipment.shipped_at else batch.now_micros
    lots: dict[str, Decimal] = {}
    for line in shipment.lines if shipment is not None else ():
        if line.sku == sku:
            lots[line.lot] = lots.get(line.lot, Decimal(0)) + line.quantity
    if sum(lots.values(), Decimal(0)) != quantity:
        lots = {"": quantity}
    for lot, part in lots.items():
        if part:
            batch.move(
                (tenant_id, site, sku, lot, AVAILABLE),
                -part,
                "shipment",
                moved_at,
                movement_id=f"{event.id}.{len(batch.movements)}",
                reference=shipment.number if shipment is not None else "",
                subject=subject,
            )


def report_key(paper: Paper) -> str:
    """Return under what a stock report is applied once at its site; empty for every other paper."""
    if isinstance(paper.value, InventoryAdjustment):
        return "adjustment:" + paper.value.number
    if isinstance(paper.value, InventoryMovement):
        return "movement:" + paper.value.number
    if isinstance(paper.value, InventorySnapshot):
        return "snapshot:" + payloads.digest_of(paper.canonical or b"").hex()
    return ""


def check_units(value: Any, factors: Factors) -> None:
    """Raise HeldAwaiting or DocumentRejected where a line of a stock report is in a unit that cannot be converted."""
    for line in value.lines:
        quantity = line.delta if isinstance(value, InventoryAdjustment) else line.quantity
        to_base(quantity, line.sku, line.uom, factors)


def apply_stock(
    batch: Batch, tenant_id: str, paper: Paper, factors: Factors
) -> Literal["applied", "repeated", "contradicted", "from the future"]:
    """Change the positions of a site by a snapshot, an adjustment or a movement, unless it was applied before.

    `contradicted` says that this number was applied with other content, `from the future` that a count is dated more
    than `CLOCKS_DIFFER` ahead. The caller loads the reports first.
    """
    value: Any = paper.value
    digest = payloads.digest_of(paper.canonical or b"")
    report = (tenant_id, report_key(paper), value.site)
    known = batch.reports_known.get(report)
    if known is not None:
        return "repeated" if known == digest else "contradicted"
    if isinstance(value, InventorySnapshot) and value.as_of > batch.now + CLOCKS_DIFFER:
        return "from the future"
    batch.reports_known[report] = digest
    batch.reports.append((*report, digest, paper.document_id, batch.now_micros))
    if isinstance(value, InventorySnapshot):
        _apply_snapshot(batch, tenant_id, value, factors)
    elif isinstance(value, InventoryAdjustment):
        _apply_adjustment(batch, tenant_id, value, paper.document_id, factors)
    else:
        _apply_movement(batch, tenant_id, value, paper.document_id, factors)
    return "applied"


def from_the_future(paper: Paper) -> Trouble:
    """Say that a count is dated later than now: it would keep out every true one until then."""
    value: InventorySnapshot = paper.value
    return Trouble(
        code="XD-STK-004",
        cause=f"XD-STK-004|{value.site}",
        title=f"{value.site} counts stock in the future",
        detail=f"the count is dated {value.as_of.isoformat()}, later than now; it changed no stock",
        pointer="/as_of",
        error_class="partner",
    )


def contradiction(paper: Paper) -> Trouble:
    """Say that the number of an adjustment or movement was used before for another content."""
    value: InventoryAdjustment | InventoryMovement = paper.value
    return Trouble(
        code="XD-ORD-011",
        cause=f"XD-ORD-011|{value.site}",
        title=f"{value.site} used the number of an adjustment again",
        detail=f"{paper.object.removeprefix('inventory_')} {value.number} was applied before with other content; this"
        " one changed no stock",
        pointer="/number",
        error_class="partner",
    )


def _apply_snapshot(batch: Batch, tenant_id: str, snapshot: InventorySnapshot, factors: Factors) -> None:
    """Take a site's word for each item it names. An older word than the one known changes nothing."""
    as_of, site = min(to_micros(snapshot.as_of), batch.now_micros), snapshot.site
    positions = stock.load_site(batch.connection, tenant_id, site)
    for (_, sku), (on_hand, reserved, seen) in positions.items():
        batch.positions.setdefault((tenant_id, site, sku), Position(on_hand, reserved, seen))
    reported: dict[str, dict[tuple[str, str, str], Decimal]] = {}
    for line in snapshot.lines:
        shelves = reported.setdefault(line.sku, {})
        shelf = (line.sku, line.lot, line.status)
        shelves[shelf] = shelves.get(shelf, Decimal(0)) + to_base(line.quantity, line.sku, line.uom, factors)
    known = _shelves(batch, tenant_id, site)
    if snapshot.complete:
        for sku in [*(key[1] for key in positions), *(shelf[0] for shelf in known)]:
            reported.setdefault(sku, {(sku, "", AVAILABLE): Decimal(0)})
    before: dict[str, dict[tuple[str, str, str], Decimal]] = {}
    since: dict[str, int] = {}
    for shelf, (quantity, seen_at) in known.items():
        if shelf[0] in reported:
            before.setdefault(shelf[0], {})[shelf] = quantity
            since[shelf[0]] = seen_at
    horizon = min((at for at in since.values() if at > as_of - EXPECTED_MICROS_MAX), default=as_of)
    moved = _moved(batch, tenant_id, site, min(horizon, as_of))
    batch.load_stock(tenant_id, set(reported))
    for sku, shelves in reported.items():
        position = batch.position(tenant_id, site, sku)
        if position.as_of is not None and position.as_of > as_of:
            continue
        mine = moved.get(sku, ())
        if sku in since and as_of - EXPECTED_MICROS_MAX < since[sku] < as_of:
            _note_drifts(batch, tenant_id, site, before[sku], shelves, mine, since[sku], as_of)
        later = sum((move.delta for move in mine if move.moved_at > as_of and move.status == AVAILABLE), Decimal(0))
        available = sum((one for shelf, one in shelves.items() if shelf[2] == AVAILABLE), Decimal(0))
        position.on_hand, position.as_of = available + later, as_of
        for shelf in before.get(sku, {}).keys() - shelves.keys():
            del known[shelf]
            batch.shelves_changed.add((tenant_id, site, *shelf))
        for shelf, quantity in shelves.items():
            known[shelf] = (quantity, as_of)
            batch.shelves_changed.add((tenant_id, site, *shelf))


def _shelves(batch: Batch, tenant_id: str, site: str) -> dict[tuple[str, str, str], tuple[Decimal, int]]:
    found = batch.shelves.get((tenant_id, site))
    if found is None:
        found = batch.shelves[(tenant_id, site)] = stock.lots_of_site(batch.connection, tenant_id, site)
    return found


def _moved(batch: Batch, tenant_id: str, site: str, after: int) -> dict[str, list[Movement]]:
    """Return by item what moved at a site after an instant, this very cycle included."""
    rows = [movement_of(row) for row in stock.movements_of_site(batch.connection, tenant_id, site, after)]
    rows += [
        Movement(row[3], row[2], row[4], row[5], row[6], row[7], Decimal(row[8]), row[9], row[10], row[11])
        for row in batch.movements
        if row[0] == tenant_id and row[1] == site and row[2] > after
    ]
    result: dict[str, list[Movement]] = {}
    for move in rows:
        result.setdefault(move.sku, []).append(move)
    return result


def movement_of(row: tuple[Any, ...]) -> Movement:
    """Return a stored movement (store.stock.MOVEMENT_COLUMNS)."""
    movement_id, moved_at, sku, lot, status, kind, delta, reference, subject, recorded_at = row
    return Movement(movement_id, moved_at, sku, lot, status, kind, Decimal(delta), reference, subject, recorded_at)


def _note_drifts(
    batch: Batch,
    tenant_id: str,
    site: str,
    before: dict[tuple[str, str, str], Decimal],
    reported: dict[tuple[str, str, str], Decimal],
    moved: Any,
    from_at: int,
    as_of: int,
) -> None:
    should = expected(before, from_at, moved, as_of)
    for shelf, amount in differences(should, reported).items():
        said = reported.get(shelf, Decimal(0))
        batch.drifts.append(
            (
                *(tenant_id, batch.ids.new("drf", batch.now), site, *shelf),
                *(str(said - amount), str(said), from_at, as_of, batch.now_micros),
            )
        )


def _apply_adjustment(
    batch: Batch, tenant_id: str, adjustment: InventoryAdjustment, document_id: str, factors: Factors
) -> None:
    at = batch.now_micros if adjustment.at is None else to_micros(adjustment.at)

    def book(line: Any, status: str, delta: Decimal) -> None:
        batch.move(
            (tenant_id, adjustment.site, line.sku, line.lot, status),
            delta,
            "adjustment",
            at,
            movement_id=f"{document_id}.{len(batch.movements)}",
            reference=adjustment.number,
            subject=f"document/{document_id}",
        )

    for line in adjustment.lines:
        delta = to_base(line.delta, line.sku, line.uom, factors)
        if line.from_status:
            book(line, line.from_status, -abs(delta))
            book(line, line.to_status, abs(delta))
        else:
            book(line, line.to_status, delta)


def _apply_movement(
    batch: Batch, tenant_id: str, movement: InventoryMovement, document_id: str, factors: Factors
) -> None:
    at = batch.now_micros if movement.at is None else to_micros(movement.at)

    def book(site: str, line: Any, status: str, delta: Decimal) -> None:
        batch.move(
            (tenant_id, site, line.sku, line.lot, status),
            delta,
            movement.kind,
            at,
            movement_id=f"{document_id}.{len(batch.movements)}",
            reference=movement.number,
            subject=f"document/{document_id}",
        )

    for line in movement.lines:
        quantity = to_base(line.quantity, line.sku, line.uom, factors)
        match movement.kind:
            case "receipt":
                book(movement.site, line, line.status, quantity)
            case "issue":
                book(movement.site, line, line.status, -quantity)
            case "transfer_out":
                book(movement.site, line, line.status, -quantity)
                book(movement.to_site, line, IN_TRANSIT, quantity)
            case "transfer_in":
                book(movement.site, line, IN_TRANSIT, -quantity)
                book(movement.site, line, line.status, quantity)
