"""Drifts: shelves where a site's snapshot differs from what was expected.

`new` nobody looked at yet; `timing` what explains it may still be on its way; `open` somebody must look; `settled`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .engine import Connection, Row

DRIFT_COLUMNS = (
    "drift_id, site, sku, lot, status, state, kind, expected, reported, from_at, as_of, due_at, confidence, suspect,"
    " reason, suspects, opened_at, closed_at, closed_by, resolution"
)


def insert(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Write new drifts: (tenant_id, drift_id, site, sku, lot, status, expected, reported, from_at, as_of,
    opened_at).
    """
    connection.executemany(
        "insert into stock_drifts (tenant_id, drift_id, site, sku, lot, status, state, kind, expected, reported,"
        " from_at, as_of, due_at, confidence, suspect, reason, suspects, opened_at)"
        " values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            (*row[:6], "new", "", *row[6:10], 0, 0, "", "", b"[]", row[10])
            for row in rows
        ],
    )  # fmt: skip


# The terms as they stand in the indexes: SQLite takes a partial index for nothing less.
_UNSETTLED = "state in ('new', 'timing', 'open')"
_WAITING = "state in ('new', 'timing')"


def waiting(connection: Connection, tenant_id: str, limit: int) -> list[Row]:
    """Return drifts that are to be judged (DRIFT_COLUMNS): new ones first, then matters of timing as they fall due."""
    return connection.query(
        f"select {DRIFT_COLUMNS} from stock_drifts where tenant_id = ? and {_WAITING}"
        " order by state, due_at, drift_id limit ?",
        (tenant_id, limit),
    )


def open_behind(connection: Connection, tenant_id: str, place: tuple[str, str, str], limit: int) -> list[Row]:
    """Return open drifts (DRIFT_COLUMNS) by site, item and id, behind such a place."""
    return connection.query(
        f"select {DRIFT_COLUMNS} from stock_drifts where tenant_id = ? and {_UNSETTLED} and state = 'open'"
        " and (site, sku, drift_id) > (?, ?, ?) order by site, sku, drift_id limit ?",
        (tenant_id, *place, limit),
    )


def open_of(connection: Connection, tenant_id: str, site: str, skus: Sequence[str], limit: int) -> list[Row]:
    """Return open drifts (DRIFT_COLUMNS) of some items of a site, at most so many."""
    return connection.many(
        f"select {DRIFT_COLUMNS} from stock_drifts where tenant_id = ? and {_UNSETTLED} and state = 'open'"
        f" and site = ? and sku in ({{}}) order by sku, drift_id limit {limit}",
        [tenant_id, site],
        skus,
    )


def states_of(connection: Connection, tenant_id: str, drift_ids: Sequence[str]) -> dict[str, str]:
    """Return the states of some drifts: id → state."""
    rows = connection.many(
        "select drift_id, state from stock_drifts where tenant_id = ? and drift_id in ({})", [tenant_id], drift_ids
    )
    return {row[0]: row[1] for row in rows}


def load(connection: Connection, tenant_id: str, drift_id: str) -> Row | None:
    """Return one drift (DRIFT_COLUMNS), or None."""
    return connection.one(
        f"select {DRIFT_COLUMNS} from stock_drifts where tenant_id = ? and drift_id = ?", (tenant_id, drift_id)
    )


def listed(
    connection: Connection, tenant_id: str, *, state: str, site: str, sku: str, before: str, limit: int
) -> list[Row]:
    """Return drifts (DRIFT_COLUMNS), newest first, behind an id. Empty filters take everything."""
    conditions, values = ["tenant_id = ?"], [tenant_id]
    for column, value in (("state", state), ("site", site), ("sku", sku)):
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    if before:
        conditions.append("drift_id < ?")
        values.append(before)
    return connection.query(
        f"select {DRIFT_COLUMNS} from stock_drifts where {' and '.join(conditions)} order by drift_id desc limit ?",
        (*values, limit),
    )


def between(connection: Connection, tenant_id: str, after: int, until: int, limit: int) -> list[Row]:
    """Return drifts (DRIFT_COLUMNS) of snapshots of a period, or that are not settled at its end, oldest first."""
    return connection.query(
        f"select {DRIFT_COLUMNS} from stock_drifts where tenant_id = ? and opened_at <= ? and"
        " (opened_at > ? or closed_at is null) order by drift_id limit ?",
        (tenant_id, until, after, limit),
    )


def judge(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Write what was found out: (state, kind, due_at, confidence, suspect, reason, suspects, tenant_id, drift_id)."""
    connection.executemany(
        "update stock_drifts set state = ?, kind = ?, due_at = ?, confidence = ?, suspect = ?, reason = ?,"
        " suspects = ? where tenant_id = ? and drift_id = ?",
        rows,
    )


def settle(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Settle drifts: (closed_at, closed_by, resolution, tenant_id, drift_id)."""
    connection.executemany(
        "update stock_drifts set state = 'settled', closed_at = ?, closed_by = ?, resolution = ?"
        " where tenant_id = ? and drift_id = ?",
        rows,
    )
