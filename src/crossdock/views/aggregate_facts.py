"""Fetch everything the record knows of one purchase order, load or claim: state, events, papers, names, open faults."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from ..canonical.events import Event
from ..canonical.identifiers import search_key
from ..durable.identity import from_micros
from ..errors import NotFound
from ..processes.registry import PROCESSES
from ..store import journal
from ..store.engine import Connection
from .order_facts import Fault, Name, OutboundFact, load_outbound

ROWS_MAX = 1_000
WORDS = {"purchase": "purchase order", "load": "load", "claim": "claim"}
_DECODE = {kind: msgspec.json.Decoder(PROCESSES[kind].state).decode for kind in WORDS}


class AggregateFacts(msgspec.Struct, frozen=True):
    """All of it. `party` is the supplier or carrier; `state` is what the process knows."""

    number: str
    aggregate_id: str
    status: str
    party: str
    at_risk: bool
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime
    state: Any
    events: tuple[Event, ...]
    outbound: tuple[OutboundFact, ...]
    faults: tuple[Fault, ...]
    names: tuple[Name, ...]


def load(
    connection: Connection, tenant_id: str, kind: str, text: str, *, parties: Collection[str] | None = None
) -> AggregateFacts:
    """Return the facts of what `text` names: its number, our id, or any name it is found under.

    `parties` limits what may be seen: what is with somebody else does not exist. Raises `NotFound`.
    """
    row = _find(connection, tenant_id, kind, text)
    if row is None or (parties is not None and row[3] not in parties):
        raise NotFound(f"There is no {WORDS[kind]} {text}")
    number, subject = row[0], f"{kind}/{row[0]}"
    outbound = load_outbound(connection, tenant_id, subject)
    return AggregateFacts(
        number=number,
        aggregate_id=row[1],
        status=row[2],
        party=row[3],
        at_risk=bool(row[4]),
        due_at=None if row[5] is None else from_micros(row[5]),
        created_at=from_micros(row[6]),
        updated_at=from_micros(row[7]),
        state=_DECODE[kind](row[8]),
        events=tuple(journal.of_subject(connection, tenant_id, subject)),
        outbound=outbound,
        faults=_faults(connection, tenant_id, subject, outbound),
        names=tuple(
            Name(name[0], name[1])
            for name in connection.query(
                "select type, value from identifiers where tenant_id = ? and subject = ? order by type, value limit ?",
                (tenant_id, subject, ROWS_MAX),
            )
        ),
    )


def _find(connection: Connection, tenant_id: str, kind: str, text: str) -> Any:
    columns = "key, aggregate_id, status, customer, at_risk, due_at, created_at, updated_at, state"
    by_key = f"select {columns} from aggregates where tenant_id = ? and kind = ? and key = ?"  # noqa: S608
    row = connection.one(by_key, (tenant_id, kind, text))
    if row is not None:
        return row
    rows = connection.query(
        "select distinct subject from identifiers where tenant_id = ? and search_key = ? and subject like ? limit 2",
        (tenant_id, search_key(text), f"{kind}/%"),
    )
    return connection.one(by_key, (tenant_id, kind, rows[0][0].partition("/")[2])) if len(rows) == 1 else None


def _faults(
    connection: Connection, tenant_id: str, subject: str, outbound: tuple[OutboundFact, ...]
) -> tuple[Fault, ...]:
    found = connection.query(
        "select exception_id, issue_id, object_kind, object_id, code, detail, created_at from exceptions"
        " where tenant_id = ? and state = 'open' and subject = ? and subject <> '' order by exception_id limit ?",
        (tenant_id, subject, ROWS_MAX),
    )
    found += connection.many(
        "select exception_id, issue_id, object_kind, object_id, code, detail, created_at from exceptions"
        " where tenant_id = ? and state = 'open' and object_id in ({})",
        [tenant_id],
        [fact.message_id for fact in outbound],
    )
    rows = {row[0]: row for row in found}
    return tuple(
        Fault(row[0], row[1], row[2], row[3], row[4], row[5], from_micros(row[6])) for _, row in sorted(rows.items())
    )
