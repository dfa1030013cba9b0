"""What a partner itself wrote down: its own truth, with which the hub is compared at the end of the day.

A ledger only grows. It never hears of the hub's tables, and partners book what reached them, twice if it came twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

Lines = tuple[tuple[str, Decimal], ...]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a partner's books.

    `kind` is what happened (`order`, `request`, `shipment`, `posting`, `invoice`, `case`, …),
    `business` the name of the thing it happened to, `key` the transport's identity of the telling,
    `about` the thing one level up (the order of a shipment), `lines` the goods as (SKU, quantity).
    """

    at: datetime
    kind: str
    business: str
    key: str = ""
    about: str = ""
    lines: Lines = ()
    detail: str = ""


class Ledger:
    """The books of one partner."""

    def __init__(self, partner: str) -> None:
        self.partner = partner
        self.entries: list[Entry] = []
        self.told_again: Counter[str] = Counter()

    def book(self, entry: Entry) -> None:
        """Write one line."""
        self.entries.append(entry)

    def repeat(self, kind: str) -> None:
        """Count a telling that the partner itself knew to be a repetition, and for which it booked nothing."""
        self.told_again[kind] += 1

    def of(self, *kinds: str) -> Iterator[Entry]:
        """Give the lines of some kinds, in the order they were written."""
        return (entry for entry in self.entries if entry.kind in kinds)

    def counts(self) -> dict[str, int]:
        """Return how many lines there are of each kind, by name."""
        return dict(sorted(Counter(entry.kind for entry in self.entries).items()))


def lines_of(rows: Iterable[tuple[str, Any]]) -> Lines:
    """Return goods summed by SKU, in the order of SKUs, so that two descriptions of the same goods are equal."""
    total: dict[str, Decimal] = {}
    for sku, quantity in rows:
        total[sku] = total.get(sku, Decimal(0)) + Decimal(str(quantity))
    return tuple(sorted((sku, quantity.normalize()) for sku, quantity in total.items() if quantity))
