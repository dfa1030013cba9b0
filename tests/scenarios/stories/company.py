"""One company as its partners and people see it: papers in at the doors, answers out, questions by the public API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from crossdock.web.app import create_app
from crossdock.web.statuses import look_of
from tests.scenarios.flow.world import World

PACK = Path(__file__).parent / "pack"


def pack_files(**changed: str) -> dict[str, str]:
    """Return the company's pack; `changed` replaces files (`__` stands for `/`, without .yaml)."""
    files = {path.relative_to(PACK).as_posix(): path.read_text() for path in PACK.rglob("*.yaml")}
    return {**files, **{name.replace("__", "/") + ".yaml": text for name, text in changed.items()}}


class Company(World):
    """The hub, its partners, and the agent's hands."""

    async def open(self, **changed: str) -> None:
        """Configure the company, fill its warehouse, and give its agent a key."""
        await self.apply(files=pack_files(**changed))
        await self.stock(RENO={"H-100": 1000, "D-200": 1000})
        key = await self.hub.create_key("acme", "operations")
        self.api = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(self.hub)),
            base_url="http://hub.test",
            headers={"authorization": f"Bearer {key}"},
        )

    async def close(self) -> None:
        await self.api.aclose()
        await self.stop()

    # -- what the partners say

    async def order(self, number: str = "SO-1", *lines: tuple[str, int, str]) -> None:
        body = [
            {"no": str(place), "item": item, "qty": quantity, "price": price}
            for place, (item, quantity, price) in enumerate(lines or (("HAMMER", 5, "20.00"), ("DRILL", 2, "99.50")), 1)
        ]
        await self.hand_in(
            "erp", {"type": "order", "number": number, "name": "Blue Fern", "zip": "89501", "lines": body}
        )

    async def shipped(self, number: str = "SO-1", hammers: int = 5, drills: int = 2) -> None:
        lines = [{"no": "1", "sku": "H-100", "qty": hammers}, {"no": "2", "sku": "D-200", "qty": drills}]
        await self.hand_in(
            "reno",
            {
                "type": "shipment",
                "number": f"S-{number}",
                "ticket": f"{number}-1",
                "order": number,
                "tracking": f"1Z{number}",
                "lines": lines,
            },
        )

    async def scanned(self, code: str, tracking: str, **more: Any) -> None:
        event = {"code": code, "at": self.clock.now().isoformat(), "tracking": tracking, **more}
        await self.hand_in("carrier", event)

    async def delivered(self, number: str = "SO-1") -> None:
        await self.scanned("delivered", f"1Z{number}", signed="Ann", photo="https://pod.example/1.jpg")

    async def receipt(self, rma: str, number: str, *lines: tuple[Any, ...], final: bool = False) -> None:
        body = [{"sku": sku, "qty": quantity, "condition": condition} for sku, quantity, condition in lines]
        await self.hand_in("reno", {"type": "receipt", "number": number, "rma": rma, "lines": body, "final": final})

    async def delivered_order(self, number: str = "SO-1") -> None:
        """An order that went well."""
        await self.order(number)
        await self.shipped(number)
        await self.delivered(number)

    # -- what people see

    async def get(self, path: str) -> Any:
        answer = await self.api.get(path)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = await self.api.post(path, json=body)
        assert status == answer.status_code, answer.text
        await self.hub.settle()
        return answer.json()

    async def asked_return(self, *lines: tuple[str, int, str], number: str = "SO-1", **more: Any) -> Any:
        body = [{"line_no": line_no, "quantity": str(count), "condition": how} for line_no, count, how in lines]
        return await self.post("/v1/returns", {"order_number": number, "lines": body, **more}, 201)

    def told(self, partner: str, document_type: str) -> list[Any]:
        """What a partner took, as JSON documents."""
        return [json.loads(one.content) for one in self.partner(partner).of_type(document_type)]

    async def agent_sees(self, number: str = "SO-1") -> str:
        """The word an agent reads at the top of the order's page."""
        return look_of((await self.get(f"/v1/orders/{number}"))["status"]).word
