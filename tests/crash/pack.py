"""The small company of the crash tests: an ERP, a warehouse that acts once, and one that must be asked."""

from __future__ import annotations

_MAPS = {
    "erp-order": """
map: erp-order
from: {format: json}
to: {object: order, event: crossdock.order.released.v1}
set:
  number: required(number)
  currency: '"USD"'
  ship_to: {name: name, postcode: '"89501"', country: '"US"'}
  lines:
    each: lines as line
    set: {line_no: line.no, sku: line.sku, quantity: number(line.qty)}
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
    "shipment": """
map: shipment
from: {format: json}
to: {object: shipment, event: crossdock.shipment.departed.v1}
set:
  number: required(number)
  fulfillment_number: ticket
  lines: {each: lines as line, set: {line_no: line.no, sku: line.sku, quantity: number(line.qty)}}
""",
    "ticket": """
map: ticket
from: {object: fulfillment_request}
to: {format: json}
set:
  type: {const: ticket}
  key: number
  lines: {each: lines as line, set: {no: line.line_no, sku: line.sku, qty: line.quantity}}
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
set: {type: {const: status}, key: 'concat(order_number, "/", status)'}
""",
    "erp-invoice": """
map: erp-invoice
from: {object: invoice_release}
to: {format: json}
set: {type: {const: invoice}, key: 'concat("invoice/", order_number)'}
""",
}

_FOLDER = {
    "connections/drop.yaml": (
        "connection: drop\npartner: erp\nconnector: folder\nsettings: {root: drop, inbox: in}\n"
        "receipt_key: [name]\npoll_seconds: 0.1\ninbound:\n  - {format: json, map: erp-order}\n"
    ),
    "rules/orders.yaml": "backorder_retry_minutes: 1\n",
}
_RETRY = (
    "{attempts_max: 40, first_delay_seconds: 0.1, delay_seconds_max: 1,"
    " circuit_failures_max: 60, probe_delay_seconds: 0.3}"
)


def files(port: int, *, lanes: bool = False, edition: int | None = None) -> dict[str, str]:
    """Return the pack; partners listen on a port of this machine. `lanes` spreads a connection over several workers.

    With an `edition`, files are fetched from a folder too, and what has no stock is looked for again after a minute;
    each edition is another release of the same.
    """

    def connection(name: str, settings: str, inbound: str) -> str:
        lane = f"lane: 'field:{'number' if name == 'erp' else 'ticket'}'\n" if lanes else ""
        return (
            f"connection: {name}\npartner: {name}\nconnector: http_json\nauthentication: {{kind: none}}\n"
            f'settings: {{url: "http://127.0.0.1:{port}/{name}", {settings}}}\n'
            f"receipt_key: ['header:idempotency-key']\nretry: {_RETRY}\ntimeout_seconds: 5\n{lane}"
            f"inbound:\n{inbound}"
        )

    warehouse = "  - {format: json, map: shipment, when: 'type == \"shipment\"'}\n  - {format: json, map: stock}\n"
    return {
        "pack.yaml": f"tenant: acme\nname: Acme\ndescription: edition {edition or 0}\n",
        "partners/all.yaml": "".join(f"- {{partner: {name}, name: {name}}}\n" for name in ("erp", "reno", "kc")),
        "connections/erp.yaml": connection("erp", "idempotent: true", "  - {format: json, map: erp-order}\n"),
        "connections/reno.yaml": connection("reno", "idempotent: true", warehouse),
        "connections/kc.yaml": connection("kc", f'find_url: "http://127.0.0.1:{port}/kc/{{identity}}"', warehouse),
        "sites.yaml": "sites:\n"
        + "".join(f"  - {{site: {name.upper()}, partner: {name}, timezone: UTC}}\n" for name in ("reno", "kc")),
        "rules/sourcing.yaml": "rules:\n  - {rule: has-the-goods, kind: stock}\n",
        "routes.yaml": (
            "- {document: fulfillment_request, connection: reno, map: ticket, when: 'site == \"RENO\"'}\n"
            "- {document: fulfillment_request, connection: kc, map: ticket, when: 'site == \"KC\"'}\n"
            "- {document: shipment_confirmation, connection: erp, map: erp-shipment}\n"
            "- {document: order_status, connection: erp, map: erp-status}\n"
            "- {document: invoice_release, connection: erp, map: erp-invoice}\n"
        ),
        **({} if edition is None else _FOLDER),
        **{f"maps/{name}.yaml": text.lstrip() for name, text in _MAPS.items()},
    }
