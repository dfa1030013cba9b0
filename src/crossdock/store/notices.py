"""What people are told: each thing once for each of them, when it is due, and who does not want to hear of what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from .engine import Connection, Row

ROWS_MAX = 500


class NoticeRow(msgspec.Struct, frozen=True):
    """One notice; columns as in the schema, instants in microseconds."""

    tenant_id: str
    notice_id: str
    once_key: str
    rule: str
    recipient: str
    channel: str
    subject: str
    topic: str
    state: str
    reason: str
    title: str
    body: str
    due_at: int
    created_at: int
    sent_at: int | None = None
    digest_id: str = ""


_COLUMNS = ", ".join(NoticeRow.__struct_fields__)


def known(connection: Connection, tenant_id: str, once_keys: Sequence[str]) -> set[str]:
    """Return which of some things were told, or decided not to be told, before."""
    rows = connection.many(
        "select once_key from notices where tenant_id = ? and once_key in ({})", [tenant_id], once_keys
    )
    return {row[0] for row in rows}


def enter(connection: Connection, rows: Iterable[NoticeRow]) -> None:
    """Enter notices; what is entered already stays as it is."""
    marks = ",".join("?" * len(NoticeRow.__struct_fields__))
    connection.executemany(
        f"insert into notices ({_COLUMNS}) values ({marks}) on conflict do nothing",
        [msgspec.structs.astuple(row) for row in rows],
    )


def due(connection: Connection, tenant_id: str, now: int) -> list[NoticeRow]:
    """Return the notices that may be told by now, the earliest first."""
    rows = connection.query(
        f"select {_COLUMNS} from notices where tenant_id = ? and state = 'waiting' and due_at <= ?"
        " order by due_at, notice_id limit ?",
        (tenant_id, now, ROWS_MAX),
    )
    return [NoticeRow(*row) for row in rows]


def next_due(connection: Connection, tenant_ids: Sequence[str]) -> int | None:
    """Return when the next notice of some tenants is due."""
    rows = connection.many(
        "select min(due_at) from notices where state = 'waiting' and 1 = ? and tenant_id in ({})", [1], tenant_ids
    )
    return min((row[0] for row in rows if row[0] is not None), default=None)


def settle(connection: Connection, rows: Iterable[tuple[str, str, str, int | None, str, str]]) -> None:
    """Write what became of notices: (state, reason, digest_id, sent_at, tenant_id, notice_id)."""
    connection.executemany(
        "update notices set state = ?, reason = ?, digest_id = ?, sent_at = ? where tenant_id = ? and notice_id = ?",
        rows,
    )


def put_off(connection: Connection, rows: Iterable[tuple[int, str, str, str]]) -> None:
    """Let notices wait on until another instant: (due_at, reason, tenant_id, notice_id)."""
    connection.executemany("update notices set due_at = ?, reason = ? where tenant_id = ? and notice_id = ?", rows)


def listed(connection: Connection, tenant_id: str, *, subject: str = "", limit: int = 200) -> list[NoticeRow]:
    """Return notices, the newest first; of one subject if it is named."""
    rows = connection.query(
        f"select {_COLUMNS} from notices where tenant_id = ? and (? = '' or subject = ?)"
        " order by created_at desc, notice_id desc limit ?",
        (tenant_id, subject, subject, limit),
    )
    return [NoticeRow(*row) for row in rows]


# -- who does not want to hear of what


def unsubscribed(connection: Connection, tenant_id: str) -> set[tuple[str, str]]:
    """Return (recipient, topic) of everybody who does not want to be told; an empty topic is all of them."""
    rows = connection.query("select recipient, topic from unsubscribes where tenant_id = ?", (tenant_id,))
    return {(row[0], row[1]) for row in rows}


def unsubscribe(connection: Connection, tenant_id: str, recipient: str, topic: str, reason: str, now: int) -> None:
    """Keep that somebody does not want to be told of a topic."""
    connection.execute(
        "insert into unsubscribes (tenant_id, recipient, topic, since_at, reason) values (?,?,?,?,?)"
        " on conflict do nothing",
        (tenant_id, recipient.lower(), topic, now, reason),
    )


def subscribe(connection: Connection, tenant_id: str, recipient: str, topic: str) -> bool:
    """Forget it again; tell whether it stood there."""
    return (
        connection.execute(
            "delete from unsubscribes where tenant_id = ? and recipient = ? and topic = ?",
            (tenant_id, recipient.lower(), topic),
        )
        > 0
    )


# -- how far the rules have read


def cursor(connection: Connection, tenant_id: str) -> str | None:
    """Return the cursor behind the last event the rules looked at; None before the first look."""
    row: Row | None = connection.one("select cursor from notice_cursors where tenant_id = ?", (tenant_id,))
    return str(row[0]) if row else None


def save_cursor(connection: Connection, tenant_id: str, place: str) -> None:
    """Write how far the rules have read."""
    connection.execute(
        "insert into notice_cursors (tenant_id, cursor) values (?,?) on conflict (tenant_id) do update set"
        " cursor = excluded.cursor",
        (tenant_id, place),
    )
