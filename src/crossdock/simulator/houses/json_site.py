"""A 3PL with a small JSON API: it takes orders by HTTP, ships each half an hour later and tells so by webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..clock import Timeline
from .erp import GoodsParty

PICKING = timedelta(minutes=30)


class JsonSite(GoodsParty):
    """One site of the 3PL with ample stock of some articles."""

    def __init__(self, name: str, skus: tuple[str, ...], timeline: Timeline, token: str) -> None:
        super().__init__(name, timeline, token)
        self._skus = skus
        self.takes_goods("/orders", "request", "ref", "order")

    async def open(self) -> None:
        """Tell the stock."""
        rows = [{"sku": sku, "qty": 1000} for sku in self._skus]
        await self.tell({"event": "stock", "at": self.now(), "lines": rows}, f"{self.name}-stock")

    async def after(self, kind: str, body: dict[str, Any]) -> None:
        """Pick what was asked for, and ship it."""

        async def ship() -> None:
            reference, order = str(body["ref"]), str(body["order"])
            shipment, tracking = f"{self.name[0].upper()}-{reference}", f"T{reference.replace('-', '')}"
            self.book_goods("shipment", shipment, order, body["lines"], tracking, reference)
            paper = {"event": "shipped", "shipment": shipment, "ref": reference, "order": order, "at": self.now()}
            await self.tell({**paper, "tracking": tracking, "lines": body["lines"]}, f"{self.name}-{shipment}")

        self._timeline.after(PICKING, f"{self.name}:{body['ref']}", ship)
