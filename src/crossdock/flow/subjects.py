"""Which aggregate a canonical object concerns: straight from its own fields, else by a name known before.

Partners answer with whatever number they have: ours, the order's, a shipment's, a tracking number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

import msgspec

from ..canonical.catalog import BELONGS
from ..canonical.identifiers import match_key
from ..canonical.inventory import InventoryAdjustment, InventoryMovement, InventorySnapshot
from ..canonical.nouns import given
from ..canonical.orders import FulfillmentAnswer, Order, OrderChange, ServiceCase
from ..canonical.shipments import Milestone, Shipment


class Subject(msgspec.Struct, frozen=True):
    """Where an object belongs: a subject, or what it waits for."""

    subject: str = ""
    awaits: str = ""


def names_of(value: Any) -> tuple[tuple[str, str], ...]:
    """Return the (type, value) names by which an object may find its order, the surest first."""
    if isinstance(value, Shipment):
        return given(("fulfillment", value.fulfillment_number), ("order", value.order_number))
    if isinstance(value, Milestone):
        return given(
            ("order", value.order_number),
            ("fulfillment", value.fulfillment_number),
            ("shipment", value.shipment_number),
            ("tracking", value.tracking),
        )
    if isinstance(value, FulfillmentAnswer):
        return given(("fulfillment", value.number))
    if isinstance(value, OrderChange):
        return given(("order", value.number))
    if isinstance(value, ServiceCase):
        return given(("order", value.order_number))
    belongs = BELONGS.get(type(value))
    return belongs.names(value) if belongs is not None else ()


def subject_of(value: Any, known: Mapping[tuple[str, str], str]) -> Subject:
    """Return the subject of a canonical object.

    `known` maps (type, match key) to a subject. A number of the aggregate's own kind (an order's, a return's) that is
    not known stands for itself: `decide` takes it on, or parks the paper.
    """
    if isinstance(value, Order):
        return Subject("order/" + value.number)
    if isinstance(value, InventorySnapshot | InventoryAdjustment | InventoryMovement):
        return Subject("inventory/" + value.site)
    names = names_of(value)
    belongs = BELONGS.get(type(value))
    own = belongs.kind if belongs is not None else "order"
    if names and names[0][0] == own:
        return Subject(f"{own}/{names[0][1]}")
    for kind, name in names:
        found = known.get((kind, match_key(name)))
        if found is not None and found.startswith(own + "/"):
            return Subject(found)
    for kind, name in names:
        if kind == own:
            return Subject(f"{own}/{name}")
    return Subject(awaits=f"{names[0][0]}:{names[0][1]}") if names else Subject()


def business_key_of(value: Any) -> str:
    """Return the partner's own number of the paper, for people and for finding duplicates."""
    for field in ("number", "shipment_number", "order_number", "site"):
        key = getattr(value, field, "")
        if key:
            return str(key)
    return ""


def occurred_at(value: Any, fallback: datetime) -> datetime:
    """Return when the thing happened, by the paper itself; else when it came in."""
    for field in ("at", "shipped_at", "as_of", "ordered_at"):
        moment = getattr(value, field, None)
        if isinstance(moment, datetime):
            return moment
    shipped_on = getattr(value, "shipped_on", None)
    if shipped_on is not None:
        return datetime.combine(shipped_on, time(12), UTC)
    return fallback
