"""A batch in few statements leaves the table exactly as the statement run for every row would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.store import many_rows
from crossdock.store.many_rows import in_parts

INSERT = "insert into t (k, a, b) values (?,?,?) on conflict (k) do update set a = excluded.a, b = b || excluded.b"
UPDATE = "update t set a = ?, b = b || case when b > ? then ? else '-' end where k = ? and a <> 'fixed'"


def _table() -> apsw.Connection:
    raw = apsw.Connection(":memory:")
    raw.execute("create table t (k integer primary key, a text, b text)")
    raw.executemany("insert into t values (?,?,?)", [(k, "fixed" if k % 7 == 0 else "free", str(k)) for k in range(90)])
    return raw


def _rows(raw: apsw.Connection) -> list[Any]:
    return raw.execute("select * from t order by k").fetchall()


def _after_parts(sql: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
    raw = _table()
    for statement, parameters, single in in_parts(sql, rows):
        if single:
            raw.executemany(statement, single)
        else:
            raw.execute(statement, parameters)
    return _rows(raw)


def _row_by_row(sql: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
    raw = _table()
    raw.executemany(sql, rows)
    return _rows(raw)


_KEYS = st.lists(st.integers(0, 120), max_size=200)


@given(_KEYS)
def test_an_insert_of_many_rows_is_many_inserts(keys: list[int]) -> None:
    """Conflicts are met in order, also those within one batch."""
    rows = [(key, f"a{number}", f"b{number}") for number, key in enumerate(keys)]

    assert _row_by_row(INSERT, rows) == _after_parts(INSERT, rows)


@given(_KEYS)
def test_an_update_of_many_rows_is_many_updates(keys: list[int]) -> None:
    """Each row finds its own key, the fixed condition holds, and of two updates of one key the last counts."""
    rows = [(f"a{number}", "m", f"x{number}", key) for number, key in enumerate(keys)]

    assert _row_by_row(UPDATE, rows) == _after_parts(UPDATE, rows)


def test_an_update_that_ignored_repeated_keys_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: joined values alone lose one of two updates of one key."""
    monkeypatch.setattr(many_rows, "_names_one_twice", lambda rows, key_at: False)
    rows = [("first", "m", "1", 1), ("second", "m", "2", 1), ("other", "m", "3", 2), ("other", "m", "4", 3)]

    assert _row_by_row(UPDATE, rows) != _after_parts(UPDATE, rows)


def test_the_engine_is_entered_a_few_times() -> None:
    """A hundred rows are four statements and no more than one single row."""
    parts = list(in_parts(INSERT, [(number, "", "") for number in range(103)]))

    assert [64, 32, 4, 2] == [len(parameters) // 3 for _, parameters, single in parts if not single]
    assert 1 == sum(len(single) for _, _, single in parts)


def test_the_update_looks_rows_up_by_their_key() -> None:
    """The joined values lead; the table is never scanned."""
    statement, parameters, _ = next(in_parts(UPDATE, [("a", "m", "x", number) for number in range(64)]))
    plan = [row[3] for row in _table().execute("explain query plan " + statement, parameters)]

    assert any("SEARCH t USING INTEGER PRIMARY KEY" in step for step in plan)
    assert not any(step.startswith("SCAN t") for step in plan)


@pytest.mark.parametrize(
    "sql", ["delete from t where k = ?", "update t set a = ? where k = ? returning a", "select * from t where k = ?"]
)
def test_what_has_another_form_runs_row_by_row(sql: str) -> None:
    """Only plain inserts and updates are joined."""
    rows = [(1,) * sql.count("?")] * 20

    assert [(sql, (), rows)] == list(in_parts(sql, rows))


def test_nothing_is_nothing() -> None:
    """No rows, no statement."""
    assert [] == list(in_parts(INSERT, []))
