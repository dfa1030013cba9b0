"""The state of every order (and later return, receipt, load), the names it is found under, and its timers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..canonical.identifiers import match_key, search_key
from .engine import Connection, Row, locked


class AggregateRow(msgspec.Struct):
    """One aggregate; columns as in the schema."""

    tenant_id: str
    kind: str
    key: str
    aggregate_id: str
    version: int
    status: str
    customer: str
    region: str
    due_at: int | None
    at_risk: int
    value_cents: int
    created_at: int
    updated_at: int
    state: bytes
    sites: str = ""


_CREATE = f"insert into aggregates ({', '.join(AggregateRow.__struct_fields__)}) values ({','.join('?' * 15)})"
_SAVE = f"""{_CREATE}
 on conflict (tenant_id, kind, key) do update set version = excluded.version, status = excluded.status,
 customer = excluded.customer, region = excluded.region, due_at = excluded.due_at, at_risk = excluded.at_risk,
 value_cents = excluded.value_cents, updated_at = excluded.updated_at, state = excluded.state, sites = excluded.sites"""


_LISTED = "status, customer, region, due_at, at_risk, value_cents, sites"
_KEEP = """update aggregates set version = ?, updated_at = ?, state = ? where tenant_id = ? and kind = ? and key = ?"""


def load(connection: Connection, tenant_id: str, kind: str, keys: Sequence[str]) -> dict[str, Row]:
    """Return the aggregates of some keys: key → (aggregate_id, version, created_at, state, *what lists show).

    In a transaction that writes, others that decide on the same ones wait until its end: hand the keys in sorted.
    """
    if not keys:
        return {}
    rows = connection.many(
        f"select key, aggregate_id, version, created_at, state, {_LISTED} from aggregates where tenant_id = ? and"
        " kind = ? and key in ({})" + locked(connection, "key"),
        [tenant_id, kind],
        keys,
    )
    return {row[0]: row[1:] for row in rows}


def with_status(connection: Connection, tenant_id: str, kind: str, status: str, limit: int) -> list[str]:
    """Return the keys of aggregates in one status, the oldest first."""
    rows = connection.query(
        "select key from aggregates where tenant_id = ? and kind = ? and status = ? order by created_at, key limit ?",
        (tenant_id, kind, status, limit),
    )
    return [row[0] for row in rows]


def create(connection: Connection, rows: Iterable[AggregateRow]) -> None:
    """Write aggregates that did not exist when they were looked for. One that does now is a contention, never lost."""
    ordered = sorted(rows, key=lambda row: (row.tenant_id, row.kind, row.key))
    connection.executemany(_CREATE, [msgspec.structs.astuple(row) for row in ordered])


def save(connection: Connection, rows: Iterable[AggregateRow]) -> None:
    """Write aggregates, new and changed."""
    connection.executemany(_SAVE, [msgspec.structs.astuple(row) for row in rows])


def save_states(connection: Connection, rows: Iterable[AggregateRow]) -> None:
    """Write aggregates of which lists show nothing new: only version, time and state, and no index is touched."""
    connection.executemany(
        _KEEP, [(row.version, row.updated_at, row.state, row.tenant_id, row.kind, row.key) for row in rows]
    )


def listed(row: AggregateRow) -> tuple[Any, ...]:
    """Return what lists show of an aggregate, in the order in which `load` returns it."""
    return (row.status, row.customer, row.region, row.due_at, row.at_risk, row.value_cents, row.sites)


def name(connection: Connection, rows: Iterable[tuple[str, str, str, str]]) -> None:
    """Make things findable: (tenant_id, type, subject, value)."""
    connection.executemany(
        "insert into identifiers (tenant_id, search_key, type, subject, value) values (?,?,?,?,?) on"
        " conflict do nothing",
        [(tenant_id, search_key(value), kind, subject, value) for tenant_id, kind, subject, value in rows if value],
    )


def resolve(connection: Connection, tenant_id: str, values: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return the subjects that some names belong to: (type, match key) → subject.

    A name that an order shares with something else, as a waybill that a return uses again, leads to the order.
    """
    if not values:
        return {}
    rows = connection.many(
        "select type, value, subject from identifiers where tenant_id = ? and search_key in ({})",
        [tenant_id],
        list({search_key(value) for value in values}),
    )
    # The index finds loosely; what differs in more than case and spaces is another name.
    found: dict[tuple[str, str], str] = {}
    for kind, value, subject in rows:
        name_ = (kind, match_key(value))
        if not found.get(name_, "").startswith("order/"):
            found[name_] = subject
    return found


def set_timers(connection: Connection, rows: Iterable[tuple[str, str, str, int]]) -> None:
    """Set or move deadlines: (tenant_id, subject, name, due_at)."""
    connection.executemany(
        "insert into timers (tenant_id, subject, name, due_at) values (?,?,?,?)"
        " on conflict (tenant_id, subject, name) do update set due_at = excluded.due_at",
        rows,
    )


def cancel_timers(connection: Connection, rows: Iterable[tuple[str, str, str]]) -> None:
    """Cancel deadlines: (tenant_id, subject, name)."""
    connection.executemany("delete from timers where tenant_id = ? and subject = ? and name = ?", rows)


def due_timers(connection: Connection, now_micros: int, limit: int = 500) -> list[Row]:
    """Return deadlines of all tenants that have passed: (tenant_id, subject, name, due_at), the earliest first.

    One that another process is working on is left out.
    """
    skip = connection.locking and f"{connection.locking} skip locked"
    return connection.query(
        "select tenant_id, subject, name, due_at from timers where due_at <= ? order by due_at,"
        f" tenant_id, subject, name limit ?{skip}",
        (now_micros, limit),
    )


def next_timer(connection: Connection) -> int | None:
    """Return when the next deadline passes."""
    row = connection.one("select min(due_at) from timers")
    return row[0] if row else None
