"""What every warehouse has in common: tickets to be picked, a time to ship, parcels that leave with the carrier.

How a site hears of a ticket and how it reports a shipment is its own file's business.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from .carrier import Carrier, Parcel
from .clock import Timeline, dice
from .ledger import Entry, Ledger, lines_of
from .world import goods

# Minutes from the ticket to the wave, by service level.
PICK_MINUTES = {"STD": (25, 60), "EXP": (21, 30), "NFO": (43, 48)}


class TicketLine(msgspec.Struct, frozen=True):
    line: str
    sku: str
    quantity: Decimal


class Ticket(msgspec.Struct, frozen=True):
    """One fulfillment request as a site understood it. `number` is the hub's, `reference` the transport's identity."""

    number: str
    order_number: str
    lines: tuple[TicketLine, ...]
    service: str = ""
    name: str = ""
    reference: str = ""
    asked_at: str = ""


class Departure(msgspec.Struct, frozen=True):
    """A ticket that has left the house."""

    ticket: Ticket
    shipment: str
    tracking: str
    sscc: str
    carrier: str
    at: datetime


class Dock:
    """The floor of one site: it takes tickets, ships them at wave times and keeps the stock."""

    def __init__(self, site: str, seed: int, timeline: Timeline, ledger: Ledger, carrier: Carrier) -> None:
        self.site = site
        self.ledger = ledger
        self.stock = {sku: Decimal(good.stock[site]) for sku, good in goods().items()}
        self._seed = seed
        self._timeline = timeline
        self._carrier = carrier
        self._waiting: dict[datetime, list[Ticket]] = {}

    def take(self, ticket: Ticket) -> None:
        """Take a ticket on. A second one of the same number is picked again: the floor does as it is told."""
        now = self._timeline.clock.now()
        lines = lines_of((line.sku, line.quantity) for line in ticket.lines)
        self.ledger.book(
            Entry(now, "request", ticket.number, ticket.reference, ticket.order_number, lines, ticket.asked_at)
        )
        draw = dice(self._seed, self.site, ticket.number)
        # The truck to the airport leaves later than what is on the road at once.
        minutes = draw.randint(*PICK_MINUTES.get(ticket.service.upper(), PICK_MINUTES["STD"]))
        self._waiting.setdefault(next_wave(now + timedelta(minutes=minutes)), []).append(ticket)

    def cancel(self, number: str) -> bool:
        """Take a ticket off the floor; False when it has left or was never there."""
        for tickets in self._waiting.values():
            for ticket in tickets:
                if ticket.number == number:
                    tickets.remove(ticket)
                    self.ledger.book(Entry(self._timeline.clock.now(), "cancelled", number, about=ticket.order_number))
                    return True
        return False

    def ship_wave(self) -> tuple[Departure, ...]:
        """Ship everything whose wave has come, in the order of ticket numbers, and hand it to the carrier."""
        now = self._timeline.clock.now()
        due = [moment for moment in self._waiting if moment <= now]
        tickets = sorted((ticket for moment in due for ticket in self._waiting.pop(moment)), key=lambda t: t.number)
        return tuple(self._depart(ticket, now) for ticket in tickets)

    def _depart(self, ticket: Ticket, now: datetime) -> Departure:
        draw = dice(self._seed, self.site, "label", ticket.number)
        tracking = f"CL{draw.randrange(10**10):010d}"
        body = f"0061414{draw.randrange(10**10):010d}"
        departure = Departure(
            ticket=ticket,
            shipment=f"{self.site[0]}S{ticket.number.removeprefix('SO-').removeprefix('W-')}",
            tracking=tracking,
            sscc=body + _check_digit(body),
            carrier="CGLN",
            at=now,
        )
        for line in ticket.lines:
            self.stock[line.sku] = self.stock.get(line.sku, Decimal(0)) - line.quantity
        lines = lines_of((line.sku, line.quantity) for line in ticket.lines)
        self.ledger.book(
            Entry(now, "shipment", departure.shipment, tracking, ticket.order_number, lines, ticket.number)
        )
        self._carrier.hand_over(
            Parcel(tracking, departure.shipment, ticket.order_number, self.site, ticket.name, lines)
        )
        return departure


def next_wave(moment: datetime) -> datetime:
    """Return the next full ten minutes: sites ship in waves."""
    whole = moment.replace(second=0, microsecond=0)
    if whole < moment:
        whole += timedelta(minutes=1)
    return whole + timedelta(minutes=-whole.minute % 10)


def _check_digit(digits: str) -> str:
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)
