"""Quantities with their unit, and money with its currency.

Values are exact decimals. Units are UN/ECE Recommendation 20 codes; what the partner wrote is kept beside.
Pack conversions (each, case, pallet) are item data, never guessed here.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

# X12 element 355 (and common shop words) to UN/ECE Rec 20.
UNITS = {
    "EA": "EA",
    "EACH": "EA",
    "PCS": "EA",
    "PC": "EA",
    "C62": "EA",
    "H87": "EA",
    "UN": "EA",
    "CA": "CS",
    "CS": "CS",
    "CT": "CT",
    "CTN": "CT",
    "BX": "BX",
    "PL": "PF",
    "PF": "PF",
    "PK": "PK",
    "LB": "LBR",
    "LBR": "LBR",
    "KG": "KGM",
    "KGM": "KGM",
}


class Quantity(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number of something. `uom` is Rec 20, `original_uom` what the partner wrote if it differs."""

    value: Decimal
    uom: str = "EA"
    original_uom: str | None = None


class Money(msgspec.Struct, frozen=True):
    """An exact amount in one currency (ISO 4217)."""

    amount: Decimal
    currency: str

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.amount + other.amount, self.currency)

    def times(self, factor: Decimal) -> Money:
        """Return this amount times `factor`, rounded half-even to hundredths."""
        return Money((self.amount * factor).quantize(Decimal("0.01"), ROUND_HALF_EVEN), self.currency)


def unit_from(code: str) -> str:
    """Return the Rec 20 unit of a partner's code; an unknown code comes back unchanged, in upper case.

    >>> unit_from("PCS"), unit_from("zz")
    ('EA', 'ZZ')
    """
    return UNITS.get(code.upper(), code.upper())
