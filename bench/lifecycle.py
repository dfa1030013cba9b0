"""One order from release to invoice, as documents: the pack and what its partners send. Used by the cost model.

Two lines, each in stock at another site, so every order is split; each site confirms its shipment; each shipment has
three milestones, the last with its proof of delivery; then the invoice may go out. Nine documents in; how many go out
is the process's business.
"""

from __future__ import annotations

import msgspec

from crossdock.simulator.load import job

SITES = ("EAST", "WEST")
MILESTONES = ("in_transit", "out_for_delivery", "delivered")
STEPS = ("release", "ship confirm", *MILESTONES)
DOCUMENTS_IN = 1 + len(SITES) * (1 + len(MILESTONES))

_MAPS = {
    "order": """\
map: order
from: {format: json}
to: {object: order, event: crossdock.order.released.v1}
set:
  number: required(orderNumber)
  currency: '"USD"'
  customer: {name: customer, code: '"C-1"'}
  ship_to: {name: customer, street: '"12 Harbor Road"', city: '"Reno"', region: '"NV"', postcode: '"89501"', country: '"US"'}
  refs:
    - {type: '"po"', value: po}
  lines:
    each: lines as line
    set: {line_no: line.no, sku: line.sku, quantity: number(line.qty), unit_price: number("9.90"), description: line.text}
""",
    "stock": """\
map: stock
from: {format: json}
to: {object: inventory_snapshot, event: crossdock.inventory.snapshot.v1}
set:
  site: site
  as_of: as_of
  lines: {each: lines as line, set: {sku: line.sku, quantity: number(line.qty)}}
""",
    "shipment": """\
map: shipment
from: {format: json}
to: {object: shipment, event: crossdock.shipment.departed.v1}
set:
  number: required(shipment)
  fulfillment_number: ticket
  order_number: order
  site: site
  carrier: '"UPS"'
  tracking:
    - tracking
  shipped_at: at
  lines: {each: lines as line, set: {line_no: line.no, sku: line.sku, quantity: number(line.qty)}}
""",
    "milestone": """\
map: milestone
from: {format: json}
to: {object: milestone, event: crossdock.milestone.recorded.v1}
set:
  code: code
  at: at
  tracking: required(tracking)
  shipment_number: shipment
  evidence:
    set: {kind: {const: pod}, signed_by: signed_by, at: at}
    when: signed_by is not None
""",
    "request": """\
map: request
from: {object: fulfillment_request}
to: {format: json}
set: {ticket: number, order: order_number, lines: {each: lines as line, set: {no: line.line_no, sku: line.sku, qty: line.quantity}}}
""",
    "confirmation": """\
map: confirmation
from: {object: shipment}
to: {format: json}
set: {shipment: number, order: order_number, lines: {each: lines as line, set: {no: line.line_no, qty: line.quantity}}}
""",
    "status": """\
map: status
from: {object: order_status}
to: {format: json}
set: {order: order_number, status: status}
""",
    "invoice": """\
map: invoice
from: {object: invoice_release}
to: {format: json}
set: {order: order_number, lines: {each: lines as line, set: {no: line.line_no, qty: line.quantity}}}
""",
}


def pack() -> dict[str, str]:
    """Return the files of the pack."""

    def connection(name: str, key: str, rules: str) -> str:
        return (
            f"connection: {name}\npartner: {name}\nconnector: http_json\n"
            'settings: {url: "http://127.0.0.1:9/", idempotent: true, batch_arrays: true}\nin_flight_max: 64\n'
            f'receipt_key: ["field:{key}"]\ninbound:\n{rules}'
        )

    warehouse = (
        "  - {format: json, map: stock, when: 'as_of is not None'}\n"
        "  - {format: json, map: shipment, when: 'shipment is not None'}\n"
    )
    return {
        "pack.yaml": f"tenant: {job.TENANT}\nname: Bench\n",
        "partners/all.yaml": "".join(
            f"- {{partner: {one}, name: {one}}}\n" for one in ("erp", "east", "west", "carrier")
        ),
        "connections/erp.yaml": connection("erp", "orderNumber", "  - {format: json, map: order}\n"),
        "connections/east.yaml": connection("east", "id", warehouse),
        "connections/west.yaml": connection("west", "id", warehouse),
        "connections/carrier.yaml": connection("carrier", "id", "  - {format: json, map: milestone}\n"),
        "sites.yaml": (
            "sites:\n  - {site: EAST, partner: east, timezone: America/New_York}\n"
            "  - {site: WEST, partner: west, timezone: America/Los_Angeles}\n"
        ),
        "rules/orders.yaml": "invoice_gate: delivered\ninvoice_per: order\ndelivered_needs_evidence: true\n",
        "rules/sourcing.yaml": (
            "rules:\n  - {rule: has-the-goods, kind: stock}\n"
            "  - {rule: split, kind: split_policy, split: lines, sites_max: 2}\n"
        ),
        "routes.yaml": (
            "- {document: fulfillment_request, connection: east, map: request, when: 'site == \"EAST\"'}\n"
            "- {document: fulfillment_request, connection: west, map: request, when: 'site == \"WEST\"'}\n"
            "- {document: shipment_confirmation, connection: erp, map: confirmation}\n"
            "- {document: order_status, connection: erp, map: status}\n"
            "- {document: invoice_release, connection: erp, map: invoice}\n"
        ),
        **{f"maps/{name}.yaml": text for name, text in _MAPS.items()},
    }


def stock() -> list[tuple[str, bytes]]:
    """Return (connection, document) of a stock that never ends: each site holds one of the two articles."""
    return [
        (
            site.lower(),
            msgspec.json.encode(
                {
                    "id": f"stock-{site}",
                    "site": site,
                    "as_of": "2026-11-23T08:00:00Z",
                    "lines": [{"sku": f"SKU-{site}", "qty": "1000000000"}],
                }
            ),
        )
        for site in SITES
    ]


def documents(number: int, step: str) -> list[tuple[str, bytes]]:
    """Return (connection, document) of what is sent in one step of order `number`."""
    order = order_number(number)
    if step == "release":
        lines = [
            {"no": str(at), "sku": f"SKU-{site}", "qty": "3", "text": f"Article of {site}"}
            for at, site in enumerate(SITES, 1)
        ]
        found = {"orderNumber": order, "customer": f"Customer {number % 977}", "po": f"PO-{number:09d}", "lines": lines}
        return [("erp", msgspec.json.encode(found))]
    return [_of_shipment(number, order, step, at, site) for at, site in enumerate(SITES, 1)]


def _of_shipment(number: int, order: str, step: str, at: int, site: str) -> tuple[str, bytes]:
    shipment, tracking = f"SH-{number:09d}-{at}", f"1Z{number:09d}{at}"
    if step == "ship confirm":
        found = {
            "id": shipment,
            "shipment": shipment,
            "order": order,
            "ticket": f"{order}-{at}",
            "site": site,
            "tracking": tracking,
            "at": "2026-11-23T15:00:00Z",
            "lines": [{"no": str(at), "sku": f"SKU-{site}", "qty": "3"}],
        }
        return site.lower(), msgspec.json.encode(found)
    hour = 16 + MILESTONES.index(step)
    event: dict[str, str] = {
        "id": f"{tracking}-{step}",
        "code": step,
        "tracking": tracking,
        "shipment": shipment,
        "at": f"2026-11-23T{hour}:00:00Z",
    }
    if step == "delivered":
        event["signed_by"] = "J. Ortiz"
    return "carrier", msgspec.json.encode(event)


def order_number(number: int) -> str:
    """Return the number of an order."""
    return f"LC-{number:09d}"
