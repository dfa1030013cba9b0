"""Who knows what of an order: for each system the last thing it told us or was told, how old that is, and who is
behind.

A system that was not told is never shown as if it knew: a message that still waits is named as waiting.
Where two systems contradict each other, the one that saw the thing itself is named as the one to believe.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from ..canonical.events import Event
from ..canonical.milestones import MILESTONES, rank_of
from ..governance.configuration import Configuration
from ..processes.order_state import DELIVERED
from .order_facts import OrderFacts, OutboundFact

# How far along a word is, so that two systems can be compared.
_RANKS = {
    "released": 10, "asked": 20, "accepted": 30, "picked": 40, "packed": 50, "partly shipped": 55, "shipped": 60,
    "in transit": 65, "delivered": 80,
}  # fmt: skip

_ANSWERS = {
    "accepted": "accepted",
    "picked": "picked",
    "packed": "packed",
    "rejected": "refused",
    "cancelled": "cancelled",
}


class Knowledge(msgspec.Struct, frozen=True, omit_defaults=True):
    """One system. `state` is in words; `source_id` leads to the event or message that says so.

    `waiting` names what it has not been told yet and why. `age_seconds` is the age of `at` when looked at.
    """

    partner: str
    name: str
    role: str
    state: str
    direction: Literal["told us", "was told", ""] = ""
    at: datetime | None = None
    age_seconds: int | None = None
    source_id: str = ""
    waiting: str = ""
    behind: bool = False


class Contradiction(msgspec.Struct, frozen=True):
    """Two systems that cannot both be right. `believe` names the one that saw it itself."""

    text: str
    partners: tuple[str, str]
    believe: str


class _Word(msgspec.Struct, frozen=True):
    state: str
    at: datetime
    source_id: str
    direction: Literal["told us", "was told"]
    rank: int = 0


def knowledge(facts: OrderFacts, configuration: Configuration, now: datetime) -> tuple[Knowledge, ...]:
    """Return one row for each system that has to do with the order: ERP and shop first, then sites, carriers, service
    desk.
    """
    heard: dict[str, _Word] = {}
    for event in facts.events:
        word = _told_us(event)
        if word is not None and event.partner:
            heard[event.partner] = _newer(heard.get(event.partner), word)
    told: dict[str, _Word] = {}
    waiting: dict[str, str] = {}
    for fact in facts.outbound:
        if fact.state == "sent":
            told[fact.partner] = _newer(told.get(fact.partner), _was_told(fact))
        if _waits(fact):
            waiting[fact.partner] = _waits(fact)
    concerned = {*heard, *told, *waiting}
    concerned |= {site.partner for site in (configuration.sites.get(f.site) for f in facts.state.fulfillments) if site}
    concerned |= {name for name, spec in configuration.partners.items() if spec.role in ("erp", "shop", "service_desk")}
    truth = _truth(facts)
    rows = [
        _row(name, heard.get(name), told.get(name), waiting.get(name, ""), configuration, now, truth)
        for name in concerned
    ]
    order = {
        role: place
        for place, role in enumerate(("erp", "shop", "wms", "3pl", "tms", "carrier", "portal", "service_desk"))
    }
    return tuple(sorted(rows, key=lambda row: (order.get(row.role, 99), row.partner)))


def contradictions(facts: OrderFacts, rows: tuple[Knowledge, ...]) -> tuple[Contradiction, ...]:
    """Return where systems disagree: a carrier that moves what no site shipped, a system that knows less than the hub
    told.
    """
    found = []
    shipped = {shipment.fulfillment for shipment in facts.state.shipments}
    waiting_sites = [
        f for f in facts.state.fulfillments if f.number not in shipped and f.state not in ("cancelled", "rejected")
    ]
    for event in facts.events:
        actual = event.data.get("milestone_class", "actual") == "actual"
        if (
            event.type != "crossdock.milestone.recorded.v1"
            or not actual
            or rank_of(str(event.data.get("code", ""))) < 30
        ):
            continue
        number = str(event.data.get("fulfillment_number", ""))
        silent = next((f for f in waiting_sites if number == f.number or (not number and not shipped)), None)
        if silent is not None:
            text = f"{event.partner} moves {silent.number}, but {silent.site} has not confirmed the shipment"
            found.append(Contradiction(text, (event.partner, silent.site), event.partner))
    for row in rows:
        if row.behind and not row.waiting and row.role in ("erp", "shop"):
            told = facts.status.replace("_", " ")
            text = f"{row.name} knows {row.state or 'nothing'}, the hub knows {told}, and nothing is on its way"
            found.append(Contradiction(text, (row.partner, "hub"), "hub"))
    return tuple(dict.fromkeys(found))


def _row(
    partner: str,
    heard: _Word | None,
    told: _Word | None,
    waiting: str,
    configuration: Configuration,
    now: datetime,
    truth: int,
) -> Knowledge:
    spec = configuration.partners.get(partner)
    role = spec.role if spec else "other"
    words = [word for word in (heard, told) if word is not None]
    last = max(words, key=lambda word: word.at) if words else None
    rank = max((word.rank for word in words), default=0)
    return Knowledge(
        partner=partner,
        name=spec.name if spec else partner,
        role=role,
        state=last.state if last else "",
        direction=last.direction if last else "",
        at=last.at if last else None,
        age_seconds=max(0, int((now - last.at).total_seconds())) if last else None,
        source_id=last.source_id if last else "",
        waiting=waiting,
        # Only who must follow the goods can be behind: the ERP posts them, the shop shows those it sold.
        behind=(role == "erp" or (role == "shop" and bool(last or waiting)))
        and truth >= _RANKS["shipped"]
        and rank < min(truth, _RANKS["shipped"]),
    )


def _truth(facts: OrderFacts) -> int:
    if facts.status in DELIVERED:
        return _RANKS["delivered"]
    return _RANKS["shipped"] if facts.status in ("shipped", "partly_shipped") else 0


def _newer(before: _Word | None, word: _Word) -> _Word:
    return word if before is None or word.at >= before.at else before


def _told_us(event: Event) -> _Word | None:
    data = event.data
    match event.type:
        case "crossdock.order.released.v1":
            state = "released"
        case "crossdock.order.cancel_requested.v1":
            state = "cancel asked"
        case "crossdock.fulfillment.answered.v1":
            outcome = str(data.get("outcome", ""))
            state = _ANSWERS.get(outcome, outcome.replace("_", " "))
        case "crossdock.shipment.departed.v1":
            state = "shipped" if data.get("final", True) else "partly shipped"
        case "crossdock.case.changed.v1":
            state = f"case {data.get('action', '')}".strip()
        case "crossdock.milestone.recorded.v1":
            code = str(data.get("code", ""))
            kind = MILESTONES.get(code)
            expected = data.get("milestone_class", "actual") != "actual"
            state = ((kind.customer if kind else "") or code.replace("_", " ")).lower() + (
                " expected" if expected else ""
            )
            rank = 0 if expected else _RANKS["delivered"] if code == "delivered" else _RANKS["in transit"]
            return _Word(state, event.occurred_at, event.id, "told us", rank)
        case _:
            return None
    return _Word(state, event.occurred_at, event.id, "told us", _RANKS.get(state, 0))


def _was_told(fact: OutboundFact) -> _Word:
    canonical = fact.canonical if isinstance(fact.canonical, dict) else {}
    match fact.document_type:
        case "fulfillment_request":
            state = "asked"
        case "fulfillment_cancel":
            state = "cancel asked"
        case "shipment_confirmation":
            state = "shipped"
        case "order_status":
            state = str(canonical.get("status", "status")).replace("_", " ")
        case "invoice_release":
            state = "invoice released"
        case "service_case":
            state = f"case {canonical.get('action', '')}".strip()
        case other:
            state = other.replace("_", " ")
    rank = _RANKS["shipped"] if fact.document_type == "invoice_release" else _RANKS.get(state, 0)
    return _Word(state, fact.sent_at or fact.created_at, fact.message_id, "was told", rank)


def _waits(fact: OutboundFact) -> str:
    paper = fact.document_type.replace("_", " ")
    if fact.state in ("pending", "sending"):
        return (
            f"{paper} waits"
            + (f", attempt {fact.attempts + 1}" if fact.attempts else "")
            + (f": {fact.error}" if fact.error else "")
        )
    if fact.state == "unknown":
        return f"{paper}: nobody knows whether it arrived"
    if fact.state == "dead":
        return f"{paper} was given up: {fact.error or fact.error_code}"
    if fact.state == "sent" and fact.ack_state in ("rejected", "overdue"):
        return f"{paper}: acknowledgment {fact.ack_state}"
    return ""
