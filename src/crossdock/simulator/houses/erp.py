"""The ERP of a small company: releases orders, and books what the hub tells it under the goods it was told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from ..clock import Timeline
from ..ledger import Entry, lines_of
from ..supply.party import Party


class HouseOrder(msgspec.Struct, frozen=True):
    """An order as the company will place it; lines are (SKU, quantity in eaches)."""

    number: str
    minute: int
    name: str
    city: str
    region: str
    postcode: str
    lines: tuple[tuple[str, int], ...]
    country: str = "US"


class GoodsParty(Party):
    """A partner that books goods: a repeated key never, the same business under another key again."""

    def takes_goods(self, path: str, kind: str, business: str, about: str) -> None:
        """Serve `POST path`: `business` and `about` name the document's fields."""

        async def take(request: web.Request, body: dict[str, Any]) -> web.Response:
            key = request.headers.get("Idempotency-Key", "")
            if key in self._keys:
                self.ledger.repeat(kind)
                return web.json_response({"taken": "before"})
            self._keys.add(key)
            self.book_goods(kind, str(body[business]), str(body[about]), body.get("lines", ()), key)
            self.documents.append((kind, body))
            await self.after(kind, body)
            return web.json_response({"taken": "now"}, status=201)

        self.service.post(path, take)

    async def after(self, kind: str, body: dict[str, Any]) -> None:
        """Do what follows from a document; nothing by default."""

    def book_goods(self, kind: str, business: str, about: str, rows: Any, key: str = "", detail: str = "") -> None:
        """Write goods into the books; rows have `sku` and `qty`."""
        lines = lines_of((row["sku"], Decimal(str(row["qty"]))) for row in rows)
        self.ledger.book(Entry(self._timeline.clock.now(), kind, business, key, about, lines, detail))


class HouseErp(GoodsParty):
    """The ERP: an order goes out as one document, postings, bills and credits come back as one each."""

    def __init__(self, timeline: Timeline, token: str) -> None:
        super().__init__("erp", timeline, token)
        self.takes_goods("/shipments", "posting", "shipment", "order")
        self.takes_goods("/invoices", "invoice", "order", "order")
        self.takes_goods("/credits", "credit", "request", "rma")
        self.takes_goods("/statuses", "status", "order", "order")
        self.takes_goods("/returns", "return_seen", "rma", "order")

    async def release(self, order: HouseOrder) -> None:
        """Hand one order to the hub."""
        rows = [{"no": str(no), "sku": sku, "qty": count} for no, (sku, count) in enumerate(order.lines, 1)]
        self.book_goods("order", order.number, "", rows)
        place = {"city": order.city, "state": order.region, "zip": order.postcode, "country": order.country}
        paper = {"type": "order", "number": order.number, "name": order.name, **place, "at": self.now(), "lines": rows}
        await self.tell(paper, f"erp-{order.number}")

    async def after(self, kind: str, body: dict[str, Any]) -> None:
        """Post a credit five minutes after it was asked for."""
        if kind != "credit":
            return

        async def post() -> None:
            request = str(body["request"])
            await self.tell({"type": "credit", "request": request, "memo": f"CM-{request}"}, f"erp-credit-{request}")

        self._timeline.after(timedelta(minutes=5), f"erp:credit:{body['request']}", post)
