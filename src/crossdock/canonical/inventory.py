"""Stock as sites report it: whole snapshots, single adjustments and movements; and what shops are told of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from .identifiers import Reference
from .instants import Instant
from .nouns import EventType, Fault, Noun

BASE_UNIT = "EA"
AVAILABLE = "available"
IN_TRANSIT = "in_transit"

MovementKind = Literal["receipt", "issue", "transfer_out", "transfer_in"]


class StockLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One lot of an item in one status. A `uom` other than the base unit is converted by the table `item_units`."""

    sku: str
    quantity: Decimal
    status: str = AVAILABLE
    lot: str = ""
    uom: str = BASE_UNIT


class InventorySnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a site says it has at one instant. A snapshot replaces; it is never applied as a delta.

    `complete` tells that SKUs not named are zero.
    """

    site: str
    as_of: Instant
    lines: tuple[StockLine, ...]
    complete: bool = False


class AdjustmentLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A correction of one lot. With a `from_status` the quantity moves from there to `to_status`; it is not added."""

    sku: str
    delta: Decimal
    from_status: str = ""
    to_status: str = AVAILABLE
    lot: str = ""
    uom: str = BASE_UNIT


class InventoryAdjustment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A correction of stock (947). A move between two statuses is one line, not two deltas.

    By its number at the site it is known again: without one, a repeat could not be told from a second correction.
    """

    number: Annotated[str, msgspec.Meta(min_length=1)]
    site: str
    lines: tuple[AdjustmentLine, ...]
    reason: str = ""
    at: Instant | None = None


class MovementLine(msgspec.Struct, frozen=True, omit_defaults=True):
    sku: str
    quantity: Annotated[Decimal, msgspec.Meta(description="more than zero")]
    lot: str = ""
    status: str = AVAILABLE
    uom: str = BASE_UNIT


class InventoryMovement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Goods that came or went otherwise than by an order's shipment.

    | kind | what it does |
    |---|---|
    | receipt | adds at `site` |
    | issue | takes from `site` |
    | transfer_out | takes from `site`, adds at `to_site` as `in_transit` |
    | transfer_in | at `site`: what was `in_transit` becomes the line's status |

    By its number at the site it is known again, as an adjustment is.
    """

    number: Annotated[str, msgspec.Meta(min_length=1)]
    kind: MovementKind
    site: str
    lines: tuple[MovementLine, ...]
    to_site: str = ""
    at: Instant | None = None
    refs: tuple[Reference, ...] = ()


class StockLevel(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may be promised of an item, for those who sell it. Never below zero.

    Each change is a `revision` of its own: a receiver that got a higher one ignores this one.
    """

    sku: str
    quantity: Decimal
    revision: int
    as_of: Instant
    uom: str = BASE_UNIT


def _movement_faults(movement: InventoryMovement) -> tuple[Fault, ...]:
    faults = [
        Fault(f"/lines/{index}/quantity", "a moved quantity must be more than 0", str(line.quantity), "> 0")
        for index, line in enumerate(movement.lines)
        if not (line.quantity.is_finite() and line.quantity > 0)
    ]
    if (movement.kind == "transfer_out") != bool(movement.to_site):
        expected = "a site for a transfer_out, nothing for any other kind"
        faults.append(Fault("/to_site", "only goods that leave for another site have one", movement.to_site, expected))
    return tuple(faults)


NOUN = Noun(
    objects={"inventory_movement": InventoryMovement, "stock_level": StockLevel},
    events=(
        EventType(
            "crossdock.inventory.moved.v1",
            InventoryMovement,
            "inventory",
            False,
            "Goods came or went: a receipt, an issue, a transfer between sites.",
        ),
    ),
    requests={"stock_level": "stock_level"},
    faults={InventoryMovement: _movement_faults},
)
