"""W4: files of X12 945s in, shipments out. The pack, the orders and the files.

A file is one interchange with one 945 of about 200 segments (28 lines, each with its pallet). The product has no 856
yet, so what goes out for each is the canonical shipment as JSON, and a 997 to the sender.
"""

from __future__ import annotations

import msgspec

from crossdock.simulator.load import job

LINES = 28

_ORDER = """\
map: erp-order
from: {format: json}
to: {object: order, event: crossdock.order.released.v1}
set:
  number: required(orderNumber)
  ship_to: {name: '"Ada Moss"', postcode: '"89501"', country: '"US"'}
  lines:
    each: lines as line
    set: {line_no: line.no, sku: line.sku, quantity: number(line.qty)}
"""
_ADVICE = """\
map: advice
from: {format: x12, set: "945"}
to: {object: shipment, event: crossdock.shipment.departed.v1}
let:
  items: flatten(pluck(lines, "items"))
set:
  number: required(w06.shipment_id)
  fulfillment_number: w06.depositor_order
  order_number: references["OQ"].value
  site: {const: DC}
  carrier: w27.scac
  shipped_on: x12_date(w06.shipped_on)
  units:
    each: lines as pallet
    set:
      id: pallet.marks[0].mark
      sscc: pallet.marks[0].mark
      contents:
        each: pallet.items as item
        set: {sku: item.id_1, quantity: number(item.shipped), line_no: 'item.references["LI"].value'}
  lines:
    each: items as item
    set:
      line_no: item.references["LI"].value
      sku: required(item.id_1)
      quantity: required(number(item.shipped))
      uom: uom(item.uom)
      ordered: number(item.ordered)
      lot: item.lot
"""
_REQUEST = """\
map: request
from: {object: fulfillment_request}
to: {format: json}
set: {ticket: number, lines: {each: lines as line, set: {no: line.line_no, sku: line.sku, qty: line.quantity}}}
"""
_SHIPMENT = """\
map: erp-shipment
from: {object: shipment}
to: {format: json}
set:
  id: number
  orderId: order_number
  site: site
  lines: {each: lines as line, set: {no: line.line_no, sku: line.sku, qty: line.quantity, lot: line.lot}}
"""


def pack(sink_url: str) -> dict[str, str]:
    """Return the files of the pack: an ERP on JSON, a 3PL on X12 through a door of its own."""
    sink = f'settings: {{url: "{sink_url}", idempotent: true, connections_max: 16}}\nin_flight_max: 16\n'
    return {
        "pack.yaml": f"tenant: {job.TENANT}\nname: Bench\n",
        "partners/all.yaml": "- {partner: erp, name: ERP}\n- {partner: swift, name: 3PL}\n",
        "connections/erp.yaml": (
            f"connection: erp\npartner: erp\nconnector: http_json\n{sink}"
            'receipt_key: ["field:orderNumber"]\ninbound:\n  - {format: json, map: erp-order}\n'
        ),
        "connections/swift.yaml": (
            f"connection: swift\npartner: swift\nconnector: http_json\n{sink}"
            'x12: {us: "ZZ:NORTHGATE", them: "ZZ:SWIFT3PL"}\ninbound:\n  - {format: x12, set: "945", map: advice}\n'
        ),
        "maps/erp-order.yaml": _ORDER,
        "maps/advice.yaml": _ADVICE,
        "maps/request.yaml": _REQUEST,
        "maps/erp-shipment.yaml": _SHIPMENT,
        "routes.yaml": (
            "- {document: fulfillment_request, connection: erp, map: request}\n"
            "- {document: shipment_confirmation, connection: erp, map: erp-shipment}\n"
        ),
        "sites.yaml": "sites:\n  - {site: DC, partner: swift, timezone: America/Chicago}\n",
    }


def order(number: int) -> bytes:
    """Return the release of one order with as many lines as its 945 will have."""
    lines = [{"no": str(line), "sku": f"SKU-{line:03d}", "qty": str(line)} for line in range(1, LINES + 1)]
    return msgspec.json.encode({"orderNumber": f"SO-{number:08d}", "lines": lines})


def file(number: int) -> bytes:
    """Return the interchange that ships order `number`: about 200 segments, 8 KB."""
    body = [
        f"ST*945*{number + 1:04}",
        f"W06*F*SO-{number:08d}-1*20261123*ev-{number:09d}**PO-{number}",
        "N1*WH*3PL Kansas City*92*SWIFT-KC",
        "N1*ST*Ada Moss*92*C-1",
        "N3*12 Harbor Road",
        "N4*Reno*NV*89501*US",
        f"N9*OQ*SO-{number:08d}",
        "G62*11*20261123",
        "NTE*WHI*Extra shrink applied",
        "W27*M*UPSN*UPS Ground*PP",
    ]
    for line in range(1, LINES + 1):
        body += [
            f"LX*{line}",
            f"MAN*GM*0010614141{number * LINES + line:010}",
            f"W12*CC*{line}*{line}**EA**VN*SKU-{line:03d}*LOT{line}",
            f"G69*Article number {line}",
            f"N9*LI*{line}",
            f"N9*LV*LPN{number}{line}",
            f"N9*BT*B{line}",
        ]
    body += [f"W03*{sum(range(1, LINES + 1))}*2250*LB"]
    body += [f"SE*{len(body) + 1}*{number + 1:04}"]
    isa = f"ISA*00*          *00*          *ZZ*SWIFT3PL       *ZZ*NORTHGATE      *261123*1200*U*00401*{number + 1:09}*0*P*>"
    group = f"GS*SW*SWIFT3PL*NORTHGATE*20261123*1200*{number + 1}*X*004010"
    return ("~".join([isa, group, *body, f"GE*1*{number + 1}", f"IEA*1*{number + 1:09}"]) + "~").encode()
