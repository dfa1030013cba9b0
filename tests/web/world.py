"""A real hub with two tenants and a handful of orders, for the tests of the doors.

Everything goes in by the ingest door's own path; partners are closed ports of this machine, so sends fail and wait.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from crossdock.bootstrap import Hub
from crossdock.canonical.returns import ReturnLine, ReturnRequest
from crossdock.config import Settings, load_settings
from crossdock.durable.identity import ManualClock, SystemClock
from crossdock.flow.ingest import InboundOffer
from crossdock.flow.replay_jobs import Filter
from crossdock.simulator.pack_source import pack_files, with_addresses
from crossdock.web.console.sign_in import login_address

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
TENANT, OTHER = "northgate", "lakeside"
POSTCODE = "89501"
CLOSED = "http://127.0.0.1:9"

STOCK = """Warehouse,SKU,Status,On Hand,Counted At
RENO,NG-1001,AVAILABLE,400,11/23/2026 06:00
RENO,NG-1105,AVAILABLE,400,11/23/2026 06:00
"""
SHIPPED = """Ticket No;Order No;Ship No;Line;SKU;Qty Ordered;Qty Shipped;Carton;Carrier;Tracking;Shipped At
{number}-1;{number};RS-{number};10;NG-1001;3;3;006141400000000018;CGLN;CL-{number};11/23/2026 07:40
{number}-1;{number};RS-{number};20;NG-1105;1;1;006141400000000018;CGLN;CL-{number};11/23/2026 07:40
"""


def settings_for(folder: Path, **overrides: Any) -> Settings:
    """The settings of a hub in a folder."""
    return load_settings(
        environment={},
        overrides={
            "store.url": f"sqlite:///{folder}/hub.db",
            "web.port": 0,
            "security.root_key_file": str(folder / "root.key"),
            "security.allow_private_networks": ("127.0.0.0/8",),
            **overrides,
        },
    )


def order(number: str, *, service: str = "STD") -> bytes:
    """An order as the ERP releases it."""
    lines = [
        {"line": 10, "item": "NG-1001", "qty": "3", "uom": "EA", "price": "18.90", "description": "Burr grinder"},
        {"line": 20, "item": "NG-1105", "qty": "1", "uom": "EA", "price": "46.00", "description": "Milk jug"},
    ]
    ship_to = {
        "name": "Blue Fern Cafe",
        "address1": "12 Harbor Road",
        "city": "Reno",
        "state": "NV",
        "zip": POSTCODE,
        "country": "US",
    }
    body = {
        "documentType": "SalesOrderRelease",
        "order": {
            "orderNo": number,
            "customerName": "Blue Fern Cafe",
            "customerNo": "C-1",
            "poNumber": f"PO-{number}",
            "currency": "USD",
            "releasedAt": "2026-11-23T09:00:00-06:00",
            "requestedDate": "2026-11-25",
            "serviceLevel": service,
            "shipTo": ship_to,
            "lines": lines,
        },
    }
    return json.dumps(body).encode()


def delivery(number: str) -> bytes:
    """The carrier's word that a parcel arrived, with its proof."""
    return json.dumps(
        {
            "event_id": f"cgl-{number}-delivered",
            "event": "DELIVERED",
            "tracking_number": f"CL-{number}",
            "shipper_reference": f"RS-{number}",
            "occurred_at": "2026-11-23T09:40:00-06:00",
            "location": {"city": "Reno", "state": "NV", "country": "US"},
            "proof": {
                "signed_by": "Ada Moss",
                "photo": "https://pod.example/1.jpg",
                "signed_at": "2026-11-23T09:40:00-06:00",
            },
        }
    ).encode()


EXAMPLE = Path(__file__).parents[2] / "examples/receiving-and-freight/pack"
SUPPLY_PARTNERS = ("wms", "alpine", "brisk", "tms", "ridge", "swiftline", "docktool")


def with_supply(files: dict[str, str]) -> dict[str, str]:
    """Add suppliers and carriers of the example to a pack; its TMS also releases the purchase orders."""
    found = {path.relative_to(EXAMPLE).as_posix(): path.read_text("utf-8") for path in EXAMPLE.rglob("*.yaml")}
    wanted = ("maps/", "lookups/", "rules/")
    added = {path: text for path, text in found.items() if path.startswith(wanted) and path not in files}
    for partner in SUPPLY_PARTNERS:
        text = found[f"connections/{partner}.yaml"]
        added[f"connections/{partner}.yaml"] = re.sub(r"url: https://[^/]+/", f"url: {CLOSED}/", text)
    buys = "  - {format: json, map: erp-purchase, when: 'type == \"purchase_order\"'}\n"
    added["connections/tms.yaml"] += buys
    rows = [row for row in found["partners/partners.yaml"].splitlines(keepends=True) if "partner: erp," not in row]
    added["partners/supply.yaml"] = "".join(row for row in rows if "partner: swift," not in row)
    routes = [row for row in found["routes.yaml"].splitlines(keepends=True)[1:] if "connection: erp" not in row]
    return {**files, **added, "routes.yaml": files["routes.yaml"] + "".join(routes)}


PURCHASE, LOAD, CLAIM = "PO-7001", "L-501", "CL-PO-7001-RENO-R-1"


def supply_papers() -> list[tuple[str, dict[str, Any]]]:
    """A purchase order with a damaged receipt, another supplier's, and a load whose bill has a wrong line."""
    lines = [{"line": "10", "item": "SAW-1", "qty": 100, "price": "8.50"}]
    order_ = {"type": "purchase_order", "warehouse": "RENO", "needed": "2026-11-30", "lines": lines}
    stops = [{"seq": 0, "type": "pickup", "place": "SLC"}, {"seq": 1, "type": "delivery", "place": "DENVER"}]
    stops[1] |= {"appointment": True, "opens": "2026-11-23T14:00:00Z", "closes": "2026-11-23T15:00:00Z"}
    notice = {"kind": "despatch_advice", "advice": "DA-1", "order": PURCHASE, "carrier": "SWLF", "load": LOAD}
    charges = [{"code": "LINEHAUL", "amount": "1080.00"}, {"code": "LUMPER", "amount": "60.00"}]
    good, bad = (
        {"line": "10", "sku": "SAW-1", "qty": 92},
        {"line": "10", "sku": "SAW-1", "qty": 5, "condition": "damaged"},
    )
    problem = "https://docs.freightapis.org/problemDetails/capabilityNotSupportedError"
    return [
        ("tms", {**order_, "number": PURCHASE, "vendor": "V-ALPINE"}),
        ("tms", {**order_, "number": "PO-8001", "vendor": "V-BRISK"}),
        ("alpine", {"kind": "order_response", "order": PURCHASE, "response": "OR-1", "at": "2026-11-23T10:00:00Z"}),
        ("alpine", {**notice, "positions": [{"pos": "10", "article": "SAW-1", "quantity": "100"}]}),
        (
            "wms",
            {
                "event": "received",
                "receipt": "R-1",
                "po": PURCHASE,
                "advice": "DA-1",
                "dock": "RENO",
                "items": [good, bad],
            },
        ),
        ("tms", {"type": "load", "load": LOAD, "lane": "SLC-DEN", "stops": stops}),
        (
            "ridge",
            {"kind": "tender_response", "scac": "RDGT", "load": LOAD, "answer": "declined", "reason": "no truck"},
        ),
        (
            "swiftline",
            {"kind": "tender_response", "scac": "SWLF", "load": LOAD, "answer": "accepted", "pro": "SWLF-L-501"},
        ),
        (
            "docktool",
            {
                "status": "FAILURE",
                "identifiers": {"primaryReferenceNumber": LOAD, "stopSequenceNumber": 1, "locationId": "DENVER"},
                "problemDetails": [{"title": problem, "detail": "call 303-555-0100"}],
            },
        ),
        ("swiftline", {"kind": "status", "load": LOAD, "status": "delivered", "at": "2026-11-23T14:30:00Z", "stop": 1}),
        ("swiftline", {"kind": "invoice", "invoice": "I-1", "scac": "SWLF", "load": LOAD, "charges": charges}),
    ]


class World:
    """The hub with its tenants, and the names of what the tests ask for."""

    def __init__(self, hub: Hub, clock: ManualClock) -> None:
        self.hub = hub
        self.clock = clock
        self.session_clock = SystemClock()
        self.keys: dict[tuple[str, str], str] = {}

    @classmethod
    async def start(cls, folder: Path, **overrides: Any) -> World:
        """Start the hub and configure both tenants."""
        clock = ManualClock(NOW)
        hub = await Hub.start(settings_for(folder, **overrides), clock=clock, ids_seed=1)
        for sub in ("reno/from_wms", "reno/to_wms", "office"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        world = cls(hub, clock)
        for name in ("erp-token", "shop-token", "desk-token", "harbor-token", "swift-password", "shop-signing"):
            await hub.set_secret(TENANT, name, "s3cret-" + name)
        await hub.set_secret(TENANT, "harbor-signing", "whsec_" + "aGFyYm9yLXNpZ25pbmctc2VjcmV0LTEyMzQ1Njc4")
        await hub.set_secret(TENANT, "cargoline-signing", "cargoline-secret")
        files = with_addresses(
            pack_files(TENANT),
            {
                "https://erp.northgate.example": CLOSED,
                "https://shop.northgate.example": CLOSED,
                "https://api.harbor.example": CLOSED,
                "https://desk.northgate.example": CLOSED,
                "host: sftp.swift.example": "host: 127.0.0.1",
                "port: 22": "port: 9",
                "/srv/northgate/reno": str(folder / "reno"),
            },
        )
        for name in SUPPLY_PARTNERS:
            await hub.set_secret(TENANT, f"{name}-token", "s3cret-" + name)
        await hub.apply_pack(TENANT, with_supply(files), "tests", "first release")
        await hub.apply_pack(OTHER, pack_files(OTHER), "tests", "first release")
        return world

    async def key(self, tenant: str, role: str, connection: str = "") -> str:
        """Return an API key, made once."""
        known = self.keys.get((tenant, role + connection))
        if known is None:
            known = self.keys[(tenant, role + connection)] = await self.hub.create_key(tenant, role, connection)
        return known

    async def take(self, connection: str, content: bytes, *, name: str = "", kind: str = "application/json") -> str:
        """Hand a document in behind the door and let it be worked on; return the message's id."""
        answer = await self.hub.ingest(InboundOffer(TENANT, connection, content, kind, name))
        await self.settle()
        return answer.message_id

    async def settle(self) -> None:
        """Wait until everything handed in is worked on; sends to the closed ports go on failing by themselves."""
        quiet = 0
        while quiet < 3:
            quiet = quiet + 1 if self.hub.pipeline.idle() else 0
            await asyncio.sleep(0.001)

    async def fill(self) -> None:
        """Bring in stock, an order of every kind and what happened to it."""
        await self.take("reno", STOCK.encode(), name="STOCK_1.csv", kind="text/csv")
        for number in ("SO-1001", "SO-1002", "SO-1003"):
            await self.take("erp", order(number))
        for number in ("SO-1001", "SO-1002"):
            await self.take("reno", SHIPPED.format(number=number).encode(), name=f"SHIP_{number}.csv", kind="text/csv")
        await self.take("cargoline", delivery("SO-1001"))
        asked = ReturnRequest("?", "SO-1001", (ReturnLine(Decimal(1), "10", condition="damaged"),), "agent")
        self.rma = (await self.hub.by_hand.ask_to_return(TENANT, asked, "tests")).number
        self.held = await self.take("erp", order("SO-1004", service="XXL"))
        await self.take("erp", order("SO-1005", service="XXL"))
        self.broken = await self.take("erp", b'{"documentType": "SalesOrderRelease", "order": {')
        self.dead = str(self.one("select document_id from documents where message_id = ?", self.broken))
        for connection, paper in supply_papers():
            await self.take(connection, json.dumps(paper).encode())
        self.job = await self._a_replay()
        self.clock.move_to(datetime(2026, 11, 23, 16, 20, tzinfo=UTC))

    async def _a_replay(self) -> str:
        """Start a bulk replay; the clock stands still, so it waits for its turn."""
        wanted = Filter(state="failed")
        plan = await self.hub.repair.plan(TENANT, wanted, "current")
        job = await self.hub.repair.start(TENANT, wanted, "current", plan.digest, actor="tests", reason="a look")
        return job.job_id

    def query(self, sql: str, *parameters: Any) -> list[Any]:
        """Ask the record directly."""
        return self.hub.store.read_now(lambda connection: connection.query(sql, parameters))

    def one(self, sql: str, *parameters: Any) -> Any:
        """Return the first value of the first row."""
        return self.query(sql, *parameters)[0][0]

    async def login(self, role: str = "integrator", tenant: str = TENANT) -> str:
        """Return the address of a sign-in link."""
        return await login_address(self.hub, self.session_clock, tenant, f"dana@{tenant}.example", role)
