"""The line-quantity ledger: where every unit of an order line is at this moment.

The buckets exclude each other and always add up:
ordered = open + released + picked + shipped + cancelled + backordered; delivered ≤ shipped; returned ≤ delivered;
invoiced ≤ shipped. A move is a method that returns the new line or raises `LedgerViolation`; nothing is ever repaired
silently. What a move means for the order is decided in `order_fulfillment/`.

    open         not yet given to a site        picked       taken from the shelf, not yet gone
    released     asked of a site                shipped      confirmed as gone
    backordered  waits for stock                cancelled    will not be shipped
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from ..errors import CrossdockError

Waiting = Literal["open", "backordered"]

ZERO = Decimal(0)
# Within these limits sums of quantities, and their value at PRICE_MAX, stay exact.
QUANTITY_MAX = Decimal(10) ** 9
PRICE_MAX = Decimal(10) ** 9
DECIMALS_MAX = 6


class LedgerViolation(CrossdockError):
    """The change would break the quantities of an order line."""

    code = "XD-ORD-005"


class LineLedger(msgspec.Struct, frozen=True, omit_defaults=True):
    """The quantities of one order line. Make one with `of`; every method returns a new line."""

    line_no: str
    ordered: Decimal
    open: Decimal = ZERO
    released: Decimal = ZERO
    picked: Decimal = ZERO
    shipped: Decimal = ZERO
    cancelled: Decimal = ZERO
    backordered: Decimal = ZERO
    delivered: Decimal = ZERO
    returned: Decimal = ZERO
    invoiced: Decimal = ZERO

    @classmethod
    def of(cls, line_no: str, ordered: Decimal) -> LineLedger:
        """Return the ledger of a new line: everything is open."""
        if not ordered.is_finite() or ordered <= 0:
            raise LedgerViolation(f"line {line_no}: ordered quantity {ordered} is not above zero")
        return cls(line_no, ordered, open=ordered)

    @property
    def at_sites(self) -> Decimal:
        """What sites were asked for and have neither shipped nor given back."""
        return self.released + self.picked

    @property
    def active(self) -> Decimal:
        """What is still to be, or has been, shipped."""
        return self.ordered - self.cancelled

    def grow(self, quantity: Decimal) -> LineLedger:
        """Order more: the surplus is open."""
        self._check("order", quantity, QUANTITY_MAX - self.ordered, "possible")
        line = msgspec.structs.replace(self, ordered=self.ordered + quantity, open=self.open + quantity)
        check(line)
        return line

    def release(self, quantity: Decimal, *, source: Waiting = "open") -> LineLedger:
        """Ask a site for a quantity that was open or backordered."""
        self._check("release", quantity, self.open if source == "open" else self.backordered, source)
        if source == "open":
            return self._with(open=self.open - quantity, released=self.released + quantity)
        return self._with(backordered=self.backordered - quantity, released=self.released + quantity)

    def pick(self, quantity: Decimal) -> LineLedger:
        """Note that a site took a released quantity from the shelf."""
        self._check("pick", quantity, self.released, "released")
        return self._with(released=self.released - quantity, picked=self.picked + quantity)

    def ship(self, quantity: Decimal, *, picked: Decimal = ZERO) -> LineLedger:
        """Note that a quantity left; `picked` of it had been picked, the rest comes from released."""
        if not ZERO <= picked <= quantity:
            raise self._violation("ship", quantity, picked, "picked")
        self._check("ship", quantity, self.at_sites, "released and picked")
        if picked > self.picked or quantity - picked > self.released:
            raise self._violation("ship", quantity, self.released, "released")
        return self._with(
            released=self.released - (quantity - picked), picked=self.picked - picked, shipped=self.shipped + quantity
        )

    def ship_waiting(self, quantity: Decimal, *, source: Waiting) -> LineLedger:
        """Note that a site shipped what the hub still held as open or backordered."""
        return self.release(quantity, source=source).ship(quantity)

    def give_back(self, quantity: Decimal, *, picked: Decimal = ZERO) -> LineLedger:
        """Take a quantity back from a site: it is open again. `picked` of it had been picked."""
        self._check("give back", quantity, self.at_sites, "released and picked")
        if not ZERO <= picked <= min(quantity, self.picked) or quantity - picked > self.released:
            raise self._violation("give back", quantity, self.released, "released")
        return self._with(
            released=self.released - (quantity - picked), picked=self.picked - picked, open=self.open + quantity
        )

    def backorder(self, quantity: Decimal) -> LineLedger:
        """Let an open quantity wait for stock."""
        self._check("backorder", quantity, self.open, "open")
        return self._with(open=self.open - quantity, backordered=self.backordered + quantity)

    def reopen(self, quantity: Decimal) -> LineLedger:
        """Make a backordered quantity open again."""
        self._check("reopen", quantity, self.backordered, "backordered")
        return self._with(open=self.open + quantity, backordered=self.backordered - quantity)

    def cancel(self, quantity: Decimal, *, source: Waiting = "open") -> LineLedger:
        """Cancel a quantity that is at no site. What a site holds is given back first."""
        self._check("cancel", quantity, self.open if source == "open" else self.backordered, source)
        if source == "open":
            return self._with(open=self.open - quantity, cancelled=self.cancelled + quantity)
        return self._with(backordered=self.backordered - quantity, cancelled=self.cancelled + quantity)

    def deliver(self, quantity: Decimal) -> LineLedger:
        """Note that a shipped quantity arrived."""
        self._check("deliver", quantity, self.shipped - self.delivered, "shipped and not delivered")
        return self._with(delivered=self.delivered + quantity)

    def give_to_finance(self, quantity: Decimal) -> LineLedger:
        """Note that finance may invoice a shipped quantity."""
        self._check("invoice", quantity, self.shipped - self.invoiced, "shipped and not invoiced")
        return self._with(invoiced=self.invoiced + quantity)

    def take_from_finance(self, quantity: Decimal) -> LineLedger:
        """Note that an invoice over a quantity was credited: it may be released once more."""
        self._check("take from finance", quantity, self.invoiced, "invoiced")
        return self._with(invoiced=self.invoiced - quantity)

    def take_return(self, quantity: Decimal) -> LineLedger:
        """Note that a delivered quantity came back."""
        self._check("return", quantity, self.delivered - self.returned, "delivered and not returned")
        return self._with(returned=self.returned + quantity)

    def _with(
        self,
        *,
        open: Decimal | None = None,  # noqa: A002 - the bucket's own name
        released: Decimal | None = None,
        picked: Decimal | None = None,
        shipped: Decimal | None = None,
        cancelled: Decimal | None = None,
        backordered: Decimal | None = None,
        delivered: Decimal | None = None,
        returned: Decimal | None = None,
        invoiced: Decimal | None = None,
    ) -> LineLedger:
        line = LineLedger(
            self.line_no,
            self.ordered,
            self.open if open is None else open,
            self.released if released is None else released,
            self.picked if picked is None else picked,
            self.shipped if shipped is None else shipped,
            self.cancelled if cancelled is None else cancelled,
            self.backordered if backordered is None else backordered,
            self.delivered if delivered is None else delivered,
            self.returned if returned is None else returned,
            self.invoiced if invoiced is None else invoiced,
        )
        check(line)
        return line

    def _check(self, move: str, quantity: Decimal, available: Decimal, bucket: str) -> None:
        if not quantity.is_finite() or quantity <= 0 or quantity > available:
            raise self._violation(move, quantity, available, bucket)

    def _violation(self, move: str, quantity: Decimal, available: Decimal, bucket: str) -> LedgerViolation:
        return LedgerViolation(
            f"line {self.line_no}: cannot {move} {quantity}, only {available} is {bucket}",
            pointer=f"/lines/{self.line_no}",
        )


def check(line: LineLedger) -> None:
    """Raise `LedgerViolation` unless the buckets of a line add up and none is below zero."""
    buckets = (line.open, line.released, line.picked, line.shipped, line.cancelled, line.backordered)
    if sum(buckets) != line.ordered or min(buckets) < 0:
        raise LedgerViolation(f"line {line.line_no}: {line.ordered} ordered, but the buckets hold {sum(buckets)}")
    if not ZERO <= line.returned <= line.delivered <= line.shipped or not ZERO <= line.invoiced <= line.shipped:
        raise LedgerViolation(f"line {line.line_no}: delivered, returned or invoiced exceed what was shipped")


def is_quantity(quantity: Decimal) -> bool:
    """Tell whether a number can be a quantity here: from 0 to 1,000,000,000 with at most 6 decimals."""
    return quantity.is_finite() and 0 <= quantity <= QUANTITY_MAX and _decimals(quantity) <= DECIMALS_MAX


def rounded_down(quantity: Decimal) -> Decimal:
    """Return a finite number as a quantity: within the limits, surplus decimals cut off."""
    if is_quantity(quantity):
        return quantity
    within = min(max(quantity, ZERO), QUANTITY_MAX)
    return within if _decimals(within) <= DECIMALS_MAX else within.quantize(Decimal("0.000001"), ROUND_FLOOR)


def _decimals(quantity: Decimal) -> int:
    exponent = quantity.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


@lru_cache(maxsize=8192)
def quantity_text(quantity: Decimal) -> str:
    """Return a quantity as people write it.

    >>> quantity_text(Decimal("40.00"))
    '40'
    """
    return format(quantity.normalize(), "f")
