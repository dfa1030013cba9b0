"""3PL Harbor: a JSON API with idempotency keys, and webhooks back to the hub as Standard Webhooks say.

`throttle` and `go_down` are its bad hours: 429 with a Retry-After, then 503.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from .carrier import Carrier
from .clock import Timeline
from .dock import Departure, Dock, Ticket, TicketLine
from .ledger import Ledger
from .returns_floor import Expected, ExpectedLine, ReturnsFloor
from .wire import Door, JsonService

WAREHOUSE = "HBR-EWR"


class ThreePlHarbor:
    """Harbor, as its API shows it."""

    site = "HARBOR"

    def __init__(self, seed: int, timeline: Timeline, carrier: Carrier, token: str) -> None:
        self.ledger = Ledger("3pl-harbor")
        self.dock = Dock(self.site, seed, timeline, self.ledger, carrier)
        self.service = JsonService(token)
        self.service.post("/v2/fulfillment-orders", self._take_order)
        self.service.post("/v2/cancellations", self._take_cancel)
        self.service.post("/v2/returns", self._take_return)
        self.service.get("/v2/fulfillment-orders", self._find)
        self.returns = ReturnsFloor(self.site, timeline, self.ledger)
        self.door: Door | None = None
        self.updated = False
        self.turned_away = 0
        self._throttled_until: datetime | None = None
        self._down_until: datetime | None = None
        self._timeline = timeline
        self._answers: dict[str, dict[str, str]] = {}

    def open(self, first: datetime, until: datetime) -> None:
        """Start working: ship, and count when everything that left has been told."""
        self._timeline.every(first, timedelta(minutes=10), until, "harbor:2-ship", self.ship)
        self._timeline.every(first, timedelta(minutes=60), until, "harbor_counts:3", self.count)

    def throttle(self, until: datetime) -> None:
        """Answer 429 until then."""
        self._throttled_until = until

    def go_down(self, until: datetime) -> None:
        """Answer 503 until then."""
        self._down_until = until

    def _trouble(self) -> web.Response | None:
        now = self._timeline.clock.now()
        if self._throttled_until is not None and now < self._throttled_until:
            self.turned_away += 1
            return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "60"})
        if self._down_until is not None and now < self._down_until:
            self.turned_away += 1
            return web.json_response({"error": "maintenance"}, status=503)
        return None

    async def _take_order(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        trouble = self._trouble()
        if trouble is not None:
            return trouble
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return web.json_response({"error": "Idempotency-Key is missing"}, status=400)
        if key in self._answers:
            self.ledger.repeat("request")
            return web.json_response(self._answers[key])
        lines = tuple(
            TicketLine(str(line["lineRef"]), str(line["sku"]), Decimal(str(line["quantity"]))) for line in body["lines"]
        )
        number = str(body["externalId"])
        ticket = Ticket(
            number,
            str(body["orderRef"]),
            lines,
            str(body["service"]),
            str(body["shipTo"]["name"]),
            key,
            str(body.get("requestedAt", "")),
        )
        self.dock.take(ticket)
        answer = {"id": f"HF-{number}", "status": "accepted"}
        self._answers[key] = answer
        self._later(
            1,
            number,
            "fulfillment.accepted",
            {"externalId": number, "fulfillmentId": answer["id"], "status": "accepted"},
        )
        return web.json_response(answer, status=201)

    async def _take_cancel(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        trouble = self._trouble()
        if trouble is not None:
            return trouble
        key = request.headers.get("Idempotency-Key", "")
        if key in self._answers:
            self.ledger.repeat("cancel")
            return web.json_response(self._answers[key])
        number = str(body["externalId"])
        status = "cancelled" if self.dock.cancel(number) else "cancel_rejected"
        self._answers[key] = {"id": f"HF-{number}", "status": "received"}
        self._later(2, number, f"fulfillment.{status}", {"externalId": number, "status": status})
        return web.json_response(self._answers[key], status=202)

    async def _take_return(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        trouble = self._trouble()
        if trouble is not None:
            return trouble
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return web.json_response({"error": "Idempotency-Key is missing"}, status=400)
        if key in self._answers:
            self.ledger.repeat("rma")
            return web.json_response(self._answers[key])
        lines = tuple(
            ExpectedLine(str(line["lineRef"]), str(line["sku"]), Decimal(str(line["quantity"])), str(line["condition"]))
            for line in body["lines"]
        )
        number = str(body["rma"])
        self.returns.expect(Expected(number, str(body["orderRef"]), lines, key))
        self._answers[key] = {"id": f"HR-{number}", "status": "accepted"}
        self._later(1, number, "return.accepted", {"rma": number, "status": "accepted"})
        return web.json_response(self._answers[key], status=201)

    async def open_return(self, order_number: str) -> None:
        """Open the parcel that came back for an order, and tell what was in it."""
        found = self.returns.open_parcel(order_number)
        if found is None:
            return
        items = [
            {"lineRef": line.line, "sku": line.sku, "quantity": int(line.quantity), "condition": line.condition}
            for line in found.lines
        ]
        data = {
            "receiptId": found.receipt,
            "rma": found.expected.number,
            "warehouse": WAREHOUSE,
            "receivedAt": self._timeline.clock.now().isoformat(),
            "final": True,
            "items": items,
        }
        await self._tell("return.received", found.receipt, data)

    async def _find(self, request: web.Request) -> web.Response:
        trouble = self._trouble()
        if trouble is not None:
            return trouble
        answer = self._answers.get(request.query.get("key", ""))
        return web.json_response(answer or {"error": "unknown"}, status=200 if answer else 404)

    async def ship(self) -> None:
        """Tell of every shipment of the wave."""
        for departure in self.dock.ship_wave():
            await self._tell("shipment.shipped", departure.shipment, _shipped(departure))

    async def count(self) -> None:
        """Tell the stock of every article."""
        now = self._timeline.clock.now()
        items: list[dict[str, Any]] = [
            {"sku": sku, "available": int(on_hand)} for sku, on_hand in sorted(self.dock.stock.items())
        ]
        if self.updated:
            # Harbor's update of the afternoon: numbers are text now, and there is a field more.
            items = [{**item, "available": str(item["available"]), "unit": "EA"} for item in items]
        data = {"warehouse": WAREHOUSE, "asOf": now.isoformat(), "items": items}
        await self._tell("inventory.snapshot", f"stock-{now:%H%M}", data)

    async def state_books(self) -> None:
        """State what left the house, and what stands in it."""
        now = self._timeline.clock.now()
        left = [
            {"shipmentId": entry.business, "sku": sku, "quantity": int(quantity)}
            for entry in self.ledger.of("shipment")
            for sku, quantity in entry.lines
        ]
        here = [{"sku": sku, "quantity": int(on_hand)} for sku, on_hand in sorted(self.dock.stock.items())]
        for books, rows in (("shipments", left), ("stock", here)):
            data = {"books": books, "warehouse": WAREHOUSE, "asOf": now.isoformat(), "rows": rows}
            await self._tell(f"statement.{books}", f"books-{now:%H%M}", data)

    def _later(self, minutes: int, name: str, kind: str, data: dict[str, Any]) -> None:
        async def happen() -> None:
            await self._tell(kind, name, data)

        self._timeline.after(timedelta(minutes=minutes), f"harbor:{name}:{kind}", happen)

    async def _tell(self, kind: str, name: str, data: dict[str, Any]) -> None:
        assert self.door is not None
        now = self._timeline.clock.now()
        document = {"type": kind, "timestamp": now.isoformat(), "data": data}
        # A webhook-id may hold no dot: the signature is over `id.timestamp.body`.
        await self.door.tell(document, f"hbr-{kind.replace('.', '-')}-{name}")


def _shipped(departure: Departure) -> dict[str, Any]:
    ticket = departure.ticket
    items = [{"lineRef": line.line, "sku": line.sku, "quantity": int(line.quantity)} for line in ticket.lines]
    return {
        "externalId": ticket.number,
        "orderRef": ticket.order_number,
        "shipmentId": departure.shipment,
        "warehouse": WAREHOUSE,
        "carrier": {"scac": departure.carrier, "service": ticket.service},
        "shippedAt": departure.at.isoformat(),
        "packages": [{"tracking": departure.tracking, "sscc": departure.sscc, "weightKg": 4.2, "items": items}],
    }
