"""Why a snapshot differs from what was expected: which movement is the suspect, how sure that is, and the reason.

Nothing here decides what is true. The site's word is taken; a person sees what it contradicts and where to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from .positions import Movement, Shelf

DriftKind = Literal[
    "status_change",
    "lot_swap",
    "unit_slip",
    "double_posting",
    "missing_confirmation",
    "not_posted_there",
    "unexplained",
]

# The more sums there are, the less an equal one proves; beyond this nobody is named.
_SUMS_MAX = 4_096
_SUSPECTS_MAX = 5


class OpenRequest(NamedTuple):
    """What a site was asked to ship of an item and has not confirmed."""

    reference: str
    subject: str
    sku: str
    quantity: Decimal
    asked_at: int


class Suspect(msgspec.Struct, frozen=True, omit_defaults=True):
    """A movement or request that would explain a difference. `confidence` is a percentage."""

    kind: DriftKind
    reference: str
    confidence: int
    reason: str
    subject: str = ""
    movement_id: str = ""


class Difference(msgspec.Struct, frozen=True):
    """One shelf of one site: what was expected of a snapshot and what it says, in base units."""

    sku: str
    lot: str
    status: str
    expected: Decimal
    reported: Decimal

    @property
    def amount(self) -> Decimal:
        """Reported less expected: below zero, something is missing at the site."""
        return self.reported - self.expected

    @property
    def shelf(self) -> Shelf:
        return (self.sku, self.lot, self.status)


def suspects_of(
    difference: Difference,
    siblings: Iterable[Difference],
    movements: Sequence[Movement],
    requests: Sequence[OpenRequest],
    slips: Sequence[Decimal],
    as_of: int,
) -> tuple[Suspect, ...]:
    """Return who may have caused a difference, the surest first; never empty.

    `siblings` are the other differences of the same snapshot, `movements` those between the two snapshots, `requests`
    those open at the site, `slips` the factors between the units of the item.
    """
    found = [
        *_swaps(difference, siblings),
        *_unit_slips(difference, slips),
        *_double_postings(difference, movements),
        *_missing_confirmations(difference, requests, as_of),
        *_not_posted(difference, movements),
    ]
    if not found:
        words = "less" if difference.amount < 0 else "more"
        found = [
            Suspect(
                "unexplained",
                "",
                20,
                f"the site has {abs(difference.amount):f} {words} than expected, and no movement, request, unit, lot or"
                " status explains it: ask for a recount",
            )
        ]
    return tuple(sorted(found, key=lambda one: -one.confidence)[:_SUSPECTS_MAX])


def _swaps(difference: Difference, siblings: Iterable[Difference]) -> Iterable[Suspect]:
    for other in siblings:
        if other.sku != difference.sku or other.amount != -difference.amount or other.shelf == difference.shelf:
            continue
        if other.lot == difference.lot:
            yield Suspect(
                "status_change",
                other.status,
                95,
                f"{abs(difference.amount):f} went between {difference.status} and {other.status} without an adjustment",
            )
        elif other.status == difference.status:
            yield Suspect(
                "lot_swap",
                other.lot,
                90,
                f"{abs(difference.amount):f} stand under lot {other.lot or 'none'} and lot {difference.lot or 'none'}"
                " the other way round",
            )


def _unit_slips(difference: Difference, slips: Sequence[Decimal]) -> Iterable[Suspect]:
    if not difference.expected or not difference.reported:
        return
    for factor in slips:
        if difference.reported * factor == difference.expected:
            yield Suspect(
                "unit_slip",
                f"÷{factor:f}",
                92,
                f"{difference.reported:f} is {difference.expected:f} counted in packs of {factor:f}",
            )
        elif difference.expected * factor == difference.reported:
            yield Suspect(
                "unit_slip",
                f"×{factor:f}",
                92,
                f"{difference.reported:f} is {factor:f} times the expected {difference.expected:f}",
            )


def _double_postings(difference: Difference, movements: Sequence[Movement]) -> Iterable[Suspect]:
    """A movement that is here twice under one reference, or that the site seems to have booked twice."""
    mine = [move for move in movements if move.sku == difference.sku and move.status == difference.status]
    seen: dict[tuple[str, Decimal], Movement] = {}
    for move in mine:
        key = (move.reference, move.delta)
        if move.reference and key in seen and difference.amount == -move.delta:
            yield Suspect(
                "double_posting",
                move.reference,
                90,
                f"{move.kind} {move.reference} of {abs(move.delta):f} was booked twice here",
                move.subject,
                move.movement_id,
            )
        seen[key] = move
    twice = [move for move in mine if move.delta == difference.amount and move.kind != "correction"]
    for move in twice[:_SUSPECTS_MAX]:
        yield Suspect(
            "double_posting",
            move.reference,
            max(30, 70 // len(twice)),
            f"the site may have booked {move.kind} {move.reference} of {abs(move.delta):f} twice",
            move.subject,
            move.movement_id,
        )


def _missing_confirmations(difference: Difference, requests: Sequence[OpenRequest], as_of: int) -> Iterable[Suspect]:
    if difference.amount >= 0 or difference.status != "available":
        return
    open_here = [one for one in requests if one.sku == difference.sku and one.asked_at <= as_of]
    chosen = _subset(-difference.amount, [one.quantity for one in open_here])
    if chosen is None:
        return
    # A sum that many could make proves less.
    alone = sum(1 for one in open_here if one.quantity == -difference.amount)
    confidence = 90 if len(open_here) == len(chosen) else max(40, 85 - 10 * max(alone - 1, 0) - 5 * (len(chosen) - 1))
    for place in chosen[:_SUSPECTS_MAX]:
        request = open_here[place]
        yield Suspect(
            "missing_confirmation",
            request.reference,
            confidence,
            f"{request.quantity:f} of {request.reference} seem to have left, and no ship confirmation came",
            request.subject,
        )


def _not_posted(difference: Difference, movements: Sequence[Movement]) -> Iterable[Suspect]:
    mine = [
        move for move in movements if move.shelf == difference.shelf or (move.sku, move.status) == difference.shelf[::2]
    ]
    same = [move for move in mine if move.delta == -difference.amount]
    for move in same[:_SUSPECTS_MAX]:
        yield Suspect(
            "not_posted_there",
            move.reference,
            max(35, 80 // len(same)),
            f"{move.kind} {move.reference} of {abs(move.delta):f} is booked here and not in the site's count",
            move.subject,
            move.movement_id,
        )


def _subset(wanted: Decimal, amounts: Sequence[Decimal]) -> tuple[int, ...] | None:
    """Return the places of the fewest amounts that make up a sum, or None where none do or too many might."""
    sums: dict[Decimal, tuple[int, ...]] = {Decimal(0): ()}
    for place, amount in enumerate(amounts):
        for total, chosen in list(sums.items()):
            reached = total + amount
            known = sums.get(reached)
            if reached <= wanted and (known is None or len(known) > len(chosen) + 1):
                sums[reached] = (*chosen, place)
        if len(sums) > _SUMS_MAX:
            return None
    return sums.get(wanted) or None


def is_timing(suspect: Suspect, now: int, due_at: int) -> bool:
    """Tell whether a difference is only a matter of time so far: what explains it may still be on its way."""
    return suspect.kind in ("missing_confirmation", "not_posted_there") and now < due_at


def settled_by(difference: Decimal, late: Mapping[str, Decimal]) -> tuple[str, ...]:
    """Return the references of late movements that together explain a whole difference; empty where they do not."""
    if not late or sum(late.values(), Decimal(0)) != difference:
        return ()
    return tuple(sorted(late))
