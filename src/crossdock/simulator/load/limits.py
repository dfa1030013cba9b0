"""What this machine can do at most: the figures every result is divided by.

Each is measured for about a second, on the same disk as the system under test, in the same run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import psycopg

from ...store.engine import Connection
from . import job

# Those of the product's own store.
_PRAGMAS = ("page_size=8192", "journal_mode=wal", "synchronous=full", "wal_autocheckpoint=8000", "cache_size=-65536")
_DOCUMENT = job.event(0).ljust(1536, b" ")


def appends_per_second(folder: Path, seconds: float = 1.0) -> float:
    """Return how often 1.5 KB can be appended to a file and made durable."""
    path = folder / "append.bin"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:

        def once() -> int:
            os.write(descriptor, _DOCUMENT)
            os.fsync(descriptor)
            return 1

        return _rate(once, seconds)
    finally:
        os.close(descriptor)
        path.unlink()


def sqlite_rows_per_second(folder: Path, rows_per_commit: int, seconds: float = 1.0) -> float:
    """Return durable inserts per second: WAL, FULL, primary key and unique key, documents of 1.5 KB."""
    path = folder / f"limit-{rows_per_commit}.db"
    connection = apsw.Connection(str(path))
    for pragma in _PRAGMAS:
        connection.execute(f"pragma {pragma}").fetchall()
    connection.execute("create table t (id integer primary key, key text unique, document blob)")
    count = 0

    def once() -> int:
        nonlocal count
        connection.execute("begin immediate")
        rows = [(f"key-{number}", _DOCUMENT) for number in range(count, count + rows_per_commit)]
        connection.executemany("insert into t (key, document) values (?, ?)", rows)
        connection.execute("commit")
        count += rows_per_commit
        return rows_per_commit

    try:
        return _rate(once, seconds)
    finally:
        connection.close()
        for file in folder.glob(path.name + "*"):
            file.unlink()


def sqlite_ceiling_per_second(folder: Path, batch: int = 64, seconds: float = 1.5) -> float:
    """Return the storage-only ceiling: per event an inbox row, a state upsert, an outbox row and its booking, in one
    commit.

    The least any durable, idempotent pipeline must write, with nothing else done.
    """
    path = folder / "ceiling.db"
    connection = apsw.Connection(str(path))
    for pragma in _PRAGMAS:
        connection.execute(f"pragma {pragma}").fetchall()
    connection.execute("create table inbox (seq integer primary key, event_id text unique, raw blob)")
    connection.execute(
        "create table orders (order_id text primary key, status text, version int, qty int) without rowid"
    )
    connection.execute(
        "create table outbox (id integer primary key, order_id text, doc blob, done int not null default 0)"
    )
    connection.execute("create index outbox_open on outbox (id) where done = 0")
    body, count = job.event(0), 0
    answer = body[:900]

    def once() -> int:
        nonlocal count
        numbers = range(count, count + batch)
        connection.execute("begin immediate")
        connection.executemany("update outbox set done = 1 where id = ?", [(number - batch,) for number in numbers])
        connection.executemany(
            "insert into inbox (event_id, raw) values (?, ?)", [(f"ev-{number}", body) for number in numbers]
        )
        connection.executemany(
            "insert into orders values (?, 'x', 1, 1)"
            " on conflict (order_id) do update set version = version + 1, qty = qty + 1",
            [(f"SO-{number // 5}",) for number in numbers],
        )
        connection.executemany(
            "insert into outbox (id, order_id, doc) values (?, ?, ?)",
            [(number, f"SO-{number // 5}", answer) for number in numbers],
        )
        connection.execute("commit")
        count += batch
        return batch

    try:
        return _rate(once, seconds)
    finally:
        connection.close()
        for file in folder.glob(path.name + "*"):
            file.unlink()


def postgres_rows_per_second(dsn: str, rows_per_commit: int, seconds: float = 1.0) -> float:
    """Return durable inserts per second through one connection, pipelined within a commit."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop table if exists bench_limit")
        connection.execute("create table bench_limit (id bigserial primary key, key text unique, document bytea)")
        count = 0

        def once() -> int:
            nonlocal count
            rows = [(f"key-{number}", _DOCUMENT) for number in range(count, count + rows_per_commit)]
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany("insert into bench_limit (key, document) values (%s, %b)", rows)
            count += rows_per_commit
            return rows_per_commit

        rate = _rate(once, seconds)
        connection.execute("drop table bench_limit")
        return rate


def wal_bytes_written(connection: Connection) -> float:
    """Return how many bytes the hub's writing connection (PostgreSQL: its server) has put into the write-ahead log."""
    raw: Any = getattr(connection, "raw", None)
    if connection.engine == "sqlite" and raw is not None:
        size = raw.execute("pragma page_size").fetchone()[0]
        # Each page goes into the log with a header of 24 bytes.
        return float(raw.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0] * (size + 24))
    row = connection.one("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
    return float(row[0]) if row is not None else 0.0


def python_loops_per_second(seconds: float = 0.3) -> float:
    """Return how fast this machine runs plain Python just now: decoding the job's document, in thousands per second."""
    import msgspec

    body = job.event(0)
    decode = msgspec.json.decode

    def once() -> int:
        for _ in range(100):
            decode(body)
        return 100

    return _rate(once, seconds) / 1000


def _rate(once: Callable[[], int], seconds: float) -> float:
    once()
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        done += once()
    return done / (time.perf_counter() - began)
