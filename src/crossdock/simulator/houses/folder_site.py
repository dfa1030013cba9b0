"""A warehouse whose system speaks by files in two folders; a `FileSpeech` says what its files look like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from ..clock import Timeline
from ..dock import Ticket, TicketLine
from ..ledger import Entry, Ledger, lines_of
from ..returns_floor import Expected, ReturnsFloor
from ..world import clock_time

PICKING = timedelta(minutes=30)


class FileSpeech(Protocol):
    """How one warehouse system writes and reads; quantities are in eaches on this side, in its own units in files."""

    suffix: str

    def tickets(self, text: str, name: str) -> list[Ticket]:
        """Read what is to be picked."""

    def returns(self, text: str) -> list[Expected]:
        """Read what will come back."""

    def stock(self, rows: Sequence[tuple[str, Decimal]], at: datetime) -> str:
        """Write a stock count."""

    def shipped(self, ticket: Ticket, shipment: str, tracking: str, at: datetime) -> str:
        """Write a ship confirmation."""

    def received(self, expected: Expected, receipt: str, at: datetime) -> str:
        """Write what was found in a returned parcel."""


class FolderSite:
    """One site with ample stock of some articles, as its folders show it."""

    def __init__(self, name: str, skus: tuple[str, ...], timeline: Timeline, folder: Path, speech: FileSpeech) -> None:
        self.ledger = Ledger(name)
        self.returns = ReturnsFloor(name, timeline, self.ledger)
        self.inbox, self.outbox = folder / "to_site", folder / "from_site"
        for directory in (self.inbox, self.outbox):
            directory.mkdir(parents=True, exist_ok=True)
        self._name = name
        self._skus = skus
        self._timeline = timeline
        self._speech = speech
        self._read: set[str] = set()
        self._written = 0

    async def open(self) -> None:
        """Tell the stock, and look into the folder every five minutes from now on."""
        stock = [(sku, Decimal(1200)) for sku in self._skus]
        self._put("STOCK", self._speech.stock(stock, self._timeline.clock.now()))
        first, step = self._timeline.clock.now(), timedelta(minutes=5)
        self._timeline.every(first, step, clock_time("18:00"), f"{self._name}:read", self.read)

    async def read(self) -> None:
        """Take what the hub has put into the folder; the same file name is read once."""
        for path in sorted(self.inbox.glob(f"*{self._speech.suffix}")):
            text = path.read_bytes().decode()
            path.unlink()
            if path.name in self._read:
                self.ledger.repeat("file")
                continue
            self._read.add(path.name)
            if path.name.startswith("return_authorization"):
                for expected in self._speech.returns(text):
                    self.returns.expect(expected)
            else:
                for ticket in self._speech.tickets(text, path.name):
                    self._take(ticket)

    async def open_parcel(self, order_number: str) -> None:
        """Open the returned parcel of an order, and tell what was in it."""
        found = self.returns.open_parcel(order_number)
        if found is not None:
            self._put("RETURN", self._speech.received(found.expected, found.receipt, self._timeline.clock.now()))

    def _take(self, ticket: Ticket) -> None:
        now, lines = self._timeline.clock.now(), _goods(ticket.lines)
        self.ledger.book(Entry(now, "request", ticket.number, ticket.reference, ticket.order_number, lines))

        async def ship() -> None:
            moment = self._timeline.clock.now()
            shipment, tracking = f"{self._name[0].upper()}{ticket.number}", f"T{ticket.number.replace('-', '')}"
            entry = Entry(moment, "shipment", shipment, tracking, ticket.order_number, lines, ticket.number)
            self.ledger.book(entry)
            self._put("SHIP", self._speech.shipped(ticket, shipment, tracking, moment))

        self._timeline.after(PICKING, f"{self._name}:{ticket.number}", ship)

    def _put(self, kind: str, text: str) -> None:
        # Written beside and renamed: a reader never sees half a file.
        self._written += 1
        name = f"{kind}_{self._written:04d}{self._speech.suffix}"
        hidden = self.outbox / f".{name}.part"
        hidden.write_bytes(text.encode())
        hidden.rename(self.outbox / name)
        self.ledger.book(Entry(self._timeline.clock.now(), "file", name))


def _goods(lines: Sequence[TicketLine]) -> tuple[tuple[str, Decimal], ...]:
    return lines_of((line.sku, line.quantity) for line in lines)
