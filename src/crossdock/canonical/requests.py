"""What routes may take: the requests of processes, and events of the journal for those who subscribe to them."""

from __future__ import annotations

from .catalog import EVENT_TYPES, OBJECTS, REQUESTS

EVENT_PREFIX = "event:"

# kind of request → canonical object (a key of catalog.OBJECTS)
REQUEST_OBJECTS: dict[str, str] = {
    "fulfillment_request": "fulfillment_request",
    "fulfillment_cancel": "fulfillment_cancel",
    "shipment_confirmation": "shipment",
    "order_status": "order_status",
    "invoice_release": "invoice_release",
    "service_case": "service_case",
    **REQUESTS,
}


def object_of_route(document: str) -> str | None:
    """Return the canonical object that a route's outbound map must read, or None when there is no such request or
    event.

    >>> object_of_route("shipment_confirmation"), object_of_route("event:crossdock.milestone.recorded.v1")
    ('shipment', 'milestone')
    """
    if not document.startswith(EVENT_PREFIX):
        return REQUEST_OBJECTS.get(document)
    kind = EVENT_TYPES.get(document.removeprefix(EVENT_PREFIX))
    if kind is None:
        return None
    return next((name for name, shape in OBJECTS.items() if shape is kind.data), None)


def routable() -> list[str]:
    """Return everything a route may name, for suggestions."""
    events = [EVENT_PREFIX + name for name in EVENT_TYPES]
    return [*REQUEST_OBJECTS, *(name for name in events if object_of_route(name))]
