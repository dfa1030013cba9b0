"""The warehouse management system of the own warehouse in Reno: CSV files in two folders.

It reads pick tickets and cancels from `to_wms/`; ship confirmations, answers, stock counts and adjustments lie in
`from_wms/`.
Times in its files are Pacific wall-clock times without an offset, as such systems write them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from .carrier import Carrier
from .clock import Timeline
from .dock import Departure, Dock, Ticket, TicketLine
from .ledger import Entry, Ledger

PACIFIC = ZoneInfo("America/Los_Angeles")
SHIP_COLUMNS = (
    "Ticket No",
    "Order No",
    "Ship No",
    "Line",
    "SKU",
    "Qty Ordered",
    "Qty Shipped",
    "Carton",
    "Carrier",
    "Tracking",
    "Shipped At",
)
ADJUSTMENT_COLUMNS = ("Warehouse", "Adj No", "SKU", "Qty", "From", "To", "Reason", "Adjusted At")


class WmsReno:
    """Reno, as its folders show it."""

    site = "RENO"

    def __init__(self, seed: int, timeline: Timeline, carrier: Carrier, folder: Path) -> None:
        self.ledger = Ledger("wms-reno")
        self.dock = Dock(self.site, seed, timeline, self.ledger, carrier)
        self.inbox = folder / "to_wms"
        self.outbox = folder / "from_wms"
        self._timeline = timeline
        self._read: set[str] = set()
        self._last_confirmation: tuple[str, str] | None = None
        # What stands in quality hold, by SKU; it is not in the dock's stock.
        self.on_hold: dict[str, Decimal] = {}
        # By how much the next counts are wrong, by SKU: the counter's slip, not the shelf's.
        self.miscounted: dict[str, Decimal] = {}
        self._adjustments = 0

    def open(self, first: datetime, until: datetime) -> None:
        """Start working: look for tickets every five minutes, ship and count at their times."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.outbox.mkdir(parents=True, exist_ok=True)
        self._timeline.every(first, timedelta(minutes=5), until, "reno:1-read", self.read_tickets)
        self._timeline.every(first, timedelta(minutes=10), until, "reno:2-ship", self.ship)
        self._timeline.every(first, timedelta(minutes=60), until, "reno:3-count", self.count)

    async def read_tickets(self) -> None:
        """Take what the hub has put into the folder. The same file name is read once."""
        tickets: list[Ticket] = []
        cancels: list[tuple[str, str]] = []
        for path in sorted(self.inbox.glob("*.csv")):
            if path.name in self._read:
                self.ledger.repeat("file")
            else:
                self._read.add(path.name)
                rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
                if rows and "reason" in rows[0]:
                    cancels += [(row["ticket"], row["reason"]) for row in rows]
                else:
                    tickets += _tickets(rows, path.name)
            path.unlink()
        for ticket in sorted(tickets, key=lambda ticket: ticket.number):
            self.dock.take(ticket)
        if cancels:
            self._answer(sorted(cancels))

    async def ship(self) -> None:
        """Write one ship confirmation for everything that left with this wave."""
        departures = self.dock.ship_wave()
        if departures:
            name = f"SHIP_{self._stamp()}.csv"
            content = _rows(SHIP_COLUMNS, (row for gone in departures for row in _ship_rows(gone)), ";")
            self._last_confirmation = (name, content)
            self._put(name, content)

    async def count(self) -> None:
        """Write the stock of every article."""
        at = self._timeline.clock.now().astimezone(PACIFIC).strftime("%m/%d/%Y %H:%M")
        rows = [
            (self.site, sku, "AVAILABLE", on_hand + self.miscounted.get(sku, 0), at)
            for sku, on_hand in sorted(self.dock.stock.items())
        ]
        rows += [(self.site, sku, "HOLD", quantity, at) for sku, quantity in sorted(self.on_hold.items()) if quantity]
        columns = ("Warehouse", "SKU", "Status", "On Hand", "Counted At")
        self._put(f"STOCK_{self._stamp()}.csv", _rows(columns, rows, ","))

    def find(self, sku: str, quantity: int, reason: str) -> str:
        """Put goods on the shelf that nobody knew of or that just came, and tell it; return the adjustment's number."""
        self.dock.stock[sku] += quantity
        return self._adjust(sku, quantity, "", "AVAILABLE", reason, self._timeline.clock.now())

    def hold(self, sku: str, quantity: int) -> None:
        """Put goods into quality hold. Nobody is told before `tell_hold`."""
        self.dock.stock[sku] -= quantity
        self.on_hold[sku] = self.on_hold.get(sku, Decimal(0)) + quantity

    def tell_hold(self, sku: str, quantity: int, since: datetime) -> str:
        """Tell of goods that were put into quality hold at `since`; return the adjustment's number."""
        return self._adjust(sku, quantity, "AVAILABLE", "HOLD", "QUALITY HOLD", since)

    def _adjust(self, sku: str, quantity: int, source: str, target: str, reason: str, when: datetime) -> str:
        self._adjustments += 1
        number = f"RA{self._adjustments:05d}"
        at = when.astimezone(PACIFIC).strftime("%m/%d/%Y %H:%M")
        rows = [(self.site, number, sku, quantity, source, target, reason, at)]
        self._put(f"ADJ_{number}.csv", _rows(ADJUSTMENT_COLUMNS, rows, ","))
        return number

    async def repeat_last_confirmation(self) -> bool:
        """Leave the last ship confirmation in the folder once more, as a restarted system does."""
        if self._last_confirmation is None:
            return False
        self.ledger.book(Entry(self._timeline.clock.now(), "told_twice", self._last_confirmation[0]))
        self._put(*self._last_confirmation)
        return True

    def _answer(self, cancels: Iterable[tuple[str, str]]) -> None:
        at = self._timeline.clock.now().astimezone(PACIFIC).strftime("%m/%d/%Y %H:%M")
        rows = [(number, "CANCELLED" if self.dock.cancel(number) else "TOO LATE", at) for number, _ in cancels]
        self._put(f"ANSWER_{self._stamp()}.csv", _rows(("Ticket No", "Answer", "At"), rows, ";"))

    def _stamp(self) -> str:
        return self._timeline.clock.now().astimezone(PACIFIC).strftime("%Y%m%d_%H%M")

    def _put(self, name: str, content: str) -> None:
        # Written beside and renamed: a reader never sees half a file.
        hidden = self.outbox / f".{name}.part"
        hidden.write_text(content, encoding="utf-8")
        hidden.rename(self.outbox / name)
        self.ledger.book(Entry(self._timeline.clock.now(), "file", name))


def _tickets(rows: list[dict[str, str]], name: str) -> list[Ticket]:
    numbers = dict.fromkeys(row["ticket"] for row in rows)
    result = []
    for number in numbers:
        mine = [row for row in rows if row["ticket"] == number]
        lines = tuple(TicketLine(row["line"], row["sku"], Decimal(row["qty"])) for row in mine)
        result.append(Ticket(number, mine[0]["order"], lines, mine[0]["service"], mine[0]["ship_name"], name))
    return result


def _ship_rows(gone: Departure) -> list[tuple[object, ...]]:
    at = gone.at.astimezone(PACIFIC).strftime("%m/%d/%Y %H:%M")
    ticket = gone.ticket
    head, label = (ticket.number, ticket.order_number, gone.shipment), (gone.sscc, gone.carrier, gone.tracking, at)
    return [(*head, line.line, line.sku, line.quantity, line.quantity, *label) for line in ticket.lines]


def _rows(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]], delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
