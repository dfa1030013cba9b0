"""3PL Swift: X12 over its own SFTP server. Takes 940s, acknowledges them, sends a 945 for each shipment.

Partners leave files in `/inbound` and fetch from `/outbound`. Stock and the fate of cancels come as CSV files.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncssh

from .carrier import Carrier
from .clock import Timeline
from .dock import Departure, Dock, Ticket, TicketLine
from .ledger import Entry, Ledger
from .world import ZONE
from .x12_swift import (
    Advice,
    AdviceLine,
    ReadGroup,
    ReadSet,
    Unreadable,
    Writer,
    element,
    functional_acknowledgment,
    read,
    shipping_advice,
)

USER = "northgate"
WAREHOUSE = "SWIFT-KC"


class _Login(asyncssh.SSHServer):
    def __init__(self, password: str) -> None:
        self._password = password

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == USER and password == self._password


class ThreePlSwift:
    """Swift, as its mailbox shows it."""

    site = "SWIFT"

    def __init__(self, seed: int, timeline: Timeline, carrier: Carrier, folder: Path, password: str) -> None:
        self.ledger = Ledger("3pl-swift")
        self.dock = Dock(self.site, seed, timeline, self.ledger, carrier)
        self.port = 0
        self.host_key = ""
        self._other_building = ""
        self._other_building_orders: set[str] = set()
        self._withheld_orders: set[str] = set()
        self._withheld: list[Departure] = []
        self._root = folder
        self._password = password
        self._timeline = timeline
        self._writer = Writer("SWIFT3PL", "NORTHGATE")
        self._server: asyncssh.SSHAcceptor | None = None
        self._read: set[str] = set()

    async def start(self) -> None:
        """Open the mailbox on a free loopback port."""
        for name in ("inbound", "outbound"):
            (self._root / name).mkdir(parents=True, exist_ok=True)
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = key.export_public_key().decode().strip()
        root = str(self._root).encode()
        self._server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[key],
            server_factory=lambda: _Login(self._password),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=root),
            allow_scp=False,
        )
        self.port = self._server.get_port()

    async def stop(self) -> None:
        """Close the mailbox."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def open(self, first: datetime, until: datetime) -> None:
        """Start working: read the mailbox every five minutes, ship and count at their times."""
        self._timeline.every(first, timedelta(minutes=5), until, "swift:1-read", self.read_mailbox)
        self._timeline.every(first, timedelta(minutes=10), until, "swift:2-ship", self.ship)
        self._timeline.every(first, timedelta(minutes=60), until, "swift:3-count", self.count)

    def ship_from(self, code: str, orders: set[str]) -> None:
        """Ship some orders from another building: their 945s bear its code, of which nobody was told."""
        self._other_building, self._other_building_orders = code, orders

    def withhold(self, orders: set[str]) -> None:
        """Ship some orders without sending their 945s."""
        self._withheld_orders = orders

    def catch_up(self) -> None:
        """Send the 945s that were withheld, with the next wave at the latest."""
        self._withheld_orders = set()
        withheld, self._withheld = self._withheld, []
        for departure in withheld:
            self._advise(departure)

    async def read_mailbox(self) -> None:
        """Read what has come, acknowledge it and put the orders on the floor, in the order of their numbers."""
        found: list[tuple[str, str, ReadGroup]] = []
        for path in sorted((self._root / "inbound").iterdir()):
            if not path.is_file() or path.name.startswith(".") or path.suffix in (".part", ".tmp"):
                continue
            text = path.read_text(encoding="latin-1")
            path.unlink()
            now = self._timeline.clock.now()
            try:
                interchange = read(text)
            except Unreadable as error:
                self.ledger.book(Entry(now, "unreadable", path.name, detail=str(error)))
                continue
            if interchange.control_number in self._read:
                self.ledger.repeat("interchange")
                continue
            self._read.add(interchange.control_number)
            found += [(_first_order(group), interchange.control_number, group) for group in interchange.groups]
        answers: list[tuple[str, str]] = []
        for _, control_number, group in sorted(found, key=lambda item: item[:2]):
            answers += self._take_group(control_number, group)
        if answers:
            self._answer(answers)

    def _take_group(self, control_number: str, group: ReadGroup) -> list[tuple[str, str]]:
        """Take the papers of a group; returns what became of the cancels in it."""
        now = self._timeline.clock.now()
        if group.functional_id == "FA":
            for item in group.sets:
                about = next(item.all("AK1"))[2]
                self.ledger.book(Entry(now, "acknowledged", about, control_number, detail=next(item.all("AK9"))[1]))
            return []
        refused: list[str] = []
        answers: list[tuple[str, str]] = []
        for item in group.sets:
            if item.code != "940" or not any(item.all("W05")):
                refused.append(item.control_number)
            elif element(next(item.all("W05")), 1) == "F":
                number = element(next(item.all("W05")), 2)
                answers.append((number, "CANCELLED" if self.dock.cancel(number) else "SHIPPED"))
            else:
                self.dock.take(_ticket(item, control_number))
        _, text = self._writer.interchange("FA", "997", functional_acknowledgment(group, refused), now.astimezone(ZONE))
        self._put(f"997_{group.control_number}.edi", text)
        return answers

    def _answer(self, answers: list[tuple[str, str]]) -> None:
        """Say what became of cancels; Swift's translator has no set for that, so it is a CSV file."""
        now = self._timeline.clock.now().astimezone(ZONE)
        rows = [("ORDER", "RESULT", "AT"), *((number, result, now.isoformat()) for number, result in answers)]
        self._put(f"CANCEL_{now:%Y%m%d_%H%M}.csv", "".join(",".join(row) + "\r\n" for row in rows))

    async def ship(self) -> None:
        """Send a 945 for every shipment of the wave, each in its own interchange."""
        for departure in self.dock.ship_wave():
            if departure.ticket.order_number in self._withheld_orders:
                self._withheld.append(departure)
            else:
                self._advise(departure)

    def _advise(self, departure: Departure) -> None:
        elsewhere = departure.ticket.order_number in self._other_building_orders
        warehouse = self._other_building if elsewhere else WAREHOUSE
        now = departure.at.astimezone(ZONE)
        number, text = self._writer.interchange("SW", "945", shipping_advice(_advice(departure, warehouse), now), now)
        self.ledger.book(Entry(departure.at, "advice", str(int(number)), about=departure.shipment, detail=warehouse))
        self._put(f"945_{number}.edi", text)

    async def count(self) -> None:
        """Write the stock of every article."""
        now = self._timeline.clock.now().astimezone(ZONE)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(("SITE", "ITEM", "AVAILABLE", "AS_OF"))
        for sku, on_hand in sorted(self.dock.stock.items()):
            writer.writerow((WAREHOUSE, sku, on_hand, now.isoformat()))
        self._put(f"STOCK_{now:%Y%m%d_%H%M}.csv", text.getvalue())

    async def state_books(self) -> None:
        """Write a list of what left the house."""
        now = self._timeline.clock.now().astimezone(ZONE)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(("SITE", "SHIPMENT", "ITEM", "SHIPPED", "SHIPPED_AT", "AS_OF"))
        for entry in self.ledger.of("shipment"):
            for sku, quantity in entry.lines:
                at = entry.at.astimezone(ZONE).isoformat()
                writer.writerow((WAREHOUSE, entry.business, sku, f"{quantity:f}", at, now.isoformat()))
        self._put(f"BOOKS_{now:%Y%m%d_%H%M}.csv", text.getvalue())

    def _put(self, name: str, text: str) -> None:
        hidden = self._root / "outbound" / f".{name}.part"
        hidden.write_text(text, encoding="latin-1")
        hidden.rename(self._root / "outbound" / name)
        self.ledger.book(Entry(self._timeline.clock.now(), "file", name))


def _first_order(group: ReadGroup) -> str:
    numbers = [element(segment, 2) for item in group.sets for segment in item.all("W05")]
    return min(numbers, default="")


def _ticket(item: ReadSet, control_number: str) -> Ticket:
    header = next(item.all("W05"))
    order = next((element(segment, 2) for segment in item.all("N9") if element(segment, 1) == "OQ"), "")
    name = next((element(segment, 2) for segment in item.all("N1") if element(segment, 1) == "ST"), "")
    service = next((element(segment, 5) for segment in item.all("W66")), "")
    lines: list[TicketLine] = []
    for position, segment in enumerate(item.segments):
        if segment[0] != "W01":
            continue
        number = str(len(lines) + 1)
        for after in item.segments[position + 1 :]:
            if after[0] in ("W01", "LX", "W76"):
                break
            if after[0] == "N9" and element(after, 1) == "LI":
                number = element(after, 2)
        lines.append(TicketLine(number, element(segment, 5), Decimal(element(segment, 1))))
    return Ticket(element(header, 2), order, tuple(lines), service, name, control_number)


def _advice(departure: Departure, warehouse: str) -> Advice:
    ticket = departure.ticket
    return Advice(
        depositor_order=ticket.number,
        order_number=ticket.order_number,
        shipment=departure.shipment,
        warehouse=warehouse,
        sscc=departure.sscc,
        scac=departure.carrier,
        tracking=departure.tracking,
        lines=tuple(AdviceLine(line.line, line.sku, line.quantity, line.quantity) for line in ticket.lines),
    )
