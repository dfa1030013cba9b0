"""The web shop: sends what consumers ordered, and takes the status words it shows them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .clock import Timeline
from .ledger import Entry, Ledger, lines_of
from .wire import Door, JsonService
from .world import PlannedOrder, goods


class Shop:
    """The shop of one company."""

    def __init__(self, timeline: Timeline, token: str) -> None:
        self.ledger = Ledger("shop")
        self.service = JsonService(token)
        self.service.post("/api/order-updates", self._take_update)
        self.door: Door | None = None
        self._timeline = timeline
        self._seen: set[str] = set()

    async def place(self, order: PlannedOrder) -> None:
        """Send one consumer's order to the hub."""
        assert self.door is not None
        self.ledger.book(
            Entry(
                self._timeline.clock.now(),
                "order",
                order.number,
                lines=lines_of((line.sku, line.quantity) for line in order.lines),
                detail=order.tag,
            )
        )
        await self.door.tell(order_document(order), f"shop-{order.number}")

    async def _take_update(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if key and key in self._seen:
            self.ledger.repeat("status")
            return web.json_response({"ok": True})
        self._seen.add(key)
        number, status = str(body["order_name"]).removeprefix("#"), str(body["fulfillment_status"])
        self.ledger.book(Entry(self._timeline.clock.now(), "status", number, key, detail=status))
        return web.json_response({"ok": True}, status=201)


def order_document(order: PlannedOrder) -> dict[str, Any]:
    """Return an order as this shop writes it."""
    names = goods()
    return {
        "topic": "orders/paid",
        "id": 5_500_000_000 + int(order.number[2:]),
        "name": f"#{order.number}",
        "created_at": order.at.isoformat(),
        "currency": "USD",
        "email": order.email,
        "phone": order.phone,
        "shipping_address": {
            "name": order.name,
            "address1": order.street,
            "address2": None,
            "city": order.place.city,
            "province_code": order.place.state,
            "zip": order.place.postcode,
            "country_code": "US",
        },
        "shipping_lines": [{"code": "express" if order.service == "EXP" else "standard", "price": "0.00"}],
        "line_items": [
            {
                "id": int(order.number[2:]) * 100 + line.number,
                "sku": line.sku,
                "title": names[line.sku].name,
                "quantity": line.quantity,
                "price": str(line.price),
            }
            for line in order.lines
        ],
    }
