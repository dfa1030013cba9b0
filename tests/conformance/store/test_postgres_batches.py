"""Batches on PostgreSQL: few statements and round trips, the same result, faults with whoever made them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from crossdock.flow.cycle import run_apart
from crossdock.store.engine import Connection, StoreUnavailable
from crossdock.store.postgres import PostgresConnection, PostgresStore, _meaning_of
from crossdock.store.postgres_batches import in_arrays

INSERT = "insert into t (k, a, b) values (?,?,?) on conflict (k) do update set a = excluded.a, b = t.b || excluded.b"
UPDATE = "update t set a = ?, b = b || 'x' where k = ? and a <> 'fixed'"
TYPES = {"k": "bigint", "a": "text", "b": "text"}


@pytest.fixture
def store(postgres_database: str) -> Iterator[PostgresStore]:
    """An open record with a small table."""
    opened = PostgresStore(postgres_database, threads=2)
    opened.write_now(lambda one: one.execute("create table t (k bigint primary key, a text not null, b text not null)"))
    yield opened
    opened.close()


def _rows(store: PostgresStore) -> list[Any]:
    return store.read_now(lambda one: one.query("select * from t order by k"))


def _row_by_row(rows: Sequence[Sequence[Any]], sql: str) -> Any:
    return lambda connection: [connection.execute(sql, row) for row in rows]


@pytest.mark.parametrize("sql", [INSERT, UPDATE])
@pytest.mark.parametrize("keys", [range(50), [1, 2, 1, 3], [], [7]])
def test_a_batch_is_the_rows_one_by_one(store: PostgresStore, sql: str, keys: Sequence[int]) -> None:
    """Whatever the shape and whatever repeats, the table ends as it would row by row."""
    first = [(key, "fixed" if key % 7 == 0 else "free", str(key)) for key in range(0, 40, 2)]
    rows = [(key, f"a{key}", f"b{n}") if sql is INSERT else (f"a{n}", key) for n, key in enumerate(keys)]
    ends = []
    for write in (_row_by_row(rows, sql), lambda connection: connection.executemany(sql, rows)):
        store.write_now(lambda one: one.execute("delete from t"))
        store.write_now(lambda one: one.executemany(INSERT, first))
        store.write_now(write)
        ends.append(_rows(store))

    assert ends[0] == ends[1]


def test_columns_travel_as_binary_arrays() -> None:
    """A list given as text costs nine times as much; nobody may fall back to it unseen."""
    joined = in_arrays(INSERT, [(1, "a", "b"), (2, "c", "d")], lambda table: TYPES)

    assert joined is not None
    assert "unnest(%b::bigint[], %b::text[], %b::text[])" in joined[0]
    assert [[1, 2], ["a", "c"], ["b", "d"]] == joined[1]


@pytest.mark.parametrize(
    "sql",
    [
        "delete from t where k = ?",
        "update t set a = case when b > ? then b else ? end where k = ?",
        "insert into t (k, a, b) values (?,?,?) returning k",
    ],
)
def test_what_has_another_form_runs_row_by_row(sql: str) -> None:
    """Types are known only where a parameter stands beside its column."""
    assert in_arrays(sql, [("x",) * sql.count("?")] * 9, lambda table: TYPES) is None


def test_a_batch_and_what_follows_are_one_round_trip(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin, ten batches and the commit of a transaction cross the wire once, a query in between once more."""
    trips = 0
    sync = psycopg.Pipeline.sync
    send = psycopg.Connection.execute

    def counted(self: psycopg.Pipeline) -> None:
        nonlocal trips
        trips += 1
        sync(self)

    def alone(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal trips
        trips += self.pgconn.pipeline_status == 0
        return send(self, *arguments, **options)

    def work(connection: Connection) -> None:
        for number in range(10):
            connection.executemany(INSERT, [(number * 100 + n, "a", "b") for n in range(50)])
        connection.one("select count(*) from t")
        connection.executemany(UPDATE, [("c", number) for number in range(50)])

    store.write_now(lambda one: one.executemany(INSERT, [(-1, "", ""), (-2, "", "")]))
    monkeypatch.setattr(psycopg.Pipeline, "sync", counted)
    monkeypatch.setattr(psycopg.Connection, "execute", alone)
    store.write_now(work)

    assert trips <= 4


def test_a_fault_in_a_batch_stays_with_its_item(store: PostgresStore) -> None:
    """Taken apart, the rows around the faulty one are kept; the transaction goes on and commits."""
    given_up: list[int] = []

    def work(connection: Connection) -> None:
        items = list(range(20))
        run_apart(
            connection,
            items,
            lambda part: connection.executemany(
                "insert into t (k, a, b) values (?,?,?)", [(n, None if n == 13 else "a", "b") for n in part]
            ),
            lambda item, error: given_up.append(item),
        )

    store.write_now(work)

    assert [13] == given_up
    assert [n for n in range(20) if n != 13] == [row[0] for row in _rows(store)]


def test_a_failed_batch_leaves_nothing(store: PostgresStore) -> None:
    """What fails with the commit itself is rolled back whole, and the connection serves the next one."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        store.write_now(
            lambda one: one.executemany("insert into t (k, a, b) values (?,?,?)", [(1, "", ""), (1, "", "")])
        )
    store.write_now(lambda one: one.executemany(INSERT, [(5, "a", "b"), (6, "a", "b")]))

    assert [5, 6] == [row[0] for row in _rows(store)]


def test_a_read_that_writes_is_refused(store: PostgresStore) -> None:
    """A batch given to a read-only snapshot is not silently dropped."""
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        store.read_now(lambda one: one.executemany(INSERT, [(1, "", ""), (2, "", "")]))


def test_lists_of_any_kind_are_asked_for_in_one_query(store: PostgresStore) -> None:
    """Two thousand keys are one statement; an empty list is none."""
    store.write_now(lambda one: one.executemany(INSERT, [(n, str(n), "") for n in range(100)]))
    keys = [str(n) for n in range(2_000)]

    found = store.read_now(lambda one: one.many("select k from t where b = ? and a in ({})", [""], keys))

    assert 100 == len(found)
    assert [] == store.read_now(lambda one: one.many("select k from t where a in ({})", [], []))


def test_every_type_of_a_table_is_known(store: PostgresStore) -> None:
    """The catalog is asked once for a table, and never again."""
    asked: list[str] = []

    def work(connection: PostgresConnection) -> None:
        query = connection.query
        connection.query = lambda sql, parameters=(): asked.append(sql) or query(sql, parameters)  # type: ignore[method-assign,func-returns-value,assignment]
        for start in (0, 100):
            connection.executemany(INSERT, [(start + n, "", "") for n in range(10)])
        del connection.query  # type: ignore[method-assign]

    store.write_now(work)

    assert 1 == len(asked)


def test_a_statement_prepared_in_a_broken_pipeline_is_prepared_again(store: PostgresStore) -> None:
    """However often transactions fail half-way, the statements behind the failure work in the next one."""

    def work(connection: Connection, key: int) -> None:
        connection.executemany("insert into t (k, a, b) values (?,?,?)", [(key, "", ""), (key + 1, "", "")])
        connection.executemany(UPDATE, [("c", key), ("d", key + 1)])
        connection.one("select count(*) from t where k = ?", (key,))

    store.write_now(lambda one: work(one, 0))
    for number in range(1, 12):
        with pytest.raises(psycopg.errors.UniqueViolation):
            store.write_now(lambda one: work(one, 0))
        store.write_now(lambda one, key=number * 10: work(one, key))  # type: ignore[misc]

    assert 24 == len(_rows(store))


def test_what_cannot_be_written_down_leaves_no_open_transaction(store: PostgresStore) -> None:
    """A value without an encoding fails with the commit; nothing of it is there after the next, unrelated write."""

    def half(connection: Connection) -> None:
        connection.execute("insert into t (k, a, b) values (1, 'half', '')")
        connection.executemany(INSERT, [(2, "x\ud800", ""), (3, "y", "")])

    for _ in range(3):
        with pytest.raises(UnicodeEncodeError):
            store.write_now(half)
        store.write_now(lambda one: one.executemany(INSERT, [(8, "", ""), (9, "", "")]))

        assert [8, 9] == [row[0] for row in _rows(store)]


def test_who_was_left_behind_is_ended_once(store: PostgresStore) -> None:
    """Several threads that meet commits in doubt end each server process, and none stumbles over the others."""
    doubtful = [psycopg.connect(store.url, autocommit=True) for _ in range(6)]
    for connection in doubtful:
        row = connection.execute(
            "select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()"
        ).fetchone()
        assert row is not None
        store._left_behind.append((row[0], row[1]))
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: store.read_now(lambda one: one.one("select 1")), range(6)))

    assert not store._left_behind
    for connection in doubtful:
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
        connection.close()


def test_a_session_ended_for_idling_is_the_servers_fault() -> None:
    """The server ends a transaction in which nothing happens; whoever wrote is told that the record was away."""
    assert isinstance(_meaning_of(psycopg.errors.IdleInTransactionSessionTimeout("idle")), StoreUnavailable)
    assert isinstance(_meaning_of(psycopg.errors.ReadOnlySqlTransaction("the control")), psycopg.Error)
