"""Fetch everything the record knows of one order: state, events, outbound messages, documents, names, open faults.

One door for the order's views, so that each page asks the record once. The folds over these facts live in
`order_timeline.py`, `order_knowledge.py`, `customer_tracking.py` and `finance.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..canonical.events import Event
from ..canonical.identifiers import search_key
from ..durable.identity import from_micros
from ..errors import NotFound
from ..processes.order_state import OrderState
from ..store import journal
from ..store.engine import Connection, Row

ROWS_MAX = 1_000
# The code of a feed that is silent.
NO_UPDATE = "XD-PTR-063"

_state = msgspec.json.Decoder(OrderState)

_OUTBOUND = (
    "message_id, connection_id, partner, document_type, state, ack_state, ack_due_at, attempts,"
    " next_attempt_at, created_at,"
    " sent_at, error_code, error, causation_id, inbound_message_id, identity, canonical"
)
_DOCUMENTS = "document_id, message_id, type, map, object, event_type, state, awaits, business_key, findings, updated_at"


class OutboundFact(msgspec.Struct, frozen=True):
    """One outbound message about the order, without its bytes. `canonical` is the document as plain values."""

    message_id: str
    connection_id: str
    partner: str
    document_type: str
    state: str
    ack_state: str
    ack_due_at: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    sent_at: datetime | None
    error_code: str
    error: str
    causation_id: str
    inbound_message_id: str
    identity: str
    canonical: Any


class DocumentFact(msgspec.Struct, frozen=True):
    """One inbound document about the order, in the state it is in now."""

    document_id: str
    message_id: str
    type: str
    map: str
    object: str
    event_type: str
    state: str
    awaits: str
    business_key: str
    findings: Any
    updated_at: datetime


class Fault(msgspec.Struct, frozen=True):
    """An open exception about the order or one of its papers, with the issue it belongs to."""

    exception_id: str
    issue_id: str
    object_kind: str
    object_id: str
    code: str
    detail: str
    created_at: datetime


class Name(msgspec.Struct, frozen=True):
    """A name under which the order is found."""

    type: str
    value: str


class OrderFacts(msgspec.Struct, frozen=True):
    """All of it. `value_cents` and `due_at` are those lists show; `state` is what the process knows."""

    tenant_id: str
    number: str
    aggregate_id: str
    status: str
    at_risk: bool
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime
    state: OrderState
    events: tuple[Event, ...] = ()
    outbound: tuple[OutboundFact, ...] = ()
    documents: tuple[DocumentFact, ...] = ()
    faults: tuple[Fault, ...] = ()
    names: tuple[Name, ...] = ()

    @property
    def subject(self) -> str:
        return f"order/{self.number}"

    @property
    def silent(self) -> bool:
        """Whether a feed that should tell of it is silent: nobody knows more, and nothing is known to be late."""
        return any(fault.code == NO_UPDATE for fault in self.faults)


def is_on_the_way_back(milestone: dict[str, Any], facts: OrderFacts) -> bool:
    """Tell whether a recorded milestone is of a return's leg, although the carrier may not have said so."""
    if milestone.get("leg", "outbound") != "outbound":
        return True
    tracking = milestone.get("tracking")
    if not tracking or not any(tracking == one.tracking for one in facts.state.returns):
        return False
    return not any(tracking in one.tracking for one in facts.state.shipments)


def find_number(connection: Connection, tenant_id: str, text: str) -> str:
    """Return the number of the order that `text` names: its number, our id, or any name it is found under.

    `NotFound` when nothing fits; a name that fits several orders is no answer either.
    """
    row = connection.one(
        "select key from aggregates where tenant_id = ? and kind = 'order' and key = ?", (tenant_id, text)
    )
    if row is not None:
        return str(row[0])
    rows = connection.query(
        "select distinct subject from identifiers where tenant_id = ? and search_key = ? limit 2",
        (tenant_id, search_key(text)),
    )
    orders = [str(subject).partition("/")[2] for (subject,) in rows if str(subject).startswith("order/")]
    if len(orders) != 1:
        raise NotFound(f"There is no order {text}")
    return orders[0]


def load(connection: Connection, tenant_id: str, number: str) -> OrderFacts:
    """Return the facts of one order of this tenant, or raise `NotFound`."""
    row = connection.one(
        "select aggregate_id, status, at_risk, due_at, created_at, updated_at, state from aggregates"
        " where tenant_id = ? and kind = 'order' and key = ?",
        (tenant_id, number),
    )
    if row is None:
        raise NotFound(f"There is no order {number}")
    subject = f"order/{number}"
    outbound = load_outbound(connection, tenant_id, subject)
    documents = load_documents(connection, tenant_id, subject)
    return OrderFacts(
        tenant_id=tenant_id,
        number=number,
        aggregate_id=row[0],
        status=row[1],
        at_risk=bool(row[2]),
        due_at=_instant(row[3]),
        created_at=from_micros(row[4]),
        updated_at=from_micros(row[5]),
        state=_state.decode(row[6]),
        events=tuple(journal.of_subject(connection, tenant_id, subject)),
        outbound=outbound,
        documents=documents,
        faults=_faults(connection, tenant_id, subject, [subject, number, row[0]], outbound, documents),
        names=tuple(
            Name(name[0], name[1])
            for name in connection.query(
                "select type, value from identifiers where tenant_id = ? and subject = ? order by type, value limit ?",
                (tenant_id, subject, ROWS_MAX),
            )
        ),
    )


def load_outbound(connection: Connection, tenant_id: str, subject: str) -> tuple[OutboundFact, ...]:
    """Return the outbound messages about a subject, oldest first."""
    rows = connection.query(
        f"select {_OUTBOUND} from outbound_messages where tenant_id = ? and subject = ? and subject <> ''"  # noqa: S608
        " order by message_id limit ?",
        (tenant_id, subject, ROWS_MAX),
    )
    return tuple(_outbound(row) for row in rows)


def load_documents(connection: Connection, tenant_id: str, subject: str) -> tuple[DocumentFact, ...]:
    """Return the inbound documents about a subject, oldest first."""
    rows = connection.query(
        f"select {_DOCUMENTS} from documents where tenant_id = ? and subject = ? and subject <> ''"  # noqa: S608
        " order by document_id limit ?",
        (tenant_id, subject, ROWS_MAX),
    )
    return tuple(
        DocumentFact(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            row[5],
            row[6],
            row[7],
            row[8],
            _json(row[9]) or [],
            from_micros(row[10]),
        )
        for row in rows
    )


def _faults(
    connection: Connection,
    tenant_id: str,
    subject: str,
    objects: list[str],
    outbound: tuple[OutboundFact, ...],
    documents: tuple[DocumentFact, ...],
) -> tuple[Fault, ...]:
    objects = [*objects, *(fact.message_id for fact in outbound), *(fact.document_id for fact in documents)]
    return open_faults(connection, tenant_id, objects, subject)


def open_faults(connection: Connection, tenant_id: str, objects: list[str], subject: str = "") -> tuple[Fault, ...]:
    """Return the open exceptions about some objects, oldest first; and of contracts that concern `subject`."""
    if not objects:
        return ()
    rows = connection.many(
        "select exception_id, issue_id, object_kind, object_id, code, detail, created_at from exceptions"
        " where tenant_id = ? and state = 'open' and object_id in ({})",
        [tenant_id],
        objects,
    )
    # What a contract or a feed owes this order stands under another object.
    rows += connection.query(
        "select exception_id, issue_id, object_kind, object_id, code, detail, created_at from exceptions"
        " where tenant_id = ? and state = 'open' and subject <> '' and subject = ? and object_kind = 'contract'",
        (tenant_id, subject),
    )
    found = {row[0]: Fault(row[0], row[1], row[2], row[3], row[4], row[5], from_micros(row[6])) for row in rows}
    return tuple(found[key] for key in sorted(found))


def _outbound(row: Row) -> OutboundFact:
    return OutboundFact(
        message_id=row[0],
        connection_id=row[1],
        partner=row[2],
        document_type=row[3],
        state=row[4],
        ack_state=row[5],
        ack_due_at=_instant(row[6]),
        attempts=row[7],
        next_attempt_at=_instant(row[8]),
        created_at=from_micros(row[9]),
        sent_at=_instant(row[10]),
        error_code=row[11],
        error=row[12],
        causation_id=row[13],
        inbound_message_id=row[14],
        identity=row[15],
        canonical=_json(row[16]),
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _json(content: bytes | None) -> Any:
    return msgspec.json.decode(content) if content else None
