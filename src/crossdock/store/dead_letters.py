"""Dead letters: documents that were rejected, messages that failed, sends that were given up; what they became.

A dead letter is named by the object it is: a document (`doc_…`) or a message (`msg_…`), whichever way it went.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from .engine import Connection, Row

# id, kind, message_id, connection_id, partner, type, subject, at, attempts, its own code, its own words, size
_KINDS = {
    "document": (
        (
            "select d.document_id, 'document', d.message_id, m.connection_id, m.partner, d.type, d.subject,"
            " d.updated_at, m.attempts, '', '', d.byte_length from documents d"
            " join inbound_messages m on m.tenant_id = d.tenant_id and m.message_id = d.message_id"
            " where d.tenant_id = ? and d.state = 'rejected'{}"
            " order by d.document_id desc limit ?"
        ),
        "d.document_id",
        "doc_",
        "m",
    ),
    "message": (
        (
            "select m.message_id, 'message', m.message_id, m.connection_id, m.partner, m.content_type, '',"
            " coalesce(m.processed_at, m.received_at), m.attempts, m.error_code, m.error, m.size_bytes"
            " from inbound_messages m where m.tenant_id = ? and m.state = 'failed' and not exists (select 1"
            " from documents d where d.tenant_id = m.tenant_id and d.message_id = m.message_id){}"
            " order by m.message_id desc limit ?"
        ),
        "m.message_id",
        "msg_",
        "m",
    ),
    "outbound": (
        (
            "select o.message_id, 'outbound', o.message_id, o.connection_id, o.partner, o.document_type, o.subject,"
            " o.created_at, o.attempts, o.error_code, o.error, o.size_bytes from outbound_messages o"
            " where o.tenant_id = ? and o.state = 'dead'{} order by o.message_id desc limit ?"
        ),
        "o.message_id",
        "msg_",
        "o",
    ),
}
KINDS = tuple(_KINDS)


class Wanted(msgspec.Struct, frozen=True):
    """Which dead letters: every field that is not empty must fit. `before` is the place behind the last one seen."""

    kind: str = ""
    partner: str = ""
    connection_id: str = ""
    code: str = ""
    error_class: str = ""
    issue_id: str = ""
    ids: tuple[str, ...] = ()
    before: str = ""


def find(connection: Connection, tenant_id: str, wanted: Wanted, limit: int) -> list[Row]:
    """Return dead letters, newest first: (id, kind, message_id, connection_id, partner, type, subject, at, attempts,
    code, words, size).
    """
    found: list[Row] = []
    for kind, (sql, column, prefix, table) in _KINDS.items():
        if wanted.kind not in ("", kind):
            continue
        conditions, parameters = _conditions(wanted, column, prefix, table)
        if wanted.ids:
            mine = [one for one in wanted.ids if one.startswith(prefix)]
            text = sql.replace("{}", f"{conditions} and {column} in ({{}})").replace(" limit ?", "")
            found += connection.many(text, [tenant_id, *parameters], mine) if mine else []
        else:
            found += connection.query(sql.replace("{}", conditions), (tenant_id, *parameters, limit))
    found.sort(key=lambda row: place_of(row[0]), reverse=True)
    return found[:limit]


def place_of(object_id: str) -> str:
    """Return by what dead letters of all kinds are ordered: the time and number in their id."""
    return object_id.partition("_")[2]


def _conditions(wanted: Wanted, column: str, prefix: str, table: str) -> tuple[str, list[str]]:
    text = ""
    parameters: list[str] = []
    for name, value in (("partner", wanted.partner), ("connection_id", wanted.connection_id)):
        if value:
            text, parameters = f"{text} and {table}.{name} = ?", [*parameters, value]
    if wanted.before:
        text, parameters = f"{text} and {column} < ?", [*parameters, prefix + wanted.before]
    member = [
        (name, value)
        for name, value in (
            ("e.code", wanted.code),
            ("i.error_class", wanted.error_class),
            ("i.issue_id", wanted.issue_id),
        )
        if value
    ]
    if member:
        text += (
            f" and exists (select 1 from exceptions e join issues i on i.tenant_id = e.tenant_id"
            f" and i.issue_id = e.issue_id where e.tenant_id = {table}.tenant_id and e.object_id = {column}"
            f" and e.state = 'open'{''.join(f' and {name} = ?' for name, _ in member)})"
        )
        parameters += [value for _, value in member]
    return text, parameters


def faults_of(connection: Connection, tenant_id: str, ids: Sequence[str]) -> dict[str, Row]:
    """Return the newest open fault of some objects: (object_id, code, detail, error_class, issue_id, pointer)."""
    rows = connection.many(
        "select e.object_id, e.code, e.detail, i.error_class, i.issue_id, e.pointer, e.exception_id from exceptions e"
        " join issues i on i.tenant_id = e.tenant_id and i.issue_id = e.issue_id"
        " where e.tenant_id = ? and e.state = 'open' and e.object_id in ({})",
        [tenant_id],
        list(ids),
    )
    return {row[0]: row for row in sorted(rows, key=lambda row: row[6])}


def discard(connection: Connection, tenant_id: str, rows: Sequence[Row], now_micros: int) -> None:
    """Set dead letters (as `find` returns them) aside for good; what is none any more is left alone."""
    _settle(connection, tenant_id, rows, "discarded", now_micros)


def supersede(connection: Connection, tenant_id: str, rows: Sequence[Row], now_micros: int) -> None:
    """Book that an amended version stands for these; a send is discarded: it goes out otherwise."""
    _settle(connection, tenant_id, rows, "superseded", now_micros)


def _settle(connection: Connection, tenant_id: str, rows: Sequence[Row], state: str, now_micros: int) -> None:
    of = {kind: [row[0] for row in rows if row[1] == kind] for kind in KINDS}
    connection.executemany(
        "update documents set state = ?, updated_at = ? where tenant_id = ? and document_id = ? and state = 'rejected'",
        [(state, now_micros, tenant_id, one) for one in of["document"]],
    )
    connection.executemany(
        "update inbound_messages set state = ?, processed_at = ? where tenant_id = ? and message_id = ?"
        " and state = 'failed'",
        [(state, now_micros, tenant_id, one) for one in of["message"]],
    )
    connection.executemany(
        "update outbound_messages set state = 'discarded', ack_state = 'none', ack_due_at = null where tenant_id = ?"
        " and message_id = ? and state = 'dead'",
        [(tenant_id, one) for one in of["outbound"]],
    )


def versions_of(connection: Connection, tenant_id: str, original_id: str) -> int:
    """Return how many amended versions there are of one object."""
    row = connection.one(
        "select count(*) from amendments where tenant_id = ? and original_id = ?", (tenant_id, original_id)
    )
    return int(row[0]) if row else 0


def link(connection: Connection, rows: Iterable[tuple[str, str, str, str, str, str, str, bytes, int]]) -> None:
    """Enter amendments: (tenant_id, original_id, new_id, message_id, part, author, reason, differences, created_at)."""
    connection.executemany(
        "insert into amendments (tenant_id, original_id, new_id, message_id, part, author, reason, differences,"
        " created_at) values (?,?,?,?,?,?,?,?,?)",
        rows,
    )


def amendments(connection: Connection, tenant_id: str, object_id: str) -> list[Row]:
    """Return what was amended into or out of an object, oldest first: (original_id, new_id, message_id, part, author,
    reason, differences, created_at).
    """
    return connection.query(
        "select original_id, new_id, message_id, part, author, reason, differences, created_at from amendments"
        " where tenant_id = ? and (original_id = ? or new_id = ?) order by created_at, new_id",
        (tenant_id, object_id, object_id),
    )
