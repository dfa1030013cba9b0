"""Returns: the list with its facets, and one return as finance, warehouse and service look at it.

The three columns are folds of one state, so they cannot differ; each says in words what its people wait for.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import msgspec

from ..canonical.events import Event
from ..canonical.identifiers import search_key
from ..canonical.quantities import Money
from ..durable.identity import from_micros
from ..errors import CrossdockError, NotFound
from ..processes.ledger import ZERO, quantity_text
from ..processes.returns.state import ENDED, CreditRecord, ReturnLineState, ReturnState, value_of
from ..store import journal
from ..store.engine import Connection
from . import order_facts
from .order_facts import Fault, OutboundFact
from .order_timeline import Step, steps

PAGE_MAX = 200
RETURNS = "tenant_id = ? and kind = 'return'"

_state = msgspec.json.Decoder(ReturnState)

STATUS_WORDS = {
    "in_review": "Somebody looks at the request",
    "authorized": "The goods may be sent",
    "labelled": "The label is ready",
    "in_transit": "The parcel is on its way back",
    "arrived": "The parcel has arrived and is being inspected",
    "partly_received": "Part of the goods has come back",
    "inspected": "The goods are inspected",
    "credit_pending": "The credit is being made",
    "closed": "Done",
    "refused": "Not accepted",
    "cancelled": "Cancelled",
    "expired": "The goods were not sent in time",
}


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked for; empty means all. `text` is part of a number, of the return's or its order's."""

    status: str = ""
    site: str = ""
    channel: str = ""
    late: bool = False
    text: str = ""


class ReturnRow(msgspec.Struct, frozen=True):
    """One row. `late` is true while one of its clocks has run out, or something differs."""

    number: str
    status: str
    words: str
    customer: str
    channel: str
    sites: tuple[str, ...]
    due_at: datetime | None
    late: bool
    value_cents: int
    created_at: datetime
    updated_at: datetime


class Facets(msgspec.Struct, frozen=True):
    """How many returns each value of a facet has, under the other filters."""

    status: dict[str, int]
    site: dict[str, int]
    channel: dict[str, int]
    late: int
    total: int


class ReturnsPage(msgspec.Struct, frozen=True):
    """A page of rows, the cursor of the next one (empty at the end) and the counts beside it."""

    rows: tuple[ReturnRow, ...]
    next_cursor: str
    facets: Facets


class Party(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the three who look at a return: what it knows, what it waits for. `status` is the same for all."""

    name: str
    status: str
    facts: tuple[tuple[str, str], ...]
    waits: str = ""


class ReturnDetail(msgspec.Struct, frozen=True):
    """Everything the return's page shows."""

    number: str
    aggregate_id: str
    order_number: str
    status: str
    words: str
    customer: str
    channel: str
    resolution: str
    site: str
    lines: tuple[ReturnLineState, ...]
    parties: tuple[Party, ...]
    credited: Money | None
    created_at: datetime
    updated_at: datetime
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]
    outbound: tuple[OutboundFact, ...]
    events: tuple[Event, ...]
    state: ReturnState


def load(connection: Connection, tenant_id: str, filter_: Filter, *, cursor: str = "", limit: int = 50) -> ReturnsPage:
    """Return a page of the tenant's returns, the newest number first, after the cursor."""
    count = max(1, min(limit, PAGE_MAX))
    sql, parameters = _conditions(filter_)
    if cursor:
        sql += " and key < ?"
        parameters.append(_key_of(cursor))
    rows = connection.query(
        "select key, status, customer, region, sites, due_at, at_risk, value_cents, created_at, updated_at"  # noqa: S608
        f" from aggregates where {RETURNS}{sql} order by key desc limit ?",
        (tenant_id, *parameters, count + 1),
    )
    page = tuple(
        ReturnRow(
            row[0],
            row[1],
            STATUS_WORDS.get(row[1], str(row[1])),
            row[2],
            row[3],
            _split(row[4]),
            None if row[5] is None else from_micros(row[5]),
            bool(row[6]),
            row[7],
            from_micros(row[8]),
            from_micros(row[9]),
        )
        for row in rows[:count]
    )
    next_cursor = "k" + page[-1].number.encode().hex() if len(rows) > count else ""
    return ReturnsPage(page, next_cursor, facets(connection, tenant_id, filter_))


def facets(connection: Connection, tenant_id: str, filter_: Filter) -> Facets:
    """Count the returns by facet; a facet's own filter does not narrow its own counts."""
    sql, parameters = _conditions(Filter(text=filter_.text))
    grouped = connection.query(
        f"select status, at_risk, sites, region, count(*) from aggregates where {RETURNS}{sql}"  # noqa: S608
        " group by status, at_risk, sites, region",
        (tenant_id, *parameters),
    )
    status: Counter[str] = Counter()
    site: Counter[str] = Counter()
    channel: Counter[str] = Counter()
    late = total = 0
    for row_status, row_late, row_sites, row_channel, count in grouped:
        sites = _split(row_sites)
        fits = {
            "status": not filter_.status or row_status == filter_.status,
            "site": not filter_.site or filter_.site in sites,
            "channel": not filter_.channel or row_channel == filter_.channel,
            "late": not filter_.late or bool(row_late),
        }
        for name, counter, values in (
            ("status", status, (row_status,)),
            ("site", site, sites),
            ("channel", channel, (row_channel,)),
        ):
            if all(fit for facet, fit in fits.items() if facet != name):
                for value in values:
                    counter[value] += count
        if row_late and fits["status"] and fits["site"] and fits["channel"]:
            late += count
        total += count if all(fits.values()) else 0
    return Facets(dict(status.most_common()), dict(site.most_common()), dict(channel.most_common()), late, total)


def find_number(connection: Connection, tenant_id: str, text: str) -> str:
    """Return the number of the return that `text` names: its number, a credit's, a label's. Raises `NotFound`."""
    row = connection.one(f"select key from aggregates where {RETURNS} and key = ?", (tenant_id, text))  # noqa: S608
    if row is not None:
        return str(row[0])
    rows = connection.query(
        "select distinct subject from identifiers where tenant_id = ? and search_key = ? limit 10",
        (tenant_id, search_key(text)),
    )
    found = [str(subject).partition("/")[2] for (subject,) in rows if str(subject).startswith("return/")]
    if len(found) != 1:
        raise NotFound(f"There is no return {text}")
    return found[0]


def detail(connection: Connection, tenant_id: str, text: str) -> ReturnDetail:
    """Return the page of the return that `text` names, or raise `NotFound`."""
    number = find_number(connection, tenant_id, text)
    row = connection.one(
        f"select aggregate_id, created_at, updated_at, state from aggregates where {RETURNS} and key = ?",  # noqa: S608
        (tenant_id, number),
    )
    if row is None:
        raise NotFound(f"There is no return {text}")
    state, subject = _state.decode(row[3]), f"return/{number}"
    outbound = order_facts.load_outbound(connection, tenant_id, subject)
    documents = order_facts.load_documents(connection, tenant_id, subject)
    events = tuple(journal.of_subject(connection, tenant_id, subject))
    objects = [*(f"{subject}|{one.cause}" for one in state.raised), *(fact.message_id for fact in outbound)]
    objects += [fact.document_id for fact in documents]
    return ReturnDetail(
        number=number,
        aggregate_id=row[0],
        order_number=state.order_number,
        status=state.status,
        words=STATUS_WORDS.get(state.status, state.status),
        customer=state.customer,
        channel=state.request.channel,
        resolution=state.request.resolution,
        site=state.site,
        lines=state.lines,
        parties=parties(state, outbound),
        credited=value_of(state) if any(one.state == "posted" for one in state.credits) else None,
        created_at=from_micros(row[1]),
        updated_at=from_micros(row[2]),
        steps=steps(events, outbound, documents),
        faults=order_facts.open_faults(connection, tenant_id, objects),
        outbound=outbound,
        events=events,
        state=state,
    )


def parties(state: ReturnState, outbound: tuple[OutboundFact, ...] = ()) -> tuple[Party, ...]:
    """Return what finance, warehouse and service know and wait for."""
    return (_finance(state, outbound), _warehouse(state, outbound), _service(state))


def _finance(state: ReturnState, outbound: tuple[OutboundFact, ...]) -> Party:
    creditable = sum((line.creditable for line in state.lines), ZERO)
    facts = [("May be credited", quantity_text(creditable))]
    facts += [(f"Credit {credit.memo or credit.number}", _credit_words(credit)) for credit in state.credits]
    if state.exchange is not None:
        facts.append(("Exchange", state.exchange.order_number or state.exchange.state))
    waits = ""
    if state.status == "credit_pending":
        stuck = _stuck(outbound, ("credit_request", "exchange_request"))
        waits = stuck or "the ERP's answer"
    elif state.status not in ENDED:
        waits = "a person's approval" if state.review else "what the site finds"
    return Party("finance", state.status, tuple(facts), waits)


def _warehouse(state: ReturnState, outbound: tuple[OutboundFact, ...]) -> Party:
    allowed = sum((line.allowed for line in state.lines), ZERO)
    came = sum((line.received for line in state.lines), ZERO)
    facts = [("Site", state.site or "none"), ("Expected", quantity_text(allowed)), ("Received", quantity_text(came))]
    kinds: Counter[str] = Counter()
    for receipt in state.receipts:
        for line in receipt.lines:
            kinds[line.disposition] += int(line.quantity)
    facts += [(kind.capitalize() or "Undecided", str(count)) for kind, count in kinds.items()]
    waits = ""
    if not state.receipts and state.status not in ENDED:
        stuck = _stuck(outbound, ("return_authorization",))
        waits = stuck or {"arrived": "its own inspection", "in_review": "a person's approval"}.get(
            state.status, "the parcel"
        )
    return Party("warehouse", state.status, tuple(facts), waits)


def _service(state: ReturnState) -> Party:
    facts = [("Customer is told", STATUS_WORDS.get(state.status, state.status))]
    facts += [(line.description or line.sku or line.line_no, line.refusal) for line in state.lines if line.refusal]
    if state.tracking:
        facts.append(("Label", state.tracking))
    if state.ended_why:
        facts.append(("Why", state.ended_why))
    waits = {
        "in_review": "a person's approval",
        "authorized": "the label" if state.label_asked else "the customer to send the goods",
        "labelled": "the customer to send the goods",
    }.get(state.status, "")
    return Party("service", state.status, tuple(facts), waits)


def _credit_words(credit: CreditRecord) -> str:
    amount = credit.posted or credit.amount
    words = f"{amount.amount} {amount.currency}" if amount is not None else "without a price"
    return f"{words}, {credit.state}" + (f": {credit.reason}" if credit.reason else "")


def _stuck(outbound: tuple[OutboundFact, ...], kinds: tuple[str, ...]) -> str:
    for fact in outbound:
        if fact.document_type in kinds and fact.state != "sent":
            return f"{fact.document_type.replace('_', ' ')} to {fact.partner} is {fact.state}: {fact.error or 'waits'}"
    return ""


def _conditions(filter_: Filter) -> tuple[str, list[Any]]:
    sql, parameters = "", []
    for column, value in (("status", filter_.status), ("region", filter_.channel)):
        if value:
            sql += f" and {column} = ?"
            parameters.append(value)
    if filter_.late:
        sql += " and at_risk = 1"
    if filter_.site:
        sql += " and sites like ?"
        parameters.append(f"%,{filter_.site},%")
    if filter_.text:
        sql += " and lower(key) like ?"
        parameters.append(f"%{filter_.text.lower()}%")
    return sql, parameters


def _split(sites: str) -> tuple[str, ...]:
    return tuple(site for site in sites.split(",") if site)


def _key_of(cursor: str) -> str:
    try:
        if not cursor.startswith("k"):
            raise ValueError("another kind of cursor")
        return bytes.fromhex(cursor[1:]).decode()
    except ValueError as error:
        raise CrossdockError(
            "The cursor is not one of this list", code="XD-API-002", hint="Start from the first page"
        ) from error
