"""The physical side: shipments with their units, and milestones of what moves.

A shipment is the trade fact (what left for whom), a consignment the transport contract; the second comes with freight.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from .identifiers import Reference
from .instants import Instant
from .parties import Address, Location

MilestoneClass = Literal["planned", "estimated", "actual"]
TimeProvenance = Literal["given", "inferred", "unknown"]


class ShipmentLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was shipped of one order line. `ordered` and `short` are what the site says, when it says them."""

    sku: str
    quantity: Annotated[Decimal, msgspec.Meta(description="zero or more")]
    line_no: str = ""
    uom: str = "EA"
    ordered: Decimal | None = None
    short: Decimal | None = None
    reason: str = ""
    lot: str = ""
    serials: tuple[str, ...] = ()


class UnitContent(msgspec.Struct, frozen=True, omit_defaults=True):
    sku: str
    quantity: Decimal
    line_no: str = ""
    lot: str = ""


class ShipmentUnit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pallet or parcel. `parent` names the SSCC or id of the unit it stands in."""

    id: str
    type: str = "carton"
    sscc: str = ""
    parent: str = ""
    tracking: str = ""
    weight_kg: Decimal | None = None
    contents: tuple[UnitContent, ...] = ()


class Shipment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ship confirmation (945, DESADV, webhook). `number` is unique per site.

    `fulfillment_number` is the request it answers; when a partner leaves it out, `order_number` and `site` find it.
    """

    number: str
    lines: tuple[ShipmentLine, ...]
    fulfillment_number: str = ""
    order_number: str = ""
    site: str = ""
    carrier: str = ""
    service: str = ""
    tracking: tuple[str, ...] = ()
    bol: str = ""
    shipped_at: Instant | None = None
    shipped_on: date | None = None
    ship_to: Address | None = None
    units: tuple[ShipmentUnit, ...] = ()
    final: bool = True
    refs: tuple[Reference, ...] = ()


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Proof of delivery: who signed, when, where the photo or signature lies."""

    kind: str = "pod"
    signed_by: str = ""
    at: Instant | None = None
    document: str = ""


class Milestone(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened (or is expected) to what is moving.

    `code` is one of `milestones.MILESTONES`. An estimate is a class, never another code.
    `local_time` keeps what the partner wrote when the offset was missing; `provenance` says where the instant came
    from.
    """

    code: str
    at: Instant
    milestone_class: MilestoneClass = "actual"
    order_number: str = ""
    shipment_number: str = ""
    fulfillment_number: str = ""
    tracking: str = ""
    leg: str = "outbound"
    location: Location | None = None
    reason: str = ""
    partner_code: str = ""
    local_time: str = ""
    provenance: TimeProvenance = "given"
    evidence: Evidence | None = None
    refs: tuple[Reference, ...] = ()
