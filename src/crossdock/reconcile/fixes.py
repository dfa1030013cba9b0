"""What to do about a difference: one safe step, proposed, shown before it is taken, and taken by a person."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..canonical.statements import StatementKind
from .records import DifferenceKind

FixAction = Literal["send_again", "adjust", "ask", "accept"]


class Fix(msgspec.Struct, frozen=True):
    """A proposal. `action` is what a click does; `words` say it.

    `send_again`: the partner is asked whether it has the document, and gets it once more under the same identity where
    it has not. `adjust`: our stock follows their word by a movement. `ask`: the partner must send or correct something;
    nothing is done here. `accept`: the difference is signed off with a reason.
    """

    action: FixAction
    words: str


def propose(kind: DifferenceKind, about: StatementKind, partner: str) -> Fix:
    """Return the first step for a kind of difference."""
    if about == "stock":
        return _of_stock(kind, partner)
    match kind:
        case "missing_there" | "count_gap":
            return Fix("send_again", f"Ask {partner} for it, and send it again under the same identity if it is absent")
        case "missing_here":
            return Fix("ask", f"Ask {partner} to send the document again: it never came in")
        case "duplicate_there":
            return Fix("ask", f"Ask {partner} to reverse what it booked twice; we sent it once under one identity")
        case "identifier":
            return Fix("ask", "Agree on the number, and add the other one to the cross-reference")
        case "unit":
            return Fix("ask", f"Agree with {partner} on the unit, and correct its row in item_units")
        case "late":
            return Fix("accept", "Sign it off: both have it, only the day differs")
        case _:
            return Fix("ask", f"Ask {partner} to correct its booking, with our evidence")


def _of_stock(kind: DifferenceKind, partner: str) -> Fix:
    match kind:
        case "duplicate_there" | "unit":
            return Fix("ask", f"Ask {partner} to correct its statement before anything is adjusted")
        case "missing_there" | "missing_here" | "quantity":
            return Fix("adjust", "Have it counted, then let our stock follow the count")
        case _:
            return Fix("adjust", "Have the shelf looked at, then move the quantity")
