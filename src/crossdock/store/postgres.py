"""The grown-up record: PostgreSQL through psycopg, a small pool of connections each in its own thread.

A commit whose wait for the synchronous standby was cancelled is announced by a warning only: it is reported as unknown.
The start refuses a server that may forget what it acknowledged (fsync, full_page_writes, synchronous_commit off).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus

from ..errors import ConfigurationError
from . import postgres_rows
from .engine import (
    CommitUnknown,
    Contention,
    Row,
    StoreFull,
    StoreUnavailable,
    already_worked,
    migrate,
    placeholder_lists,
)

T = TypeVar("T")

DIALECT = {
    "bytes": "bytea",
    "big": "bigint",
    # txid makes a cursor possible that never passes a transaction still open (store/journal.py).
    "position": "position bigserial primary key, txid xid8 not null default pg_current_xact_id()",
    "without_rowid": "",
    "serial": "bigserial",
    "postgresql_only": "",
    # Whoever follows the journal asks in this order; without it every look sorts the whole table.
    "journal_index": "create index events_by_transaction on events (txid, position)",
}

CLAIM_SECONDS_MAX = 3.0
# A process that is stopped inside a transaction holds what it locked no longer than this.
IDLE_IN_TRANSACTION_SECONDS_MAX = 60
# A statement is planned once and kept. One that was planned while a table was empty would go on walking all of it when
# it holds a million rows: everything the hub asks has an index, so it is told to use them.
_PLANS = ("enable_seqscan", "jit")
_MIGRATION_LOCK = 7_265_501
_WORKER_LOCK = 7_265_502


@lru_cache(maxsize=1024)
def _translated(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


@lru_cache(maxsize=1024)
def _with_arrays(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s").replace(" in ({})", " = any(%b)")


class PostgresConnection:
    """A connection as repositories see it.

    Inside a transaction of the store, statements whose results nobody reads are not sent until one is whose result
    somebody reads, or the commit: they travel together, in one round trip.
    """

    engine = "postgresql"

    def __init__(self, raw: psycopg.Connection[Row], types: dict[str, tuple[int, ...]] | None = None) -> None:
        self.raw = raw
        self.locking, self.several, self.collisions_are_faults = "", False, False
        self.backend_pid, self.backend_start = 0, None
        self.warnings: list[str] = []
        self._types = {} if types is None else types
        self._defers = False
        self._deferred: list[tuple[str, Sequence[Any] | None]] = []
        postgres_rows.teach(raw)
        raw.add_notice_handler(self._notice)

    def _notice(self, diagnostic: Any) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self.warnings.append(diagnostic.message_primary or "")

    def begin(self, how: str, *, locking: str, several: bool) -> None:
        """Begin a transaction. Nothing is sent yet: it goes with the first statement."""
        self.warnings.clear()
        self.locking, self.several, self.collisions_are_faults = locking, several, False
        self._defers = True
        self._deferred = [(how, None)]

    def commit(self) -> None:
        """Send what waits, and commit."""
        deferred, self._deferred = self._deferred, []
        self._defers = False
        self._run([*deferred, ("commit", None)])

    def roll_back(self) -> None:
        """End a transaction. A connection that is broken has ended it already."""
        self._deferred.clear()
        self._defers = False
        if self.raw.info.transaction_status == TransactionStatus.IDLE:
            return
        with contextlib.suppress(psycopg.OperationalError):
            self.raw.execute("rollback")

    def settle(self) -> None:
        """Send what waits, so that its errors are known."""
        deferred, self._deferred = self._deferred, []
        if deferred:
            try:
                self._run(deferred)
            except psycopg.Error as error:
                raise self.meaning(error) from error

    def _run(self, statements: Sequence[tuple[str, Sequence[Any] | None]]) -> psycopg.Cursor[Row]:
        """Run statements in one round trip; return the cursor of the last. Raises the first error."""
        cursor = self.raw.cursor(binary=True)
        if len(statements) == 1:
            return cursor.execute(*statements[0])
        with self.raw.pipeline():
            for sql, parameters in statements[:-1]:
                self.raw.cursor().execute(sql, parameters)
            cursor.execute(*statements[-1])
        return cursor

    def _ask(self, sql: str, parameters: Sequence[Any] | None) -> psycopg.Cursor[Row]:
        deferred, self._deferred = self._deferred, []
        try:
            return self._run([*deferred, (sql, parameters)])
        except psycopg.Error as error:
            raise self.meaning(error) from error

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        if self._defers and sql.startswith("release savepoint"):
            # Nothing depends on its success that does not fail with it.
            self._deferred.append((sql, None))
            return -1
        return self._ask(_translated(sql), parameters or None).rowcount

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = rows if isinstance(rows, list) else list(rows)
        if not rows:
            return
        shape = postgres_rows.shape_of(sql)
        types = self._types_of(sql) if shape is not None else ()
        if shape is None or not postgres_rows.packable(types):
            self._one_by_one(sql, rows)
            return
        statement = shape.statement()
        for group in postgres_rows.groups(rows, shape.key):
            columns = zip(*group, strict=True)
            arrays = [postgres_rows.packed(oid, column) for oid, column in zip(types, columns, strict=True)]
            if self._defers:
                self._deferred.append((statement, arrays))
            else:
                self._ask(statement, arrays)

    def _one_by_one(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self.settle()
        try:
            with self.raw.cursor() as cursor:
                cursor.executemany(_translated(sql), rows)
        except psycopg.Error as error:
            raise self.meaning(error) from error

    def _types_of(self, sql: str) -> tuple[int, ...]:
        """Return the types of a statement's parameters as the server sees them; asked once in a process."""
        types = self._types.get(sql)
        if types is None:
            self.settle()
            server = self.raw.pgconn
            encoding = self.raw.info.encoding
            for answer in (
                server.prepare(b"", postgres_rows.numbered(sql).encode(encoding)),
                server.describe_prepared(b""),
            ):
                if answer.status != ExecStatus.COMMAND_OK:
                    error = psycopg.errors.error_from_result(answer, encoding=encoding)
                    raise self.meaning(error) from error
            types = tuple(answer.param_type(number) for number in range(answer.nparams))
            self._types[sql] = types
        return types

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._ask(_translated(sql), parameters or None).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        return self._ask(_translated(sql), parameters or None).fetchone()

    def meaning(self, error: psycopg.Error) -> BaseException:
        """Return what an error of the server means for the caller."""
        if self.several and error.sqlstate == "23505" and not self.collisions_are_faults:
            return Contention(f"another process was first: {error}")
        return _meaning_of(error)

    def many(self, sql: str, before: Sequence[Any], values: Sequence[Any]) -> list[Row]:
        if values and sql.count(" in ({})") == 1 and " not in ({})" not in sql and set(map(type, values)) == {str}:
            array = postgres_rows.packed(postgres_rows.TEXT, list(values))
            return self._ask(_with_arrays(sql), [*before, array]).fetchall()
        rows: list[Row] = []
        for statement, parameters in placeholder_lists(sql, before, values):
            rows += self.query(statement, parameters)
        return rows


# Another transaction was first: serialization failure, deadlock.
_CONTENTION_STATES = ("40001", "40P01")

# Classes of SQLSTATE that say something of the server, not of what is being written: connection, deadlock, resources,
# locks, cancelled or shut down, system, internal.
_SERVER_STATES = ("08", "40", "53", "55", "57", "58", "XX")


def _meaning_of(error: BaseException) -> BaseException:
    """Return what a fault of the server means for the caller; a fault of a statement or a value stays what it is."""
    if not isinstance(error, psycopg.Error):
        return error
    state = error.sqlstate
    if state in _CONTENTION_STATES:
        return Contention(f"another transaction was first: {error}")
    if state is not None and state.startswith("53100"):
        return StoreFull(f"the disk is full: {error}")
    broken = state is None and isinstance(error, psycopg.OperationalError)
    if broken or (state is not None and state[:2] in _SERVER_STATES):
        return StoreUnavailable(f"PostgreSQL failed: {error}")
    return error


class PostgresStore:
    """Open with `engine.open_store`."""

    engine = "postgresql"

    def __init__(self, url: str, *, threads: int = 4) -> None:
        self.url = url
        self._idle: queue.SimpleQueue[PostgresConnection] = queue.SimpleQueue()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._count = threads
        self._commits = 0
        self._left_behind: deque[tuple[int, Any]] = deque()
        self._lock: PostgresConnection | None = None
        self._several = False
        self._types: dict[str, tuple[int, ...]] = {}
        first = self._connect()
        self._refuse_unsafe(first)
        self._migrate(first)
        self._idle.put(first)
        for _ in range(threads - 1):
            self._idle.put(self._connect())

    def _connect(self) -> PostgresConnection:
        try:
            raw = psycopg.connect(self.url, autocommit=True, prepare_threshold=2)
        except psycopg.OperationalError as error:
            raise StoreUnavailable(
                f"PostgreSQL cannot be reached: {error}", hint="Check store.url and that the server runs"
            ) from error
        raw.prepared_max = 400
        for setting in _PLANS:
            raw.execute(f"set {setting} = off")
        raw.execute(f"set idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS_MAX}s'")
        connection = PostgresConnection(raw, self._types)
        row = connection.one("select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()")
        if row is not None:
            connection.backend_pid, connection.backend_start = row
        return connection

    def _refuse_unsafe(self, connection: PostgresConnection) -> None:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            row = connection.one(f"show {setting}")
            if row is not None and row[0] == "off":
                raise ConfigurationError(
                    f"PostgreSQL runs with {setting}=off: acknowledged messages could be lost",
                    code="XD-CFG-012",
                    hint=f"Set {setting}=on",
                )

    def _migrate(self, connection: PostgresConnection) -> None:
        with connection.raw.transaction():
            connection.execute("select pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))
            migrate(connection, DIALECT, time.time_ns() // 1000)

    def claim(self) -> None:
        """Become the one worker of this record, by an advisory lock of a connection of its own.

        The server needs a moment to notice that the last worker was killed; it is waited for.
        """
        self._hold("pg_try_advisory_lock")

    def join(self) -> None:
        """Become one of several processes of this record: a shared lock, which `claim` of another process respects."""
        self._hold("pg_try_advisory_lock_shared")
        self._several = True

    def open_connection(self) -> PostgresConnection:
        """Return a connection beside the pool, for a thread of its own; the caller closes its `raw`."""
        return self._connect()

    def _hold(self, lock: str) -> None:
        connection = self._connect()
        deadline = time.monotonic() + CLAIM_SECONDS_MAX
        while connection.one(f"select {lock}(?)", (_WORKER_LOCK,)) != (True,):
            if time.monotonic() > deadline:
                connection.raw.close()
                raise already_worked()
            time.sleep(0.05)
        self._lock = connection

    def commits(self) -> int:
        """Return how many transactions were committed since the store was opened."""
        return self._commits

    async def write(self, function: Callable[[PostgresConnection], T]) -> T:
        """Run `function` in a transaction of its own; return its result after the commit is durable."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.write_now, function)

    async def write_here(self, function: Callable[[PostgresConnection], T]) -> T:
        """Like `write`: the server is waited for in a thread, never by the event loop."""
        return await self.write(function)

    def write_now(self, function: Callable[[PostgresConnection], T]) -> T:
        """Like `write`, blocking."""
        connection = self._take()
        try:
            connection.begin("begin", locking=" for update", several=self._several)
            try:
                result = function(connection)
                self._commit(connection)
            except BaseException:
                connection.roll_back()
                raise
            return result
        except psycopg.Error as error:
            meaning = _meaning_of(error)
            if meaning is error:
                raise
            raise meaning from error
        finally:
            self._give_back(connection)

    def _commit(self, connection: PostgresConnection) -> None:
        try:
            connection.commit()
        except psycopg.Error as error:
            broken = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
            if broken or connection.raw.closed:
                self._leave_behind(connection)
                raise CommitUnknown(f"the connection broke during the commit: {error}") from error
            # The server refused the commit, or a statement that went with it, and says so: nothing of it is kept.
            raise connection.meaning(error) from error
        if any("synchronous replication" in text for text in connection.warnings):
            raise CommitUnknown("the wait for the synchronous standby was cancelled")
        self._commits += 1

    async def read(self, function: Callable[[PostgresConnection], T]) -> T:
        """Run `function` on a read-only snapshot, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.read_now, function)

    def read_now(self, function: Callable[[PostgresConnection], T]) -> T:
        """Like `read`, blocking."""
        connection = self._take()
        try:
            connection.begin("begin transaction isolation level repeatable read read only", locking="", several=False)
            try:
                result = function(connection)
                connection.settle()
                return result
            finally:
                connection.roll_back()
        except psycopg.Error as error:
            meaning = _meaning_of(error)
            if meaning is error:
                raise
            raise meaning from error
        finally:
            self._give_back(connection)

    def _leave_behind(self, connection: PostgresConnection) -> None:
        """Keep in mind a server process that may still be committing: it is ended before anything else is done."""
        self._left_behind.append((connection.backend_pid, connection.backend_start))

    def _end_left_behind(self, connection: PostgresConnection) -> None:
        """Make the outcome of a commit in doubt final, so that a look at the record is the truth."""
        while self._left_behind:
            pid, start = self._left_behind[0]
            connection.one(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where pid = ? and backend_start = ?",
                (pid, start),
            )
            self._left_behind.popleft()

    def _take(self) -> PostgresConnection:
        connection = self._usable()
        if self._left_behind:
            try:
                self._end_left_behind(connection)
            except BaseException:
                self._give_back(connection)
                raise
        return connection

    def _usable(self) -> PostgresConnection:
        connection = self._idle.get()
        if connection.raw.closed or connection.raw.broken:
            try:
                return self._connect()
            except StoreUnavailable:
                self._idle.put(connection)
                raise
        return connection

    def _give_back(self, connection: PostgresConnection) -> None:
        self._idle.put(connection)

    def broken(self) -> BaseException | None:
        """PostgreSQL connections are replaced when they break; the store itself never is."""
        return None

    def close(self) -> None:
        """Finish what runs, then close every connection."""
        self._executor.shutdown(wait=True)
        for _ in range(self._count):
            self._idle.get().raw.close()
        if self._lock is not None:
            self._lock.raw.close()
