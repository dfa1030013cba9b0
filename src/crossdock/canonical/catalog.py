"""The one catalogue of event types and canonical objects: name, version, shape, who may see it.

To add an event of a noun that has its own file with a `NOUN` (nouns.py): give it a line there, and name a new noun in
`_NOUNS`. The events of orders, shipments and stock stand here.
JSON Schemas are generated from the types by `schemas`; `faults_of` checks what a type cannot say.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from . import claims, freight, inventory, invoices, promises, receiving, returns, service, statements
from .acknowledgments import Ack
from .inventory import InventoryAdjustment, InventorySnapshot
from .nouns import Belongs, EventType, Fault, Noun
from .orders import (
    FulfillmentAnswer,
    FulfillmentCancel,
    FulfillmentRequest,
    InvoiceRelease,
    Order,
    OrderChange,
    OrderStatus,
    ServiceCase,
)
from .shipments import Milestone, Shipment

# Canonical objects by the name maps use in `to: {object: …}` and `from: {object: …}`.
OBJECTS: dict[str, Any] = {
    "order": Order,
    "order_change": OrderChange,
    "order_status": OrderStatus,
    "fulfillment_request": FulfillmentRequest,
    "fulfillment_cancel": FulfillmentCancel,
    "fulfillment_answer": FulfillmentAnswer,
    "shipment": Shipment,
    "milestone": Milestone,
    "inventory_snapshot": InventorySnapshot,
    "inventory_adjustment": InventoryAdjustment,
    "invoice_release": InvoiceRelease,
    "service_case": ServiceCase,
    "ack": Ack,
}

_ORDER = "order"
_STOCK = "inventory"

_ROWS = (
    # What partners tell us
    EventType("crossdock.order.released.v1", Order, _ORDER, True, "The ERP or shop releases an order for fulfillment."),
    EventType(
        "crossdock.order.cancel_requested.v1", OrderChange, _ORDER, False, "A sender asks to cancel an order or lines."
    ),
    EventType(
        "crossdock.order.change_requested.v1",
        OrderChange,
        _ORDER,
        False,
        "A sender asks for another address or other quantities.",
    ),
    EventType(
        "crossdock.fulfillment.answered.v1",
        FulfillmentAnswer,
        _ORDER,
        False,
        "A site answers a request or a cancel, or reports progress.",
    ),
    EventType(
        "crossdock.shipment.departed.v1", Shipment, _ORDER, True, "A site confirms what left: ship confirmation."
    ),
    EventType("crossdock.milestone.recorded.v1", Milestone, _ORDER, True, "A carrier reports what is moving."),
    EventType(
        "crossdock.inventory.snapshot.v1", InventorySnapshot, _STOCK, False, "A site reports its stock at one instant."
    ),
    EventType("crossdock.inventory.adjusted.v1", InventoryAdjustment, _STOCK, False, "A site corrects its stock."),
    EventType("crossdock.document.acknowledged.v1", Ack, "", False, "A partner acknowledged a document we sent."),
    EventType("crossdock.case.changed.v1", ServiceCase, _ORDER, False, "The service desk tells of a case."),
    # What the hub decides and records (data: see processes/order_fulfillment)
    EventType("crossdock.order.created.v1", Order, "", False, "The hub took the order on."),
    EventType("crossdock.order.parked.v1", dict, "", False, "An event waits for an order that is not known yet."),
    EventType("crossdock.order.sourced.v1", dict, "", False, "Sites were chosen, with the reason of every rule."),
    EventType("crossdock.order.backordered.v1", dict, "", True, "Some quantity waits for stock."),
    EventType("crossdock.order.cancelled.v1", dict, "", True, "The order, or lines of it, are cancelled."),
    EventType("crossdock.order.changed.v1", dict, "", True, "The address or quantities of the order were changed."),
    EventType("crossdock.order.change_refused.v1", dict, "", False, "A change came too late; data says why."),
    EventType("crossdock.order.completed.v1", dict, "", True, "Every line is shipped and delivered or cancelled."),
    EventType("crossdock.order.at_risk.v1", dict, "", False, "The promise may be missed; says by when and why."),
    EventType("crossdock.order.recovered.v1", dict, "", False, "The order is no longer at risk."),
    EventType("crossdock.fulfillment.requested.v1", FulfillmentRequest, "", False, "A site is asked to ship."),
    EventType("crossdock.fulfillment.accepted.v1", dict, "", False, "The site accepted the request."),
    EventType(
        "crossdock.fulfillment.rejected.v1", dict, "", False, "The site refused the request; it is sourced again."
    ),
    EventType(
        "crossdock.fulfillment.cancel_requested.v1", FulfillmentCancel, "", False, "The site is asked to cancel."
    ),
    EventType("crossdock.fulfillment.cancelled.v1", dict, "", False, "The site confirmed the cancel."),
    EventType("crossdock.fulfillment.short.v1", dict, "", False, "The site shipped less than asked."),
    EventType("crossdock.fulfillment.picked.v1", dict, "", True, "The site picked the goods."),
    EventType("crossdock.fulfillment.packed.v1", dict, "", True, "The site packed the goods."),
    EventType("crossdock.shipment.recorded.v1", Shipment, "", True, "The hub booked a shipment against the order."),
    EventType("crossdock.shipment.delivered.v1", dict, "", True, "A shipment was delivered, with its evidence."),
    EventType(
        "crossdock.invoice.released.v1", InvoiceRelease, "", False, "Finance may invoice the confirmed quantity."
    ),
    EventType(
        "crossdock.case.requested.v1",
        ServiceCase,
        "",
        False,
        "The service desk is asked to open, update or close a case.",
    ),
    EventType("crossdock.deadline.passed.v1", dict, _ORDER, False, "A timer of the process ran out."),
    # What happened to papers
    EventType("crossdock.document.rejected.v1", dict, "", False, "A document broke the agreement; findings say where."),
    EventType("crossdock.document.held.v1", dict, "", False, "A document waits for a code or master record."),
    EventType(
        "crossdock.document.discarded.v1", dict, "", False, "A person set a dead letter aside; data gives the reason."
    ),
    EventType("crossdock.document.duplicate.v1", dict, "", False, "The same paper came again and was not run."),
    EventType("crossdock.document.overdue.v1", dict, "", False, "An acknowledgment is overdue."),
    # What happened to the record itself
    EventType(
        "crossdock.record.restored.v1",
        dict,
        "",
        False,
        "The record was restored from a backup; what followed it is gone.",
    ),
)

# The nouns that bring their own: `from . import returns`, then `returns.NOUN`.
_NOUNS: tuple[Noun, ...] = (
    promises.NOUN,
    service.NOUN,
    receiving.NOUN,
    freight.NOUN,
    claims.NOUN,
    inventory.NOUN,
    statements.NOUN,
    returns.NOUN,
    invoices.NOUN,
)

for _noun in _NOUNS:
    OBJECTS.update(_noun.objects)

EVENT_TYPES: dict[str, EventType] = {row.name: row for rows in (_ROWS, *(one.events for one in _NOUNS)) for row in rows}

# kind of request → canonical object, of every noun with its own file.
REQUESTS: dict[str, str] = {kind: name for one in _NOUNS for kind, name in one.requests.items()}

# type of canonical object → the aggregate it belongs to, of every noun with its own file.
BELONGS: dict[Any, Belongs] = {shape: where for one in _NOUNS for shape, where in one.belongs.items()}

_FAULTS = {shape: check for one in _NOUNS for shape, check in one.faults.items()}


def faults_of(value: Any) -> tuple[Fault, ...]:
    """Return the quantities of a canonical object that nobody could order or ship.

    An ordered quantity is more than zero; a shipped one may be zero, which is how a site says that nothing left. Stock
    may be below zero, but it is a number.
    """
    if isinstance(value, Order):
        return tuple(
            Fault(f"/lines/{index}/quantity", "an ordered quantity must be more than 0", str(line.quantity), "> 0")
            for index, line in enumerate(value.lines)
            if not _more_than(line.quantity, zero_too=False)
        )
    if isinstance(value, Shipment):
        return tuple(
            Fault(f"/lines/{index}/quantity", "a shipped quantity cannot be below 0", str(line.quantity), ">= 0")
            for index, line in enumerate(value.lines)
            if not _more_than(line.quantity, zero_too=True)
        )
    if isinstance(value, InventorySnapshot):
        return _not_finite("quantity", [line.quantity for line in value.lines])
    if isinstance(value, InventoryAdjustment):
        return _not_finite("delta", [line.delta for line in value.lines])
    check = _FAULTS.get(type(value))
    return check(value) if check is not None else ()


def _not_finite(field: str, quantities: list[Decimal]) -> tuple[Fault, ...]:
    return tuple(
        Fault(f"/lines/{index}/{field}", "a quantity of stock must be a number", str(quantity), "a number")
        for index, quantity in enumerate(quantities)
        if not quantity.is_finite()
    )


def _more_than(quantity: Decimal, *, zero_too: bool) -> bool:
    return quantity.is_finite() and (quantity > 0 or (zero_too and quantity == 0))


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every event type's data and of every canonical object, by name."""
    wanted = dict(OBJECTS)
    wanted.update({row.name: row.data for row in EVENT_TYPES.values() if row.data is not dict})
    result: dict[str, dict[str, Any]] = {}
    for name, shape in wanted.items():
        (schema,), definitions = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
        result[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": definitions}
    return result
