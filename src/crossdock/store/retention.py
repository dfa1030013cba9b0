"""Find and remove what has been kept long enough, a small batch at a time.

What may go at all says durable/retention.py. Message ids grow with time, so what is old stands at the beginning of
every table: a batch reads a short range and goes on behind the last id it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..durable.retention import SETTLED_INBOUND, SETTLED_ORDERS, SETTLED_OUTBOUND
from .engine import Connection, Row


class Seen(msgspec.Struct):
    """One batch: behind which key the next begins (None: that was the last), what goes, and what stays as open work."""

    after: Any = None
    removed: int = 0
    removed_bytes: int = 0
    kept_open: int = 0


# (connection_id, message_id) → whether it is old enough.
IsOld = Callable[[str, str], bool]


def payloads(
    connection: Connection, tenant_id: str, after: str, before: str, is_old: IsOld, now: int, limit: int, *, dry: bool
) -> Seen:
    """Remove the bytes of settled messages with ids in (after, before); their rows keep digest and size."""
    rows = connection.query(
        "select message_id, length(content) from payloads where tenant_id = ? and message_id > ? and message_id < ?"
        " order by message_id limit ?",
        (tenant_id, after, before, limit),
    )
    ids = [row[0] for row in rows]
    owners = _owners(connection, tenant_id, ids)
    busy = _busy(connection, tenant_id, ids)
    seen = Seen(ids[-1] if len(rows) == limit else None)
    going = []
    for message_id, size in rows:
        connection_id, settled = owners.get(message_id, ("", True))
        if not is_old(connection_id, message_id):
            continue
        if not settled or message_id in busy:
            seen.kept_open += 1
            continue
        going.append(message_id)
        seen.removed_bytes += size
    seen.removed = len(going)
    if going and not dry:
        connection.executemany(
            "delete from payloads where tenant_id = ? and message_id = ?", [(tenant_id, one) for one in going]
        )
        for table in ("inbound_messages", "outbound_messages"):
            connection.executemany(
                f"update {table} set reclaimed_at = ? where tenant_id = ? and message_id = ?",
                [(now, tenant_id, one) for one in going],
            )
    return seen


def _owners(connection: Connection, tenant_id: str, ids: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Return the connection of some messages, and whether nothing more happens to them by itself."""
    if not ids:
        return {}
    inbound = connection.many(
        "select message_id, connection_id, state from inbound_messages where tenant_id = ? and message_id in ({})",
        [tenant_id],
        ids,
    )
    sent = connection.many(
        "select message_id, connection_id, state, ack_state from outbound_messages where tenant_id = ?"
        " and message_id in ({})",
        [tenant_id],
        ids,
    )
    owners = {row[0]: (row[1], row[2] in SETTLED_INBOUND) for row in inbound}
    owners |= {row[0]: (row[1], row[2] in SETTLED_OUTBOUND and row[3] != "awaited") for row in sent}
    return owners


def _busy(connection: Connection, tenant_id: str, ids: Sequence[str]) -> set[str]:
    """Return which messages have held or parked documents, or an open issue of their own or of a document."""
    if not ids:
        return set()
    waiting = connection.many(
        "select distinct message_id from documents where tenant_id = ? and message_id in ({})"
        " and state in ('held', 'parked')",
        [tenant_id],
        ids,
    )
    faulty = connection.many(
        "select distinct d.message_id from documents d join exceptions e on e.tenant_id = d.tenant_id"
        " and e.object_id = d.document_id and e.state = 'open' where d.tenant_id = ? and d.message_id in ({})",
        [tenant_id],
        ids,
    )
    own = connection.many(
        "select distinct object_id from exceptions where tenant_id = ? and state = 'open' and object_id in ({})",
        [tenant_id],
        ids,
    )
    return {row[0] for row in (*waiting, *faulty, *own)}


def inbound(
    connection: Connection, tenant_id: str, after: str, before: str, is_old: IsOld, limit: int, *, dry: bool
) -> Seen:
    """Remove settled inbound messages with their documents; the receipt stays for its own time."""
    rows = connection.query(
        "select message_id, connection_id, state from inbound_messages where tenant_id = ? and message_id > ?"
        " and message_id < ? order by message_id limit ?",
        (tenant_id, after, before, limit),
    )
    busy = _busy(connection, tenant_id, [row[0] for row in rows])
    old = [row for row in rows if is_old(row[1], row[0])]
    going = [row[0] for row in old if row[2] in SETTLED_INBOUND and row[0] not in busy]
    if not dry:
        for table in ("documents", "payloads", "inbound_messages"):
            _delete(connection, table, tenant_id, going)
    return Seen(rows[-1][0] if len(rows) == limit else None, len(going), 0, len(old) - len(going))


def outbound(
    connection: Connection, tenant_id: str, after: str, before: str, is_old: IsOld, limit: int, *, dry: bool
) -> Seen:
    """Remove settled outbound messages with their attempts, once the order behind them is finished.

    The row of a send is what keeps its effect from being made again: while the order lives, it stays.
    """
    rows = connection.query(
        "select message_id, connection_id, state, ack_state, subject, identity from outbound_messages"
        " where tenant_id = ? and message_id > ? and message_id < ? order by message_id limit ?",
        (tenant_id, after, before, limit),
    )
    busy = _busy(connection, tenant_id, [row[0] for row in rows])
    alive = _live_orders(connection, tenant_id, {row[4] for row in rows})
    old = [row for row in rows if is_old(row[1], row[0])]
    going = [
        row
        for row in old
        if row[2] in SETTLED_OUTBOUND and row[3] != "awaited" and row[0] not in busy and row[4] not in alive
    ]
    if not dry:
        for table in ("attempts", "payloads", "outbound_messages"):
            _delete(connection, table, tenant_id, [row[0] for row in going])
        connection.executemany(
            "delete from sent_sets where tenant_id = ? and group_control_number = ? and message_id = ?",
            [(tenant_id, str(int(row[5])), row[0]) for row in going if row[5].isdigit()],
        )
    return Seen(rows[-1][0] if len(rows) == limit else None, len(going), 0, len(old) - len(going))


def _live_orders(connection: Connection, tenant_id: str, subjects: set[str]) -> set[str]:
    keys = sorted(subject.removeprefix("order/") for subject in subjects if subject.startswith("order/"))
    if not keys:
        return set()
    rows = connection.many(
        "select key, status from aggregates where tenant_id = ? and kind = 'order' and key in ({})", [tenant_id], keys
    )
    return {f"order/{row[0]}" for row in rows if row[1] not in SETTLED_ORDERS}


def orders(
    connection: Connection, tenant_id: str, after: tuple[str, str], before_micros: int, limit: int, *, dry: bool
) -> Seen:
    """Remove finished orders that nothing has touched since, with their events and names. `after`: (status, key)."""
    status, behind = after
    rows = connection.query(
        "select key, updated_at from aggregates where tenant_id = ? and kind = 'order' and status = ? and key > ?"
        " order by key limit ?",
        (tenant_id, status, behind, limit),
    )
    subjects = [f"order/{row[0]}" for row in rows if row[1] < before_micros]
    busy = _busy_orders(connection, tenant_id, subjects)
    going = [one for one in subjects if one not in busy]
    if not dry:
        for statement in (
            "delete from events where tenant_id = ? and subject = ?",
            "delete from identifiers where tenant_id = ? and subject = ?",
            "delete from timers where tenant_id = ? and subject = ?",
        ):
            connection.executemany(statement, [(tenant_id, one) for one in going])
        connection.executemany(
            "delete from aggregates where tenant_id = ? and kind = 'order' and key = ?",
            [(tenant_id, one.removeprefix("order/")) for one in going],
        )
    following: tuple[str, str] | None = (status, rows[-1][0]) if len(rows) == limit else None
    if following is None and status != SETTLED_ORDERS[-1]:
        following = (SETTLED_ORDERS[SETTLED_ORDERS.index(status) + 1], "")
    return Seen(following, len(going), 0, len(busy))


def _busy_orders(connection: Connection, tenant_id: str, subjects: list[str]) -> set[str]:
    if not subjects:
        return set()
    busy: set[str] = set()
    for table, states in (
        ("documents", "state in ('held', 'parked')"),
        ("outbound_messages", "state not in ('sent', 'discarded')"),
        ("exceptions", "state = 'open'"),
    ):
        statement = f"select distinct subject from {table} where tenant_id = ? and subject in ({{}})"
        rows = connection.many(f"{statement} and subject <> '' and {states}", [tenant_id], subjects)
        busy |= {row[0] for row in rows}
    return busy


def events(connection: Connection, tenant_id: str, after: int, before_micros: int, limit: int, *, dry: bool) -> Seen:
    """Remove old events that belong to no order: stock, documents, deadlines of what is gone."""
    rows = connection.query(
        "select position, subject, recorded_at from events where tenant_id = ? and position > ?"
        " order by position limit ?",
        (tenant_id, after, limit),
    )
    old = [row for row in rows if row[2] < before_micros]
    alive = _known_orders(connection, tenant_id, {row[1] for row in old})
    going = [row[0] for row in old if row[1] not in alive]
    if not dry:
        connection.executemany(
            "delete from events where tenant_id = ? and position = ?", [(tenant_id, one) for one in going]
        )
    return Seen(rows[-1][0] if len(rows) == limit and len(old) == limit else None, len(going))


def _known_orders(connection: Connection, tenant_id: str, subjects: set[str]) -> set[str]:
    keys = sorted(subject.removeprefix("order/") for subject in subjects if subject.startswith("order/"))
    if not keys:
        return set()
    rows = connection.many(
        "select key from aggregates where tenant_id = ? and kind = 'order' and key in ({})", [tenant_id], keys
    )
    return {f"order/{row[0]}" for row in rows}


def issues(connection: Connection, tenant_id: str, after: str, before_micros: int, limit: int, *, dry: bool) -> Seen:
    """Remove closed issues with their members."""
    rows = connection.query(
        "select issue_id, state, closed_at from issues where tenant_id = ? and issue_id > ? order by issue_id limit ?",
        (tenant_id, after, limit),
    )
    going = [row[0] for row in rows if row[1] not in ("open", "acknowledged") and (row[2] or 0) < before_micros]
    if not dry:
        for table in ("exceptions", "issues"):
            connection.executemany(
                f"delete from {table} where tenant_id = ? and issue_id = ?", [(tenant_id, one) for one in going]
            )
    return Seen(rows[-1][0] if len(rows) == limit else None, len(going))


# What only remembers that something came: table → (its key behind the tenant, its instant).
MEMORIES: dict[str, tuple[tuple[str, ...], str]] = {
    "receipts": (("connection_id", "receipt_key"), "received_at"),
    "interchanges": (("sender", "receiver", "control_number", "usage"), "received_at"),
    "stock_reports": (("report", "site"), "recorded_at"),
    "idempotency_keys": (("actor", "route", "key"), "created_at"),
}


def memories(
    connection: Connection, table: str, tenant_id: str, after: Row | None, before_micros: int, limit: int, *, dry: bool
) -> Seen:
    """Remove old receipts and the like, in the order of their keys."""
    columns, instant = MEMORIES[table]
    listed, places = ", ".join(columns), ", ".join("?" * len(columns))
    behind = after or ("",) * len(columns)
    rows = connection.query(
        f"select {listed}, {instant} from {table} where tenant_id = ? and ({listed}) > ({places})"
        f" order by {listed} limit ?",
        (tenant_id, *behind, limit),
    )
    going = [row[:-1] for row in rows if row[-1] < before_micros]
    if not dry:
        matching = " and ".join(f"{column} = ?" for column in columns)
        connection.executemany(
            f"delete from {table} where tenant_id = ? and {matching}", [(tenant_id, *key) for key in going]
        )
    return Seen(tuple(rows[-1][:-1]) if len(rows) == limit else None, len(going))


def give_back(connection: Connection, pages: int) -> bool:
    """Give free pages of an SQLite record back to the disk; tell whether there may be more.

    PostgreSQL does it by itself.
    """
    if connection.engine != "sqlite":
        return False
    row = connection.one("pragma freelist_count")
    if row is None or row[0] < pages or connection.one("pragma auto_vacuum") != (2,):
        return False
    connection.query(f"pragma incremental_vacuum({int(pages)})")
    return bool(row[0] - pages >= pages)


def _delete(connection: Connection, table: str, tenant_id: str, ids: Sequence[str]) -> None:
    connection.executemany(
        f"delete from {table} where tenant_id = ? and message_id = ?", [(tenant_id, one) for one in ids]
    )
