"""Plans on SQLite are those of a full record from the first row on."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from crossdock.store.engine import open_store

QUERIES = (
    "select 1 from documents where tenant_id = ? and state in ('held', 'parked') and awaits in (?, ?, ?, ?)",
    "select 1 from exceptions where tenant_id = ? and state = 'open' and object_id in (?, ?, ?, ?)",
    "select 1 from outbound_messages where tenant_id = ? and subject <> '' and subject in (?, ?, ?, ?)",
    "select data from events where tenant_id = ? and position > ? order by position limit 10",
)


def walks(path: Path) -> list[str]:
    """Return the queries that read all of a tenant's rows, or sort them."""
    connection = apsw.Connection(str(path))
    found = []
    for sql in QUERIES:
        plan = [str(row[3]) for row in connection.execute(f"explain query plan {sql}", ["x"] * sql.count("?"))]
        if any(line.endswith("(tenant_id=?)") or line.startswith("SCAN") or "TEMP B-TREE" in line for line in plan):
            found.append(sql)
    connection.close()
    return found


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record.db"
    open_store(f"sqlite:///{path}").close()
    return path


def test_a_list_of_names_is_looked_up_by_index(record: Path) -> None:
    """In a record without a row the hot queries already use their indexes."""
    assert [] == walks(record)


def test_without_the_statistics_a_tenant_would_be_walked(record: Path) -> None:
    """The check notices: with SQLite's own guesses the same queries walk the tenant."""
    connection = apsw.Connection(str(record))
    connection.execute("delete from sqlite_stat1")
    connection.close()

    assert {QUERIES[0], QUERIES[3]} <= set(walks(record))
