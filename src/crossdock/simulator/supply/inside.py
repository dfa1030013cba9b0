"""The buyer's own systems: ERP, transport management, warehouse."""

from __future__ import annotations

from typing import Any

from ..clock import Timeline
from ..ledger import lines_of
from .party import Party


class BuyingErp(Party):
    """Orders from suppliers; books receipts, freight and claims when the hub says so."""

    def __init__(self, timeline: Timeline, token: str) -> None:
        super().__init__("erp", timeline, token)
        self.takes("/api/purchase-confirmations", "confirmation", lambda body: str(body["number"]))
        self.takes("/api/receipts", "posting", lambda body: f"{body['po']}:{body['receipt']}")
        self.takes("/api/freight", "payment", lambda body: f"{body['invoice']}#{body['word']}")
        self.takes("/api/claims", "claim", lambda body: str(body["claim"]))

    async def order(self, number: str, vendor: str, needed: str, lines: list[tuple[str, str, int, str]]) -> None:
        """Release a purchase order: lines are (number, item, quantity, price)."""
        rows = [{"line": no, "item": item, "qty": count, "price": price} for no, item, count, price in lines]
        self.book("purchase", number, lines=lines_of((item, count) for _, item, count, _ in lines))
        paper = {"type": "purchase_order", "number": number, "vendor": vendor, "needed": needed, "ordered": self.now()}
        await self.tell({**paper, "lines": rows}, f"erp-{number}")

    async def close(self, number: str, change: int, reason: str) -> None:
        """Say that nothing more is expected."""
        self.book("close", number)
        paper = {"type": "purchase_change", "number": number, "change": change, "action": "close", "reason": reason}
        await self.tell({**paper, "at": self.now()}, f"erp-{number}-{change}")


class Warehouse(Party):
    """Learns what to expect and tells what it received."""

    def __init__(self, timeline: Timeline, token: str) -> None:
        super().__init__("wms", timeline, token)
        self.takes("/advices", "advice", lambda body: str(body["advice"]))

    async def receive(
        self, number: str, po: str, advice: str, items: list[tuple[Any, ...]], identity: str = ""
    ) -> None:
        """Tell a receipt: items are (line, SKU, quantity[, condition, note]). Another `identity` tells it again."""
        if not identity:
            good = lines_of((item[1], item[2]) for item in items if len(item) < 4)
            self.book("receipt", f"{po}:{number}", lines=good)
            for item in items:
                if len(item) > 3:
                    self.book(str(item[3]), f"{po}:{number}:{item[1]}", detail=str(item[2]))
        keys = ("line", "sku", "qty", "condition", "note")
        rows = [dict(zip(keys, item, strict=False)) for item in items]
        paper = {"event": "received", "receipt": number, "po": po, "advice": advice, "dock": "DENVER", "at": self.now()}
        await self.tell({**paper, "items": rows}, identity or f"wms-{number}")


class TransportDesk(Party):
    """Plans loads and says what a person decided: on disputes, claims and appointments."""

    def __init__(self, timeline: Timeline, token: str) -> None:
        super().__init__("tms", timeline, token)

    async def plan(self, load: str, lane: str, stops: list[dict[str, Any]]) -> None:
        self.book("load", load)
        await self.tell({"type": "load", "load": load, "lane": lane, "stops": stops}, f"tms-{load}")

    async def say(self, paper: dict[str, Any], identity: str) -> None:
        """Hand in a decision."""
        self.book(str(paper["type"]), identity)
        await self.tell(paper, f"tms-{identity}")
