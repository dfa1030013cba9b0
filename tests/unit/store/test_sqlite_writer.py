"""Who writes to SQLite: the event loop itself while that is quickest, else the writer thread; never both at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossdock.store import sqlite
from crossdock.store.engine import open_store
from crossdock.store.sqlite import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An open record with a table for notes."""
    opened = open_store(f"sqlite:///{tmp_path / 'crossdock.db'}", readers=1)
    assert isinstance(opened, SqliteStore)
    opened.write_now(lambda connection: connection.execute("create table notes (note text)"))
    yield opened
    opened.close()


def _note(thread: list[int]) -> Any:
    def write(connection: Any) -> None:
        thread.append(threading.get_ident())
        connection.execute("insert into notes values ('x')")

    return write


def _notes(store: SqliteStore) -> int:
    row = store.read_now(lambda connection: connection.one("select count(*) from notes"))
    return 0 if row is None else int(row[0])


async def test_a_cycle_is_written_where_it_is_asked_for(store: SqliteStore) -> None:
    """With a quick disk and nobody else writing, no other thread is woken."""
    threads: list[int] = []
    await store.write_here(_note(threads))

    assert ([threading.get_ident()], 1) == (threads, _notes(store))


async def test_a_slow_disk_is_left_to_the_writer_thread(store: SqliteStore) -> None:
    """The event loop never waits for commits that take long; once they are quick again it writes itself."""
    threads: list[int] = []
    store._commit_seconds = 1.0
    await store.write_here(_note(threads))
    store._commit_seconds = 0.0
    await store.write_here(_note(threads))

    assert [False, True] == [thread == threading.get_ident() for thread in threads]


async def test_who_writes_is_waited_for(store: SqliteStore) -> None:
    """While the writer thread is inside a transaction, a cycle queues behind it and the event loop goes on."""
    entered, let_go = threading.Event(), threading.Event()

    def slow(connection: Any) -> None:
        connection.execute("insert into notes values ('slow')")
        entered.set()
        let_go.wait(20)

    first = asyncio.ensure_future(store.write(slow))
    await asyncio.to_thread(entered.wait, 20)
    second = asyncio.ensure_future(store.write_here(_note([])))
    await asyncio.sleep(0)

    assert (False, 0) == (second.done(), _notes(store))
    let_go.set()
    await asyncio.gather(first, second)
    assert 2 == _notes(store)


async def test_what_fails_leaves_nothing_and_frees_the_writer(store: SqliteStore) -> None:
    """An error goes back to whoever made it; the next one writes."""

    def fails(connection: Any) -> None:
        connection.execute("insert into notes values ('half')")
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await store.write_here(fails)
    await store.write_here(_note([]))

    assert 1 == _notes(store)


async def test_a_long_wal_is_written_back_by_the_writer_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The WAL is begun anew once it is long: it does not grow with the number of commits."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 20)
    wal = Path(store.url.removeprefix("sqlite:///") + "-wal")
    for _ in range(400):
        await store.write_here(_note([]))
        await store.write(lambda connection: connection.one("select 1"))
    bounded = wal.stat().st_size
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 10**9)
    for _ in range(400):
        await store.write_here(_note([]))

    assert bounded < wal.stat().st_size / 2
