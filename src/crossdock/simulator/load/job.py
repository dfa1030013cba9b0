"""The job of the benchmark: warehouse events of about 1 KB in, milestones of the order kept, one message out for each.

Five events to an order. The pack is an ordinary one; nothing in it is made for speed.
"""

from __future__ import annotations

import msgspec

TENANT = "bench"
EVENTS_PER_ORDER = 5

_KINDS = ("wms.allocated", "wms.picked", "wms.packed", "wms.departed", "wms.transit")

_WMS = """\
connection: wms
partner: wms
connector: http_json
settings: {batch_arrays: true}
receipt_key: ["field:eventId"]
inbound:
  - {format: json, map: wms-event, when: "eventType is not None"}
  - {format: json, map: wms-order, when: "orderNumber is not None"}
"""

_ERP = """\
connection: erp
partner: erp
connector: http_json
settings: {url: "SINK", idempotent: true, connections_max: 32}
in_flight_max: 32
"""

_WMS_ORDER = """\
map: wms-order
from: {format: json}
to: {object: order, event: crossdock.order.released.v1}
set:
  number: required(orderNumber)
  ship_to: {name: '"Ada Moss"', postcode: '"89501"', country: '"US"'}
  lines:
    each: lines as line
    set: {line_no: line.no, sku: line.sku, quantity: number(line.qty)}
"""

_WMS_EVENT = """\
map: wms-event
from: {format: json}
to: {object: milestone, event: crossdock.milestone.recorded.v1}
lookups: [milestones]
set:
  code: lookup("milestones", eventType)
  at: occurredAt
  order_number: required(order.number)
  tracking: carrier.tracking
  partner_code: eventType
  reason: order.customerRef
  location: {code: warehouse.code, name: warehouse.name, tz: warehouse.timezone}
  refs:
    - {type: '"event"', value: eventId}
    - {type: '"customer"', value: order.customerRef}
    - {type: '"carrier"', value: carrier.scac}
    - {type: '"service"', value: lower(carrier.service)}
    - {type: '"consignee"', value: upper(shipTo.name)}
    - {type: '"address"', value: 'concat(shipTo.street, ", ", shipTo.zip, " ", shipTo.city)'}
    - {type: '"items"', value: 'text(sum_field(lines, "qty"))'}
"""

_ERP_EVENT = """\
map: erp-event
from: {object: milestone}
to: {format: json}
set:
  id: refs["event"].value
  orderId: order_number
  type: 'concat("com.example.", code)'
  time: at
  source: 'concat("wms/", lower(location.code))'
  customer: reason
  consignee:
    name: refs["consignee"].value
    addr: refs["address"].value
  transport:
    carrier: refs["carrier"].value
    level: refs["service"].value
    trackingNo: tracking
  location: {code: location.code, name: location.name, zone: location.tz}
  partnerCode: partner_code
  totalQty: number(refs["items"].value)
  references: {each: refs as one, set: {kind: one.type, value: one.value}}
"""


def pack(sink_url: str) -> dict[str, str]:
    """Return the files of the benchmark's pack, sending to a sink."""
    return {
        "pack.yaml": f"tenant: {TENANT}\nname: Bench\n",
        "partners/wms.yaml": "partner: wms\nname: Warehouse\nrole: wms\n",
        "partners/erp.yaml": "partner: erp\nname: ERP\nrole: erp\n",
        "connections/wms.yaml": _WMS,
        "connections/erp.yaml": _ERP.replace("SINK", sink_url),
        "maps/wms-order.yaml": _WMS_ORDER,
        "maps/wms-event.yaml": _WMS_EVENT,
        "maps/erp-event.yaml": _ERP_EVENT,
        "lookups/milestones.yaml": (
            "table: milestones\nrows:\n  wms.allocated: allocated\n  wms.picked: picked\n  wms.packed: packed\n"
            "  wms.departed: departed_pickup\n  wms.transit: in_transit\n"
        ),
        "routes.yaml": '- {document: "event:crossdock.milestone.recorded.v1", connection: erp, map: erp-event}\n',
        "sites.yaml": "sites:\n  - {site: DC, partner: wms, timezone: America/Los_Angeles}\n",
    }


def order(number: int) -> bytes:
    """Return the release of one order: 150 bytes, two lines."""
    lines = [{"no": str(line), "sku": f"SKU-{line}", "qty": line} for line in (1, 2)]
    return msgspec.json.encode({"eventId": f"or-{number:09d}", "orderNumber": f"SO-{number:08d}", "lines": lines})


def event(number: int) -> bytes:
    """Return one warehouse event: about 1 KB, four lines. Events `5n` to `5n+4` belong to order `n`, in this order."""
    owner, step = divmod(number, EVENTS_PER_ORDER)
    return msgspec.json.encode(
        {
            "eventId": f"ev-{number:09d}",
            "eventType": _KINDS[step],
            "occurredAt": f"2026-11-23T1{step}:00:00Z",
            "warehouse": {"code": "DC", "name": "Reno distribution center", "timezone": "America/Los_Angeles"},
            "order": {"number": f"SO-{owner:08d}", "channel": "web", "customerRef": f"PO-{owner}", "priority": 2},
            "shipTo": {"name": "Ada Moss", "street": "12 Harbor Road", "city": "Reno", "zip": "89501", "country": "US"},
            "carrier": {"scac": "UPSN", "service": "GROUND", "tracking": f"1Z999AA1{owner:010d}", "weightKg": 12.5},
            "lines": [
                {
                    "lineNo": line,
                    "sku": f"SKU-{line}",
                    "qty": line + 1,
                    "uom": "EA",
                    "lot": f"L{line}",
                    "serials": ["A1", "A2"],
                }
                for line in range(4)
            ],
        }
    )
