"""The kinds of request a process makes, the document each carries, and the canonical object its outbound map reads."""

from __future__ import annotations

# kind of request → canonical object (a key of catalog.OBJECTS)
REQUEST_OBJECTS: dict[str, str] = {
    "fulfillment_request": "fulfillment_request",
    "fulfillment_cancel": "fulfillment_cancel",
    "shipment_confirmation": "shipment",
    "order_status": "order_status",
    "invoice_release": "invoice_release",
    "service_case": "service_case",
}
