"""Where a site takes goods back: what it was told to expect, what came, and what it found in the parcel.

How a site hears of an authorization and reports a receipt is its own file's business.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from .clock import Timeline
from .ledger import Entry, Ledger, lines_of


class ExpectedLine(msgspec.Struct, frozen=True):
    line: str
    sku: str
    quantity: Decimal
    condition: str = ""


class Expected(msgspec.Struct, frozen=True):
    """One authorization as a site understood it."""

    number: str
    order_number: str
    lines: tuple[ExpectedLine, ...]
    reference: str = ""


class Found(msgspec.Struct, frozen=True):
    """A parcel that was opened: its receipt's number and what was in it."""

    receipt: str
    expected: Expected
    lines: tuple[ExpectedLine, ...]


class ReturnsFloor:
    """The returns floor of one site. What it never heard of it does not open."""

    def __init__(self, site: str, timeline: Timeline, ledger: Ledger) -> None:
        self.site = site
        self.ledger = ledger
        self._timeline = timeline
        self._expected: dict[str, Expected] = {}

    def expect(self, expected: Expected) -> None:
        """Take an authorization on. A second one of the same number is booked again: the floor does as it is told."""
        self._expected[expected.number] = expected
        self._book("rma", expected.number, expected.reference, expected.order_number, expected.lines)

    def open_parcel(self, order_number: str) -> Found | None:
        """Open the parcel of an order: everything that was announced is in it. None when nothing was announced."""
        found = next((one for one in self._expected.values() if one.order_number == order_number), None)
        if found is None:
            self.ledger.book(Entry(self._timeline.clock.now(), "unexpected", order_number))
            return None
        receipt = f"{self.site[0]}R-{found.number}"
        self._book("return_receipt", receipt, found.number, order_number, found.lines)
        return Found(receipt, found, found.lines)

    def _book(self, kind: str, business: str, key: str, about: str, lines: tuple[ExpectedLine, ...]) -> None:
        goods = lines_of((line.sku, line.quantity) for line in lines)
        self.ledger.book(Entry(self._timeline.clock.now(), kind, business, key, about, goods))
