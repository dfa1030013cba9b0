"""Runs of reconciliation and their differences; and the hub's own record in the shape in which it is compared.

A difference is known again by comparison, place and kind for as long as it lasts: so it has an age.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .engine import Connection, Row

RUN_COLUMNS = "run_id, name, state, as_of, ended_at, matched, timing, differing, report, signature, previous_digest"
DIFFERENCE_COLUMNS = (
    "difference_id, comparison, kind, record_key, state, detail, first_seen_at, last_seen_at, run_id, settled_at,"
    " settled_by, reason"
)
ROWS_MAX = 200_000


def insert_run(connection: Connection, row: Sequence[Any]) -> None:
    """Write a run that is over: (tenant_id, *RUN_COLUMNS)."""
    connection.execute(
        f"insert into reconciliation_runs (tenant_id, {RUN_COLUMNS}) values (?,?,?,?,?,?,?,?,?,?,?,?)", row
    )


def runs(connection: Connection, tenant_id: str, before: str, limit: int) -> list[Row]:
    """Return runs (RUN_COLUMNS), newest first, behind an id."""
    return connection.query(
        f"select {RUN_COLUMNS} from reconciliation_runs where tenant_id = ? and run_id < ?"
        " order by run_id desc limit ?",
        (tenant_id, before or "rec_Z", limit),
    )


def load_run(connection: Connection, tenant_id: str, run_id: str) -> Row | None:
    """Return one run (RUN_COLUMNS), or None."""
    return connection.one(
        f"select {RUN_COLUMNS} from reconciliation_runs where tenant_id = ? and run_id = ?", (tenant_id, run_id)
    )


def last_run_of(connection: Connection, tenant_id: str, name: str) -> int | None:
    """Return as of when a run of this name was last made, or None."""
    row = connection.one(
        "select max(as_of) from reconciliation_runs where tenant_id = ? and name = ?", (tenant_id, name)
    )
    return None if row is None else row[0]


def unsettled(connection: Connection, tenant_id: str, comparisons: Sequence[str]) -> list[Row]:
    """Return the differences of some comparisons that last (DIFFERENCE_COLUMNS)."""
    if not comparisons:
        return []
    return connection.many(
        f"select {DIFFERENCE_COLUMNS} from reconciliation_differences where tenant_id = ? and"
        " state in ('open', 'accepted') and comparison in ({})",
        [tenant_id],
        comparisons,
    )


def listed(connection: Connection, tenant_id: str, state: str, before: str, limit: int) -> list[Row]:
    """Return differences in a state (DIFFERENCE_COLUMNS), newest first, behind an id."""
    return connection.query(
        f"select {DIFFERENCE_COLUMNS} from reconciliation_differences where tenant_id = ? and state = ?"
        " and difference_id < ? order by difference_id desc limit ?",
        (tenant_id, state, before or "dif_Z", limit),
    )


def load(connection: Connection, tenant_id: str, difference_id: str) -> Row | None:
    """Return one difference (DIFFERENCE_COLUMNS), or None."""
    return connection.one(
        f"select {DIFFERENCE_COLUMNS} from reconciliation_differences where tenant_id = ? and difference_id = ?",
        (tenant_id, difference_id),
    )


def insert(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Write differences seen for the first time: (tenant_id, difference_id, comparison, kind, record_key, detail,
    seen_at, seen_at, run_id).
    """
    connection.executemany(
        "insert into reconciliation_differences (tenant_id, difference_id, comparison, kind, record_key, state, detail,"
        " first_seen_at, last_seen_at, run_id) values (?,?,?,?,?,'open',?,?,?,?)",
        rows,
    )


def seen_again(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Note that differences last: (detail, last_seen_at, run_id, tenant_id, difference_id)."""
    connection.executemany(
        "update reconciliation_differences set detail = ?, last_seen_at = ?, run_id = ? where tenant_id = ?"
        " and difference_id = ?",
        rows,
    )


def settle(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """End or sign off differences: (state, settled_at, settled_by, reason, tenant_id, difference_id)."""
    connection.executemany(
        "update reconciliation_differences set state = ?, settled_at = ?, settled_by = ?, reason = ?"
        " where tenant_id = ? and difference_id = ?",
        rows,
    )


# -- the hub's own record


def events_of(connection: Connection, tenant_id: str, kind: str, after: int, until: int) -> list[Row]:
    """Return the data of events of a type that happened in a period: (data, occurred_at, subject), oldest first."""
    return connection.query(
        "select data, occurred_at, subject from events where tenant_id = ? and type = ? and occurred_at > ?"
        " and occurred_at <= ? order by position limit ?",
        (tenant_id, kind, after, until, ROWS_MAX),
    )


def positions(connection: Connection, tenant_id: str, site: str) -> list[Row]:
    """Return the shelves of a site, or of all: (site, sku, lot, status, quantity, as_of) as last reported."""
    if site:
        return connection.query(
            "select site, sku, lot, status, quantity, as_of from stock_lots where tenant_id = ? and site = ?",
            (tenant_id, site),
        )
    return connection.query(
        "select site, sku, lot, status, quantity, as_of from stock_lots where tenant_id = ?", (tenant_id,)
    )


def sends_to(connection: Connection, tenant_id: str, connections: Sequence[str], after: int) -> list[Row]:
    """Return what was made for some connections since an instant: (document_type, state, created_at, ack_state,
    identity, subject)."""
    if not connections:
        return []
    return connection.many(
        "select document_type, state, created_at, ack_state, identity, subject from outbound_messages"
        " where tenant_id = ? and created_at > ? and connection_id in ({})",
        [tenant_id, after],
        connections,
    )
