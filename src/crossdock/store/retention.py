"""Find and remove what has been kept long enough, a small batch at a time.

What may go at all says durable/retention.py. Message ids grow with time, so what is old stands at the beginning of
every table: a batch reads a short range and goes on behind the last id it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..durable.identity import from_micros
from ..durable.retention import SETTLED_INBOUND, SETTLED_OUTBOUND
from ..processes.registry import PROCESSES
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
    """Remove settled outbound messages with their attempts, once the order, load or the like behind them is finished.

    The row of a send is what keeps its effect from being made again: while the aggregate lives, it stays.
    """
    rows = connection.query(
        "select message_id, connection_id, state, ack_state, subject, identity from outbound_messages"
        " where tenant_id = ? and message_id > ? and message_id < ? order by message_id limit ?",
        (tenant_id, after, before, limit),
    )
    busy = _busy(connection, tenant_id, [row[0] for row in rows])
    alive = _live(connection, tenant_id, {row[4] for row in rows})
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


def _statuses(connection: Connection, tenant_id: str, subjects: set[str]) -> dict[str, str]:
    """Return the statuses of those subjects that are aggregates."""
    found: dict[str, str] = {}
    for kind in PROCESSES:
        keys = sorted(one.partition("/")[2] for one in subjects if one.startswith(f"{kind}/"))
        if keys:
            rows = connection.many(
                "select key, status from aggregates where tenant_id = ? and kind = ? and key in ({})",
                [tenant_id, kind],
                keys,
            )
            found |= {f"{kind}/{key}": status for key, status in rows}
    return found


def _live(connection: Connection, tenant_id: str, subjects: set[str]) -> set[str]:
    return {
        subject
        for subject, status in _statuses(connection, tenant_id, subjects).items()
        if status not in PROCESSES[subject.partition("/")[0]].settled
    }


# In which statuses aggregates may go, kind after kind.
SETTLED = tuple((process.kind, status) for process in PROCESSES.values() for status in process.settled)


def aggregates(
    connection: Connection, tenant_id: str, after: tuple[int, str], before_micros: int, limit: int, *, dry: bool
) -> Seen:
    """Remove finished aggregates that nothing has touched since, with their events and names.

    `after`: the place in `SETTLED`, and the key.
    """
    place, behind = after
    kind, status = SETTLED[place]
    rows = connection.query(
        "select key, updated_at from aggregates where tenant_id = ? and kind = ? and status = ? and key > ?"
        " order by key limit ?",
        (tenant_id, kind, status, behind, limit),
    )
    subjects = [f"{kind}/{row[0]}" for row in rows if row[1] < before_micros]
    busy = _busy_subjects(connection, tenant_id, subjects)
    going = [one for one in subjects if one not in busy]
    if not dry:
        for statement in (
            "delete from events where tenant_id = ? and subject = ?",
            "delete from identifiers where tenant_id = ? and subject = ?",
            "delete from timers where tenant_id = ? and subject = ?",
        ):
            connection.executemany(statement, [(tenant_id, one) for one in going])
        connection.executemany(
            "delete from aggregates where tenant_id = ? and kind = ? and key = ?",
            [(tenant_id, kind, one.partition("/")[2]) for one in going],
        )
    following: tuple[int, str] | None = (place, rows[-1][0]) if len(rows) == limit else None
    if following is None and place + 1 < len(SETTLED):
        following = (place + 1, "")
    return Seen(following, len(going), 0, len(busy))


def _busy_subjects(connection: Connection, tenant_id: str, subjects: list[str]) -> set[str]:
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
    """Remove old events that belong to nothing that is kept: stock, documents, deadlines of what is gone."""
    rows = connection.query(
        "select position, subject, recorded_at from events where tenant_id = ? and position > ?"
        " order by position limit ?",
        (tenant_id, after, limit),
    )
    old = [row for row in rows if row[2] < before_micros]
    alive = _statuses(connection, tenant_id, {row[1] for row in old})
    going = [row[0] for row in old if row[1] not in alive]
    if not dry:
        connection.executemany(
            "delete from events where tenant_id = ? and position = ?", [(tenant_id, one) for one in going]
        )
    return Seen(rows[-1][0] if len(rows) == limit and len(old) == limit else None, len(going))


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
    "own_changes": (("connection_id", "object", "key", "digest"), "told_at"),
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


class Settled(msgspec.Struct, frozen=True):
    """A table whose settled rows may go: its key behind the tenant, and which rows are settled since before an instant.

    `first` is a key below all others. `by_day`: the instant is asked for as a day (UTC), not in microseconds.
    """

    key: tuple[str, ...]
    condition: str
    first: tuple[Any, ...] = ("",)
    by_day: bool = False


# What a shelf is made of stays: movements since its last count, and those that an open drift has to explain.
_COUNTED = (
    "moved_at < ? and moved_at < (select min(l.as_of) from stock_lots l where l.tenant_id = stock_movements.tenant_id"
    " and l.site = stock_movements.site and l.sku = stock_movements.sku)"
    " and not exists (select 1 from stock_drifts d where d.tenant_id = stock_movements.tenant_id"
    " and d.site = stock_movements.site and d.sku = stock_movements.sku and d.state in ('new', 'timing', 'open')"
    " and d.from_at <= stock_movements.moved_at)"
)
_NOT_THE_LAST_STATEMENT = (
    "recorded_at < ? and exists (select 1 from statements s where s.tenant_id = statements.tenant_id"
    " and s.partner = statements.partner and s.kind = statements.kind and s.site = statements.site"
    " and s.as_of > statements.as_of)"
)
_NOT_THE_LAST_RUN = (
    "ended_at < ? and exists (select 1 from reconciliation_runs r where r.tenant_id = reconciliation_runs.tenant_id"
    " and r.name = reconciliation_runs.name and r.ended_at > reconciliation_runs.ended_at)"
)

# Which period of the pack each follows → table → what of it is settled.
SETTLED_ROWS: dict[str, dict[str, Settled]] = {
    "messages": {
        # Accepted shapes stay: they are how the partner sends.
        "document_shapes": Settled(
            ("connection_id", "document_type", "digest"),
            "state in ('warned', 'refused') and last_seen_at < ?",
            ("", "", ""),
        ),
        "case_counts": Settled(("on_day",), "on_day < ?", by_day=True),
    },
    "orders": {
        "stock_movements": Settled(("site", "moved_at", "movement_id"), _COUNTED, ("", -(2**62), "")),
        "stock_drifts": Settled(("drift_id",), "state not in ('new', 'timing', 'open') and closed_at < ?"),
        "statements": Settled(("statement_id",), _NOT_THE_LAST_STATEMENT),
        "reconciliation_runs": Settled(("run_id",), _NOT_THE_LAST_RUN),
        "reconciliation_differences": Settled(
            ("difference_id",), "state not in ('open', 'accepted') and settled_at < ?"
        ),
        "notices": Settled(("notice_id",), "state <> 'waiting' and created_at < ?"),
    },
}


def settled(
    connection: Connection, table: str, tenant_id: str, after: Row | None, before_micros: int, limit: int, *, dry: bool
) -> Seen:
    """Remove old settled rows of a table of `SETTLED_ROWS`, in the order of its key; the rest is not looked at."""
    kept = next(tables[table] for tables in SETTLED_ROWS.values() if table in tables)
    listed, places = ", ".join(kept.key), ", ".join("?" * len(kept.key))
    before = from_micros(before_micros).date().isoformat() if kept.by_day else before_micros
    rows = connection.query(
        f"select {listed} from {table} where tenant_id = ? and ({listed}) > ({places}) and {kept.condition}"
        f" order by {listed} limit ?",
        (tenant_id, *(after or kept.first), before, limit),
    )
    if not dry:
        matching = " and ".join(f"{column} = ?" for column in kept.key)
        connection.executemany(
            f"delete from {table} where tenant_id = ? and {matching}", [(tenant_id, *key) for key in rows]
        )
    return Seen(tuple(rows[-1]) if len(rows) == limit else None, len(rows))


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
