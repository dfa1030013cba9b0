"""The ERP: releases orders to the hub, and books the shipments and invoice releases that come back.

It is as naive as most: an Idempotency-Key it has seen is answered again, but the same shipment under another key
is booked a second time. So a double effect of the hub shows in these books.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from .clock import Timeline
from .ledger import Entry, Ledger, Lines, lines_of
from .wire import Door, JsonService
from .world import PlannedOrder, goods

POSTING_RUN = timedelta(minutes=5)
# The books the ERP states: which lines of its ledger, and whether they go by the number of the order.
_BOOKS = {"orders": ("order", False), "shipments": ("posting", False), "invoices": ("invoice", True)}
# What each of its doors books.
_CALLS = {
    "/api/shipments": "posting",
    "/api/invoice-releases": "invoice",
    "/api/order-status": "status",
    "/api/credits": "credit",
    "/api/exchanges": "exchange",
    "/api/invoice-credits": "invoice_credit",
}


class Erp:
    """The ERP of one company. `door` is where it releases orders; set once the hub is up."""

    def __init__(self, timeline: Timeline, token: str) -> None:
        self.ledger = Ledger("erp")
        self.service = JsonService(token)
        self.service.post("/api/shipments", self._take_shipment)
        self.service.post("/api/invoice-releases", self._take_invoice_release)
        self.service.post("/api/order-status", self._take_status)
        self.service.post("/api/credits", self._take_credit)
        self.service.post("/api/exchanges", self._take_exchange)
        self.service.post("/api/invoice-credits", self._take_invoice_credit)
        self.service.get("/api/postings", self._find)
        self.door: Door | None = None
        self._timeline = timeline
        self._answers: dict[str, dict[str, str]] = {}
        # Whether the last posting was a first telling.
        self._fresh = False

    async def release(self, order: PlannedOrder) -> None:
        """Release one order to the hub."""
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
        await self.door.tell(release_document(order), f"erp-{order.number}")

    async def cancel(self, number: str, reason: str) -> None:
        """Ask the hub to cancel an order."""
        assert self.door is not None
        self.ledger.book(Entry(self._timeline.clock.now(), "cancel", number))
        document = {"documentType": "SalesOrderCancel", "order": {"orderNo": number, "reason": reason}}
        await self.door.tell(document, f"erp-cancel-{number}")

    async def state_books(self, began: datetime) -> None:
        """State its own books of the day, one document for each, and how many calls it took of each kind."""
        assert self.door is not None
        now = self._timeline.clock.now()
        span = {"asOf": now.isoformat(), "dayBegan": began.isoformat()}
        for books, (kind, by_order) in _BOOKS.items():
            rows = [
                {
                    "no": entry.about if by_order else entry.business,
                    "item": sku,
                    "qty": f"{quantity:f}",
                    "bookedAt": entry.at.isoformat(),
                }
                for entry in self.ledger.of(kind)
                for sku, quantity in entry.lines
            ]
            number = f"BS-{books}-{now:%Y%m%d}"
            document = {"documentType": "BookStatement", "no": number, "books": books, **span, "rows": rows}
            await self.door.tell(document, f"erp-{number}")
        calls = [
            {"path": path, "calls": count}
            for path, kind in _CALLS.items()
            if (count := sum(1 for _ in self.ledger.of(kind)))
        ]
        number = f"CC-{now:%Y%m%d}"
        await self.door.tell({"documentType": "CallCount", "no": number, **span, "rows": calls}, f"erp-{number}")

    async def _take_shipment(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        lines = lines_of((line["item"], line["qtyShipped"]) for line in body["lines"])
        return self._post(request, "posting", str(body["shipmentNo"]), str(body["orderNo"]), lines)

    async def _take_invoice_release(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        lines = lines_of((line["item"], line["qty"]) for line in body["lines"])
        number, release = str(body["orderNo"]), str(body["release"])
        answer, fresh = self._post(request, "invoice", number, number, lines), self._fresh
        if fresh:
            self._tell_later(
                {
                    "documentType": "InvoicePosted",
                    "invoice": {"no": f"INV-{release}", "release": release, "orderNo": number},
                },
                f"erp-invoice-{release}",
            )
        return answer

    async def _take_credit(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        lines = lines_of((line["item"], line["qty"]) for line in body["lines"])
        number, about = str(body["request"]), str(body["rma"])
        answer, fresh = self._post(request, "credit", number, about, lines, str(body.get("amount", ""))), self._fresh
        if fresh:
            memo = {"no": f"CM-{number}", "request": number, "amount": body.get("amount"), "currency": "USD"}
            self._tell_later({"documentType": "CreditPosted", "credit": memo}, f"erp-credit-{number}")
        return answer

    async def _take_exchange(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        number = str(body["request"])
        lines = lines_of((line["item"], line["qty"]) for line in body["lines"])
        return self._post(request, "exchange", number, str(body["rma"]), lines)

    async def _take_invoice_credit(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        release, number = str(body["release"]), str(body["orderNo"])
        answer, fresh = self._post(request, "invoice_credit", release, number, ()), self._fresh
        if fresh:
            invoice = {"no": f"INV-{release}", "release": release, "orderNo": number, "status": "credited"}
            self._tell_later({"documentType": "InvoicePosted", "invoice": invoice}, f"erp-invoice-credit-{release}")
        return answer

    def _tell_later(self, document: dict[str, Any], message_id: str) -> None:
        """Tell the hub what was posted: finance does so in the next run, five minutes later."""

        async def happen() -> None:
            assert self.door is not None
            await self.door.tell(document, message_id)

        self._timeline.after(POSTING_RUN, f"erp:{message_id}", happen)

    async def _take_status(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        return self._post(request, "status", str(body["orderNo"]), str(body["orderNo"]), (), str(body["status"]))

    def _post(
        self, request: web.Request, kind: str, business: str, about: str, lines: Lines, detail: str = ""
    ) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return web.json_response({"error": "Idempotency-Key is missing"}, status=400)
        self._fresh = key not in self._answers
        if not self._fresh:
            self.ledger.repeat(kind)
            return web.json_response(self._answers[key])
        self.ledger.book(Entry(self._timeline.clock.now(), kind, business, key, about, lines, detail))
        answer = {"posting": f"{kind[:3].upper()}-{business}", "status": "posted"}
        self._answers[key] = answer
        return web.json_response(answer, status=201)

    async def _find(self, request: web.Request) -> web.Response:
        answer = self._answers.get(request.query.get("key", ""))
        return web.json_response(answer or {"error": "unknown"}, status=200 if answer else 404)


def release_document(order: PlannedOrder) -> dict[str, Any]:
    """Return an order as this ERP writes it."""
    names = goods()
    return {
        "documentType": "SalesOrderRelease",
        "documentId": f"REL-{order.number}",
        "order": {
            "orderNo": order.number,
            "customerNo": f"C-{order.company[:3].upper()}{order.place.postcode}",
            "customerName": order.company or order.name,
            "poNumber": f"PO-{order.number[-5:]}",
            "currency": "USD",
            "releasedAt": order.at.isoformat(),
            "serviceLevel": order.service,
            "shipTo": {
                "name": order.company or order.name,
                "address1": order.street,
                "city": order.place.city,
                "state": order.place.state,
                "zip": order.place.postcode,
                "country": "US",
            },
            "contact": {"name": order.name, "email": order.email, "phone": order.phone},
            "lines": [
                {
                    "line": line.number * 10,
                    "item": line.sku,
                    "description": names[line.sku].name,
                    "qty": str(line.quantity),
                    "uom": "EA",
                    "price": str(line.price),
                }
                for line in order.lines
            ],
        },
    }
