"""What the peers share: where things are, the map, and the one statement that keeps an order's state."""

from __future__ import annotations

import os
from typing import Any

DSN = os.environ["BENCH_DSN"]
SINK = os.environ["BENCH_SINK"]
REDIS = os.environ.get("BENCH_REDIS", "")

TABLES = (
    "create table if not exists orders"
    " (order_id text primary key, status text, version int, quantity int, document text)",
    "create table if not exists applied (event_id text primary key)",
)


def _apply(a: str, b: str, c: str, d: str, e: str) -> str:
    return (
        f"with fresh as (insert into applied (event_id) values ({a}) on conflict do nothing returning 1)"
        f" insert into orders (order_id, status, version, quantity, document) select {b}, {c}, 1, {d}, {e} from fresh"
        " on conflict (order_id) do update set status = excluded.status, version = orders.version + 1,"
        " quantity = orders.quantity + excluded.quantity, document = excluded.document"
    )


APPLY_ASYNCPG = _apply("$1::text", "$2::text", "$3::text", "$4::int", "$5::text")
APPLY_PSYCOPG = _apply("%s::text", "%s::text", "%s::text", "%s::int", "%s::text")


def parameters(mapped: dict[str, Any], document: str) -> tuple[str, str, str, int, str]:
    """Return what the statement takes."""
    return mapped["id"], mapped["orderId"], mapped["type"], mapped["totalQty"], document


def map_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return what the sink gets: the same fields the hub's maps produce."""
    order, carrier, ship_to, warehouse = event["order"], event["carrier"], event["shipTo"], event["warehouse"]
    return {
        "id": event["eventId"],
        "orderId": order["number"],
        "type": "com.example." + event["eventType"].split(".")[1],
        "time": event["occurredAt"],
        "source": "wms/" + warehouse["code"].lower(),
        "customer": order["customerRef"],
        "consignee": {
            "name": ship_to["name"].upper(),
            "addr": f"{ship_to['street']}, {ship_to['zip']} {ship_to['city']}",
        },
        "transport": {
            "carrier": carrier["scac"],
            "level": carrier["service"].lower(),
            "trackingNo": carrier["tracking"],
        },
        "location": {"code": warehouse["code"], "name": warehouse["name"], "zone": warehouse["timezone"]},
        "partnerCode": event["eventType"],
        "totalQty": sum(line["qty"] for line in event["lines"]),
        "items": [
            {"line": line["lineNo"], "sku": line["sku"], "quantity": line["qty"], "lot": line["lot"]}
            for line in event["lines"]
        ],
    }


def several(body: Any) -> list[dict[str, Any]]:
    """Return the events of a request: one, or an array of them."""
    return body if isinstance(body, list) else [body]
