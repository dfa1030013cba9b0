"""Fixed statistics for SQLite's planner, so that it plans an empty record as it would a full one.

Without statistics SQLite believes that one tenant has ten rows in every table: a list of names after `tenant_id = ?`
then looks dearer than walking all of the tenant, and a query that is quick in a test reads a million rows in
production.
Measured statistics would change plans from one day to the next. These say: a million rows, few tenants, few rows for
each
further column. Written once after a migration; every connection opened later plans by them.
"""

from __future__ import annotations

from typing import Any

import apsw

ROWS = 1_000_000
TENANTS = 4
# How many values a second and a further column has for each value before it, and the most rows that are left after it.
SECOND_VALUES, FURTHER_VALUES, ROWS_AFTER_SECOND_MAX = 50, 10, 2_000
# Partial indexes hold what waits: a thousandth.
PARTIAL_SHARE = 1_000


def fix_statistics(connection: apsw.Connection) -> None:
    """Write the statistics of every index, in the caller's transaction, and let this connection plan by them."""
    connection.execute("analyze").fetchall()
    connection.execute("delete from sqlite_stat1")
    tables: list[Any] = connection.execute(
        "select name, sql from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
    ).fetchall()
    for table, sql in tables:
        indexes: list[Any] = connection.execute(f"pragma index_list({table})").fetchall()
        for _, index, unique, origin, partial in indexes:
            columns = [str(row[2]) for row in connection.execute(f"pragma index_info({index})").fetchall()]
            # The primary key of a table without rowid is the table itself and bears its name here.
            name = table if origin == "pk" and "without rowid" in sql.lower() else index
            connection.execute(
                "insert into sqlite_stat1 (tbl, idx, stat) values (?, ?, ?)",
                (table, name, statistic(columns, unique=bool(unique), partial=bool(partial))),
            )
    connection.execute("analyze sqlite_schema").fetchall()


def statistic(columns: list[str], *, unique: bool, partial: bool = False) -> str:
    """Return the rows of an index and, for each of its columns, how many rows share a value up to there.

    >>> statistic(["tenant_id", "issue_id", "state"], unique=False)
    '1000000 250000 2000 200'
    >>> statistic(["tenant_id", "message_id"], unique=True)
    '1000000 250000 1'
    """
    rows = [ROWS]
    for place, column in enumerate(columns):
        if unique and place == len(columns) - 1:
            rows.append(1)
        elif column == "tenant_id":
            rows.append(ROWS // TENANTS)
        elif place < 2:
            rows.append(min(rows[-1] // SECOND_VALUES, ROWS_AFTER_SECOND_MAX))
        else:
            rows.append(max(1, rows[-1] // FURTHER_VALUES))
    share = PARTIAL_SHARE if partial else 1
    return " ".join(str(max(1, count // share)) for count in rows)
