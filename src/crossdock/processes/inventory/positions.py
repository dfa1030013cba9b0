"""What stock should be: the last snapshot and every movement behind its instant. Order of arrival does not matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from .policy import InventoryRules

# (sku, lot, status)
Shelf = tuple[str, str, str]


class Movement(NamedTuple):
    """One change of one shelf. Instants are microseconds UTC; `delta` is in base units.

    `moved_at` is when it happened at the site, `recorded_at` when the hub heard of it.
    """

    movement_id: str
    moved_at: int
    sku: str
    lot: str
    status: str
    kind: str
    delta: Decimal
    reference: str = ""
    subject: str = ""
    recorded_at: int = 0

    @property
    def shelf(self) -> Shelf:
        return (self.sku, self.lot, self.status)


def expected(
    snapshot: Mapping[Shelf, Decimal], as_of: int, movements: Iterable[Movement], until: int | None = None
) -> dict[Shelf, Decimal]:
    """Return what the shelves should hold at `until` (None: after every movement): the snapshot and what moved since.

    A movement of the snapshot's own instant is in it already.
    """
    result = dict(snapshot)
    for move in movements:
        if move.moved_at > as_of and (until is None or move.moved_at <= until):
            result[move.shelf] = result.get(move.shelf, Decimal(0)) + move.delta
    return result


def differences(should: Mapping[Shelf, Decimal], reported: Mapping[Shelf, Decimal]) -> dict[Shelf, Decimal]:
    """Return reported less expected for each shelf where they differ.

    Shipments rarely tell their lot. What left without one is taken from the lots of that item and status before
    anything is called a difference.
    """
    found = {
        shelf: difference
        for shelf in sorted(should.keys() | reported.keys())
        if (difference := reported.get(shelf, Decimal(0)) - should.get(shelf, Decimal(0)))
    }
    for sku, status in {(sku, status) for sku, lot, status in found if lot == ""}:
        unnamed = found[sku, "", status]
        for shelf in [one for one in found if one[0] == sku and one[2] == status and one[1]]:
            if unnamed == 0:
                break
            if found[shelf] * unnamed < 0:
                taken = min(abs(found[shelf]), abs(unnamed)) * (1 if unnamed > 0 else -1)
                unnamed -= taken
                found[shelf] += taken
        found[sku, "", status] = unnamed
    return {shelf: difference for shelf, difference in found.items() if difference}


class SitePosition(NamedTuple):
    """What is known of an item at a site: available on hand, bound by orders, and when the site last said so."""

    site: str
    on_hand: Decimal
    reserved: Decimal
    as_of: datetime | None


class Promise(NamedTuple):
    """What may be promised of an item and how it is reckoned."""

    quantity: Decimal
    on_hand: Decimal
    reserved: Decimal
    buffer: Decimal
    in_flight: Decimal
    left_out: tuple[str, ...]


def safe_to_promise(
    sku: str, positions: Iterable[SitePosition], left_lately: Decimal, rules: InventoryRules, now: datetime
) -> Promise:
    """Return available less reserved, buffer and in flight, never below zero.

    Each site counts for itself: what one owes is not taken from another. `left_lately` is what left in the last
    `in_flight_minutes`. Sites whose word is too old are left out, and named.
    """
    oldest = now - timedelta(minutes=rules.promise_stale_minutes) if rules.promise_stale_minutes else None
    on_hand = reserved = buffered = total = Decimal(0)
    left_out = []
    for one in positions:
        if one.as_of is None or (oldest is not None and one.as_of < oldest):
            left_out.append(one.site)
            continue
        buffer = rules.buffer(one.site, sku)
        on_hand += one.on_hand
        reserved += one.reserved
        buffered += buffer
        total += max(Decimal(0), one.on_hand - one.reserved - buffer)
    in_flight = left_lately if rules.in_flight_minutes else Decimal(0)
    return Promise(max(Decimal(0), total - in_flight), on_hand, reserved, buffered, in_flight, tuple(left_out))
