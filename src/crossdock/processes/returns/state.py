"""What the hub remembers of a return: what may come back, what came, what was credited.

The status follows from the facts (`status_of`), so that the order in which they come does not matter.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from ...canonical.parties import Address
from ...canonical.quantities import Money
from ...canonical.returns import ReturnProgress, ReturnRequest
from ..ledger import ZERO
from ..order_state import Raised, Timer
from ..outcome import AggregateSummary

# Every arrow there is; `__init__` draws them, a test compares.
STATUS_ARROWS: dict[str, tuple[str, ...]] = {
    "(new)": ("in_review", "authorized", "refused"),
    "in_review": (
        *("authorized", "labelled", "in_transit", "arrived", "refused", "cancelled"),
        *("partly_received", "inspected", "credit_pending", "closed"),
    ),
    "authorized": (
        *("labelled", "in_transit", "arrived", "partly_received", "inspected", "credit_pending", "closed"),
        *("cancelled", "expired"),
    ),
    "labelled": (
        *("in_transit", "arrived", "partly_received", "inspected", "credit_pending", "closed", "cancelled", "expired"),
    ),
    "in_transit": ("arrived", "partly_received", "inspected", "credit_pending", "closed"),
    "arrived": ("partly_received", "inspected", "credit_pending", "closed"),
    "partly_received": ("inspected", "credit_pending", "closed"),
    "inspected": ("credit_pending", "closed"),
    "credit_pending": ("inspected", "closed"),
    "closed": ("credit_pending", "inspected"),
    "refused": ("partly_received", "inspected", "closed"),
    "cancelled": ("in_transit", "arrived", "partly_received", "inspected", "credit_pending", "closed"),
    "expired": ("in_transit", "arrived", "partly_received", "inspected", "credit_pending", "closed"),
}

ENDED = ("closed", "refused", "cancelled", "expired")
# Nothing more is expected to come.
OVER = ("refused", "cancelled", "expired")

Verdict = Literal["authorized", "refused", "review"]


class ReturnLineState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: `asked` for, `allowed` by the rules, `received` in all, `creditable` of it, `credited` requested.

    `words` are what the rules said, in sentences; `refusal` is why not all of it may come back.
    """

    line_no: str
    sku: str
    asked: Decimal
    allowed: Decimal = ZERO
    verdict: Verdict = "refused"
    condition: str = "unopened"
    reason: str = ""
    description: str = ""
    uom: str = "EA"
    words: tuple[str, ...] = ()
    refusal: str = ""
    received: Decimal = ZERO
    creditable: Decimal = ZERO
    credited: Decimal = ZERO


class FoundLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was found in a parcel. `line_no` is empty where the goods belong to no line of the return.

    `credited` is the part of it that finance was asked to credit.
    """

    sku: str
    quantity: Decimal
    line_no: str = ""
    condition: str = "unopened"
    disposition: str = ""
    settled: bool = False
    creditable: Decimal = ZERO
    credited: Decimal = ZERO


class BookedReceipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """A receipt as booked. `fingerprint` tells a repetition from a contradiction."""

    number: str
    site: str
    lines: tuple[FoundLine, ...]
    fingerprint: int
    at: datetime | None = None
    final: bool = False


class CreditRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One credit: asked for once, then the ERP's answer."""

    number: str
    lines: tuple[tuple[str, Decimal], ...]
    amount: Money | None = None
    state: Literal["requested", "posted", "refused"] = "requested"
    requested_at: datetime | None = None
    memo: str = ""
    posted: Money | None = None
    posted_at: datetime | None = None
    reason: str = ""


class ExchangeRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Goods sent again instead of money: asked of the ERP once."""

    number: str
    state: Literal["requested", "ordered", "refused"] = "requested"
    order_number: str = ""
    requested_at: datetime | None = None
    reason: str = ""


class ReturnState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One return as the process knows it. `shape` is the version of this structure."""

    request: ReturnRequest
    status: str
    lines: tuple[ReturnLineState, ...]
    customer: str = ""
    ship_from: Address | None = None
    currency: str = ""
    site: str = ""
    site_word: str = ""
    review: str = ""
    ended: str = ""
    ended_why: str = ""
    authorized_at: datetime | None = None
    expires_at: datetime | None = None
    tracking: str = ""
    carrier: str = ""
    label: str = ""
    label_asked: bool = False
    moved_at: datetime | None = None
    arrived_at: datetime | None = None
    receipts: tuple[BookedReceipt, ...] = ()
    credits: tuple[CreditRecord, ...] = ()
    exchange: ExchangeRecord | None = None
    told: ReturnProgress | None = None
    told_count: int = 0
    raised: tuple[Raised, ...] = ()
    timers: tuple[Timer, ...] = ()
    shape: int = 1

    @property
    def order_number(self) -> str:
        return self.request.order_number

    @property
    def number(self) -> str:
        return self.request.number


def is_complete(state: ReturnState) -> bool:
    """Tell whether everything that is expected has come: all that was allowed, or a receipt that is the last."""
    if not state.receipts:
        return False
    if any(receipt.final for receipt in state.receipts) or state.ended:
        return True
    return all(line.received >= line.allowed for line in state.lines)


def is_settled(state: ReturnState) -> bool:
    """Tell whether nobody owes anything for what came: credits are posted, or the exchange is ordered."""
    if state.authorized_at is None:
        return bool(state.ended) or not any(line.allowed for line in state.lines)
    if any(line.creditable > line.credited for line in state.lines) and not _by_exchange(state):
        return False
    if any(credit.state != "posted" for credit in state.credits):
        return False
    return state.exchange is None or state.exchange.state != "requested"


def _by_exchange(state: ReturnState) -> bool:
    return state.request.resolution == "exchange" and (state.exchange is None or state.exchange.state != "refused")


def status_of(state: ReturnState) -> str:
    """Return the status of a return from its facts; the first that fits, from the end of its life to the beginning."""
    if state.receipts:
        if not is_complete(state):
            return "partly_received"
        owed = any(line.creditable for line in state.lines)
        if is_settled(state) and (not _by_exchange(state) or not owed or state.exchange is not None):
            return "closed"
        return "credit_pending" if state.credits or state.exchange is not None else "inspected"
    # A parcel that is on its way already does not settle what a person has to decide.
    if state.review and not state.ended:
        return "in_review"
    if state.arrived_at is not None:
        return "arrived"
    if state.moved_at is not None:
        return "in_transit"
    if state.ended:
        return state.ended
    if not any(line.allowed for line in state.lines):
        return "refused"
    return "labelled" if state.tracking else "authorized"


def value_of(state: ReturnState) -> Money | None:
    """Return what the ERP posted, else what was asked of it; None where nothing was, or prices are missing."""
    total: Money | None = None
    for credit in state.credits:
        amount = credit.posted or credit.amount
        if amount is None or credit.state == "refused":
            continue
        total = amount if total is None else (total + amount if total.currency == amount.currency else total)
    return total


def summary(state: ReturnState) -> AggregateSummary:
    """Return what lists show of a return: `at_risk` is true while one of its clocks has run out."""
    due = min((timer.due_at for timer in state.timers), default=None)
    return AggregateSummary(
        status=state.status,
        customer=state.customer,
        region=state.request.channel,
        due_at=due,
        at_risk=bool(state.raised),
        value=value_of(state),
    )


def sites(state: ReturnState) -> tuple[str, ...]:
    """Return the site the goods come back to."""
    return (state.site,) if state.site else ()
