"""Lists of messages: inbound, outbound, and those that will be tried again; newest first, with a cursor.

Queries only; the inspector's own view is `views.messages`.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Literal

import msgspec

from ..durable.identity import from_micros
from ..errors import NotFound

PAGE_MAX = 200
Direction = Literal["in", "out"]


class MessageRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a list. `what` is the file name or the kind of document.

    A message is processed once each of its documents was judged; `documents_rejected` and `documents_held` say how.
    """

    message_id: str
    direction: Direction
    partner: str
    connection_id: str
    state: str
    what: str
    size_bytes: int
    at: datetime
    documents: int = 0
    subject: str = ""
    ack_state: str = ""
    attempts: int = 0
    next_attempt_at: datetime | None = None
    error_code: str = ""
    error: str = ""
    document_type: str = ""
    documents_rejected: int = 0
    documents_held: int = 0


class MessagesPage(msgspec.Struct, frozen=True):
    """A page of messages. `next_cursor` is empty on the last one."""

    rows: tuple[MessageRow, ...]
    next_cursor: str


def inbound(
    connection: Any, tenant_id: str, *, state: str = "", partner: str = "", cursor: str = "", limit: int = 50
) -> MessagesPage:
    """Return inbound messages, newest first."""
    count = max(1, min(limit, PAGE_MAX))
    rows = connection.query(
        "select message_id, partner, connection_id, state, name, size_bytes, received_at, document_count, error_code,"
        " error from inbound_messages where tenant_id = ? and message_id < ? and (? = '' or state = ?)"
        " and (? = '' or partner = ?)"
        " order by message_id desc limit ?",
        (tenant_id, cursor or "msg_~", state, state, partner, partner, count + 1),
    )
    found = tuple(
        MessageRow(r[0], "in", r[1], r[2], r[3], r[4], r[5], from_micros(r[6]), r[7], error_code=r[8], error=r[9])
        for r in rows[:count]
    )
    found = _judged(connection, tenant_id, found)
    return MessagesPage(found, found[-1].message_id if len(rows) > count else "")


def _judged(connection: Any, tenant_id: str, rows: tuple[MessageRow, ...]) -> tuple[MessageRow, ...]:
    """Return the rows with how many of their documents were rejected or are held."""
    counts: dict[tuple[str, str], int] = {}
    if rows:
        found = connection.many(
            "select message_id, state from documents where tenant_id = ? and state in ('rejected', 'held')"
            " and message_id in ({})",
            [tenant_id],
            [row.message_id for row in rows],
        )
        counts = Counter((message_id, state) for message_id, state in found)
    return tuple(
        msgspec.structs.replace(
            row,
            documents_rejected=counts.get((row.message_id, "rejected"), 0),
            documents_held=counts.get((row.message_id, "held"), 0),
        )
        for row in rows
    )


def newest_named(connection: Any, tenant_id: str, name: str) -> str:
    """Return the newest inbound message whose file bore this name; `NotFound` where there is none."""
    row = connection.one(
        "select message_id from inbound_messages where tenant_id = ? and name = ? order by message_id desc limit 1",
        (tenant_id, name),
    )
    if row is None:
        raise NotFound(f"There is no message called {name}")
    return str(row[0])


_OUTBOUND = (
    "message_id, partner, connection_id, state, document_type, size_bytes, created_at, subject, ack_state, attempts,"
    " next_attempt_at, error_code, error"
)


def outbound(
    connection: Any, tenant_id: str, *, state: str = "", partner: str = "", cursor: str = "", limit: int = 50
) -> MessagesPage:
    """Return outbound messages, newest first."""
    count = max(1, min(limit, PAGE_MAX))
    rows = connection.query(
        f"select {_OUTBOUND} from outbound_messages where tenant_id = ? and message_id < ?"  # noqa: S608
        " and (? = '' or state = ?) and (? = '' or partner = ?) order by message_id desc limit ?",
        (tenant_id, cursor or "msg_~", state, state, partner, partner, count + 1),
    )
    found = tuple(_outbound(row) for row in rows[:count])
    return MessagesPage(found, found[-1].message_id if len(rows) > count else "")


def of_subject(connection: Any, tenant_id: str, subject: str, *, limit: int = PAGE_MAX) -> MessagesPage:
    """Return the messages about one subject (`order/SO-1001`), in and out, newest first."""
    received = connection.query(
        "select distinct m.message_id, m.partner, m.connection_id, m.state, m.name, m.size_bytes, m.received_at,"
        " m.document_count, m.error_code, m.error from documents d"
        " join inbound_messages m on m.tenant_id = d.tenant_id and m.message_id = d.message_id"
        " where d.tenant_id = ? and d.subject = ? and d.subject <> '' limit ?",
        (tenant_id, subject, limit),
    )
    sent = connection.query(
        f"select {_OUTBOUND} from outbound_messages where tenant_id = ? and subject = ? and subject <> '' limit ?",  # noqa: S608
        (tenant_id, subject, limit),
    )
    taken = tuple(
        MessageRow(
            r[0], "in", r[1], r[2], r[3], r[4], r[5], from_micros(r[6]), r[7], subject, error_code=r[8], error=r[9]
        )
        for r in received
    )
    rows = [*_judged(connection, tenant_id, taken)]
    rows += [_outbound(row) for row in sent]
    return MessagesPage(tuple(sorted(rows, key=lambda row: row.message_id, reverse=True)), "")


def retries(connection: Any, tenant_id: str, *, limit: int = PAGE_MAX) -> tuple[MessageRow, ...]:
    """Return the outbound messages that failed at least once and will be tried again, the next one first."""
    rows = connection.query(
        f"select {_OUTBOUND} from outbound_messages where tenant_id = ? and state in ('pending', 'sending', 'unknown')"  # noqa: S608
        " and attempts > 0 order by next_attempt_at limit ?",
        (tenant_id, min(limit, PAGE_MAX)),
    )
    return tuple(_outbound(row) for row in rows)


def _outbound(row: Any) -> MessageRow:
    return MessageRow(
        row[0],
        "out",
        row[1],
        row[2],
        row[3],
        row[4].replace("_", " "),
        row[5],
        from_micros(row[6]),
        0,
        row[7],
        row[8],
        row[9],
        from_micros(row[10]) if row[10] is not None else None,
        row[11],
        row[12],
        row[4],
    )
