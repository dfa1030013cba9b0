"""Apply what sites say of their stock. A snapshot replaces, an adjustment adds; neither is ever taken for the other.

Each is applied once: an adjustment is known by its number at the site, a snapshot by its content. A snapshot that was
run again would bring back what has been shipped since.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from ..canonical.inventory import InventoryAdjustment, InventorySnapshot
from ..durable.identity import to_micros
from ..processes.order_state import ACTIVE_STATES, OrderState
from ..store import payloads, stock
from .batch import Batch, Position
from .papers import Paper, Trouble

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


def report_key(paper: Paper) -> str:
    """Return under what a stock report is applied once at its site; empty for every other paper."""
    if isinstance(paper.value, InventoryAdjustment):
        return "adjustment:" + paper.value.number
    if isinstance(paper.value, InventorySnapshot):
        return "snapshot:" + payloads.digest_of(paper.canonical or b"").hex()
    return ""


def apply_stock(batch: Batch, tenant_id: str, paper: Paper) -> Literal["applied", "repeated", "contradicted"]:
    """Change the positions of a site by a snapshot or an adjustment, unless it was applied before.

    `contradicted` says that this number was applied with other content. The caller loads the reports first.
    """
    value: Any = paper.value
    digest = payloads.digest_of(paper.canonical or b"")
    report = (tenant_id, report_key(paper), value.site)
    known = batch.reports_known.get(report)
    if known is not None:
        return "repeated" if known == digest else "contradicted"
    batch.reports_known[report] = digest
    batch.reports.append((*report, digest, paper.document_id, batch.now_micros))
    if isinstance(value, InventorySnapshot):
        _apply_snapshot(batch, tenant_id, value)
    else:
        _apply_adjustment(batch, tenant_id, value)
    return "applied"


def contradiction(paper: Paper) -> Trouble:
    """Say that the number of an adjustment was used before for another content."""
    value: InventoryAdjustment = paper.value
    return Trouble(
        code="XD-ORD-011",
        cause=f"XD-ORD-011|{value.site}",
        title=f"{value.site} used the number of an adjustment again",
        detail=f"adjustment {value.number} was applied before with other content; this one changed no stock",
        pointer="/number",
        error_class="partner",
    )


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
