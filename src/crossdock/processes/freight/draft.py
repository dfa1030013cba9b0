"""The draft of one decision on a load: the state while it changes, and what follows from the change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...canonical.freight import Load
from ...canonical.identifiers import Reference
from ..conditions import Conditions
from ..order_state import Raised
from ..outcome import DecisionContext, NewEvent, Outcome, ProcessException, Request, TimerChange
from .policy import Lane, LoadRules
from .state import Bill, Booking, Extra, Fact, LoadState, Offer, Timer, awarded, open_offer, status_of

FactKey = tuple[str, str, int | None]


class Draft(Conditions):
    """A load under decision. It lives for one call of `decide`."""

    def __init__(self, state: LoadState, context: DecisionContext) -> None:
        self.before = state
        self.now: datetime = context.now
        self.rules: LoadRules = context.policy
        self.load: Load = state.load
        self.guide: Lane | None = self.rules.lane(state.load.lane)
        self.offers: dict[str, Offer] = {offer.number: offer for offer in state.offers}
        self.round, self.asked = state.round, state.asked
        self.currency, self.pro, self.cancelled = state.currency, state.pro, state.cancelled
        self.transit_hours = state.transit_hours
        self.status = state.status
        self.facts: dict[FactKey, Fact] = {(fact.code, fact.kind, fact.stop_seq): fact for fact in state.facts}
        self.bookings: dict[int, Booking] = {booking.stop_seq: booking for booking in state.bookings}
        self.extras: dict[str, Extra] = {extra.number: extra for extra in state.extras}
        self.bills: dict[tuple[str, str], Bill] = {
            (one.invoice.carrier, one.invoice.number): one for one in state.bills
        }
        self.raised: dict[tuple[str, str], Raised] = {(one.code, one.cause): one for one in state.raised}
        self.timers: dict[str, datetime] = {timer.name: timer.due_at for timer in state.timers}
        self.events: list[NewEvent] = []
        self.requests: list[Request] = []
        self.timer_changes: list[TimerChange] = []
        self.exceptions: list[ProcessException] = []
        self.references: list[Reference] = []

    @property
    def number(self) -> str:
        return self.load.number

    @property
    def winner(self) -> Offer | None:
        return awarded(self.offers.values())

    @property
    def waiting(self) -> Offer | None:
        return open_offer(self.offers.values())

    def speaks(self, partner: str) -> Offer | None:
        """Return the tender, awarded or waiting, of the carrier that a partner speaks for."""
        for offer in (self.winner, self.waiting):
            if offer is not None and offer.partner == partner:
                return offer
        return None

    def is_carrier(self, partner: str) -> bool:
        """Tell whether a partner is a carrier: one that was asked or sent a bill, or one of any routing guide."""
        guides = (carrier.partner for lane in self.rules.lanes for carrier in lane.carriers)
        asked = (offer.partner for offer in self.offers.values())
        return bool(partner) and partner in {*guides, *asked, *(bill.partner for bill in self.bills.values())}

    def emit(self, name: str, data: Any) -> None:
        """Add a fact to the journal; `name` is the event type without `crossdock.` and version."""
        self.events.append(NewEvent(f"crossdock.{name}.v1", data))

    def request(
        self, kind: str, identity: str, document: Any, *, carrier: str = "", partner: str = "", site: str = ""
    ) -> None:
        """Ask for one effect; the kind and `identity` within the load are its stable key."""
        attributes: Mapping[str, str] = {
            "load": self.number,
            "carrier": carrier,
            "partner": partner,
            "lane": self.load.lane,
        }
        self.requests.append(Request(kind, f"{kind}:{self.number}:{identity}", document, site, attributes))

    def set_timer(self, name: str, due_at: datetime | None) -> None:
        """Set, move or (None) cancel a deadline."""
        if self.timers.get(name) == due_at:
            return
        if due_at is None:
            del self.timers[name]
        else:
            self.timers[name] = due_at
        self.timer_changes.append(TimerChange(name, due_at))

    def is_full(self, papers: Mapping[Any, Any], what: str) -> bool:
        """Tell whether a load has as many papers of a kind as it may, and report it."""
        if len(papers) < self.rules.papers_max:
            return False
        self.fault(
            "XD-DOC-001", f"load:{self.number}", f"Load {self.number} has {len(papers)} {what}, and takes no more"
        )
        return True

    def current_status(self) -> str:
        return status_of(self.load, self.offers.values(), self.facts.values(), self.bills.values(), self.cancelled)

    def finish(self) -> Outcome:
        """Return the outcome: the new state with everything that follows."""
        state = LoadState(
            load=self.load,
            status=self.status,
            offers=tuple(self.offers.values()),
            round=self.round,
            asked=self.asked,
            currency=self.currency,
            pro=self.pro,
            facts=tuple(self.facts.values()),
            bookings=tuple(self.bookings.values()),
            extras=tuple(self.extras.values()),
            bills=tuple(self.bills.values()),
            cancelled=self.cancelled,
            raised=tuple(self.raised.values()),
            timers=tuple(Timer(name, due_at) for name, due_at in self.timers.items()),
            transit_hours=self.transit_hours,
        )
        return Outcome(
            state,
            tuple(self.events),
            tuple(self.requests),
            tuple(self.timer_changes),
            tuple(self.exceptions),
            tuple(self.references),
        )
