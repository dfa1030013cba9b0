"""Loads for tests: their papers, and a story that runs them one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.canonical.events import Event
from crossdock.canonical.freight import (
    Accessorial,
    AccessorialDecision,
    Appointment,
    AppointmentRequest,
    DisputeAnswer,
    FreightInvoice,
    FreightInvoiceLine,
    Load,
    LoadChange,
    LoadMilestone,
    Stop,
    TenderResponse,
)
from crossdock.processes.freight import decide
from crossdock.processes.freight.policy import AccessorialRule, ChargeTolerance, GuideCarrier, Lane, LoadRules
from crossdock.processes.freight.state import LoadState
from crossdock.processes.outcome import DecisionContext, Outcome

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
RATE = {"LINEHAUL": Decimal(1000), "FUEL": Decimal(100)}
GUIDE = (
    GuideCarrier("RDGT", "ridge", RATE, tender_minutes=60),
    GuideCarrier("SWFT", "swift", {"LINEHAUL": Decimal(1100), "FUEL": Decimal(110)}, tender_minutes=30),
)
RULES = LoadRules(
    lanes=(Lane(GUIDE, "DEN-SLC", transit_hours=10),),
    accessorials=(AccessorialRule("DETENTION", Decimal(150), ("gate_log",)),),
    tolerances=(ChargeTolerance("FUEL", percent=Decimal(5)), ChargeTolerance("LINEHAUL", absolute=Decimal(2))),
)
CARRIER = {"ridge": "RDGT", "swift": "SWFT"}

_encode = msgspec.json.Encoder(decimal_format="string").encode


def event(kind: str, data: Any, *, at: datetime = NOW, partner: str = "") -> Event:
    plain = msgspec.json.decode(_encode(data))
    return Event("evt_1", "acme", f"crossdock.{kind}.v1", "load/L-1", plain, at, NOW, partner=partner)


def planned(number: str = "L-1", lane: str = "DEN-SLC", *, appointments: bool = True) -> Event:
    stops = (
        Stop(0, "pickup", "DENVER", window_from=NOW + timedelta(hours=4), window_to=NOW + timedelta(hours=6)),
        Stop(
            1,
            "delivery",
            "SLC",
            window_from=NOW + timedelta(hours=20),
            window_to=NOW + timedelta(hours=22),
            appointment=appointments,
        ),
    )
    return event("load.planned", Load(number, stops, lane), partner="tms")


def answered(partner: str, outcome: str = "accepted", number: str = "", pro: str = "") -> Event:
    response = TenderResponse(CARRIER.get(partner, "XXXX"), outcome, number, "L-1", pro)  # type: ignore[arg-type]
    return event("tender.answered", response, partner=partner)


def moved(
    partner: str, code: str, hours: float, *, kind: str = "actual", stop: int | None = None, said: float | None = None
) -> Event:
    milestone = LoadMilestone(
        code,
        NOW + timedelta(hours=hours),
        kind,  # type: ignore[arg-type]
        "L-1",
        stop_seq=stop,
        reported_at=None if said is None else NOW + timedelta(hours=said),
    )
    return event("load.milestone.recorded", milestone, at=milestone.at, partner=partner)


def booked(state: str, *, hours: float = 1, stop: int = 1, **more: Any) -> Event:
    at = NOW + timedelta(hours=hours)
    return event("appointment.changed", Appointment("L-1", stop, state, at, **more), at=at, partner="dock")  # type: ignore[arg-type]


def wish(action: str, *, stop: int = 1, hours: float = 20) -> Event:
    request = AppointmentRequest("L-1", stop, action, window_from=NOW + timedelta(hours=hours))  # type: ignore[arg-type]
    return event("appointment.wanted", request, partner="tms")


def extra(number: str, code: str = "DETENTION", amount: int = 100, *evidence: str, partner: str = "ridge") -> Event:
    return event(
        "accessorial.requested", Accessorial(number, "L-1", code, Decimal(amount), evidence=evidence), partner=partner
    )


def extra_decided(number: str, approved: bool, amount: int = 0, partner: str = "") -> Event:
    decision = AccessorialDecision(number, "L-1", approved, amount=Decimal(amount), by="anna")
    return event("accessorial.decided", decision, partner=partner)


def billed(
    number: str, *lines: tuple[str, Any], partner: str = "ridge", total: Any = None, currency: str = "USD"
) -> Event:
    rows = tuple(FreightInvoiceLine(code, Decimal(str(amount))) for code, amount in lines)
    invoice = FreightInvoice(
        number, CARRIER.get(partner, "XXXX"), rows, currency, None if total is None else Decimal(str(total)), "L-1"
    )
    return event("freight.invoiced", invoice, partner=partner)


def ended(invoice: str, outcome: str, *, carrier: str = "", partner: str = "") -> Event:
    answer = DisputeAnswer("L-1", invoice, outcome, "anna", carrier=carrier)  # type: ignore[arg-type]
    return event("dispute.answered", answer, partner=partner)


def changed(action: str) -> Event:
    return event("load.changed", LoadChange("L-1", action))  # type: ignore[arg-type]


def deadline(name: str) -> Event:
    return event("deadline.passed", {"name": name})


class Story:
    """Runs events through `decide` and keeps everything that followed."""

    def __init__(self, rules: LoadRules = RULES, decide: Any = decide) -> None:
        self.rules = rules
        self.decide = decide
        self.state: LoadState | None = None
        self.now = NOW
        self.outcomes: list[Outcome] = []

    def run(self, *events: Event) -> Story:
        for one in events:
            outcome = self.decide(self.state, one, DecisionContext(self.rules, self.now))
            if not outcome.duplicate and not outcome.parked_until:
                self.state = outcome.state
            self.outcomes.append(outcome)
        return self

    def later(self, **delay: float) -> Story:
        """Move the clock and run the timers that are due, as the hub would."""
        self.now += timedelta(**delay)
        assert self.state is not None
        for timer in [one for one in self.state.timers if one.due_at <= self.now]:
            self.run(deadline(timer.name))
        return self

    @property
    def it(self) -> LoadState:
        assert self.state is not None
        return self.state

    def keys(self, kind: str = "") -> list[str]:
        return [one.key for outcome in self.outcomes for one in outcome.requests if one.kind.startswith(kind)]

    def documents(self, kind: str) -> list[Any]:
        return [one.document for outcome in self.outcomes for one in outcome.requests if one.kind == kind]

    def codes(self) -> list[str]:
        """Return the codes of the faults that stand: reported, and not taken back."""
        standing: list[tuple[str, str]] = []
        for outcome in self.outcomes:
            for one in outcome.exceptions:
                if one.resolves:
                    standing.remove((one.code, one.cause))
                else:
                    standing.append((one.code, one.cause))
        return [code for code, _ in standing]

    def offers(self) -> list[tuple[str, str]]:
        return [(offer.carrier, offer.state) for offer in self.it.offers]


def statuses(events: Iterable[Event], **story: Any) -> list[str]:
    """Return the statuses a load goes through, `(new)` first."""
    told, found = Story(**story), ["(new)"]
    for one in events:
        told.run(one)
        if told.state is not None and told.state.status != found[-1]:
            found.append(told.state.status)
    return found
