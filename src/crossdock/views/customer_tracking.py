"""What the customer sees of an order: plain words, only what is meant for customers, nothing before its evidence.

The fold takes only event types and milestones marked as customer-facing; an internal event shows nothing. "Delivered"
is
shown only where the delivery has its evidence. The lookup by number and postcode answers the same for an order that
does
not exist, one of another tenant and a wrong postcode.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..canonical.events import Event
from ..canonical.milestones import MILESTONES
from ..canonical.quantities import Money
from ..canonical.returns import ReturnProgress
from ..errors import NotFound
from ..processes.order_state import DELIVERED, Bill
from ..store.engine import Connection
from . import order_facts
from .order_facts import OrderFacts, is_on_the_way_back
from .order_timeline import parcels_of

_NOISE = re.compile(r"[^0-9a-z]+")

_ZIP_COUNTRIES = ("US", "USA")

STATUS_WORDS = {
    "on_hold": "We are preparing your order",
    "released": "We are preparing your order",
    "in_fulfillment": "We are preparing your order",
    "backordered": "Waiting for stock",
    "cancelling": "We are preparing your order",
    "cancelled": "Cancelled",
    "partly_shipped": "Part of your order is on its way",
    "shipped": "Your order is on its way",
    "delivered": "Your order is on its way",
    "partly_returned": "Delivered, and part of it came back",
    "returned": "Returned",
}

# What a customer reads of a return, by its status.
RETURN_WORDS = {
    "in_review": "We are looking at your request",
    "authorized": "Accepted: please send the goods",
    "labelled": "Accepted: your label is ready",
    "in_transit": "On its way back",
    "arrived": "Arrived with us, being checked",
    "partly_received": "Part of it has arrived",
    "inspected": "Checked",
    "credit_pending": "Checked: your credit is being made",
    "closed": "Done",
    "refused": "Not accepted",
    "cancelled": "Cancelled",
    "expired": "Ended: nothing was sent in time",
}

INVOICE_WORDS = {
    "released": "Being prepared",
    "posted": "Open",
    "paid": "Paid",
    "disputed": "Disputed",
    "refused": "Being prepared",
    "crediting": "Being corrected",
    "credited": "Credited",
}


class TrackedParcel(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parcel in the customer's words. `delivered_at` only with evidence."""

    number: str
    carrier: str
    status: str
    contents: tuple[tuple[str, str], ...] = ()
    expected_at: datetime | None = None
    delivered_at: datetime | None = None


class TrackedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: what was ordered, what left, what waits."""

    name: str
    quantity: Decimal
    shipped: Decimal = Decimal(0)
    waiting: Decimal = Decimal(0)
    cancelled: Decimal = Decimal(0)


class TrackedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the customer's timeline, newest first on the page."""

    at: datetime
    text: str
    place: str = ""
    parcel: str = ""


class DeliveryProof(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who took it, when, and where the photo or signature lies."""

    parcel: str
    at: datetime
    signed_by: str = ""
    document: str = ""
    kind: str = "pod"


class TrackedReturn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One return in the customer's words. `lines` are (name, asked, received); `credited` only once it is posted."""

    number: str
    status: str
    text: str
    lines: tuple[tuple[str, Decimal, Decimal], ...] = ()
    refusals: tuple[str, ...] = ()
    tracking: str = ""
    label: str = ""
    credited: Money | None = None
    exchange_order: str = ""


class TrackedInvoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One invoice as its customer may see it: from the moment the ERP gave it a number."""

    number: str
    status: str
    text: str
    amount: Money | None = None
    at: datetime | None = None
    replaces: str = ""
    credit_memo: str = ""


class Tracking(msgspec.Struct, frozen=True):
    """The customer's page. `answer` is the one-line answer; `step` counts 0 to 4 of the five-step bar.

    `silent`: the carrier's feed is silent, so there is no update; nothing is known to be late.
    """

    number: str
    answer: str
    step: int
    promised_at: datetime | None
    ordered_at: datetime | None
    lines: tuple[TrackedLine, ...]
    parcels: tuple[TrackedParcel, ...]
    timeline: tuple[TrackedEvent, ...]
    proofs: tuple[DeliveryProof, ...]
    silent: bool = False
    returns: tuple[TrackedReturn, ...] = ()
    invoices: tuple[TrackedInvoice, ...] = ()


def look_up(connection: Connection, tenant_id: str, number: str, postcode: str) -> Tracking | None:
    """Return the customer's page for an order number and the postcode of its delivery; None whenever the two do not
    fit.
    """
    try:
        found = order_facts.find_number(connection, tenant_id, number.strip())
        facts = order_facts.load(connection, tenant_id, found)
    except NotFound:
        return None
    address = facts.state.order.ship_to
    expected, given = _postcode(address.postcode if address else ""), _postcode(postcode)
    if address is not None and address.country.upper() in _ZIP_COUNTRIES:
        # A ZIP code and its ZIP+4 name the same door.
        expected, given = expected[:5], (given[:5] if len(given) in (5, 9) else given)
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        return None
    return fold(facts)


def load(connection: Connection, tenant_id: str, number: str) -> Tracking:
    """Return the customer's page of an order whose viewer is already known, or raise `NotFound`."""
    return fold(order_facts.load(connection, tenant_id, order_facts.find_number(connection, tenant_id, number)))


def fold(facts: OrderFacts) -> Tracking:
    """Return the customer's page that these facts make."""
    state = facts.state
    back = [
        event
        for event in facts.events
        if event.type == "crossdock.milestone.recorded.v1" and is_on_the_way_back(event.data, facts)
    ]
    if back:
        # What travels back is told by the return; here it would look as if the goods were delivered once more.
        facts = msgspec.structs.replace(facts, events=tuple(event for event in facts.events if event not in back))
    proofs = _proofs(facts.events)
    parcels = _parcels(facts, proofs)
    lines = tuple(
        TrackedLine(line.description or line.sku, line.quantity, ledger.shipped, ledger.backordered, ledger.cancelled)
        for line, ledger in zip(state.order.lines, state.lines, strict=False)
    )
    arrived = sum(1 for parcel in parcels if parcel.delivered_at is not None)
    whole = facts.status in DELIVERED and bool(parcels) and arrived == len(parcels)
    return Tracking(
        number=state.order.number,
        answer=_answer(facts.status, len(parcels), arrived, whole),
        step=_step(facts.status, parcels, whole),
        promised_at=None if facts.status == "cancelled" else state.promise_at,
        ordered_at=state.order.ordered_at,
        lines=lines,
        parcels=parcels,
        timeline=_timeline(facts.events, {proof.parcel for proof in proofs}),
        proofs=proofs,
        silent=facts.silent,
        returns=tuple(_return(one, facts) for one in state.returns),
        invoices=_invoices(state.bills),
    )


def _answer(status: str, parcels: int, arrived: int, whole: bool) -> str:
    if status in ("partly_returned", "returned"):
        return STATUS_WORDS[status]
    if whole:
        return "Delivered" if parcels == 1 else f"All {parcels} parcels are delivered"
    if arrived and parcels > 1:
        return f"{arrived} of {parcels} parcels delivered"
    return STATUS_WORDS.get(status, "We are preparing your order")


def _step(status: str, parcels: Iterable[TrackedParcel], whole: bool) -> int:
    """Return the step of the bar: 0 ordered, 1 preparing, 2 shipped, 3 out for delivery, 4 delivered."""
    if whole:
        return 4
    words = {parcel.status for parcel in parcels}
    if words & {"Out for delivery", "Ready for pick-up"}:
        return 3
    if status in ("shipped", "partly_shipped", *DELIVERED):
        return 2
    return 1 if status in ("in_fulfillment", "released", "cancelling") else 0


def _parcels(facts: OrderFacts, proofs: tuple[DeliveryProof, ...]) -> tuple[TrackedParcel, ...]:
    delivered = {proof.parcel: proof.at for proof in proofs}
    shipped = {
        str(e.data.get("number", "")): e.data for e in facts.events if e.type == "crossdock.shipment.recorded.v1"
    }
    result = []
    for shipment in facts.state.shipments:
        data: dict[str, Any] = shipped.get(shipment.number, {})
        for parcel in parcels_of(data.get("units", ()), shipment.tracking, shipment.delivered):
            number = parcel.tracking or shipment.number
            at = delivered.get(number) or delivered.get(shipment.number)
            word, expected = _last_word(facts.events, number, shipment.number, known_delivered=at is not None)
            contents = parcel.contents or tuple((line.line_no, str(line.quantity)) for line in shipment.lines)
            result.append(
                TrackedParcel(
                    number=number,
                    carrier=str(data.get("carrier", "")),
                    status="Delivered" if at else word or "Handed to the carrier",
                    contents=_named(contents, facts),
                    expected_at=None if at else expected,
                    delivered_at=at,
                )
            )
    return _distinct(result)


def _distinct(parcels: Iterable[TrackedParcel]) -> tuple[TrackedParcel, ...]:
    """Return each number once, with all that travels under it."""
    found: dict[str, TrackedParcel] = {}
    for parcel in parcels:
        known = found.get(parcel.number)
        if known is not None:
            parcel = msgspec.structs.replace(known, contents=(*known.contents, *parcel.contents))
        found[parcel.number] = parcel
    return tuple(found.values())


def _named(contents: Iterable[tuple[str, str]], facts: OrderFacts) -> tuple[tuple[str, str], ...]:
    """Put the goods' names where the parcel has SKUs or line numbers."""
    names = {line.line_no: line.description or line.sku for line in facts.state.order.lines}
    names |= {line.sku: line.description or line.sku for line in facts.state.order.lines}
    return tuple((names.get(key, key), quantity) for key, quantity in contents)


def _last_word(
    events: Iterable[Event], tracking: str, shipment: str, *, known_delivered: bool
) -> tuple[str, datetime | None]:
    """Return the furthest visible milestone of a parcel, and when its delivery is expected."""
    best, word, expected = -1, "", None
    for event in events:
        if event.type != "crossdock.milestone.recorded.v1" or not _concerns(event, tracking, shipment):
            continue
        kind = MILESTONES.get(str(event.data.get("code", "")))
        if kind is None or not kind.customer:
            continue
        if event.data.get("milestone_class", "actual") != "actual":
            if kind.code == "delivered":
                expected = event.occurred_at
            continue
        if kind.needs_evidence and not known_delivered:
            continue
        # What has no rank (held, attempted, delayed) is news until something further happens.
        if kind.rank == 0 or kind.rank >= best:
            best, word = max(best, kind.rank), kind.customer
    return word, expected


def _concerns(event: Event, tracking: str, shipment: str) -> bool:
    told = str(event.data.get("tracking", ""))
    if told:
        return told == tracking
    number = str(event.data.get("shipment_number", ""))
    return number == shipment if number else True


def _proofs(events: Iterable[Event]) -> tuple[DeliveryProof, ...]:
    """Return the deliveries that have evidence, one for each parcel: the first that came."""
    found: dict[str, DeliveryProof] = {}
    for event in events:
        data = event.data
        evidence = data.get("evidence")
        if event.type == "crossdock.delivery.proven.v1":
            evidence, data = data, {**data, "code": "delivered"}
            delivered = True
        else:
            delivered = event.type == "crossdock.milestone.recorded.v1" and data.get("code") == "delivered"
        if not delivered or data.get("milestone_class", "actual") != "actual" or not isinstance(evidence, dict):
            continue
        parcel = str(data.get("tracking") or data.get("shipment_number") or "")
        at = evidence.get("at")
        moment = datetime.fromisoformat(at) if isinstance(at, str) else event.occurred_at
        proof = DeliveryProof(
            parcel,
            moment,
            str(evidence.get("signed_by", "")),
            str(evidence.get("document", "")),
            str(evidence.get("kind", "pod")),
        )
        found.setdefault(parcel, proof)
    return tuple(found.values())


def _timeline(events: Iterable[Event], proven: set[str]) -> tuple[TrackedEvent, ...]:
    result: dict[tuple[str, str], TrackedEvent] = {}
    for event in events:
        text, parcel = "", ""
        match event.type:
            case "crossdock.order.created.v1":
                text = "We received your order"
            case "crossdock.order.backordered.v1":
                text = "Part of your order waits for stock"
            case "crossdock.order.cancelled.v1":
                text = "Cancelled as requested"
            case "crossdock.fulfillment.packed.v1":
                text = "Packed"
            case "crossdock.shipment.recorded.v1":
                text = "Shipped"
            case "crossdock.return.changed.v1":
                text = _return_text(event)
            case "crossdock.milestone.recorded.v1":
                parcel = str(event.data.get("tracking") or event.data.get("shipment_number") or "")
                text = _milestone_text(event, parcel in proven)
            case _:
                continue
        if text:
            # The same news told twice is one line: the earliest.
            key = (text, parcel or str(event.data.get("number", "")))
            result.setdefault(key, TrackedEvent(event.occurred_at, text, _place(event), parcel))
    return tuple(sorted(result.values(), key=lambda entry: entry.at))


def _return_text(event: Event) -> str:
    status = str(event.data.get("status", ""))
    words = {"authorized": "Return accepted", "in_transit": "Return on its way", "closed": "Return done"}
    return words.get(status, f"Return: {RETURN_WORDS.get(status, status).lower()}")


def _return(one: ReturnProgress, facts: OrderFacts) -> TrackedReturn:
    names = {line.line_no: line.description or line.sku for line in facts.state.order.lines}
    return TrackedReturn(
        number=one.number,
        status=one.status,
        text=RETURN_WORDS.get(one.status, one.status),
        lines=tuple(
            (names.get(line.line_no, line.sku), max(line.claimed, line.received), line.received) for line in one.lines
        ),
        refusals=one.refusals,
        tracking=one.tracking,
        label=one.label,
        credited=one.credited,
        exchange_order=one.exchange_order,
    )


def _invoices(bills: Iterable[Bill]) -> tuple[TrackedInvoice, ...]:
    names = {bill.number: bill.invoice for bill in bills}
    return tuple(
        TrackedInvoice(
            bill.invoice,
            bill.state,
            INVOICE_WORDS.get(bill.state, bill.state),
            bill.amount,
            bill.at,
            names.get(bill.replaces, ""),
            bill.credit_memo,
        )
        for bill in bills
        if bill.invoice
    )


def _milestone_text(event: Event, proven: bool) -> str:
    kind = MILESTONES.get(str(event.data.get("code", "")))
    if kind is None or event.data.get("milestone_class", "actual") != "actual":
        return ""
    return "" if kind.needs_evidence and not proven else kind.customer


def _place(event: Event) -> str:
    location = event.data.get("location")
    if not isinstance(location, dict):
        return ""
    address = location.get("address") or {}
    return ", ".join(part for part in (str(address.get("city", "")), str(address.get("country", ""))) if part)


def _postcode(text: str) -> str:
    return _NOISE.sub("", text.lower())
