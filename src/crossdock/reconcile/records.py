"""What is compared: one record of one thing, ours or theirs, and what came of the comparison."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

DifferenceKind = Literal[
    "missing_there",
    "missing_here",
    "quantity",
    "unit",
    "status",
    "lot",
    "amount",
    "duplicate_there",
    "late",
    "wrong_site",
    "identifier",
    "count_gap",
]

# What each kind says to a person: the short word and the sentence.
KINDS: dict[str, tuple[str, str]] = {
    "missing_there": ("Missing there", "We have it, they do not"),
    "missing_here": ("Missing here", "They have it, we do not"),
    "quantity": ("Quantity", "Both have it, in different quantities"),
    "unit": ("Unit", "The quantities differ by the factor between two units of the item"),
    "status": ("Status", "Both have it, in different states"),
    "lot": ("Lot", "Both have it, under different lots"),
    "amount": ("Amount", "Both have it, at different amounts"),
    "duplicate_there": ("Duplicate there", "They have it more than once"),
    "late": ("Late", "Both have it, booked too far apart in time"),
    "wrong_site": ("Wrong site", "Both have it, at different sites"),
    "identifier": ("Identifier", "Both have it, under different numbers"),
    "count_gap": ("Count gap", "The numbers of messages differ"),
}


class Record(NamedTuple):
    """One row of somebody's books. `quantity` is in `uom`, `at` in microseconds UTC (0: not said).

    `in_flight` is how much of `quantity` may not have arrived on the other side yet (of counts only).
    """

    key: str = ""
    site: str = ""
    sku: str = ""
    lot: str = ""
    status: str = ""
    quantity: Decimal | None = None
    uom: str = "EA"
    amount: Decimal | None = None
    at: int = 0
    in_flight: Decimal = Decimal(0)


class Move(NamedTuple):
    """A movement of stock of ours that their books may not show yet."""

    site: str
    sku: str
    lot: str
    status: str
    delta: Decimal
    at: int


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing on which two books do not agree. `record_key` is the same for the same thing on every day.

    `ours` and `theirs` say in words what stands in each book, `amount` by how much they differ where that is a number.
    """

    kind: DifferenceKind
    record_key: str
    ours: str = ""
    theirs: str = ""
    key: str = ""
    site: str = ""
    sku: str = ""
    lot: str = ""
    status: str = ""
    amount: Decimal | None = None
    at: int = 0


class Outcome(msgspec.Struct):
    """What came of one comparison: how many agree, how many are only a matter of time, and what really differs."""

    matched: int = 0
    timing: int = 0
    differences: list[Difference] = msgspec.field(default_factory=list)
