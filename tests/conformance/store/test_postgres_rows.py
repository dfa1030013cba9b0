"""PostgreSQL: many rows in one statement leave what a statement for each row would; errors keep their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from crossdock.flow.cycle import run_apart
from crossdock.store import aggregates, messages, postgres_rows
from crossdock.store.engine import Connection, open_store
from crossdock.store.postgres import PostgresConnection, PostgresStore
from tests.conformance.store import rows

INSERT = (
    "insert into t (k, a, b, fixed) values (?,?,?,7) on conflict (k) do update set a = excluded.a, b = t.b || '-' ||"
    " excluded.b"
)
UPDATE = "update t set a = ?, b = b || ? where k = ? and fixed <> 3"
DELETE = "delete from t where k = ? and a = ?"


@pytest.fixture
def record(postgres_database: str) -> Iterator[PostgresStore]:
    """An open record of its own with one more table of every type that is written."""
    store = open_store(postgres_database, readers=1)
    assert isinstance(store, PostgresStore)
    store.write_now(
        lambda c: c.execute(
            "create table t (k bigint primary key, a bytea, b text, fixed integer default 1, f double precision)"
        )
    )
    yield store
    store.close()


def _row_by_row(connection: Connection, sql: str, given: Sequence[Sequence[Any]]) -> None:
    for row in given:
        connection.execute(sql, row)


@pytest.mark.parametrize(
    ("sql", "given"),
    [
        (INSERT, [(n % 7, bytes([n]), f"ü{n}") for n in range(20)]),
        (INSERT, [(n, None, "same") for n in range(5)]),
        (INSERT, [(n, b"", None) for n in range(3)]),
        (UPDATE, [(bytes([n]), str(n), n % 4) for n in range(9)]),
        (UPDATE, [(None, "x", 1)]),
        (DELETE, [(1, b"1"), (2, b"other"), (1, b"1")]),
    ],
    ids=["keys meet", "nulls", "empty", "one twice", "single", "delete"],
)
def test_many_rows_are_as_many_statements(record: PostgresStore, sql: str, given: list[Any]) -> None:
    """Conflicts are met in order, also within one batch; fixed parts hold."""
    seen = []
    for run in (lambda c: c.executemany(sql, given), lambda c: _row_by_row(c, sql, given)):
        record.write_now(lambda c: c.execute("delete from t"))
        record.write_now(
            lambda c: [c.execute("insert into t (k, a, b) values (?, ?, ?)", (n, b"%d" % n, "b")) for n in range(4)]
        )
        record.write_now(run)
        seen.append(record.read_now(lambda c: c.query("select * from t order by k")))

    assert postgres_rows.shape_of(sql) is not None
    assert seen[1] == seen[0]


def test_every_type_of_column_comes_back(record: PostgresStore) -> None:
    """Negative and largest numbers, floats, bytes and every character arrive as they left."""
    given = [(-(2**63), b"\x00\xff", "a'\"\\{},NULL", -(2**31), 0.1), (2**63 - 1, None, "😀", 2**31 - 1, None)]
    record.write_now(lambda c: c.executemany("insert into t (k, a, b, fixed, f) values (?,?,?,?,?)", given))

    assert given == record.read_now(lambda c: c.query("select k, a, b, fixed, f from t order by k"))


def test_a_batch_is_one_statement_over_binary_arrays(record: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: begin, three batches and the commit are one exchange with the server, and no list goes out as text."""
    exchanges: list[list[Any]] = []
    run = PostgresConnection._run

    def watched(self: PostgresConnection, statements: Any) -> Any:
        exchanges.append(list(statements))
        return run(self, statements)

    def work(connection: Connection) -> None:
        messages.insert_inbound(connection, [rows.inbound(f"msg_{n}") for n in range(200)])
        messages.count_run(connection, [("acme", f"msg_{n}") for n in range(200)])
        aggregates.set_timers(connection, [("acme", f"order/{n}", "due", n) for n in range(200)])

    record.write_now(work)
    record.write_now(lambda c: c.execute("delete from inbound_messages"))
    monkeypatch.setattr(PostgresConnection, "_run", watched)
    record.write_now(work)

    assert [["begin", "insert", "update", "insert", "commit"]] == [
        [sql.split()[0] for sql, _ in statements] for statements in exchanges
    ]
    batches = [parameters for sql, parameters in exchanges[0] if parameters]
    assert all(isinstance(one, postgres_rows.Array) for parameters in batches for one in parameters)


def test_a_list_of_names_is_one_query_of_any_length(record: PostgresStore) -> None:
    """Also of none, and of more than a statement has parameters."""
    record.write_now(
        lambda c: messages.insert_receipts(
            c, [("acme", "wms", f"k{n}", f"msg_{n}", rows.DIGEST, n) for n in range(1500)]
        )
    )
    for count in (0, 1, 1500):
        names = [f"k{n}" for n in range(count)]
        found = record.read_now(lambda c, names=names: messages.receipts_of(c, "acme", "wms", names))
        assert set(names) == set(found)


def _insert_apart(connection: Connection, *, settles: bool) -> list[str]:
    given_up: list[str] = []
    settle = connection.settle
    if not settles:
        connection.settle = lambda: None  # type: ignore[method-assign]
    try:
        run_apart(
            connection,
            ["msg_1", "msg_bad\x00", "msg_2"],
            lambda part: messages.insert_inbound(connection, [rows.inbound(one) for one in part]),
            lambda one, _: given_up.append(one),
        )
    finally:
        connection.settle = settle  # type: ignore[method-assign]
    return given_up


def test_an_error_that_was_put_off_finds_its_culprit(record: PostgresStore) -> None:
    """A part taken apart names the one row that cannot be written; without `settle` it could not."""
    assert ["msg_bad\x00"] == record.write_now(lambda c: _insert_apart(c, settles=True))
    stored = record.read_now(lambda c: c.query("select message_id from inbound_messages order by message_id"))
    assert [("msg_1",), ("msg_2",)] == stored

    with pytest.raises(psycopg.Error):
        record.write_now(lambda c: _insert_apart(c, settles=False))


def test_what_fails_with_the_commit_leaves_nothing(record: PostgresStore) -> None:
    """A statement that was put off until the commit fails it, is told as what it is, and the connection goes on."""
    record.write_now(lambda c: messages.insert_inbound(c, [rows.inbound("msg_1")]))
    with pytest.raises(psycopg.errors.UniqueViolation):
        record.write_now(lambda c: messages.insert_inbound(c, [rows.inbound("msg_0"), rows.inbound("msg_1")]))
    record.write_now(lambda c: messages.insert_inbound(c, [rows.inbound("msg_2")]))

    assert [("msg_1",), ("msg_2",)] == record.read_now(
        lambda c: c.query("select message_id from inbound_messages order by message_id")
    )


def test_what_is_none_of_the_plain_forms_runs_row_by_row(record: PostgresStore) -> None:
    """A statement that cannot be rewritten keeps its meaning."""
    odd = "insert into t (k, b) select ?, ? where not exists (select 1 from t where k = 1)"
    record.write_now(lambda c: c.executemany(odd, [(1, "a"), (2, "b")]))

    assert postgres_rows.shape_of(odd) is None
    assert [(1, "a")] == record.read_now(lambda c: c.query("select k, b from t"))
