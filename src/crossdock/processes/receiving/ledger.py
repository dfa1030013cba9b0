"""The quantities of a purchase order line: what the supplier said of the order, and what became of the goods.

Two sums hold at every moment, and a move that would break one raises `LedgerViolation`:

    ordered  = open + confirmed + backordered + rejected + cancelled
    received = accepted + damaged + surplus

    open         no word yet            shipped   announced by notices
    confirmed    will be shipped        accepted  booked by the ERP, at most `accept_max`
    backordered  will be shipped later  damaged   came in, and is not accepted
    rejected     will not be shipped    surplus   came in above order and tolerance, and is not accepted
    cancelled    we took it back

`accept_max` is (ordered − cancelled) and what the tolerance adds. What came in without a notice shows as `received`
above `shipped`.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ..ledger import ZERO, LedgerViolation, is_quantity

HUNDRED = Decimal(100)
_PLACES = Decimal("0.000001")


class PurchaseLedgerViolation(LedgerViolation):
    """The change would break the quantities of a purchase order line."""

    code = "XD-SUP-008"


class PurchaseBook(msgspec.Struct, frozen=True, omit_defaults=True):
    """The quantities of one line. Every method returns a new one."""

    line_no: str
    ordered: Decimal
    open: Decimal = ZERO
    confirmed: Decimal = ZERO
    backordered: Decimal = ZERO
    rejected: Decimal = ZERO
    cancelled: Decimal = ZERO
    shipped: Decimal = ZERO
    accepted: Decimal = ZERO
    damaged: Decimal = ZERO
    surplus: Decimal = ZERO

    @property
    def wanted(self) -> Decimal:
        """What we still want of the line, whatever the supplier says."""
        return self.ordered - self.cancelled

    @property
    def received(self) -> Decimal:
        return self.accepted + self.damaged + self.surplus

    @property
    def outstanding(self) -> Decimal:
        """What may still be accepted before the line is full."""
        return max(ZERO, self.wanted - self.rejected - self.accepted)

    def accept_max(self, over_percent: Decimal) -> Decimal:
        """Return how much of the line may be accepted in all."""
        return self.wanted + share(self.wanted, over_percent)

    def ask(self, ordered: Decimal) -> PurchaseBook:
        """Order a new quantity: the supplier's word on the old one is gone."""
        return self._checked(
            ordered=ordered, open=ordered, confirmed=ZERO, backordered=ZERO, rejected=ZERO, cancelled=ZERO
        )

    def word(self, confirmed: Decimal, backordered: Decimal, rejected: Decimal) -> PurchaseBook:
        """Take the supplier's word; what it says above the wanted quantity does not count, what it leaves is open."""
        left = self.wanted
        parts: list[Decimal] = []
        for part in (confirmed, backordered, rejected):
            parts.append(min(part, left))
            left -= parts[-1]
        return self._checked(confirmed=parts[0], backordered=parts[1], rejected=parts[2], open=left)

    def cancel(self, quantity: Decimal) -> PurchaseBook:
        """Take a quantity back: what has no word first, what is confirmed last."""
        left = quantity
        taken: dict[str, Decimal] = {}
        for bucket in ("open", "backordered", "rejected", "confirmed"):
            part = min(left, getattr(self, bucket))
            taken[bucket] = getattr(self, bucket) - part
            left -= part
        if left:
            raise PurchaseLedgerViolation(f"line {self.line_no}: cannot cancel {quantity} of {self.ordered}")
        return self._checked(cancelled=self.cancelled + quantity, **taken)

    def ship(self, quantity: Decimal) -> PurchaseBook:
        """Note an announced quantity."""
        return self._checked(shipped=self.shipped + quantity)

    def receive(self, good: Decimal, damaged: Decimal, over_percent: Decimal) -> PurchaseBook:
        """Book what came in: good quantities are accepted up to `accept_max`, the rest is surplus."""
        accepted = max(ZERO, min(good, self.accept_max(over_percent) - self.accepted))
        return self._checked(
            accepted=self.accepted + accepted,
            damaged=self.damaged + damaged,
            surplus=self.surplus + good - accepted,
        )

    def _checked(self, **changes: Decimal) -> PurchaseBook:
        book = msgspec.structs.replace(self, **changes)
        check(book)
        return book


def check(book: PurchaseBook) -> None:
    """Raise `PurchaseLedgerViolation` unless the buckets add up and none is below zero."""
    said = (book.open, book.confirmed, book.backordered, book.rejected, book.cancelled)
    came = (book.shipped, book.accepted, book.damaged, book.surplus)
    if sum(said) != book.ordered:
        raise PurchaseLedgerViolation(f"line {book.line_no}: {book.ordered} ordered, but the buckets hold {sum(said)}")
    if not all(map(is_quantity, (*said, *came, book.ordered))):
        raise PurchaseLedgerViolation(f"line {book.line_no}: a quantity is below zero or beyond all measure")


def share(quantity: Decimal, percent: Decimal) -> Decimal:
    """Return a percentage of a quantity.

    >>> share(Decimal(40), Decimal("2.5"))
    Decimal('1')
    """
    found = (quantity * percent / HUNDRED).quantize(_PLACES)
    return found.to_integral_value() if found == found.to_integral_value() else found
