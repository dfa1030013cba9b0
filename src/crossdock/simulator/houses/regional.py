"""The regional distributor: a TMS by webhook, an invoice portal, and three warehouses.

One speaks fixed-width files, one JSON, one is reached by procedures of its database.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from ..books import Company
from ..clock import Timeline, dice
from ..dock import Ticket, TicketLine
from ..returns_floor import Expected
from .database_site import DatabaseSite
from .erp import GoodsParty, HouseOrder
from .folder_site import FolderSite
from .house import House
from .json_site import JsonSite

TENANT = "regional"
SKUS = ("RD-10", "RD-20", "RD-30")
# One region for each warehouse: city, state, postcode.
CUSTOMERS = (("Reno", "NV", "89501"), ("Albany", "NY", "12207"), ("Austin", "TX", "73301"))
PACIFIC = ZoneInfo("America/Los_Angeles")
ROAD = timedelta(hours=2)


class FixedWidth:
    """The legacy system's records: a letter, then fields of fixed widths; quantities with two implied decimals."""

    suffix = ".txt"

    def tickets(self, text: str, name: str) -> list[Ticket]:
        """Read what is to be picked: `T`, ticket 16, order 12, line 4, SKU 10, quantity 9."""
        rows = [(_cut(line, (1, 16, 12, 4, 10, 9))) for line in text.splitlines() if line.startswith("T")]
        lines = tuple(TicketLine(row[3].lstrip("0"), row[4], Decimal(row[5]) / 100) for row in rows)
        return [Ticket(rows[0][1], rows[0][2], lines, reference=name)]

    def returns(self, text: str) -> list[Expected]:
        """The legacy system takes nothing back."""
        return []

    def stock(self, rows: Sequence[tuple[str, Decimal]], at: datetime) -> str:
        """Write a count: `C`, SKU 10, quantity 9, local time 12."""
        return "".join(f"C{sku:<10}{_hundredths(count)}{_local(at)}\r\n" for sku, count in rows)

    def shipped(self, ticket: Ticket, shipment: str, tracking: str, at: datetime) -> str:
        """Write a shipment: `S`, shipment 16, ticket 16, order 12, line 4, SKU 10, quantity 9, tracking 16, time 12."""
        head, tail = f"S{shipment:<16}{ticket.number:<16}{ticket.order_number:<12}", f"{tracking:<16}{_local(at)}\r\n"
        rows = ((line.line, line.sku, _hundredths(line.quantity)) for line in ticket.lines)
        return "".join(f"{head}{no:0>4}{sku:<10}{count}{tail}" for no, sku, count in rows)

    def received(self, expected: Expected, receipt: str, at: datetime) -> str:
        """The legacy system takes nothing back."""
        raise NotImplementedError(f"{receipt}: this system takes nothing back")


class TransportSystem(GoodsParty):
    """The TMS hears of every shipment, moves it, and tells two hours later that it was delivered and who signed."""

    def __init__(self, timeline: Timeline, token: str) -> None:
        super().__init__("tms", timeline, token)
        self.takes_goods("/loads", "load", "shipment", "order")

    async def after(self, kind: str, body: dict[str, Any]) -> None:
        """Move the load."""

        async def deliver() -> None:
            shipment, order = str(body["shipment"]), str(body["order"])
            self.book_goods("delivered", shipment, order, body["lines"], str(body["tracking"]))
            proof = {"signed_by": "D. Ortiz", "photo": f"https://pod.example/{shipment}.jpg"}
            paper = {"event": "delivered", "shipment": shipment, "tracking": body["tracking"], "at": self.now()}
            await self.tell({**paper, "proof": proof}, f"tms-{shipment}")

        self._timeline.after(ROAD, f"tms:{body['shipment']}", deliver)


class Server(msgspec.Struct, frozen=True):
    """An empty PostgreSQL database of the southern warehouse, on a private network and without TLS."""

    host: str
    port: int
    database: str
    username: str
    password: str = ""

    @property
    def dsn(self) -> str:
        """The address for the warehouse's own floor."""
        fields = {"host": self.host, "port": self.port, "dbname": self.database, "user": self.username}
        return " ".join(f"{name}={value}" for name, value in {**fields, "password": self.password}.items() if value)


class Regional(House):
    """The distributor's partners."""

    def __init__(self, seed: int, timeline: Timeline, folder: Path, server: Server) -> None:
        super().__init__(TENANT, seed, timeline)
        self.folders = {"legacy": folder / "legacy"}
        self.legacy = FolderSite("legacy", SKUS, timeline, self.folders["legacy"], FixedWidth())
        self.east = JsonSite("east", SKUS, timeline, self.token("east"))
        self.tms = TransportSystem(timeline, self.token("tms"))
        self.portal = GoodsParty("portal", timeline, self.token("portal"))
        self.portal.takes_goods("/invoices", "invoice", "order", "order")
        self.parties += [self.east, self.tms, self.portal]
        self.south = DatabaseSite("south", SKUS, timeline, server.dsn)
        self.sites += [self.legacy, self.east, self.south]
        self.addresses = {
            "host: db.regional.example": f"host: {server.host}",
            "port: 5432": f"port: {server.port}",
            "database: warehouse": f"database: {server.database}",
            "username: crossdock": f"username: {server.username}",
            "tls: verify-full": "tls: disable",
        }
        self.secrets = {"south-password": server.password or "none"}
        signing = dice(seed, TENANT, "secret", "tms-signing").randbytes(24)
        self.signing["tms"] = "whsec_" + base64.b64encode(signing).decode()
        self.orders = tuple(_order(seed, number) for number in range(18))

    async def stop(self) -> None:
        """Close sockets and database."""
        await super().stop()
        self.south.close()

    def company(self, **more: Any) -> Company:
        """Return all books; what is proven delivered is invoiced."""
        return super().company(carrier=self.tms.ledger, invoice_gate="delivered", **more)

    def portal_differences(self) -> list[str]:
        """Return where the portal was shown anything but the invoices that finance has, in words."""
        mine = sorted((entry.business, entry.lines) for entry in self.erp.ledger.of("invoice"))
        shown = sorted((entry.business, entry.lines) for entry in self.portal.ledger.of("invoice"))
        others = [entry.kind for entry in self.portal.ledger.entries if entry.kind != "invoice"]
        found = [f"the portal was shown a {kind}" for kind in others]
        found += [f"{number} is in the portal and not in finance" for number, _ in shown if number not in dict(mine)]
        found += [
            f"{number} is not in the portal as in finance" for number, lines in mine if (number, lines) not in shown
        ]
        return found


def _order(seed: int, place: int) -> HouseOrder:
    draw = dice(seed, TENANT, str(place))
    lines = tuple((sku, draw.randint(1, 9)) for sku in draw.sample(SKUS, draw.randint(1, 3)))
    city, state, postcode = CUSTOMERS[place % len(CUSTOMERS)]
    return HouseOrder(f"RD-{7001 + place}", place * 10, f"Shop {place + 1}", city, state, postcode, lines)


def _cut(line: str, widths: Sequence[int]) -> list[str]:
    fields, at = [], 0
    for width in widths:
        fields.append(line[at : at + width].strip())
        at += width
    return fields


def _hundredths(count: Decimal) -> str:
    return f"{int(count * 100):0>9}"


def _local(at: datetime) -> str:
    return at.astimezone(PACIFIC).strftime("%Y%m%d%H%M")
