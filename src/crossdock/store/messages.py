"""Inbound messages, their receipts and their documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from .engine import Connection, Row, locked


class InboundRow(msgspec.Struct):
    """One inbound message as it is first written; columns as in the schema."""

    tenant_id: str
    message_id: str
    connection_id: str
    partner: str
    state: str
    receipt_key: str
    digest: bytes
    size_bytes: int
    content_type: str
    name: str
    headers: bytes | None
    received_at: int
    release_id: str
    duplicate_of: str
    traceparent: str
    error_code: str = ""
    error: str = ""
    slot: int = 0
    handed: int = 0
    processed_at: int | None = None
    document_count: int = 0


class DocumentRow(msgspec.Struct):
    """One document of a message; columns as in the schema."""

    tenant_id: str
    document_id: str
    message_id: str
    position: int
    pointer: str
    type: str
    map: str
    object: str
    event_type: str
    state: str
    awaits: str
    subject: str
    business_key: str
    canonical: bytes | None
    findings: bytes | None
    release_id: str
    byte_offset: int
    byte_length: int
    replay_of: str
    updated_at: int


def receipts_of(
    connection: Connection, tenant_id: str, connection_id: str, keys: Sequence[str]
) -> dict[str, tuple[str, bytes]]:
    """Return what was received under some receipt keys: key → (message_id, digest)."""
    rows = connection.many(
        "select receipt_key, message_id, digest from receipts where tenant_id = ? and connection_id = ?"
        " and receipt_key in ({})",
        [tenant_id, connection_id],
        keys,
    )
    return {row[0]: (row[1], bytes(row[2])) for row in rows}


def insert_receipts(connection: Connection, rows: Iterable[tuple[str, str, str, str, bytes, int]]) -> None:
    """Write receipts: (tenant_id, connection_id, receipt_key, message_id, digest, received_at)."""
    connection.executemany(
        "insert into receipts (tenant_id, connection_id, receipt_key, message_id, digest, received_at)"
        " values (?,?,?,?,?,?)",
        rows,
    )


_INSERT_INBOUND = (
    f"insert into inbound_messages ({', '.join(InboundRow.__struct_fields__)}) values ({','.join('?' * 21)})"
)
_INSERT_DOCUMENT = f"insert into documents ({', '.join(DocumentRow.__struct_fields__)}) values ({','.join('?' * 20)})"


def insert_inbound(connection: Connection, rows: Iterable[InboundRow]) -> None:
    """Write inbound messages."""
    connection.executemany(_INSERT_INBOUND, [msgspec.structs.astuple(row) for row in rows])


def settle_inbound(connection: Connection, rows: Iterable[tuple[str, int, int, str, str, str, str, str]]) -> None:
    """Book what became of messages.

    Each row is (state, processed_at, document_count, error_code, error, release_id, tenant_id, message_id).
    """
    connection.executemany(
        "update inbound_messages set state = ?, processed_at = ?, document_count = ?, error_code = ?,"
        " error = ?, release_id = ?"
        " where tenant_id = ? and message_id = ?",
        rows,
    )


def insert_documents(connection: Connection, rows: Iterable[DocumentRow]) -> None:
    """Write documents."""
    connection.executemany(_INSERT_DOCUMENT, [msgspec.structs.astuple(row) for row in rows])


def settle_documents(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Book what became of documents that were written before.

    Each row is (state, awaits, map, object, event_type, subject, business_key, canonical, findings, release_id,
    updated_at, tenant_id, document_id).
    """
    connection.executemany(
        "update documents set state = ?, awaits = ?, map = ?, object = ?, event_type = ?, subject = ?,"
        " business_key = ?,"
        " canonical = ?, findings = ?, release_id = ?, updated_at = ? where tenant_id = ? and document_id = ?",
        rows,
    )


INBOUND_COLUMNS = (
    "message_id, connection_id, partner, state, receipt_key, digest, size_bytes, content_type, name,"
    " headers, received_at,"
    " processed_at, release_id, duplicate_of, document_count, error_code, error, traceparent, attempts, tenant_id, slot"
)


def load_inbound(connection: Connection, tenant_id: str, message_id: str) -> Row | None:
    """Return one inbound message (INBOUND_COLUMNS), or None."""
    return connection.one(
        f"select {INBOUND_COLUMNS} from inbound_messages where tenant_id = ? and message_id = ?",
        (tenant_id, message_id),
    )


def waiting_ids(
    connection: Connection, before_micros: int, limit: int, after: tuple[str, str]
) -> list[tuple[str, str]]:
    """Return (tenant_id, message_id) of messages not yet looked at that came before an instant, behind such a pair."""
    rows = connection.query(
        "select tenant_id, message_id from inbound_messages where state = 'received' and received_at <= ?"
        " and (tenant_id, message_id) > (?, ?) order by tenant_id, message_id limit ?",
        (before_micros, *after, limit),
    )
    return [(row[0], row[1]) for row in rows]


def waiting_inbound(connection: Connection, limit: int, after: tuple[str, str] = ("", "")) -> list[Row]:
    """Return messages of all tenants that were stored but not yet looked at (INBOUND_COLUMNS).

    They come by tenant, oldest first, behind (tenant_id, message_id).
    """
    return connection.query(
        f"select {INBOUND_COLUMNS} from inbound_messages where state = 'received' and (tenant_id, message_id) > (?, ?)"
        " order by tenant_id, message_id limit ?",
        (*after, limit),
    )


def count_run(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Count a run before it begins, so that a message which kills its worker is found out: (tenant_id, message_id)."""
    connection.executemany(
        "update inbound_messages set attempts = attempts + 1 where tenant_id = ? and message_id = ?", rows
    )


DOCUMENT_COLUMNS = (
    "document_id, message_id, position, pointer, type, map, object, event_type, state, awaits, subject, business_key,"
    " canonical, findings, release_id, byte_offset, byte_length, replay_of, updated_at, tenant_id"
)


def documents_of(connection: Connection, tenant_id: str, message_id: str) -> list[Row]:
    """Return the documents of a message (DOCUMENT_COLUMNS) in their order."""
    return connection.query(
        f"select {DOCUMENT_COLUMNS} from documents where tenant_id = ? and message_id = ? order by"
        f" position, document_id",
        (tenant_id, message_id),
    )


def load_documents(connection: Connection, tenant_id: str, document_ids: Sequence[str]) -> list[Row]:
    """Return documents by id (DOCUMENT_COLUMNS), oldest first."""
    if not document_ids:
        return []
    rows = connection.many(
        f"select {DOCUMENT_COLUMNS} from documents where tenant_id = ? and document_id in ({{}})",
        [tenant_id],
        document_ids,
    )
    return sorted(rows, key=lambda row: row[0])


def document_states(connection: Connection, tenant_id: str, document_ids: Sequence[str]) -> dict[str, str]:
    """Return the present state of some documents by their id; nobody else settles them until the transaction ends."""
    rows = connection.many(
        "select document_id, state from documents where tenant_id = ? and document_id in ({})"
        + locked(connection, "document_id"),
        [tenant_id],
        document_ids,
    )
    return {row[0]: row[1] for row in rows}


def taken_apart(connection: Connection, tenant_id: str, message_ids: Sequence[str]) -> set[str]:
    """Return which of some messages have documents already; nobody else takes them apart until the end."""
    if connection.locking:
        connection.many(
            "select message_id from inbound_messages where tenant_id = ? and message_id in ({})"
            + locked(connection, "message_id"),
            [tenant_id],
            message_ids,
        )
    rows = connection.many(
        "select distinct message_id from documents where tenant_id = ? and message_id in ({})", [tenant_id], message_ids
    )
    return {row[0] for row in rows}


def awaited(connection: Connection, tenant_id: str, state: str) -> list[str]:
    """Return the distinct things that documents of a tenant in `state` (held, parked) wait for."""
    rows = connection.query(
        "select distinct awaits from documents where tenant_id = ? and state = ? and state in ('held', 'parked')",
        (tenant_id, state),
    )
    return [row[0] for row in rows]


def partners_of(connection: Connection, tenant_id: str, message_ids: Sequence[str]) -> dict[str, str]:
    """Return which partner sent each of some messages."""
    if not message_ids:
        return {}
    rows = connection.many(
        "select message_id, partner from inbound_messages where tenant_id = ? and message_id in ({})",
        [tenant_id],
        message_ids,
    )
    return dict(rows)


def documents_awaiting(connection: Connection, tenant_id: str, awaits: Sequence[str]) -> list[Row]:
    """Return the held and parked documents that wait for any of some things (DOCUMENT_COLUMNS), oldest first."""
    if not awaits:
        return []
    rows = connection.many(
        f"select {DOCUMENT_COLUMNS} from documents where tenant_id = ? and state in ('held', 'parked') and"
        f" awaits in ({{}})" + locked(connection, "document_id"),
        [tenant_id],
        awaits,
    )
    return sorted(rows, key=lambda row: row[0])
