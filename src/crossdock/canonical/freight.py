"""Loads: what is tendered to carriers, how it moves, when it may come to a dock, and what it costs.

X12 204, 990, 214 and 210 map to these; appointments have the shapes of the Scheduling Standards Consortium's API v1.1
(`appointment-changed`, `schedule-appointment`) as their outer dialect.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from .identifiers import Reference
from .instants import Instant
from .nouns import Belongs, EventType, Fault, Names, Noun, given
from .parties import Address
from .quantities import Money

LOAD = "load"

StopType = Literal["pickup", "delivery"]
TimeClass = Literal["planned", "estimated", "actual"]
AppointmentState = Literal["requested", "confirmed", "refused", "not_on_tool", "cancelled"]
SettlementState = Literal["approved", "short_paid", "disputed"]


class Stop(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stop of a load. `seq` counts from 0, as the SSC's stopSequenceNumber. `appointment` says one is needed."""

    seq: int
    type: StopType
    location: str = ""
    address: Address | None = None
    window_from: Instant | None = None
    window_to: Instant | None = None
    appointment: bool = False


class Load(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a carrier is to move. `lane` chooses the routing guide; `number` is unique within the tenant."""

    number: str
    stops: tuple[Stop, ...]
    lane: str = ""
    mode: str = "FTL"
    equipment: str = ""
    weight_kg: Decimal | None = None
    pieces: int | None = None
    value: Money | None = None
    refs: tuple[Reference, ...] = ()
    note: str = ""


class LoadChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the shipper asks of a load: `cancel` it, or `tender` it again from the top of the guide."""

    number: str
    action: Literal["cancel", "tender"] = "cancel"
    reason: str = ""
    at: Instant | None = None


class Charge(msgspec.Struct, frozen=True):
    """An amount for one charge code (`LINEHAUL`, `FUEL`, `DETENTION`)."""

    code: str
    amount: Decimal


class Tender(msgspec.Struct, frozen=True, omit_defaults=True):
    """The offer of a load to one carrier (X12 204). `number` is ours: `<load>-T<sequence>`."""

    number: str
    load_number: str
    carrier: str
    sequence: int
    stops: tuple[Stop, ...]
    charges: tuple[Charge, ...] = ()
    currency: str = "USD"
    respond_by_at: Instant | None = None
    equipment: str = ""
    weight_kg: Decimal | None = None


class TenderWithdrawal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The word to a carrier that an offer no longer stands (X12 204 with purpose 01)."""

    number: str
    load_number: str
    carrier: str
    reason: str = ""


class TenderResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """A carrier's answer to a tender (X12 990). Without our number, the carrier's open tender of the load is meant."""

    carrier: str
    outcome: Literal["accepted", "declined"]
    number: str = ""
    load_number: str = ""
    pro: str = ""
    reason: str = ""
    at: Instant | None = None


class LoadMilestone(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a carrier says of a moving load (X12 214): `code` is ours (`departed_pickup`, `delivered`).

    An estimate is a class of time, not another code: `kind` says whether `at` is estimated or has happened.
    `reported_at` is when it was said; of two words the later said counts.
    """

    code: str
    at: Instant
    kind: TimeClass = "actual"
    load_number: str = ""
    pro: str = ""
    carrier: str = ""
    stop_seq: int | None = None
    location: str = ""
    reason: str = ""
    reported_at: Instant | None = None
    proof: str = ""


class Appointment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an appointment of a stop stands, in the facility's words or by a person who called it.

    `not_on_tool`: the facility does not use the scheduling tool, so somebody must call.
    """

    load_number: str
    stop_seq: int
    state: AppointmentState
    at: Instant | None = None
    window_from: Instant | None = None
    minutes: int = 60
    id: str = ""
    confirmation: str = ""
    facility: str = ""
    reason: str = ""


class AppointmentRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a facility is asked: to schedule, reschedule or cancel an appointment of a stop."""

    load_number: str
    stop_seq: int
    action: Literal["schedule", "reschedule", "cancel"] = "schedule"
    facility: str = ""
    window_from: Instant | None = None
    minutes: int = 60
    reason: str = ""
    at: Instant | None = None


class Accessorial(msgspec.Struct, frozen=True, omit_defaults=True):
    """A charge beside the rate that a carrier asks for, with its evidence (kinds such as `gate_log`, `photo`)."""

    number: str
    load_number: str
    code: str
    amount: Decimal
    currency: str = "USD"
    carrier: str = ""
    stop_seq: int | None = None
    evidence: tuple[str, ...] = ()
    reason: str = ""


class AccessorialDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an accessorial. `amount` may be less than asked for."""

    number: str
    load_number: str
    approved: bool
    code: str = ""
    amount: Decimal = Decimal(0)
    carrier: str = ""
    by: str = ""
    reason: str = ""


class FreightInvoiceLine(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    amount: Decimal
    description: str = ""


class FreightInvoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A carrier's bill for a load (X12 210). `number` is unique with the carrier."""

    number: str
    carrier: str
    lines: tuple[FreightInvoiceLine, ...]
    currency: str
    total: Decimal | None = None
    load_number: str = ""
    pro: str = ""
    invoiced_at: Instant | None = None


class SettledLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the match: what was invoiced, what was agreed and is not yet paid, what is paid, and why not all."""

    code: str
    invoiced: Decimal
    expected: Decimal
    paid: Decimal
    reason: str = ""


class Settlement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What finance may pay of an invoice. `sequence` counts the words on one invoice: 1, and after a dispute 2."""

    load_number: str
    invoice_number: str
    carrier: str
    state: SettlementState
    amount: Money
    lines: tuple[SettledLine, ...]
    sequence: int = 1


class Dispute(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a carrier is told of an invoice that is not paid in full. `amount` is what is disputed."""

    load_number: str
    invoice_number: str
    carrier: str
    amount: Money
    lines: tuple[SettledLine, ...]
    reasons: tuple[str, ...] = ()


class DisputeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a dispute: the carrier withdrew what was not agreed, or we granted it.

    `carrier` is whose invoice it is; it may be empty where only one carrier has one of this number.
    """

    load_number: str
    invoice_number: str
    outcome: Literal["withdrawn", "granted"]
    by: str = ""
    reason: str = ""
    carrier: str = ""


def _names(load_number: str, *others: tuple[str, str]) -> Names:
    return given((LOAD, load_number), *others)


def _positive(value: Any) -> tuple[Fault, ...]:
    amount = value.amount
    if amount.is_finite() and amount > 0:
        return ()
    return (Fault("/amount", "an amount asked for must be more than 0", str(amount), "> 0"),)


def _invoice_faults(invoice: FreightInvoice) -> tuple[Fault, ...]:
    return tuple(
        Fault(f"/lines/{index}/amount", "an amount must be a number", str(line.amount), "a number")
        for index, line in enumerate(invoice.lines)
        if not line.amount.is_finite()
    )


def _event(name: str, data: Any, summary: str, aggregate: str = "") -> EventType:
    return EventType(f"crossdock.{name}.v1", data, aggregate, False, summary)


NOUN = Noun(
    objects={
        "load": Load,
        "load_change": LoadChange,
        "tender": Tender,
        "tender_withdrawal": TenderWithdrawal,
        "tender_response": TenderResponse,
        "load_milestone": LoadMilestone,
        "appointment": Appointment,
        "appointment_request": AppointmentRequest,
        "accessorial": Accessorial,
        "accessorial_decision": AccessorialDecision,
        "freight_invoice": FreightInvoice,
        "settlement": Settlement,
        "freight_dispute": Dispute,
        "dispute_answer": DisputeAnswer,
    },
    events=(
        _event("load.planned", Load, "A load is ready to be tendered.", LOAD),
        _event("load.changed", LoadChange, "The shipper cancels a load or has it tendered again.", LOAD),
        _event("tender.answered", TenderResponse, "A carrier accepts or declines.", LOAD),
        _event("load.milestone.recorded", LoadMilestone, "A carrier reports where a load is or will be.", LOAD),
        _event("appointment.wanted", AppointmentRequest, "The shipper wants an appointment moved or cancelled.", LOAD),
        _event("appointment.changed", Appointment, "A facility answers or changes an appointment.", LOAD),
        _event("accessorial.requested", Accessorial, "A carrier asks for a charge beside the rate.", LOAD),
        _event("accessorial.decided", AccessorialDecision, "A person approves or denies an accessorial.", LOAD),
        _event("freight.invoiced", FreightInvoice, "A carrier sends its bill.", LOAD),
        _event("dispute.answered", DisputeAnswer, "A dispute about a bill ends.", LOAD),
        _event("load.tendered", dict, "The load was offered to a carrier; says to which and until when."),
        _event("load.awarded", dict, "A carrier has the load."),
        _event("load.delivered", dict, "The load arrived at its last stop."),
        _event("freight.settled", Settlement, "Finance was told what to pay of a bill; lines say why."),
    ),
    requests={
        "tender": "tender",
        "tender_withdrawal": "tender_withdrawal",
        "appointment_schedule": "appointment_request",
        "appointment_reschedule": "appointment_request",
        "appointment_cancel": "appointment_request",
        "accessorial_decision": "accessorial_decision",
        "freight_settlement": "settlement",
        "freight_dispute": "freight_dispute",
    },
    belongs={
        Load: Belongs(LOAD, lambda load: _names(load.number)),
        LoadChange: Belongs(LOAD, lambda change: _names(change.number)),
        TenderResponse: Belongs(LOAD, lambda one: _names(one.load_number, ("tender", one.number))),
        LoadMilestone: Belongs(LOAD, lambda one: _names(one.load_number, ("pro", one.pro))),
        Appointment: Belongs(LOAD, lambda one: _names(one.load_number)),
        AppointmentRequest: Belongs(LOAD, lambda one: _names(one.load_number)),
        Accessorial: Belongs(LOAD, lambda one: _names(one.load_number)),
        AccessorialDecision: Belongs(LOAD, lambda one: _names(one.load_number)),
        FreightInvoice: Belongs(LOAD, lambda one: _names(one.load_number, ("pro", one.pro))),
        DisputeAnswer: Belongs(LOAD, lambda one: _names(one.load_number)),
    },
    faults={Accessorial: _positive, FreightInvoice: _invoice_faults},
)
