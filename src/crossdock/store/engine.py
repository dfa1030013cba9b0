"""The door to the record: one `Store` with two engines behind it, SQLite and PostgreSQL.

`write` runs a function inside a transaction and returns after the commit is durable; `read` runs one on a snapshot.
SQL is written once, with `?` for parameters. What differs between the engines ends here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import Any, Protocol, TypeVar

from ..errors import ConfigurationError, CrossdockError
from .under_way import UnderWay

T = TypeVar("T")
Row = tuple[Any, ...]

# IN lists are padded to the next of these lengths, so that few statements are prepared.
_LIST_LENGTHS = (1, 4, 16, 64, 256, 512)


class StoreUnavailable(CrossdockError):
    """The record cannot be written now; nothing of this request was kept."""

    code = "XD-SYS-010"


class StoreFull(StoreUnavailable):
    """The disk is full; nothing of this request was kept."""

    code = "XD-SYS-011"


class CommitUnknown(StoreUnavailable):
    """The commit may or may not be durable; offer the same again, it is taken once."""

    code = "XD-SYS-012"


class Contention(StoreUnavailable):
    """Another transaction was first: nothing of this one was kept, and it goes through when it is run again."""

    code = "XD-SYS-013"


class Fenced(StoreUnavailable):
    """This process is not a worker any more: its lease ended. Nothing of this transaction was kept."""

    code = "XD-SYS-014"


class Connection(Protocol):
    """What repositories get: a connection inside a transaction.

    `locking` ends a query whose rows are going to be changed: where several processes write, others wait for them.
    `several` says that other processes write too: a key that is there already then means `Contention`, not a fault,
    unless whoever has run into it again and again sets `collisions_are_faults`.
    """

    engine: str
    locking: str
    several: bool
    collisions_are_faults: bool

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for every row, in one round trip where the engine can."""
        ...

    def flush(self) -> None:
        """Have the engine take what `executemany` was given so far; what is wrong with it is raised here at the latest.

        Called where a failure must be known: before a savepoint is given up or released.
        """
        ...

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]: ...

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None: ...

    def many(self, sql: str, before: Sequence[Any], values: Sequence[Any]) -> list[Row]:
        """Query with an IN list: `{}` in the statement becomes the placeholders of `values`, in as few queries as
        fit.
        """
        ...


class Store(Protocol):
    """The record of one installation."""

    engine: str
    url: str
    # Where the worker notes what it runs before it is durable; None where it must store first.
    under_way: UnderWay | None

    async def write(self, function: Callable[[Connection], T]) -> T: ...

    async def write_here(self, function: Callable[[Connection], T]) -> T:
        """Like `write`; may hold the event loop while it runs. For the cycle, whose work is bounded."""
        ...

    def write_now(self, function: Callable[[Connection], T]) -> T: ...

    async def read(self, function: Callable[[Connection], T]) -> T: ...

    def read_now(self, function: Callable[[Connection], T]) -> T: ...

    def commits(self) -> int: ...

    def broken(self) -> BaseException | None: ...

    def claim(self) -> None:
        """Become the one worker of this record until `close`. Raises ConfigurationError when another process is."""
        ...

    def join(self) -> None:
        """Become one of several processes of this record until `close`.

        Raises ConfigurationError where the engine allows one only, or when one has the record for itself.
        """
        ...

    def open_connection(self) -> Any:
        """Return a connection beside the pool, for a thread of its own; the caller closes its `raw`. See `join`."""
        ...

    def close(self) -> None: ...


def already_worked() -> ConfigurationError:
    """Return the refusal of a second worker: two would send the same things twice."""
    return ConfigurationError(
        "another process works on this record",
        code="XD-SYS-009",
        hint="Stop it first, or speak to it: crossdock … --url http://127.0.0.1:8600 --key …",
    )


# Stands in a PostgreSQL database from before a dump is loaded until the record is marked; it is in no dump.
RESTORING_SCHEMA = "crossdock_restoring"


def restore_cut_off() -> ConfigurationError:
    """Return the refusal of a record whose restore did not end: what partners got since is not in doubt yet."""
    return ConfigurationError(
        "a restore into this database was cut off before the record was marked",
        code="XD-SYS-064",
        hint="Drop the database, create it again, and restore once more: crossdock restore",
    )


def one_process_only() -> ConfigurationError:
    """Return the refusal of several processes on an embedded record."""
    return ConfigurationError(
        "several processes cannot work on an SQLite record: it has one writer, in the process that holds what waits",
        code="XD-SYS-015",
        hint=("Run one: crossdock up", "Move to PostgreSQL (store.url) for more than one"),
    )


def locked(connection: Connection, order: str) -> str:
    """Return the end of a query whose rows are going to be changed; all who lock them do it in the same order."""
    return f" order by {order}{connection.locking}" if connection.locking else ""


def placeholder_lists(sql: str, before: Sequence[Any], values: Sequence[Any]) -> Iterable[tuple[str, list[Any]]]:
    """Yield the statements and parameters of a query with an IN list of any length.

    Lists are padded by repeating their last value, which changes no answer.
    """
    step = _LIST_LENGTHS[-1]
    for start in range(0, len(values), step):
        part = list(values[start : start + step])
        length = next(length for length in _LIST_LENGTHS if length >= len(part))
        part += [part[-1]] * (length - len(part))
        yield sql.format(",".join("?" * length)), [*before, *part]


def migration_texts(substitutions: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Return every migration by name with its statements, in order, for one engine."""
    folder = resources.files("crossdock.store") / "migrations"
    result = []
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if not entry.name.endswith(".sql"):
            continue
        text = entry.read_text(encoding="utf-8")
        for name, value in substitutions.items():
            text = text.replace("{" + name + "}", value)
        text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
        result.append((entry.name, [part.strip() for part in text.split(";\n") if part.strip()]))
    return result


def migrate(connection: Connection, substitutions: dict[str, str], now_micros: int) -> list[str]:
    """Bring the schema up to date; return the names of the migrations applied."""
    connection.execute(
        f"create table if not exists schema_migrations (name text primary key, applied_at"
        f" {substitutions['big']} not null)"
    )
    known = {row[0] for row in connection.query("select name from schema_migrations")}
    applied = []
    for name, statements in migration_texts(substitutions):
        if name in known:
            continue
        for statement in statements:
            connection.execute(statement)
        connection.execute("insert into schema_migrations (name, applied_at) values (?, ?)", (name, now_micros))
        applied.append(name)
    return applied


def open_store(url: str, *, readers: int = 3) -> Store:
    """Open (and migrate) the record at `sqlite:///path` or `postgresql://…`.

    Raises ConfigurationError when the URL is of neither kind or the engine's settings are unsafe.
    """
    if url.startswith("sqlite:///"):
        from .sqlite import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"), readers=readers)
    if url.startswith(("postgresql://", "postgres://")):
        from .postgres import PostgresStore

        return PostgresStore(url, threads=readers + 1)
    raise ConfigurationError(
        f"store.url is neither SQLite nor PostgreSQL: {url.split('@')[-1]}",
        code="XD-CFG-010",
        hint="Use sqlite:///var/crossdock.db or postgresql://user@host/database",
    )


def finish(
    loop: asyncio.AbstractEventLoop, settled: list[tuple[asyncio.Future[Any], Any, BaseException | None]]
) -> None:
    """Hand results of a worker thread to the futures of an event loop, in one wake-up."""

    def settle() -> None:
        for future, result, error in settled:
            if future.cancelled():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

    loop.call_soon_threadsafe(settle)
