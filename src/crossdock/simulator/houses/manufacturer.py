"""The manufacturer: a 3PL in Hamburg that counts cartons, one in Dallas that counts eaches, a desk, shared returns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ..clock import Timeline, dice
from ..dock import Ticket, TicketLine
from ..hub_api import HubApi
from ..returns_floor import Expected, ExpectedLine
from ..world import clock_time
from .erp import GoodsParty, HouseOrder
from .folder_site import FolderSite
from .house import House

TENANT = "manufacturer"
SKUS = ("VALVE-1", "PUMP-2", "SEAL-3")
CARTON = 12
PLACES = (("Bremen", "HB", "28195", "DE"), ("Austin", "TX", "73301", "US"))
# Ordered at 09:00, returned in the afternoon: one from each 3PL.
RETURNED = ("MO-5001", "MO-5002")


class FlatFiles:
    """CSV in one 3PL's way: delimiter, names of columns, time zone, how times are written, eaches in its unit."""

    suffix = ".csv"

    def __init__(self, delimiter: str, columns: dict[str, str], zone: str, times: str, unit: int) -> None:
        self._delimiter = delimiter
        self._columns = columns
        self._zone = ZoneInfo(zone)
        self._times = times
        self._unit = unit

    def tickets(self, text: str, name: str) -> list[Ticket]:
        """Read what is to be picked: one file is one ticket."""
        rows = self._rows(text)
        lines = tuple(TicketLine(row["line"], row["sku"], self._eaches(row["qty"])) for row in rows)
        return [Ticket(rows[0]["ticket"], rows[0]["order"], lines, reference=name)]

    def returns(self, text: str) -> list[Expected]:
        """Read what will come back. Returns are counted in eaches everywhere."""
        rows = self._rows(text)
        lines = tuple(ExpectedLine(row["line"], row["sku"], Decimal(row["qty"]), row["condition"]) for row in rows)
        return [Expected(rows[0]["rma"], rows[0]["order"], lines)]

    def stock(self, rows: Sequence[tuple[str, Decimal]], at: datetime) -> str:
        """Write a stock count in the 3PL's unit."""
        return self._text(("sku", "qty", "at"), ((sku, self._units(count), self._local(at)) for sku, count in rows))

    def shipped(self, ticket: Ticket, shipment: str, tracking: str, at: datetime) -> str:
        """Write a ship confirmation in the 3PL's unit."""
        head, tail = (shipment, ticket.number, ticket.order_number), (tracking, self._local(at))
        rows = ((*head, line.line, line.sku, self._units(line.quantity), *tail) for line in ticket.lines)
        return self._text(("shipment", "ticket", "order", "line", "sku", "qty", "tracking", "at"), rows)

    def received(self, expected: Expected, receipt: str, at: datetime) -> str:
        """Write what was found in a returned parcel, in eaches."""
        rows = (
            (receipt, expected.number, line.line, line.sku, line.quantity, line.condition, self._local(at))
            for line in expected.lines
        )
        return self._text(("receipt", "rma", "line", "sku", "qty", "condition", "at"), rows)

    def _rows(self, text: str) -> list[dict[str, str]]:
        known = {header: name for name, header in self._columns.items()}
        reader = csv.DictReader(io.StringIO(text), delimiter=self._delimiter)
        return [{known[header]: value for header, value in row.items()} for row in reader]

    def _text(self, names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self._delimiter, lineterminator="\r\n")
        writer.writerow([self._columns[name] for name in names])
        writer.writerows(rows)
        return text.getvalue()

    def _eaches(self, units: str) -> Decimal:
        return Decimal(units.replace(",", ".")) * self._unit

    def _units(self, eaches: Decimal) -> str:
        return f"{eaches / self._unit:.1f}".replace(".", ",") if self._unit > 1 else str(eaches)

    def _local(self, at: datetime) -> str:
        return at.astimezone(self._zone).strftime(self._times)


HAMBURG = FlatFiles(
    ";",
    {
        "ticket": "Auftrag",
        "order": "Bestellung",
        "line": "Position",
        "sku": "Artikel",
        "qty": "Kartons",
        "shipment": "Lieferschein",
        "tracking": "Sendung",
        "at": "Zeit",
        "rma": "Retoure",
        "receipt": "Eingang",
        "condition": "Zustand",
    },
    "Europe/Berlin",
    "%d.%m.%Y %H:%M",
    CARTON,
)
DALLAS = FlatFiles(
    ",",
    {
        "ticket": "PickNo",
        "order": "CustOrder",
        "line": "Ln",
        "sku": "Part",
        "qty": "Each",
        "shipment": "BOL",
        "tracking": "Pro",
        "at": "Local Time",
        "rma": "RMA",
        "receipt": "Rcpt",
        "condition": "Cond",
    },
    "America/Chicago",
    "%m/%d/%Y %H:%M",
    1,
)


class Manufacturer(House):
    """The manufacturer's partners, and what its people do with returns."""

    def __init__(self, seed: int, timeline: Timeline, folder: Path) -> None:
        super().__init__(TENANT, seed, timeline)
        self.folders = {"hamburg": folder / "hamburg", "dallas": folder / "dallas"}
        self.hamburg = FolderSite("hamburg", SKUS, timeline, self.folders["hamburg"], HAMBURG)
        self.dallas = FolderSite("dallas", SKUS, timeline, self.folders["dallas"], DALLAS)
        self.sites += [self.hamburg, self.dallas]
        self.desk = GoodsParty("desk", timeline, self.token("desk"))
        self.desk.takes_goods("/returns", "return_seen", "rma", "order")
        self.parties.append(self.desk)
        self.orders = tuple(_order(seed, number) for number in range(16))

    def plan(self, api: HubApi) -> None:
        """Plan the returns: the service desk asks at one, the parcels come at three."""
        for place, number in enumerate(RETURNED):

            async def ask(number: str = number) -> None:
                line = {"line_no": "1", "quantity": "3", "condition": "damaged"}
                await api.post("/returns", {"order_number": number, "lines": [line]})

            async def arrive(number: str = number, place: int = place) -> None:
                await (self.hamburg, self.dallas)[place].open_parcel(number)

            self.at(clock_time("13:00"), f"return:{number}", ask)
            self.at(clock_time("15:00"), f"parcel:{number}", arrive)

    def shared_returns(self, api_returns: dict[str, Any]) -> list[str]:
        """Return where hub, finance, warehouse and desk do not see the same of a return, in words."""
        found = []
        expected = {entry.business for site in (self.hamburg, self.dallas) for entry in site.ledger.of("rma")}
        credited = {entry.about for entry in self.erp.ledger.of("credit")}
        words = {body["rma"]: body["status"] for body in self.desk.got("return_seen")}
        booked = {body["rma"]: body["status"] for body in self.erp.got("return_seen")}
        for number in sorted({*api_returns, *expected, *credited, *words, *booked}):
            found += [f"return {number}: no warehouse was told"] * (number not in expected)
            found += [f"return {number}: finance credited nothing"] * (number not in credited)
            states = {api_returns.get(number), words.get(number), booked.get(number)}
            found += [f"return {number}: {sorted(map(str, states))}"] * (len(states) > 1)
        return found


def _order(seed: int, place: int) -> HouseOrder:
    draw = dice(seed, TENANT, str(place))
    lines = tuple((sku, CARTON * draw.randint(1, 4)) for sku in draw.sample(SKUS, draw.randint(1, 3)))
    city, region, postcode, country = PLACES[place % 2]
    return HouseOrder(f"MO-{5001 + place}", place * 10, f"Works {place + 1}", city, region, postcode, lines, country)
