"""The grown-up record: PostgreSQL through psycopg, a small pool of connections each in its own thread.

A commit whose wait for the synchronous standby was cancelled is announced by a warning only: it is reported as unknown.
Its rows are there for everyone to see, and gone with this server: after it, nothing is written or decided before all
that this server shows has reached its standby.
The start refuses a server that may forget what it acknowledged (fsync, full_page_writes, synchronous_commit off).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from ..errors import ConfigurationError
from .engine import (
    RESTORING_SCHEMA,
    CommitUnknown,
    Contention,
    Row,
    StoreFull,
    StoreUnavailable,
    already_worked,
    migrate,
    restore_cut_off,
)
from .postgres_batches import any_of, in_arrays
from .under_way import UnderWay

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
_MIGRATION_LOCK = 7_265_501
_WORKER_LOCK = 7_265_502


def _roll_back(connection: PostgresConnection) -> None:
    """End a transaction. A connection that is broken has ended it already."""
    if connection.forget():
        with contextlib.suppress(psycopg.OperationalError):
            connection.raw.execute("rollback")


@lru_cache(maxsize=1024)
def _translated(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


class PostgresConnection:
    """A connection as repositories see it."""

    engine = "postgresql"

    def __init__(self, raw: psycopg.Connection[Row]) -> None:
        self.raw = raw
        self.locking, self.several, self.collisions_are_faults = "", False, False
        self.writing = False
        self.backend_pid, self.backend_start = 0, None
        self.warnings: list[str] = []
        # Set when a pipeline broke: the driver believes statements to be prepared that the server never saw. Nothing
        # prepared is used any more, and the connection is replaced at the end of its transaction.
        self.distrusted = False
        self._waiting: list[tuple[str, Sequence[Any] | None]] = []
        self._types: dict[str, Mapping[str, str]] = {}
        raw.add_notice_handler(self._notice)

    def _notice(self, diagnostic: Any) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self.warnings.append(diagnostic.message_primary or "")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._run(_translated(sql), parameters or None).rowcount

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write a batch. It goes out with the next statement that somebody waits for, or with `flush`."""
        rows = rows if isinstance(rows, list) else list(rows)
        joined = in_arrays(sql, rows, self._types_of)
        if joined is not None:
            self._waiting.append(joined)
        else:
            self._waiting += [(_translated(sql), row) for row in rows]

    def flush(self) -> None:
        """Send what waits, in one round trip; raises what the first faulty statement of it raises."""
        if self._waiting:
            self._run(*self._waiting.pop())

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._run(_translated(sql), parameters or None).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        return self._run(_translated(sql), parameters or None).fetchone()

    def many(self, sql: str, before: Sequence[Any], values: Sequence[Any]) -> list[Row]:
        if not values:
            return []
        return self._run(any_of(sql, type(values[0]).__name__), [*before, list(values)]).fetchall()

    def begin(self, how: str = "") -> None:
        """Begin a transaction, one that writes unless `how` is given; costs no round trip of its own."""
        self.writing = not how
        self._waiting = [("begin" + how, None)]

    def commit(self) -> None:
        """Send what waits and commit, in one round trip."""
        self._waiting.append(("commit", None))
        waiting, self._waiting = self._waiting, []
        try:
            with self.raw.pipeline():
                for one in waiting:
                    self._send(*one)
        except BaseException:
            self.distrusted = True
            raise

    def forget(self) -> bool:
        """Leave out what waits: the transaction is given up. Tell whether it had begun on the server."""
        begun = not (self._waiting and self._waiting[0][0].startswith("begin"))
        self._waiting = []
        return begun

    def _run(self, statement: str, parameters: Sequence[Any] | None) -> psycopg.Cursor[Row]:
        """Run a statement behind what waits, all of it in one round trip."""
        waiting, self._waiting = self._waiting, []
        try:
            if not waiting:
                return self._send(statement, parameters)
            with self.raw.pipeline():
                for one in waiting:
                    self._send(*one)
                return self._send(statement, parameters)
        except BaseException as error:
            self.distrusted = self.distrusted or bool(waiting)
            if isinstance(error, psycopg.Error):
                raise self.meaning(error) from error
            raise

    def _send(self, statement: str, parameters: Sequence[Any] | None) -> psycopg.Cursor[Row]:
        return self.raw.execute(statement, parameters, prepare=False if self.distrusted else None)

    def _types_of(self, table: str) -> Mapping[str, str]:
        """Return the type of each column of a table; asked for once, outside of the pipeline."""
        known = self._types.get(table)
        if known is None:
            rows = self.query(
                "select attname, format_type(atttypid, atttypmod) from pg_attribute"
                " where attrelid = to_regclass(?) and attnum > 0 and not attisdropped",
                (table,),
            )
            known = self._types[table] = {row[0]: row[1] for row in rows}
        return known

    def meaning(self, error: psycopg.Error) -> BaseException:
        """Return what a fault of the server means for the caller."""
        if self.several and error.sqlstate == "23505" and not self.collisions_are_faults:
            return Contention(f"another process was first: {error}")
        if self.writing and error.sqlstate == _READ_ONLY:
            return StoreUnavailable(f"PostgreSQL is a standby, for now: {error}")
        return _meaning_of(error)


# Another transaction was first: serialization failure, deadlock.
_CONTENTION_STATES = ("40001", "40P01")

# Classes of SQLSTATE that say something of the server, not of what is being written: connection, deadlock, resources,
# idle for too long inside a transaction, locks, cancelled or shut down, system, internal.
_SERVER_STATES = ("08", "25P03", "40", "53", "55", "57", "58", "XX")


# A write on a standby: a moment before or after a failover.
_READ_ONLY = "25006"


def _meaning_of(error: BaseException) -> BaseException:
    """Return what a fault of the server means for the caller; a fault of a statement or a value stays what it is."""
    if not isinstance(error, psycopg.Error):
        return error
    state = error.sqlstate
    if state in _CONTENTION_STATES:
        return Contention(f"another transaction was first: {error}")
    if state is not None and state.startswith("53100"):
        return StoreFull(f"the disk is full: {error}")
    if _is_broken(error) or (state is not None and state.startswith(_SERVER_STATES)):
        return StoreUnavailable(f"PostgreSQL failed: {error}")
    return error


def _is_broken(error: psycopg.Error) -> bool:
    """Tell whether the connection itself ended, which the server has no code for."""
    return error.sqlstate is None and isinstance(error, psycopg.OperationalError)


class PostgresStore:
    """Open with `engine.open_store`."""

    engine = "postgresql"
    under_way: UnderWay | None = None

    def __init__(self, url: str, *, threads: int = 4) -> None:
        self.url = url
        self._idle: queue.SimpleQueue[PostgresConnection] = queue.SimpleQueue()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._count = threads
        self._commits = 0
        self._left_behind: deque[tuple[int, Any]] = deque()
        self._ending = threading.Lock()
        # How many times this server's record may have shown what its standby has not, and how many of them are settled.
        # A process that starts does not know what the one before it left.
        self._doubts, self._settled = 1, 0
        self._doubting = threading.Lock()
        self._lock: PostgresConnection | None = None
        self._several = False
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
        raw.execute(f"set idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS_MAX}s'")
        connection = PostgresConnection(raw)
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
        if connection.one("select 1 from pg_namespace where nspname = ?", (RESTORING_SCHEMA,)) is not None:
            connection.raw.close()
            raise restore_cut_off()
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
            self._confirm(connection)
            connection.locking, connection.several = " for update", self._several
            connection.collisions_are_faults = False
            connection.begin()
            try:
                result = function(connection)
            except BaseException:
                _roll_back(connection)
                raise
            self._commit(connection)
            self._commits += 1
            return result
        except psycopg.Error as error:
            meaning = _meaning_of(error)
            if meaning is error:
                raise
            raise meaning from error
        finally:
            self._give_back(connection)

    def _confirm(self, connection: PostgresConnection) -> None:
        """After a commit of unknown outcome, wait until all that this server shows is on its standby too.

        Standbys take commits in their order, so one commit that they confirm is enough. It has to write something.
        Raises CommitUnknown when this wait is cancelled as well.
        """
        doubts = self._doubts
        if self._settled >= doubts:
            return
        connection.begin()
        connection.execute("select pg_logical_emit_message(true, 'crossdock', '')")
        self._commit(connection)
        with self._doubting:
            self._settled = max(self._settled, doubts)

    def _doubt(self, reason: str) -> CommitUnknown:
        with self._doubting:
            self._doubts += 1
        return CommitUnknown(reason)

    def _commit(self, connection: PostgresConnection) -> None:
        connection.warnings.clear()
        try:
            connection.commit()
        except psycopg.Error as error:
            if not connection.raw.closed and (error.sqlstate is not None or not _is_broken(error)):
                # The server refused it and says so, or it never was sent: nothing of it is kept.
                _roll_back(connection)
                raise connection.meaning(error) from error
            self._leave_behind(connection)
            raise self._doubt(f"the connection broke during the commit: {error}") from error
        except BaseException:
            # A value that cannot be written down: the commit itself was never sent.
            _roll_back(connection)
            raise
        if connection.warnings:
            # Whatever it says, in the server's language: a commit that is on the standby comes without a warning.
            raise self._doubt(f"the wait for the synchronous standby was cancelled: {connection.warnings[0]}")

    async def read(self, function: Callable[[PostgresConnection], T]) -> T:
        """Run `function` on a read-only snapshot, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.read_now, function)

    def read_now(self, function: Callable[[PostgresConnection], T]) -> T:
        """Like `read`, blocking."""
        connection = self._take()
        try:
            connection.locking, connection.several = "", False
            connection.begin(" transaction isolation level repeatable read read only")
            try:
                result = function(connection)
                connection.flush()
                return result
            finally:
                _roll_back(connection)
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
        """Make the outcome of a commit in doubt final, so that a look at the record is the truth.

        One thread at a time; a server process that does not end leaves the record unavailable rather than in doubt.
        """
        with self._ending:
            while self._left_behind:
                pid, start = self._left_behind[0]
                row = connection.one(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where pid = ? and backend_start = ?",
                    (pid, start),
                )
                if row is not None and row[0] is not True:
                    raise StoreUnavailable(f"server process {pid} may still be committing and does not end")
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
        if connection.distrusted or connection.raw.info.transaction_status != TransactionStatus.IDLE:
            connection.raw.close()
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
