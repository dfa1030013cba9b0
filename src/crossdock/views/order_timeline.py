"""The story of one order for people who steer it: grouped steps, milestone bar, split graph, sourcing, money, clock.

`fold` is pure: facts and the moment of looking in, a page out. A step is what a person would tell as one sentence: a
paper that came in with all it caused, or one message out with all its attempts. The raw events stay beside it, so one
page serves three zooms: compact (the steps' titles), timeline (steps with entries) and raw (every event).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from ..canonical.catalog import EVENT_TYPES
from ..canonical.events import Event
from ..canonical.milestones import MILESTONES
from ..canonical.quantities import Money
from ..governance.configuration import Configuration
from ..processes.order_state import ACTIVE_STATES, DELIVERED, ENDED, OrderState, amount_of
from ..store.engine import Connection
from . import order_facts
from .gates import Obstacle, why_not_delivered, why_not_invoiced
from .order_facts import DocumentFact, Fault, Name, OrderFacts, OutboundFact, is_on_the_way_back
from .order_knowledge import Contradiction, Knowledge, contradictions, knowledge

StepState = Literal["done", "waiting", "failed", "held", "info"]

# What each kind of paper is called in a sentence.
PAPERS: dict[str, str] = {
    "fulfillment_request": "fulfillment request",
    "fulfillment_cancel": "cancel request",
    "shipment_confirmation": "ship confirmation",
    "order_status": "order status",
    "invoice_release": "invoice release",
    "service_case": "service case",
    "return_authorization": "return authorization",
    "return_label": "label request",
    "return_disposition": "disposition",
    "return_status": "return status",
    "credit_request": "credit request",
    "exchange_request": "exchange request",
    "invoice_credit": "invoice credit",
}

_FINAL = ENDED


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One raw fact of a step: an event, an outbound message or a document, by its id."""

    id: str
    kind: Literal["event", "outbound", "document"]
    type: str
    at: datetime
    text: str = ""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sentence of the story. `attempts` above 1 is the badge of a message that was tried again."""

    key: str
    at: datetime
    title: str
    who: str
    state: StepState
    detail: str = ""
    until: datetime | None = None
    attempts: int = 0
    entries: tuple[Entry, ...] = ()


class MilestonePoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """One point of the bar: when it was planned and when it happened. `late` compares the two, or now with the plan."""

    code: str
    title: str
    planned_at: datetime | None = None
    actual_at: datetime | None = None
    late: bool = False


class Parcel(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    tracking: str = ""
    contents: tuple[tuple[str, str], ...] = ()
    delivered: bool = False


class ShipmentNode(msgspec.Struct, frozen=True, omit_defaults=True):
    number: str
    site: str
    shipped_at: datetime | None
    delivered: bool
    lines: tuple[tuple[str, Decimal], ...]
    tracking: tuple[str, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    evidence: str = ""


class FulfillmentNode(msgspec.Struct, frozen=True, omit_defaults=True):
    number: str
    site: str
    state: str
    lines: tuple[tuple[str, Decimal], ...]
    ship_by_at: datetime | None = None
    shipments: tuple[ShipmentNode, ...] = ()


class RuleVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one sourcing rule said, of one site or of the order."""

    rule: str
    kind: str
    verdict: str
    reason: str
    site: str = ""


class Sourcing(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run of sourcing: what was chosen and what every rule said. `data` keeps all that the process recorded."""

    at: datetime
    allocations: tuple[Mapping[str, Any], ...]
    trace: tuple[RuleVerdict, ...]
    held: str = ""
    data: Mapping[str, Any] = {}


class OrderMoney(msgspec.Struct, frozen=True, omit_defaults=True):
    """Values at the order's own prices; None where a price or currency is missing."""

    ordered: Money | None = None
    shipped: Money | None = None
    invoiced: Money | None = None


class Clock(msgspec.Struct, frozen=True, omit_defaults=True):
    """What must happen by when, and why. `minutes_left` below zero is late."""

    due_at: datetime
    minutes_left: int
    what: str
    reason: str


class OrderPage(msgspec.Struct, frozen=True):
    """Everything the order page shows."""

    number: str
    aggregate_id: str
    status: str
    at_risk: bool
    customer: str
    promise_at: datetime | None
    created_at: datetime
    names: tuple[Name, ...]
    clock: Clock | None
    milestones: tuple[MilestonePoint, ...]
    steps: tuple[Step, ...]
    events: tuple[Event, ...]
    knowledge: tuple[Knowledge, ...]
    contradictions: tuple[Contradiction, ...]
    graph: tuple[FulfillmentNode, ...]
    sourcing: tuple[Sourcing, ...]
    money: OrderMoney
    faults: tuple[Fault, ...]
    state: OrderState
    not_invoiced: tuple[Obstacle, ...] = ()
    not_delivered: tuple[Obstacle, ...] = ()


def load(
    connection: Connection, tenant_id: str, text: str, *, configuration: Configuration, now: datetime
) -> OrderPage:
    """Return the page of the order that `text` names, or raise `NotFound`."""
    number = order_facts.find_number(connection, tenant_id, text)
    return fold(order_facts.load(connection, tenant_id, number), configuration, now)


def fold(facts: OrderFacts, configuration: Configuration, now: datetime) -> OrderPage:
    """Return the page that these facts make, as seen at `now`."""
    state = facts.state
    rows = knowledge(facts, configuration, now)
    party = state.order.customer
    return OrderPage(
        number=facts.number,
        aggregate_id=facts.aggregate_id,
        status=facts.status,
        at_risk=facts.at_risk,
        customer=(party.name or party.code) if party else (state.order.ship_to.name if state.order.ship_to else ""),
        promise_at=state.promise_at,
        created_at=facts.created_at,
        names=facts.names,
        clock=clock(facts, now),
        milestones=milestone_bar(facts, now),
        steps=steps(facts.events, facts.outbound, facts.documents),
        events=facts.events,
        knowledge=rows,
        contradictions=contradictions(facts, rows),
        graph=graph(facts),
        sourcing=tuple(_sourcing(event) for event in facts.events if event.type == "crossdock.order.sourced.v1"),
        money=money(state),
        faults=facts.faults,
        state=state,
        not_invoiced=why_not_invoiced(facts, configuration.policy.orders),
        not_delivered=why_not_delivered(facts, configuration.policy.orders),
    )


def steps(
    events: Iterable[Event], outbound: Iterable[OutboundFact] = (), documents: Iterable[DocumentFact] = ()
) -> tuple[Step, ...]:
    """Group facts into steps, in the order they began.

    An event joins the step of what caused it: the event named as its cause, else the first one of the same message.
    """
    groups: dict[str, list[Event]] = {}
    root_of: dict[str, str] = {}
    for event in events:
        root = (
            root_of.get(event.causation_id) or (root_of.get(event.message_id) if event.message_id else None) or event.id
        )
        root_of[event.id] = root
        if event.message_id:
            root_of.setdefault(event.message_id, root)
        groups.setdefault(root, []).append(event)
    found = [_event_step(root, group) for root, group in groups.items()]
    found += [_outbound_step(fact) for fact in outbound]
    found += [_document_step(fact) for fact in documents if fact.state not in ("applied", "superseded")]
    return tuple(sorted(found, key=lambda step: (step.at, step.key)))


def milestone_bar(facts: OrderFacts, now: datetime) -> tuple[MilestonePoint, ...]:
    """Return the bar from release to delivery, planned against actual.

    From "shipped" on a point is reached when the last part of the order has reached it, so that the bar of a split
    order never runs against itself.
    """
    state = facts.state
    first = {event.type: event.occurred_at for event in reversed(facts.events)}
    recorded = [
        event
        for event in facts.events
        if event.type == "crossdock.milestone.recorded.v1" and not is_on_the_way_back(event.data, facts)
    ]
    moved = {
        code: moment
        for event in reversed(recorded)
        if event.data.get("milestone_class", "actual") == "actual"
        for code, moment in [(str(event.data.get("code", "")), event.occurred_at)]
    }
    sent = [f.sent_at for f in facts.outbound if f.document_type == "fulfillment_request" and f.sent_at is not None]
    ship_by = max((f.ship_by_at for f in state.fulfillments if f.ship_by_at is not None), default=None)
    shipped = [s.shipped_at for s in state.shipments if s.shipped_at is not None]
    all_shipped = facts.status in ("shipped", *DELIVERED)
    delivered = max(
        (m.at for m in state.milestones if m.code == "delivered" and not m.estimated and m.leg == "outbound"),
        default=None,
    )
    points = (
        ("released", "Released", None, first.get("crossdock.order.created.v1", facts.created_at)),
        ("requested", "Sent to site", None, min(sent) if sent else None),
        ("picked", "Picked", None, first.get("crossdock.fulfillment.picked.v1") or moved.get("picked")),
        ("packed", "Packed", None, first.get("crossdock.fulfillment.packed.v1") or moved.get("packed")),
        ("shipped", "Shipped", ship_by, max(shipped) if shipped and all_shipped else None),
        ("in_transit", "In transit", None, _last_part(facts, recorded, ("in_transit", "departed_pickup"))),
        ("out_for_delivery", "Out for delivery", None, _last_part(facts, recorded, ("out_for_delivery",))),
        ("delivered", "Delivered", state.promise_at, delivered if facts.status in DELIVERED else None),
    )
    cancelled = facts.status == "cancelled"
    return tuple(
        MilestonePoint(
            code, title, planned, actual, planned is not None and not cancelled and (actual or now) > planned
        )
        for code, title, planned, actual in points
    )


def _last_part(facts: OrderFacts, recorded: Iterable[Event], codes: tuple[str, ...]) -> datetime | None:
    """Return when the last shipment of the order reached a point; None while one has not, or has not left."""
    if facts.status not in ("shipped", *DELIVERED):
        return None
    shipment_of = {number: one.number for one in facts.state.shipments for number in (one.number, *one.tracking)}
    first: dict[str, datetime] = {}
    for event in recorded:
        data = event.data
        if data.get("milestone_class", "actual") == "actual" and data.get("code") in codes:
            told = str(data.get("tracking") or data.get("shipment_number") or "")
            name = shipment_of.get(told, told)
            first[name] = min(first.get(name, event.occurred_at), event.occurred_at)
    whole = "" in first or set(shipment_of.values()) <= set(first) or facts.status in DELIVERED
    return max(first.values(), default=None) if whole else None


def graph(facts: OrderFacts) -> tuple[FulfillmentNode, ...]:
    """Return order → fulfillments → shipments → parcels. Shipments no fulfillment asked for hang under an empty one."""
    units = {
        str(event.data.get("number", "")): event.data.get("units", ())
        for event in facts.events
        if event.type in ("crossdock.shipment.recorded.v1", "crossdock.shipment.departed.v1")
    }
    nodes: dict[str, list[ShipmentNode]] = {}
    for shipment in facts.state.shipments:
        nodes.setdefault(shipment.fulfillment, []).append(
            ShipmentNode(
                number=shipment.number,
                site=shipment.site,
                shipped_at=shipment.shipped_at,
                delivered=shipment.delivered,
                lines=tuple((line.line_no, line.quantity) for line in shipment.lines),
                tracking=shipment.tracking,
                parcels=parcels_of(units.get(shipment.number, ()), shipment.tracking, shipment.delivered),
                evidence=shipment.evidence,
            )
        )
    known = [
        FulfillmentNode(
            number=fulfillment.number,
            site=fulfillment.site,
            state=fulfillment.state,
            lines=tuple((line.line_no, line.quantity) for line in fulfillment.lines),
            ship_by_at=fulfillment.ship_by_at,
            shipments=tuple(nodes.pop(fulfillment.number, ())),
        )
        for fulfillment in facts.state.fulfillments
    ]
    strays = [node for rest in nodes.values() for node in rest]
    return (*known, *([FulfillmentNode("", "", "unasked", (), None, tuple(strays))] if strays else []))


def parcels_of(units: Iterable[Mapping[str, Any]], tracking: Iterable[str], delivered: bool) -> tuple[Parcel, ...]:
    """Return the parcels of a shipment: its units, or one for each tracking number where the site named no units.

    A site may name a unit once for each line in it: what bears one name is one parcel.
    """
    contents: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for unit in units:
        name = (str(unit.get("sscc") or unit.get("id", "")), str(unit.get("tracking", "")))
        parts = [(str(part.get("sku", "")), str(part.get("quantity", ""))) for part in unit.get("contents", ())]
        contents.setdefault(name, []).extend(parts)
    if contents:
        return tuple(Parcel(*name, tuple(parts), delivered) for name, parts in contents.items())
    return tuple(Parcel(number, number, (), delivered) for number in dict.fromkeys(tracking))


def money(state: OrderState) -> OrderMoney:
    """Return what was ordered, has shipped and was released for invoicing, at the order's prices."""
    shipped = {line.line_no: line.shipped for line in state.lines}
    invoiced = {line.line_no: line.invoiced for line in state.lines}
    return OrderMoney(amount_of(state.order), amount_of(state.order, shipped), amount_of(state.order, invoiced))


def clock(facts: OrderFacts, now: datetime) -> Clock | None:
    """Return the next deadline with its reason; None once nothing is owed any more."""
    if facts.status in _FINAL:
        return None
    state = facts.state
    open_ones = [f for f in state.fulfillments if f.state in ACTIVE_STATES and f.ship_by_at is not None]
    service = state.service_level or "default"
    if open_ones:
        first = min(open_ones, key=lambda f: (f.ship_by_at or now, f.number))
        assert first.ship_by_at is not None
        due, what = first.ship_by_at, f"{first.site} ships {first.number}"
        reason = f"ship-by of {first.site} for service level {service}"
    elif state.promise_at is not None:
        due, what, reason = (
            state.promise_at,
            "the order is delivered",
            f"promise to the customer, service level {service}",
        )
    else:
        return None
    return Clock(due, int((due - now).total_seconds() // 60), what, reason)


def _event_step(root: str, group: list[Event]) -> Step:
    first = group[0]
    states = {_state_of(event) for event in group}
    state = next((s for s in ("failed", "held", "waiting", "done") if s in states), "info")
    entries = tuple(Entry(e.id, "event", e.type, e.occurred_at, event_text(e)) for e in group)
    return Step(
        key=root,
        at=first.occurred_at,
        title=entries[0].text,
        who=first.partner or "hub",
        state=state,  # type: ignore[arg-type]
        detail="; ".join(dict.fromkeys(entry.text for entry in entries[1:])),
        until=group[-1].recorded_at if group[-1].recorded_at > first.occurred_at else None,
        entries=entries,
    )


def _outbound_step(fact: OutboundFact) -> Step:
    paper = PAPERS.get(fact.document_type, fact.document_type.replace("_", " "))
    acknowledged = {"accepted": ", acknowledged", "accepted_with_errors": ", acknowledged with errors"}
    match fact.state:
        case "sent" if fact.ack_state in ("rejected", "overdue"):
            word = "refused by the partner" if fact.ack_state == "rejected" else "sent, acknowledgment overdue"
            state: StepState = "failed"
        case "sent":
            waits = fact.ack_state == "awaited"
            word = "sent, acknowledgment awaited" if waits else "sent" + acknowledged.get(fact.ack_state, "")
            state = "waiting" if waits else "done"
        case "dead":
            word, state = "not sent: given up", "failed"
        case "discarded":
            word, state = "discarded", "info"
        case "unknown":
            word, state = "sent, outcome unknown", "waiting"
        case _:
            word, state = "waits to be sent", "waiting"
    entry = Entry(
        fact.message_id, "outbound", fact.document_type, fact.created_at, f"{paper} to {fact.partner}: {word}"
    )
    return Step(
        key=fact.message_id,
        at=fact.created_at,
        title=f"{paper[:1].upper()}{paper[1:]} to {fact.partner}: {word}",
        who=fact.partner,
        state=state,
        detail=f"{fact.error_code} {fact.error}".strip(),
        until=fact.sent_at or fact.next_attempt_at,
        attempts=fact.attempts,
        entries=(entry,),
    )


def _document_step(fact: DocumentFact) -> Step:
    words = {"held": f"held, awaits {fact.awaits}", "parked": "parked, its order is not known yet"}
    text = f"{fact.type} {fact.business_key}".strip() + f" {words.get(fact.state, fact.state)}"
    state: StepState = "held" if fact.state in words else "failed" if fact.state == "rejected" else "info"
    entry = Entry(fact.document_id, "document", fact.type, fact.updated_at, text)
    return Step(fact.document_id, fact.updated_at, text, "", state, entries=(entry,))


def _state_of(event: Event) -> StepState:
    name = event.type.removeprefix("crossdock.")
    if name.startswith(("fulfillment.rejected", "document.rejected")):
        return "failed"
    if name.startswith(("document.held", "order.parked", "order.at_risk", "order.backordered")):
        return "held"
    return "done"


def event_text(event: Event) -> str:
    """Return one event as a plain sentence, with the words that tell it from others of its type."""
    data = event.data
    name = event.type
    if name == "crossdock.milestone.recorded.v1":
        kind = MILESTONES.get(str(data.get("code", "")))
        word = (kind.customer or kind.code.replace("_", " ").capitalize()) if kind else str(data.get("code", ""))
        expected = data.get("milestone_class", "actual") != "actual"
        return f"{word}{' (expected)' if expected else ''} {data.get('tracking', '')}".strip()
    if name == "crossdock.return.changed.v1":
        return f"Return {data.get('number', '')} is {str(data.get('status', '')).replace('_', ' ')}"
    if name == "crossdock.invoice.status.v1":
        return f"Invoice {data.get('number') or data.get('release', '')} is {data.get('status', '')}"
    if name == "crossdock.fulfillment.answered.v1":
        return f"{data.get('number', '')} {data.get('outcome', '')} by {data.get('site') or event.partner}".strip()
    if name == "crossdock.deadline.passed.v1":
        return f"Deadline passed: {data.get('name', data.get('timer', ''))}".strip(": ")
    kind_of = EVENT_TYPES.get(name)
    title = name.removeprefix("crossdock.").rpartition(".v")[0].replace(".", " ").replace("_", " ")
    number = data.get("number") or data.get("fulfillment") or data.get("shipment") or ""
    reason = data.get("reason") or data.get("cause") or ""
    text = f"{title[:1].upper()}{title[1:]} {number}".strip()
    if reason and isinstance(reason, str):
        text += f": {reason}"
    return text if kind_of is None or text else kind_of.summary


def _sourcing(event: Event) -> Sourcing:
    data = event.data
    trace = tuple(
        RuleVerdict(
            str(row.get("rule", "")),
            str(row.get("kind", "")),
            str(row.get("verdict", "")),
            str(row.get("reason", "")),
            str(row.get("site", "")),
        )
        for row in data.get("trace", ())
        if isinstance(row, dict)
    )
    allocations = tuple(row for row in data.get("fulfillments", ()) if isinstance(row, dict))
    return Sourcing(event.occurred_at, allocations, trace, str(data.get("held", "")), data)
