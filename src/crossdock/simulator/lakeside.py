"""Lakeside Parts, the reseller's second tenant: an office that exports CSV files and a dock with a small JSON API.

Its order numbers are the same as Northgate's on purpose: what belongs to one tenant must never reach the other.
"""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from .books import Company
from .clock import Timeline, dice
from .hub_port import HubPort
from .ledger import Entry, Ledger, lines_of
from .pack_source import pack_files, with_addresses
from .wire import Door, JsonService, bearer, ingest_url
from .world import clock_time

TENANT = "lakeside"
PARTS = ("LP-1", "LP-2", "LP-3")
ORDERS = (
    ("SO-100001", (("LP-1", 2), ("LP-2", 1)), "Harbor Marine"),
    ("SO-100002", (("LP-3", 4),), "Bay Boats"),
    ("SO-100003", (("LP-1", 1),), "Dune Rentals"),
    ("SO-100004", (("LP-2", 6), ("LP-3", 1)), "North Pier"),
    ("SO-100005", (("LP-1", 3),), "Sable Yard"),
)


class LakesideOffice:
    """The office: its export folder, its import folder, its books."""

    def __init__(self, timeline: Timeline, folder: Path) -> None:
        self.ledger = Ledger("lakeside-office")
        self.outbox = folder / "export"
        self.inbox = folder / "import"
        self._timeline = timeline

    def open(self) -> None:
        """Start working: one export at 09:30, imports every ten minutes."""
        self.outbox.mkdir(parents=True, exist_ok=True)
        self.inbox.mkdir(parents=True, exist_ok=True)
        self._timeline.at(clock_time("09:30"), "lakeside:export", self.export)
        self._timeline.every(
            clock_time("09:40"), timedelta(minutes=10), clock_time("18:00"), "lakeside:import", self.import_files
        )

    async def export(self) -> None:
        """Write all orders of the day into one file."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
        writer.writerow(("Order", "Part", "Qty", "Name", "Street", "City", "State", "Zip", "Ordered"))
        for number, parts, name in ORDERS:
            for part, quantity in parts:
                address = (name, "1 Quay Street", "Duluth", "MN", "55802", "2026-11-23 09:30")
                writer.writerow((number, part, quantity, *address))
            self.ledger.book(Entry(self._timeline.clock.now(), "order", number, lines=lines_of(parts)))
        hidden = self.outbox / ".ORDERS_0930.csv.part"
        hidden.write_text(text.getvalue(), encoding="utf-8")
        hidden.rename(self.outbox / "ORDERS_0930.csv")
        self.ledger.book(Entry(self._timeline.clock.now(), "file", "ORDERS_0930.csv"))

    async def import_files(self) -> None:
        """Book what the hub has left in the folder."""
        now = self._timeline.clock.now()
        for path in sorted(self.inbox.glob("*.csv")):
            rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), delimiter=";"))
            path.unlink()
            lines = lines_of((row["part"], row["qty"]) for row in rows if "part" in row)
            if rows and "invoice_order" in rows[0]:
                order = rows[0]["invoice_order"]
                self.ledger.book(Entry(now, "invoice", order, path.name, order, lines))
            elif rows and "status_order" in rows[0]:
                self.ledger.book(Entry(now, "status", rows[0]["status_order"], path.name, detail=rows[0]["status"]))
            elif rows:
                self.ledger.book(Entry(now, "posting", rows[0]["shipment"], path.name, rows[0]["order"], lines))


class LakesideDock:
    """The dock: takes orders by HTTP and ships each half an hour later."""

    site = "DOCK"

    def __init__(self, timeline: Timeline, token: str) -> None:
        self.ledger = Ledger("lakeside-dock")
        self.service = JsonService(token)
        self.service.post("/orders", self._take)
        self.service.post("/cancels", self._take_cancel)
        self.door: Door | None = None
        self._timeline = timeline
        self._answers: dict[str, dict[str, str]] = {}
        self._on_floor: dict[str, str] = {}

    def open(self) -> None:
        """Start working: tell the stock before anybody orders."""
        self._timeline.at(clock_time("07:50"), "lakeside:stock", self.count)

    async def count(self) -> None:
        """Tell the stock of every part."""
        assert self.door is not None
        parts = [{"part": part, "qty": 500} for part in PARTS]
        at = self._timeline.clock.now().isoformat()
        await self.door.tell({"event": "stock", "at": at, "parts": parts}, "dock-stock-0750")

    async def _take(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if key in self._answers:
            self.ledger.repeat("request")
            return web.json_response(self._answers[key])
        reference = str(body["ref"])
        lines = lines_of((part["part"], Decimal(part["qty"])) for part in body["parts"])
        self.ledger.book(
            Entry(self._timeline.clock.now(), "request", reference, key, str(body["order"]), lines, body["to"]["name"])
        )

        async def ship() -> None:
            await self._ship(body)

        self._on_floor[reference] = str(body["order"])
        self._timeline.after(timedelta(minutes=30), f"lakeside:{reference}", ship)
        self._answers[key] = {"ref": reference}
        return web.json_response({"ref": reference}, status=201)

    async def _take_cancel(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        reference, key = str(body["ref"]), request.headers.get("Idempotency-Key", "")
        if key in self._answers:
            self.ledger.repeat("cancel")
            return web.json_response(self._answers[key], status=202)
        self._answers[key] = {"ref": reference}
        order = self._on_floor.pop(reference, "")
        if order:
            self.ledger.book(Entry(self._timeline.clock.now(), "cancelled", reference, key, order))

        async def tell() -> None:
            assert self.door is not None
            event = "cancelled" if order else "cancel_rejected"
            await self.door.tell({"event": event, "ref": reference}, f"dock-{event}-{reference}")

        self._timeline.after(timedelta(minutes=1), f"lakeside:cancel:{reference}", tell)
        return web.json_response(self._answers[key], status=202)

    async def _ship(self, body: dict[str, Any]) -> None:
        assert self.door is not None
        now = self._timeline.clock.now()
        reference, order = str(body["ref"]), str(body["order"])
        if self._on_floor.pop(reference, None) is None:
            return
        shipment, tracking = f"D-{reference[3:]}", f"LK{reference[3:].replace('-', '')}"
        lines = lines_of((part["part"], part["qty"]) for part in body["parts"])
        self.ledger.book(Entry(now, "shipment", shipment, tracking, order, lines, reference))
        document = {
            "event": "shipped",
            "shipment": shipment,
            "ref": reference,
            "order": order,
            "tracking": tracking,
            "at": now.isoformat(),
            "parts": body["parts"],
        }
        await self.door.tell(document, f"dock-{shipment}")


class Lakeside:
    """Both partners of Lakeside, and how the hub reaches them."""

    tenant = TENANT

    def __init__(self, seed: int, timeline: Timeline, folder: Path) -> None:
        self._token = f"dock-{dice(seed, 'secret', 'dock-token').randbytes(12).hex()}"
        self._timeline = timeline
        self._folder = folder
        self.office = LakesideOffice(timeline, folder)
        self.dock = LakesideDock(timeline, self._token)

    async def start(self) -> None:
        """Open the socket and the folders."""
        await self.dock.service.start()
        self.office.open()
        self.dock.open()

    async def stop(self) -> None:
        """Close the socket."""
        await self.dock.service.stop()

    async def join(self, hub: HubPort, session: aiohttp.ClientSession) -> None:
        """Configure the hub for this company and give the dock its door."""
        addresses = {"https://dock.lakeside.example": self.dock.service.url, "/srv/lakeside/office": str(self._folder)}
        await hub.set_secret(TENANT, "dock-token", self._token)
        await hub.apply_pack(TENANT, with_addresses(pack_files(TENANT), addresses), "simulator")
        key = await hub.create_key(TENANT, "partner", "dock")
        self.dock.door = Door(
            session, self._timeline, self.dock.ledger, ingest_url(hub.url, TENANT, "dock"), bearer(key)
        )

    def company(self) -> Company:
        """Return all books of this company."""
        return Company(
            tenant=TENANT,
            releasing=(self.office.ledger,),
            sites=(self.dock.ledger,),
            finance=self.office.ledger,
            invoice_gate="shipped",
        )
