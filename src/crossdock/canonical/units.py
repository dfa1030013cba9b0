"""Units of items: how many base units one case or pallet of an item holds, and exact conversion by it.

The factors stand in the pack's table `item_units`, one row for each item and unit: `NG-1001/CS: "12"`. A row `*/DZ`
holds for every item. A conversion that could not be kept exactly is refused, never rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation

from ..errors import DocumentRejected, HeldAwaiting
from .inventory import BASE_UNIT

TABLE = "item_units"
_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])


def to_base(quantity: Decimal, sku: str, uom: str, factors: Mapping[str, str]) -> Decimal:
    """Return a quantity in the base unit of its item.

    >>> to_base(Decimal("2.5"), "NG-1", "CS", {"NG-1/CS": "12"})
    Decimal('30.0')

    Raises HeldAwaiting for a unit that nobody gave a factor for, DocumentRejected where the factor is no number above
    zero or the result cannot be kept exactly.
    """
    if uom in ("", BASE_UNIT):
        return quantity
    text = factors.get(f"{sku}/{uom}") or factors.get(f"*/{uom}")
    if text is None:
        raise HeldAwaiting(
            f"nobody said how many {BASE_UNIT} one {uom} of {sku} holds", awaits=f"lookup:{TABLE}:{sku}/{uom}"
        )
    try:
        factor = Decimal(text)
        if not (factor.is_finite() and factor > 0):
            raise InvalidOperation
        return _EXACT.multiply(quantity, factor)
    except (InvalidOperation, Inexact):
        raise DocumentRejected(
            f"{quantity} {uom} of {sku} cannot be kept exactly with the factor {text!r}",
            code="XD-STK-001",
            hint=f"Correct the row {sku}/{uom} of the table {TABLE}: a plain number above 0",
        ) from None


def factors_of(sku: str, factors: Mapping[str, str]) -> tuple[Decimal, ...]:
    """Return by what an item's quantity may be wrong when a unit was mistaken for another; largest first.

    Those of its own units come with the ratios between them. Rows that are no numbers above one are left out.
    """
    own = {one for unit, text in factors.items() if unit.startswith((f"{sku}/", "*/")) and (one := _above_one(text))}
    ratios = {a / b for a in own for b in own if a > b and a % b == 0}
    return tuple(sorted(own | ratios, reverse=True))


class UnitTable:
    """The factors of a pack by item, made once for many questions."""

    def __init__(self, factors: Mapping[str, str]) -> None:
        self.rows = factors
        self._by_sku: dict[str, dict[str, str]] = {}
        for key, text in factors.items():
            sku = key.rpartition("/")[0]
            self._by_sku.setdefault(sku, {})[key] = text
        self._general = self._by_sku.get("*", {})
        self._known: dict[str, tuple[Decimal, ...]] = {}

    def slips(self, sku: str) -> tuple[Decimal, ...]:
        """Return `factors_of` an item."""
        found = self._known.get(sku)
        if found is None:
            found = self._known[sku] = factors_of(sku, {**self._general, **self._by_sku.get(sku, {})})
        return found


def _above_one(text: str) -> Decimal | None:
    try:
        factor = Decimal(text)
    except InvalidOperation:
        return None
    return factor if factor.is_finite() and factor > 1 else None
