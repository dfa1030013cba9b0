"""The embedded record: SQLite in WAL mode, always `synchronous=FULL`, one writing connection in one thread.

The writer takes whatever waits and commits it in one transaction (group commit): durability costs one fsync per cycle.
Each waiting function runs in its own savepoint, so one that fails takes nobody with it.
APSW carries its own, current SQLite: the system's may be older than the WAL-reset fix of 3.51.3.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, ClassVar, TypeVar

import apsw

from ..errors import ConfigurationError
from . import under_way
from .engine import (
    CommitUnknown,
    Row,
    StoreFull,
    StoreUnavailable,
    already_worked,
    finish,
    migrate,
    one_process_only,
    placeholder_lists,
)
from .many_rows import in_parts
from .sqlite_statistics import fix_statistics
from .under_way import UnderWay

T = TypeVar("T")

DIALECT = {
    "bytes": "blob",
    "big": "integer",
    "position": "position integer primary key",
    "without_rowid": " without rowid",
    "serial": "integer not null default 0",
    "postgresql_only": "--",
    # The row id is the order of the journal.
    "journal_index": "",
}

SAFE_VERSION = (3, 51, 3)
CHECKPOINT_PAGES = 8_000
QUICK_COMMIT_SECONDS = 0.004

_Job = tuple[
    Callable[["SqliteConnection"], Any], "asyncio.Future[Any] | Future[Any]", "asyncio.AbstractEventLoop | None"
]


class SqliteConnection:
    """A connection as repositories see it."""

    engine = "sqlite"
    locking = ""
    several = False
    collisions_are_faults = False

    def __init__(self, raw: apsw.Connection) -> None:
        self.raw = raw

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        try:
            self.raw.execute(sql, parameters)
        except _RECORD_ERRORS as error:
            raise _meaning_of(error) from error
        return self.raw.changes()

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            for statement, parameters, single in in_parts(sql, rows if isinstance(rows, list) else list(rows)):
                if single:
                    self.raw.executemany(statement, single)
                else:
                    self.raw.execute(statement, parameters)
        except _RECORD_ERRORS as error:
            raise _meaning_of(error) from error

    def flush(self) -> None:
        """Nothing waits: SQLite runs everything at once."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return self.raw.execute(sql, parameters).fetchall()
        except _RECORD_ERRORS as error:
            raise _meaning_of(error) from error

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        try:
            return self.raw.execute(sql, parameters).fetchone()
        except _RECORD_ERRORS as error:
            raise _meaning_of(error) from error

    def many(self, sql: str, before: Sequence[Any], values: Sequence[Any]) -> list[Row]:
        rows: list[Row] = []
        for statement, parameters in placeholder_lists(sql, before, values):
            rows += self.query(statement, parameters)
        return rows


# Faults of the record, not of what is being written: whoever runs inside a transaction must not take them for his own.
_DISK_ERRORS = (apsw.IOError, apsw.CorruptError, apsw.NotADBError)
_RECORD_ERRORS = (apsw.FullError, *_DISK_ERRORS)


def _is_full(error: BaseException) -> bool:
    """Tell whether there was no room. The index of the log grows by a file's page now and then; when there is no room
    for that, SQLite calls it an I/O error, though nothing is damaged and nothing was in doubt: the log's next
    transaction goes where this one went.
    """
    return isinstance(error, apsw.FullError) or (
        isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE
    )


def _meaning_of(error: BaseException) -> StoreUnavailable:
    if _is_full(error):
        return StoreFull(f"the disk is full: {error}", hint="Free space; nothing accepted so far is lost")
    return StoreUnavailable(f"the disk failed: {error}")


class SqliteStore:
    """Open with `engine.open_store`. `vfs` names an APSW VFS, which lets tests break the disk."""

    engine = "sqlite"

    # Of the writing connection, in this order.
    PRAGMAS: ClassVar[tuple[str, ...]] = (
        "page_size=8192",
        "auto_vacuum=incremental",
        "journal_mode=wal",
        "synchronous=full",
        "wal_autocheckpoint=0",
        "journal_size_limit=-1",
        "cache_size=-65536",
        "temp_store=memory",
        "mmap_size=0",
        "foreign_keys=off",
    )

    def __init__(self, path: str, *, readers: int = 3, vfs: str | None = None) -> None:
        if tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) < SAFE_VERSION:
            raise ConfigurationError(
                f"SQLite {apsw.sqlite_lib_version()} may corrupt a WAL; {'.'.join(map(str, SAFE_VERSION))} is needed",
                code="XD-CFG-011",
                hint="Install the apsw wheel, which carries a current SQLite",
            )
        self.url = f"sqlite:///{path}"
        self._path = path
        self._vfs = vfs
        if path != ":memory:" and vfs is None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Event()
        # Held by whoever writes: the writer thread, or the event loop in `write_here`.
        self._writing = threading.Lock()
        self._commit_seconds = 0.0
        self._checkpoint_due = False
        self._closing = False
        self._commits = 0
        self._broken: BaseException | None = None
        self._lock: IO[str] | None = None
        self.under_way: UnderWay | None = None
        self._connection = SqliteConnection(self._open_writer())
        self._migrate()
        self._start(readers)

    def _start(self, readers: int) -> None:
        """Open the readers and start the threads. A simulation overrides this, to run everything where it is."""
        self._readers: queue.SimpleQueue[SqliteConnection] = queue.SimpleQueue()
        for _ in range(readers):
            self._readers.put(SqliteConnection(self._open_reader()))
        self._reader_count = readers
        # Threads of their own: whatever hangs elsewhere (a name server, a network folder) never holds up a read.
        self._read_threads = ThreadPoolExecutor(readers, thread_name_prefix="store-reader")
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def _open_writer(self) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        raw = apsw.Connection(self._path, flags=flags, vfs=self._vfs, statementcachesize=300)
        raw.set_busy_timeout(5000)
        for pragma in self.PRAGMAS:
            raw.execute(f"pragma {pragma}").fetchall()
        raw.set_wal_hook(self._note_wal)
        return raw

    def _note_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        """Called by SQLite after a commit: a long WAL is written back by the writer thread, never by who commits."""
        if pages >= CHECKPOINT_PAGES:
            self._checkpoint_due = True
            self._wake.set()
        return apsw.SQLITE_OK

    def _open_reader(self) -> apsw.Connection:
        raw = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READONLY, vfs=self._vfs, statementcachesize=200)
        raw.set_busy_timeout(5000)
        raw.execute("pragma query_only=on; pragma cache_size=-16384; pragma temp_store=memory").fetchall()
        # A reader never checkpoints: only the writing connection does (the WAL-reset rule).
        raw.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return raw

    def _migrate(self) -> None:
        self._connection.execute("begin immediate")
        try:
            if migrate(self._connection, DIALECT, time.time_ns() // 1000):
                fix_statistics(self._connection.raw)
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def claim(self) -> None:
        """Become the one worker of this record, by a lock that ends with the process. Raises ConfigurationError."""
        if self._path != ":memory:" and self._vfs is None:
            self._lock = Path(self._path + ".worker").open("a")  # noqa: SIM115 - held until close
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._lock.close()
                raise already_worked() from error
        self._settle_log()
        self.under_way = self._open_under_way()

    def _open_under_way(self) -> UnderWay | None:
        """Return the file; None where there is no room for it: then every message is stored before it is looked at."""
        if self._path == ":memory:" or self._vfs is not None:
            return UnderWay(bytearray(under_way.SIZE))
        try:
            return UnderWay.at(Path(self._path + ".running"))
        except OSError:
            return None

    def _settle_log(self) -> None:
        """Bring what the last process left in the log into the database file, before anyone is answered by it.

        After a failed fsync the log reads well and may not be on the disk: a later fsync of the same pages says that
        all is well and writes nothing. What was in doubt would be acknowledged as a duplicate and lost in a power cut.
        """
        try:
            self._connection.raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except _RECORD_ERRORS as error:
            raise _meaning_of(error) from error

    def join(self) -> None:
        """Raise ConfigurationError: an SQLite record is worked by one process."""
        raise one_process_only()

    def open_connection(self) -> Any:
        """Raise ConfigurationError: whoever needs a connection of its own is one of several processes."""
        raise one_process_only()

    def commits(self) -> int:
        """Return how many transactions were committed since the store was opened."""
        return self._commits

    async def write(self, function: Callable[[SqliteConnection], T]) -> T:
        """Run `function` in the next transaction; return its result after the commit is durable.

        Raises what the function raised, or StoreUnavailable when the record could not be written.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append((function, future, loop))
        self._wake.set()
        return await future

    async def write_here(self, function: Callable[[SqliteConnection], T]) -> T:
        """Like `write`, on the event loop's own thread while nobody else writes and the disk is quick.

        Two threads that both want the interpreter hand it back and forth at every statement; a cycle that fills the
        processor anyway is done sooner without. A disk whose commits take long is left to the writer thread.
        """
        if self._commit_seconds > QUICK_COMMIT_SECONDS or self._jobs or not self._writing.acquire(blocking=False):
            return await self.write(function)
        try:
            ((result, error),) = self._commit([(function, Future(), None)])
        finally:
            self._writing.release()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def write_now(self, function: Callable[[SqliteConnection], T]) -> T:
        """Like `write`, for callers outside an event loop."""
        future: Future[T] = Future()
        self._jobs.append((function, future, None))
        self._wake.set()
        return future.result()

    async def read(self, function: Callable[[SqliteConnection], T]) -> T:
        """Run `function` on a read-only snapshot, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, self.read_now, function)

    def read_now(self, function: Callable[[SqliteConnection], T]) -> T:
        """Like `read`, blocking."""
        connection = self._readers.get()
        try:
            connection.raw.execute("begin")
            try:
                return function(connection)
            finally:
                connection.raw.execute("rollback")
        finally:
            self._readers.put(connection)

    def close(self) -> None:
        """Finish what waits, then close every connection."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        self._read_threads.shutdown()
        for _ in range(self._reader_count):
            self._readers.get().raw.close()
        self._connection.raw.close()
        if self.under_way is not None:
            self.under_way.close()
        if self._lock is not None:
            self._lock.close()

    def _run(self) -> None:
        while True:
            if not self._jobs:
                if self._closing:
                    return
                self._wake.wait()
            self._wake.clear()
            if self._checkpoint_due:
                self._checkpoint()
            batch: list[_Job] = []
            while self._jobs:
                batch.append(self._jobs.popleft())
            if batch:
                with self._writing:
                    results = self._commit(batch)
                self._settle(batch, results)

    def _checkpoint(self) -> None:
        """Write the WAL back as far as readers allow; what fails here is met again by the next commit."""
        self._checkpoint_due = False
        with self._writing:
            if self._broken is None:
                with contextlib.suppress(apsw.Error):
                    self._connection.raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _commit(self, batch: list[_Job]) -> list[tuple[Any, BaseException | None]]:
        """Run the functions in one transaction; each gets its own result or error."""
        if self._broken is not None:
            return [
                (None, StoreUnavailable("the record was closed after an I/O error", hint="Restart the process"))
            ] * len(batch)
        raw = self._connection.raw
        results: list[tuple[Any, BaseException | None]] = []
        try:
            raw.execute("begin immediate")
            for function, _, _ in batch:
                results.append(self._run_in_savepoint(raw, function))
        except BaseException as error:
            return [(None, self._give_up(raw, error))] * len(batch)
        began = time.monotonic()
        try:
            raw.execute("commit")
        except BaseException as error:
            refusal = self._give_up(raw, error)
            return [(None, refusal if old is None else old) for _, old in results]
        self._commits += 1
        # A running mean: one slow commit in ten does not move the work to another thread.
        self._commit_seconds += (time.monotonic() - began - self._commit_seconds) / 16
        return results

    def _run_in_savepoint(
        self, raw: apsw.Connection, function: Callable[[SqliteConnection], Any]
    ) -> tuple[Any, BaseException | None]:
        raw.execute("savepoint job")
        try:
            result = function(self._connection)
        except _RECORD_ERRORS:
            raise
        except BaseException as error:
            if isinstance(error.__cause__, _RECORD_ERRORS):
                raise error.__cause__ from error
            raw.execute("rollback to job")
            raw.execute("release job")
            return None, error
        raw.execute("release job")
        return result, None

    def _give_up(self, raw: apsw.Connection, error: BaseException) -> StoreUnavailable:
        """Roll back and say what it means. After an I/O error the connection is not trusted any more."""
        if not raw.get_autocommit():
            try:
                raw.execute("rollback")
            except apsw.Error:
                self._broken = error
        if _is_full(error):
            return _meaning_of(error)
        if isinstance(error, _DISK_ERRORS):
            self._broken = error
            return CommitUnknown(f"the disk failed: {error}")
        return StoreUnavailable(f"the record refused the transaction: {error}")

    def broken(self) -> BaseException | None:
        """Return the I/O error after which this store takes nothing more, if there was one."""
        return self._broken

    def _settle(self, batch: list[_Job], results: list[tuple[Any, BaseException | None]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Any, Any, BaseException | None]]] = {}
        for (_, future, loop), (result, error) in zip(batch, results, strict=True):
            if loop is None:
                assert isinstance(future, Future)
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            else:
                by_loop.setdefault(loop, []).append((future, result, error))
        for loop, settled in by_loop.items():
            if not loop.is_closed():
                finish(loop, settled)
