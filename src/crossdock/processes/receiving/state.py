"""What the hub remembers of a purchase order: the order, its lines' books, and the papers that came on it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

import msgspec

from ...canonical.quantities import Money
from ...canonical.receiving import PurchaseOrder
from ..ledger import PRICE_MAX, ZERO
from ..order_state import Raised
from ..outcome import AggregateSummary
from .ledger import PurchaseBook

# Every arrow between statuses; `receiving/__init__.py` and docs/why/receiving.md draw them, a test compares.
STATUS_ARROWS: dict[str, tuple[str, ...]] = {
    "(new)": ("sent",),
    "sent": ("acknowledged", "rejected", "in_transit", "partly_received", "closed", "cancelled"),
    "acknowledged": ("sent", "rejected", "in_transit", "partly_received", "closed", "cancelled"),
    "rejected": ("sent", "acknowledged", "in_transit", "closed", "cancelled"),
    "in_transit": ("sent", "acknowledged", "rejected", "partly_received", "closed", "cancelled"),
    "partly_received": ("in_transit", "closed"),
    "cancelled": ("sent", "in_transit", "closed"),
    "closed": ("sent", "acknowledged", "rejected", "in_transit", "partly_received", "cancelled"),
}
ENDED = frozenset(("closed", "cancelled"))


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: as ordered, its book, and what the supplier agreed to.

    `word_at` is when the last word on it was spoken, ours or the supplier's: what is older does not count.
    `change_no` is the last change of ours that touched it.
    """

    line_no: str
    sku: str
    book: PurchaseBook
    uom: str = "EA"
    unit_price: Decimal | None = None
    due_on: date | None = None
    agreed_price: Decimal | None = None
    agreed_on: date | None = None
    word_at: datetime | None = None
    change_no: int = 0


class NoticeItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A quantity of a notice; an empty `line_no` is an item nobody ordered."""

    sku: str
    quantity: Decimal
    line_no: str = ""


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A notice as taken. `known_at` is when the hub heard of it. `short_told`: its shortage was told."""

    number: str
    fingerprint: int
    items: tuple[NoticeItem, ...]
    known_at: datetime
    shipped_at: datetime | None = None
    expected_at: datetime | None = None
    carrier: str = ""
    load_number: str = ""
    short_told: bool = False


class ReceivedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one receipt brought of one item, as booked; an empty `line_no` is an item nobody ordered."""

    sku: str
    line_no: str = ""
    accepted: Decimal = ZERO
    damaged: Decimal = ZERO
    surplus: Decimal = ZERO

    @property
    def quantity(self) -> Decimal:
        return self.accepted + self.damaged + self.surplus


class Received(msgspec.Struct, frozen=True, omit_defaults=True):
    """A receipt as booked. `claimed`: its damage was claimed from the carrier."""

    number: str
    site: str
    fingerprint: int
    items: tuple[ReceivedItem, ...]
    received_at: datetime
    asn_number: str = ""
    final: bool = True
    claimed: bool = False


class Timer(msgspec.Struct, frozen=True):
    name: str
    due_at: datetime


class PurchaseState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One purchase order. `asked_at` is when the supplier was last asked, `first_asked_at` when first; `acked_at` is
    when it first answered, `answers` counts the answers that told something. `closed` gives the reason of its end.
    """

    order: PurchaseOrder
    status: str
    lines: tuple[Line, ...]
    asked_at: datetime
    notices: tuple[Notice, ...] = ()
    receipts: tuple[Received, ...] = ()
    changes: tuple[int, ...] = ()
    first_asked_at: datetime | None = None
    acked_at: datetime | None = None
    answers: int = 0
    closed: str = ""
    raised: tuple[Raised, ...] = ()
    timers: tuple[Timer, ...] = ()


def received_on(receipts: Iterable[Received], asn_number: str) -> dict[tuple[str, str], Decimal]:
    """Return what came in of a notice, by (line, SKU)."""
    found: dict[tuple[str, str], Decimal] = {}
    for receipt in receipts:
        if receipt.asn_number == asn_number:
            for item in receipt.items:
                key = (item.line_no, item.sku)
                found[key] = found.get(key, ZERO) + item.quantity
    return found


def is_in(receipts: Iterable[Received], asn_number: str) -> bool:
    """Tell whether a receipt said that nothing more of a notice will come in."""
    return any(receipt.final and receipt.asn_number == asn_number for receipt in receipts)


def in_transit(notices: Iterable[Notice], receipts: Iterable[Received]) -> dict[str, Decimal]:
    """Return by line what was announced and did not come in yet; a notice whose receipt is final has nothing left."""
    receipts = tuple(receipts)
    found: dict[str, Decimal] = {}
    for notice in notices:
        if is_in(receipts, notice.number):
            continue
        came = received_on(receipts, notice.number)
        for item in notice.items:
            left = item.quantity - came.get((item.line_no, item.sku), ZERO)
            if item.line_no and left > 0:
                found[item.line_no] = found.get(item.line_no, ZERO) + left
    return found


def brought(receipts: Iterable[Received]) -> bool:
    """Tell whether any goods came in: a receipt may say that nothing was on the truck."""
    return any(item.quantity for receipt in receipts for item in receipt.items)


def status_of(closed: str, lines: Iterable[Line], notices: Iterable[Notice], receipts: Iterable[Received]) -> str:
    """Return the status that quantities and papers give."""
    if closed:
        return "closed"
    lines, receipts = tuple(lines), tuple(receipts)
    came = brought(receipts)
    if in_transit(notices, receipts):
        return "in_transit"
    if came:
        return "partly_received"
    if not any(line.book.wanted for line in lines):
        return "cancelled"
    if any(line.book.open for line in lines):
        return "sent"
    if all(line.book.rejected == line.book.wanted for line in lines):
        return "rejected"
    return "acknowledged"


def value_of(state: PurchaseState) -> Money | None:
    """Return what the order is worth at its own prices; None where currency or a price is missing."""
    prices = [line.unit_price for line in state.lines]
    if not state.order.currency or any(price is None or not 0 <= price <= PRICE_MAX for price in prices):
        return None
    total = sum((line.book.wanted * (line.unit_price or ZERO) for line in state.lines), ZERO)
    return Money(total, state.order.currency)


def summary(state: PurchaseState) -> AggregateSummary:
    """Return what lists show: the supplier stands where an order has its customer."""
    return AggregateSummary(
        status=state.status,
        customer=state.order.supplier,
        region="",
        due_at=min((timer.due_at for timer in state.timers), default=None),
        at_risk=bool(state.raised),
        value=value_of(state),
    )


def sites(state: PurchaseState) -> tuple[str, ...]:
    """Return the warehouse that receives."""
    return (state.order.site,) if state.order.site else ()
