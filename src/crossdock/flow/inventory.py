"""Apply what sites say of their stock. A snapshot replaces, an adjustment adds; neither is ever taken for the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..canonical.inventory import InventoryAdjustment, InventorySnapshot
from ..durable.identity import to_micros
from ..processes.order_state import ACTIVE_STATES, OrderState
from ..store import stock
from .batch import Batch, Position

AVAILABLE = "available"

Commitments = dict[tuple[str, str], tuple[Decimal, Decimal]]


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


def apply_stock(batch: Batch, tenant_id: str, value: Any) -> None:
    """Change the positions of a site by a snapshot or an adjustment."""
    if isinstance(value, InventorySnapshot):
        _apply_snapshot(batch, tenant_id, value)
    elif isinstance(value, InventoryAdjustment):
        _apply_adjustment(batch, tenant_id, value)


def _apply_snapshot(batch: Batch, tenant_id: str, snapshot: InventorySnapshot) -> None:
    """Only available stock can be promised. An older snapshot than the one known changes nothing."""
    as_of = to_micros(snapshot.as_of)
    known = stock.load_site(batch.connection, tenant_id, snapshot.site)
    for (site, sku), (on_hand, reserved, seen) in known.items():
        batch.positions.setdefault((tenant_id, site, sku), Position(on_hand, reserved, seen))
    totals: dict[str, Decimal] = {}
    for line in snapshot.lines:
        if line.status == AVAILABLE:
            totals[line.sku] = totals.get(line.sku, Decimal(0)) + line.quantity
    if snapshot.complete:
        for _, sku in known:
            totals.setdefault(sku, Decimal(0))
    for sku, quantity in totals.items():
        position = batch.position(tenant_id, snapshot.site, sku)
        if position.as_of is None or position.as_of <= as_of:
            position.on_hand, position.as_of = quantity, as_of


def _apply_adjustment(batch: Batch, tenant_id: str, adjustment: InventoryAdjustment) -> None:
    for line in adjustment.lines:
        position = batch.position(tenant_id, adjustment.site, line.sku)
        if line.from_status == AVAILABLE:
            position.on_hand -= abs(line.delta)
        elif line.to_status == AVAILABLE:
            position.on_hand += line.delta
