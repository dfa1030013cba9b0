"""The small company of the simulation, once per tenant: an ERP, a carrier, and four warehouses of different manners.

reno   JSON, acts once for one identity             also sends CSV confirmations and stock adjustments
kc     X12 940, 945 and 997; must be asked
dock   JSON; promises nothing and cannot be asked
"""

from __future__ import annotations

TENANTS = ("acme", "bolt", "crane")
ITEMS = {"HAMMER": "A", "DRILL": "B", "SAW": "C"}
SITES = {"A": "reno", "B": "kc", "C": "dock"}
STOCK = 1_000_000

_MAPS = {
    "erp-order": """
map: erp-order
from: {format: json}
to: {object: order, event: crossdock.order.released.v1}
lookups: [items]
required: [number, lines]
set:
  number: required(number)
  currency: '"USD"'
  ship_to: {name: name, postcode: '"89501"', country: '"US"'}
  lines:
    each: lines as line
    set: {line_no: line.no, sku: 'lookup("items", line.item)', quantity: required(number(line.qty))}
""",
    "stock": """
map: stock
from: {format: json}
to: {object: inventory_snapshot, event: crossdock.inventory.snapshot.v1}
set:
  site: site
  as_of: as_of
  lines: {each: lines as line, set: {sku: line.sku, quantity: number(line.qty)}}
""",
    "adjustment": """
map: adjustment
from: {format: json}
to: {object: inventory_adjustment, event: crossdock.inventory.adjusted.v1}
set:
  number: required(number)
  site: site
  lines: {each: lines as line, set: {sku: line.sku, delta: number(line.delta)}}
""",
    "shipment": """
map: shipment
from: {format: json}
to: {object: shipment, event: crossdock.shipment.departed.v1}
required: [number, lines]
set:
  number: required(number)
  fulfillment_number: ticket
  tracking: [tracking]
  lines: {each: lines as line, set: {line_no: line.no, sku: line.sku, quantity: required(number(line.qty))}}
""",
    "rows": """
map: rows
from:
  format: csv
  columns:
    - {name: shipment, header: SHIPMENT, required: true}
    - {name: ticket, header: TICKET, required: true}
    - {name: tracking, header: TRACKING, required: true}
    - {name: line, header: LINE, required: true}
    - {name: sku, header: SKU, required: true}
    - {name: quantity, header: QTY, type: decimal, required: true}
  group_by: shipment
to: {object: shipment, event: crossdock.shipment.departed.v1}
required: [number, lines]
set:
  number: shipment
  fulfillment_number: rows[0].ticket
  tracking: ['rows[0].tracking']
  lines:
    each: rows as row
    set: {line_no: row.line, sku: row.sku, quantity: row.quantity}
""",
    "kc-945": """
map: kc-945
from: {format: x12, set: "945"}
to: {object: shipment, event: crossdock.shipment.departed.v1}
let:
  items: flatten(pluck(lines, "items"))
required: [number, lines]
set:
  number: required(w06.shipment_id)
  fulfillment_number: w06.depositor_order
  site: {const: KC}
  lines:
    each: items as item
    set:
      line_no: item.references["LI"].value
      sku: required(item.id_1)
      quantity: required(number(item.shipped))
""",
    "kc-940": """
map: kc-940
from: {object: fulfillment_request}
to: {format: x12, set: "940"}
set:
  w05: {order_status: '"N"', depositor_order: number}
  parties.ST: {role: '"ST"', name: ship_to.name}
  references.OQ: {qualifier: '"OQ"', value: order_number}
  w66: {payment: '"PP"', mode: '"M"'}
  lines:
    each: lines as line, n
    set:
      number: text(n)
      items:
        - ordered: text(number(line.quantity))
          uom: '"EA"'
          id_qualifier_1: '"VN"'
          id_1: line.sku
          references.LI: {qualifier: '"LI"', value: line.line_no}
""",
    "ticket": """
map: ticket
from: {object: fulfillment_request}
to: {format: json}
set:
  type: {const: ticket}
  key: number
  order: order_number
  name: ship_to.name
  lines: {each: lines as line, set: {no: line.line_no, sku: line.sku, qty: line.quantity}}
""",
    "milestone": """
map: milestone
from: {format: json}
to: {object: milestone, event: crossdock.milestone.recorded.v1}
required: [code, at]
set:
  code: code
  at: at
  tracking: tracking
  shipment_number: shipment
  evidence:
    set: {kind: {const: pod}, signed_by: signed_by, at: at}
    when: signed_by is not None
""",
    "erp-shipment": """
map: erp-shipment
from: {object: shipment}
to: {format: json}
set: {type: {const: shipment}, key: number, order: order_number}
""",
    "erp-status": """
map: erp-status
from: {object: order_status}
to: {format: json}
set: {type: {const: status}, key: 'concat(order_number, "/", status)', order: order_number, status: status}
""",
    "erp-invoice": """
map: erp-invoice
from: {object: invoice_release}
to: {format: json}
set: {type: {const: invoice}, key: 'concat("invoice/", order_number)', order: order_number}
""",
}

_RETRY = (
    "{attempts_max: 60, first_delay_seconds: 5, delay_seconds_max: 60, circuit_failures_max: 6,"
    " probe_delay_seconds: 20}"
)


def _connection(name: str, partner: str, inbound: str, more: str = "", settings: str = "", attempts: int = 60) -> str:
    retry = _RETRY.replace("60", str(attempts), 1)
    return (
        f"connection: {name}\npartner: {partner}\nconnector: http_json\nauthentication: {{kind: none}}\n"
        f'settings: {{url: "https://{name}.example/in"{settings}}}\n'
        f"receipt_key: ['header:idempotency-key']\nretry: {retry}\ntimeout_seconds: 10\n{more}inbound:\n{inbound}"
    )


def files(tenant: str, *, note: str = "", items: tuple[str, ...] = ("HAMMER", "DRILL", "SAW")) -> dict[str, str]:
    """Return a tenant's pack; `note` makes it another release with the same meaning."""
    shipping = (
        "  - {format: json, map: shipment, when: 'type == \"shipment\"'}\n"
        "  - {format: json, map: adjustment, when: 'type == \"adjustment\"'}\n"
        "  - {format: json, map: stock, when: 'type == \"stock\"'}\n"
    )
    x12 = 'x12: {us: "ZZ:ACME", them: "ZZ:KC3PL", ack_overdue_minutes: 600}\n'
    return {
        "pack.yaml": f"tenant: {tenant}\nname: {tenant.title()}{note}\ntimezone: UTC\n",
        "partners/all.yaml": "".join(
            f"- {{partner: {name}, name: {name}}}\n" for name in ("erp", "reno", "kc", "dock", "ups")
        ),
        "connections/erp.yaml": _connection(
            "erp", "erp", "  - {format: json, map: erp-order}\n", settings=", idempotent: true"
        ),
        "connections/reno.yaml": _connection("reno", "reno", shipping, settings=", idempotent: true"),
        "connections/rows.yaml": _connection("rows", "reno", "  - {format: csv, map: rows}\n"),
        "connections/kc.yaml": _connection(
            "kc",
            "kc",
            '  - {format: x12, set: "945", map: kc-945}\n',
            x12,
            ', find_url: "https://kc.example/{identity}"',
        ),
        "connections/kcstock.yaml": _connection("kcstock", "kc", shipping),
        "connections/dock.yaml": _connection("dock", "dock", shipping, attempts=6),
        "connections/ups.yaml": _connection("ups", "ups", "  - {format: json, map: milestone}\n"),
        "lookups/items.yaml": "table: items\nrows: {" + ", ".join(f"{one}: {ITEMS[one]}" for one in items) + "}\n",
        "sites.yaml": "sites:\n"
        + "".join(f"  - {{site: {name.upper()}, partner: {name}, timezone: UTC}}\n" for name in SITES.values()),
        "rules/sourcing.yaml": "rules:\n  - {rule: has-the-goods, kind: stock}\n",
        "routes.yaml": (
            "- {document: fulfillment_request, connection: reno, map: ticket, when: 'site == \"RENO\"'}\n"
            "- {document: fulfillment_request, connection: kc, map: kc-940, when: 'site == \"KC\"'}\n"
            "- {document: fulfillment_request, connection: dock, map: ticket, when: 'site == \"DOCK\"'}\n"
            "- {document: shipment_confirmation, connection: erp, map: erp-shipment}\n"
            "- {document: order_status, connection: erp, map: erp-status}\n"
            "- {document: invoice_release, connection: erp, map: erp-invoice}\n"
        ),
        **{f"maps/{name}.yaml": text.lstrip() for name, text in _MAPS.items()},
    }


_ISA = "ISA*00*          *00*          *ZZ*KC3PL          *ZZ*ACME           *261123*0900*U*00401*{number:09d}*0*P*>~"


def x12_945(number: str, ticket: str, sku: str, quantity: int, control_number: int) -> bytes:
    """An interchange of kc with one ship confirmation."""
    body = [
        "ST*945*0001",
        f"W06*F*{ticket}*20261123*{number}",
        "N1*WH*Kansas City*92*KC",
        "G62*11*20261123",
        "W27*M*UPSN",
        "LX*1",
        f"W12*CC*{quantity}*{quantity}**EA**VN*{sku}",
        "N9*LI*1",
        f"W03*{quantity}*10*LB",
    ]
    sets = "~".join([*body, f"SE*{len(body) + 1}*0001"])
    head = _ISA.format(number=control_number)
    group = f"GS*SW*KC3PL*ACME*20261123*0900*{control_number}*X*004010~"
    return (head + group + sets + f"~GE*1*{control_number}~IEA*1*{control_number:09d}~").encode()
