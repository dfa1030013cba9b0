"""Stock as sites report it: whole snapshots and single adjustments."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from .instants import Instant


class StockLine(msgspec.Struct, frozen=True, omit_defaults=True):
    sku: str
    quantity: Decimal
    status: str = "available"
    lot: str = ""
    uom: str = "EA"


class InventorySnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a site says it has at one instant. A snapshot replaces; it is never applied as a delta.

    `complete` tells that SKUs not named are zero.
    """

    site: str
    as_of: Instant
    lines: tuple[StockLine, ...]
    complete: bool = False


class AdjustmentLine(msgspec.Struct, frozen=True, omit_defaults=True):
    sku: str
    delta: Decimal
    from_status: str = ""
    to_status: str = "available"
    lot: str = ""


class InventoryAdjustment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A correction of stock (947). A move between two statuses is one line, not two deltas.

    By its number at the site it is known again: without one, a repeat could not be told from a second correction.
    """

    number: Annotated[str, msgspec.Meta(min_length=1)]
    site: str
    lines: tuple[AdjustmentLine, ...]
    reason: str = ""
    at: Instant | None = None
