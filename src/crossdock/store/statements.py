"""What partners stated of their books: when, of what, and in which document the rows stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .engine import Connection, Row

# statement_id, partner, kind, site, as_of, from_at, row_count, recorded_at
STATEMENT_COLUMNS = "statement_id, partner, kind, site, as_of, from_at, row_count, recorded_at"


def insert(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Write statements: (tenant_id, statement_id, partner, kind, site, as_of, from_at, row_count, recorded_at)."""
    connection.executemany(
        "insert into statements (tenant_id, statement_id, partner, kind, site, as_of, from_at, row_count, recorded_at)"
        " values (?,?,?,?,?,?,?,?,?)",
        rows,
    )


def newest(
    connection: Connection, tenant_id: str, partner: str, kind: str, site: str, until: int
) -> tuple[Row, bytes] | None:
    """Return the newest statement of a partner (STATEMENT_COLUMNS) as of an instant or before, with its document."""
    row = connection.one(
        f"select {STATEMENT_COLUMNS} from statements where tenant_id = ? and partner = ? and kind = ? and as_of <= ?"
        " and (? = '' or site in ('', ?)) order by as_of desc, statement_id desc limit 1",
        (tenant_id, partner, kind, until, site, site),
    )
    if row is None:
        return None
    found = connection.one(
        "select canonical from documents where tenant_id = ? and document_id = ?", (tenant_id, row[0])
    )
    return None if found is None or found[0] is None else (row, bytes(found[0]))


def recent(connection: Connection, tenant_id: str, limit: int) -> list[Row]:
    """Return the newest statements (STATEMENT_COLUMNS)."""
    return connection.query(
        f"select {STATEMENT_COLUMNS} from statements where tenant_id = ? order by statement_id desc limit ?",
        (tenant_id, limit),
    )
