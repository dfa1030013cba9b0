"""What the hub remembers of a load: the load, who was asked, what was said of it, and what was billed and paid."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from ...canonical.freight import AppointmentState, FreightInvoice, Load, SettledLine, SettlementState, TimeClass
from ...canonical.quantities import Money
from ..order_state import Raised
from ..outcome import AggregateSummary

ZERO = Decimal(0)

# Every arrow between statuses; `freight/__init__.py` and docs/why/freight.md draw them, a test compares.
STATUS_ARROWS: dict[str, tuple[str, ...]] = {
    "(new)": ("tendering", "no_carrier"),
    "tendering": ("accepted", "no_carrier", "in_transit", "delivered", "disputed", "settled", "cancelled"),
    "no_carrier": ("tendering", "cancelled"),
    "accepted": ("tendering", "no_carrier", "in_transit", "delivered", "disputed", "settled", "cancelled"),
    "in_transit": ("delivered", "disputed", "settled"),
    "delivered": ("disputed", "settled"),
    "disputed": ("settled",),
    "settled": ("disputed",),
    "cancelled": (),
}
# Milestones after which a load can be neither cancelled nor given back.
LEFT = ("departed_pickup", "in_transit", "arrived_terminal", "departed_terminal", "out_for_delivery", "delivered")

TenderState = Literal["offered", "accepted", "declined", "expired", "withdrawn", "given_back"]
# What a tender may become, by what it is.
TENDER_ARROWS: dict[str, tuple[str, ...]] = {
    "offered": ("accepted", "declined", "expired", "withdrawn"),
    "accepted": ("given_back", "withdrawn"),
    "declined": (),
    "expired": (),
    "withdrawn": (),
    "given_back": (),
}


class Offer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tender as it stands."""

    number: str
    carrier: str
    partner: str
    sequence: int
    state: TenderState
    charges: dict[str, Decimal]
    offered_at: datetime
    respond_by_at: datetime
    reason: str = ""


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """The latest word on one milestone of one stop, in one class of time."""

    code: str
    kind: TimeClass
    at: datetime
    said_at: datetime
    stop_seq: int | None = None
    location: str = ""
    reason: str = ""
    proof: str = ""


class Booking(msgspec.Struct, frozen=True, omit_defaults=True):
    """The appointment of a stop. `pending` is what was asked and not answered; what was confirmed stands meanwhile."""

    stop_seq: int
    state: AppointmentState
    window_from: datetime | None = None
    minutes: int = 60
    id: str = ""
    confirmation: str = ""
    reason: str = ""
    pending: str = ""
    asked: int = 0
    said_at: datetime | None = None


class Extra(msgspec.Struct, frozen=True, omit_defaults=True):
    """An accessorial and what became of it. `approved` is the amount that may be billed."""

    number: str
    code: str
    asked: Decimal
    state: Literal["pending", "approved", "denied"] = "pending"
    approved: Decimal = ZERO
    evidence: tuple[str, ...] = ()
    reason: str = ""


class Bill(msgspec.Struct, frozen=True, omit_defaults=True):
    """An invoice and how it was matched; `state` is empty until it was."""

    invoice: FreightInvoice
    partner: str = ""
    state: SettlementState | Literal[""] = ""
    lines: tuple[SettledLine, ...] = ()
    paid: Decimal = ZERO
    reasons: tuple[str, ...] = ()
    answer: Literal["", "withdrawn", "granted"] = ""


class Timer(msgspec.Struct, frozen=True):
    name: str
    due_at: datetime


class LoadState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One load. `round` counts how often the guide was begun; `asked` is the place in the guide of the last offer."""

    load: Load
    status: str
    offers: tuple[Offer, ...] = ()
    round: int = 1
    asked: int = 0
    currency: str = "USD"
    pro: str = ""
    facts: tuple[Fact, ...] = ()
    bookings: tuple[Booking, ...] = ()
    extras: tuple[Extra, ...] = ()
    bills: tuple[Bill, ...] = ()
    cancelled: str = ""
    raised: tuple[Raised, ...] = ()
    timers: tuple[Timer, ...] = ()
    transit_hours: int = 0


def awarded(offers: Iterable[Offer]) -> Offer | None:
    """Return the tender that was accepted; there is never more than one."""
    return next((offer for offer in offers if offer.state == "accepted"), None)


def open_offer(offers: Iterable[Offer]) -> Offer | None:
    """Return the tender that waits for an answer; there is never more than one."""
    return next((offer for offer in offers if offer.state == "offered"), None)


def happened(facts: Iterable[Fact], *codes: str) -> Fact | None:
    """Return the first of some milestones that has happened."""
    return min(
        (fact for fact in facts if fact.kind == "actual" and fact.code in codes), key=lambda one: one.at, default=None
    )


def delivered(load: Load, facts: Iterable[Fact]) -> Fact | None:
    """Return the delivery at the last stop; a carrier that names no stop means the last one."""
    last = load.stops[-1].seq if load.stops else None
    return happened([fact for fact in facts if fact.stop_seq in (None, last)], "delivered")


def status_of(load: Load, offers: Iterable[Offer], facts: Iterable[Fact], bills: Iterable[Bill], cancelled: str) -> str:
    """Return the status that tenders, milestones and bills give."""
    offers, facts, bills = tuple(offers), tuple(facts), tuple(bills)
    if cancelled:
        return "cancelled"
    matched = [bill for bill in bills if bill.state]
    if any(bill.state != "approved" and not bill.answer for bill in matched):
        return "disputed"
    if matched:
        return "settled"
    if awarded(offers) is None:
        return "tendering" if open_offer(offers) else "no_carrier"
    if delivered(load, facts):
        return "delivered"
    if happened(facts, *LEFT):
        return "in_transit"
    return "accepted"


def etas(state: LoadState) -> dict[str, datetime]:
    """Return when the load is at its last stop, by who says so: `planned`, `carrier`, `hub`, `actual`.

    The hub's own estimate is the departure and the lane's transit time.
    """
    found: dict[str, datetime] = {}
    last = state.load.stops[-1] if state.load.stops else None
    if last is not None and last.window_to is not None:
        found["planned"] = last.window_to
    seq = last.seq if last is not None else None
    said = [
        fact
        for fact in state.facts
        if fact.kind == "estimated" and fact.code in ("delivered", "arrived_delivery") and fact.stop_seq in (None, seq)
    ]
    if said:
        found["carrier"] = max(said, key=lambda one: one.said_at).at
    left = happened(state.facts, "departed_pickup")
    if left is not None and state.transit_hours:
        found["hub"] = left.at + timedelta(hours=state.transit_hours)
    arrived = delivered(state.load, state.facts)
    if arrived is not None:
        found["actual"] = arrived.at
    return found


def agreed(state_offers: Iterable[Offer], extras: Iterable[Extra]) -> dict[str, Decimal]:
    """Return by charge code what may be billed: the rate of the awarded tender and the approved accessorials."""
    winner = awarded(state_offers)
    found = dict(winner.charges) if winner is not None else {}
    for extra in extras:
        if extra.state == "approved":
            found[extra.code] = found.get(extra.code, ZERO) + extra.approved
    return found


def summary(state: LoadState) -> AggregateSummary:
    """Return what lists show: the carrier stands where an order has its customer, the lane for the region."""
    winner = awarded(state.offers) or open_offer(state.offers)
    value = sum(winner.charges.values(), ZERO) if winner is not None else None
    return AggregateSummary(
        status=state.status,
        customer=winner.carrier if winner is not None else "",
        region=state.load.lane,
        due_at=min((timer.due_at for timer in state.timers), default=None),
        at_risk=bool(state.raised),
        value=Money(value, state.currency) if value is not None else None,
    )


def sites(state: LoadState) -> tuple[str, ...]:
    """Return the places of the stops."""
    return tuple(
        dict.fromkeys(stop.location for stop in state.load.stops if stop.location and "," not in stop.location)
    )
