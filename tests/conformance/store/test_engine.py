"""The door to the record: grouping, failures, full and broken disks, and the schema."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from crossdock.errors import ConfigurationError
from crossdock.store import messages
from crossdock.store.engine import (
    CommitUnknown,
    Connection,
    Store,
    StoreFull,
    StoreUnavailable,
    migration_texts,
    open_store,
)
from crossdock.store.postgres import PostgresStore
from crossdock.store.sqlite import DIALECT, SqliteStore
from tests.conformance.store import rows


def insert(message_id: str) -> Any:
    return lambda connection: messages.insert_inbound(connection, [rows.inbound(message_id)])


def stored(store: Store) -> list[str]:
    return [
        row[0]
        for row in store.read_now(lambda c: c.query("select message_id from inbound_messages order by message_id"))
    ]


async def test_a_job_that_fails_takes_nobody_with_it(store: Store) -> None:
    """Of ten writes that wait together three fail: they learn why, nothing of them is kept, the others are durable."""

    def fails(connection: Connection) -> None:
        messages.insert_inbound(connection, [rows.inbound("msg_half")])
        raise ValueError("a bug")

    jobs = [fails if n in (2, 5, 8) else insert(f"msg_{n}") for n in range(10)]
    results = await asyncio.gather(*[store.write(job) for job in jobs], return_exceptions=True)

    assert [n in (2, 5, 8) for n in range(10)] == [isinstance(result, ValueError) for result in results]
    assert [f"msg_{n}" for n in range(10) if n not in (2, 5, 8)] == stored(store)


async def test_an_error_of_the_database_ends_one_job_only(store: Store) -> None:
    """A violated constraint goes back to whoever violated it."""
    results = await asyncio.gather(
        store.write(insert("msg_1")), store.write(insert("msg_1")), store.write(insert("msg_2")), return_exceptions=True
    )

    # PostgreSQL runs them side by side: which of the two is first is not promised.
    assert ([False, True], False) == (
        sorted(isinstance(result, Exception) for result in results[:2]),
        isinstance(results[2], Exception),
    )
    assert ["msg_1", "msg_2"] == stored(store)


async def test_what_a_write_returns_is_durable(store: Store, url: str) -> None:
    """After the answer another process sees it."""
    assert 7 == await store.write(lambda c: insert("msg_1")(c) or 7)
    other = open_store(url, readers=1)
    try:
        assert ["msg_1"] == stored(other)
    finally:
        other.close()


async def test_a_read_sees_one_instant_and_writes_nothing(store: Store) -> None:
    """Reads are snapshots; a statement that would write is refused."""
    await store.write(insert("msg_1"))

    def look(connection: Connection) -> list[int]:
        first = len(connection.query("select 1 from inbound_messages"))
        store.write_now(insert("msg_2"))
        return [first, len(connection.query("select 1 from inbound_messages"))]

    assert [1, 1] == await store.read(look)
    with pytest.raises(Exception, match=r"(?i)read-?only|readonly"):
        await store.read(insert("msg_3"))


async def test_waiting_writes_share_one_commit(tmp_path: Path) -> None:
    """SQLite: durability costs one fsync for everything that waits."""
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    before = store.commits()
    await asyncio.gather(*[store.write(insert(f"msg_{n:03}")) for n in range(200)])

    assert store.commits() - before < 50
    assert 200 == len(stored(store))
    store.close()


def test_opening_again_changes_nothing(url: str) -> None:
    """A fresh schema is the migrated one, and a second start applies nothing."""
    tables = "select name, sql from sqlite_master order by name"
    if url.startswith("postgresql"):
        tables = (
            "select table_name, column_name, data_type, column_default, is_nullable from information_schema.columns"
            " where table_schema = 'public' order by 1, 2"
        )
    seen = []
    for _ in range(2):
        store = open_store(url, readers=1)
        seen.append(
            store.read_now(lambda c: (c.query(tables), c.query("select * from schema_migrations order by name")))
        )
        store.close()

    assert seen[0] == seen[1]
    assert [name for name, _ in migration_texts(DIALECT)] == [row[0] for row in seen[0][1]]


def test_both_engines_have_the_same_tables_and_columns(postgres_database: str, tmp_path: Path) -> None:
    """One text makes both schemas; only PostgreSQL's journal has a transaction beside the position."""
    columns = []
    for url, sql in (
        (
            f"sqlite:///{tmp_path / 'a.db'}",
            "select m.name, p.name from sqlite_master m, pragma_table_info(m.name) p where m.type = 'table'",
        ),
        (
            postgres_database,
            "select table_name, column_name from information_schema.columns where table_schema = 'public'",
        ),
    ):
        store = open_store(url, readers=1)
        columns.append(
            {tuple(row) for row in store.read_now(lambda c, sql=sql: c.query(sql)) if not row[0].startswith("sqlite_")}
        )
        store.close()

    assert {("events", "txid")} == columns[0] ^ columns[1]


def test_every_key_of_a_tenants_rows_begins_with_the_tenant(store: Store) -> None:
    """Placement and isolation hang on it: `tenant_id` leads every primary key, with the few exceptions named here."""
    exceptions = {"backbone_places", "slots", "workers", "schema_migrations", "sessions", "login_links", "events"}
    if store.engine == "sqlite":
        keys = store.read_now(
            lambda c: c.query(
                "select m.name, p.name from sqlite_master m, pragma_table_info(m.name) p"
                " where m.type = 'table' and p.pk = 1"
            )
        )
    else:
        keys = store.read_now(
            lambda c: c.query(
                "select t.relname, a.attname from pg_index i join pg_class t on t.oid = i.indrelid"
                " join pg_namespace n on n.oid = t.relnamespace and n.nspname = 'public'"
                " join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0] where i.indisprimary"
            )
        )

    assert set() == {table for table, column in keys if column != "tenant_id"} - exceptions
    assert len(keys) > 20


def test_an_unknown_engine_is_refused_without_its_password() -> None:
    """The refusal names the host, never the credential."""
    with pytest.raises(ConfigurationError) as caught:
        open_store("mysql://user:geheim@db/x")

    assert "XD-CFG-010" == caught.value.code and "geheim" not in str(caught.value)


# -- disks


async def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    """Nothing of the request is kept, reads work, and writes go on as soon as there is space."""
    store = SqliteStore(str(tmp_path / "a.db"))
    await store.write(insert("msg_1"))
    pages = store._connection.query("pragma page_count")[0][0]
    store._connection.execute(f"pragma max_page_count={pages + 2}")
    big = rows.inbound("msg_2", content_type="x" * 100_000)

    with pytest.raises(StoreFull) as caught:
        await store.write(lambda c: messages.insert_inbound(c, [big]))
    assert "XD-SYS-011" == caught.value.code and caught.value.hint
    assert (["msg_1"], None) == (stored(store), store.broken())

    store._connection.execute("pragma max_page_count=1000000")
    await store.write(lambda c: messages.insert_inbound(c, [big]))
    assert ["msg_1", "msg_2"] == stored(store)
    store.close()


class _BrokenFile(apsw.VFSFile):
    def xSync(self, flags: int) -> None:
        if _BrokenDisk.broken:
            raise apsw.IOError("the disk failed")
        super().xSync(flags)


class _BrokenDisk(apsw.VFS):
    """A disk whose fsync fails from some moment on."""

    broken = False

    def __init__(self) -> None:
        super().__init__("broken-disk", base="")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return _BrokenFile("", name, flags)


async def test_after_an_io_error_the_record_takes_nothing_more(tmp_path: Path) -> None:
    """A failed fsync leaves nobody knows what: the commit is unknown, everything after it is refused."""
    disk = _BrokenDisk()
    path = str(tmp_path / "a.db")
    store = SqliteStore(path, vfs="broken-disk")
    await store.write(insert("msg_1"))
    _BrokenDisk.broken = True
    try:
        with pytest.raises(CommitUnknown):
            await store.write(insert("msg_2"))
        _BrokenDisk.broken = False
        with pytest.raises(StoreUnavailable):
            await store.write(insert("msg_3"))
        assert store.broken() is not None
    finally:
        _BrokenDisk.broken = False
        store.close()
        disk.unregister()

    again = SqliteStore(path)
    assert stored(again) in (["msg_1"], ["msg_1", "msg_2"])
    await again.write(insert("msg_3"))
    again.close()


async def test_a_server_that_goes_away_is_unavailable_and_found_again(postgres_database: str) -> None:
    """PostgreSQL ends our connections: the write fails with a typed error, the next ones get new connections."""
    store = open_store(postgres_database, readers=1)
    await store.write(insert("msg_1"))
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    with pytest.raises(StoreUnavailable):
        await asyncio.gather(
            *[store.write(lambda c: (c.query(kill), c.query("select pg_sleep(0.05)"))) for _ in range(2)]
        )
    for n in range(2, 6):
        try:
            await store.write(insert(f"msg_{n}"))
        except StoreUnavailable:
            continue

    assert {"msg_1", "msg_5"} <= set(stored(store))
    store.close()


async def test_a_full_disk_inside_a_transaction_is_said_as_such(tmp_path: Path) -> None:
    """Whoever runs in a transaction hears StoreFull from the statement that met it, not an error of its own data."""
    store = SqliteStore(str(tmp_path / "a.db"))
    heard: list[BaseException] = []

    def fills(connection: Connection) -> None:
        pages = connection.one("pragma page_count")
        assert pages is not None
        connection.query(f"pragma max_page_count={pages[0] + 1}")
        try:
            for n in range(200):
                connection.execute(
                    "insert into payloads (tenant_id, message_id, digest, encoding, size_bytes, content)"
                    " values ('acme', ?, x'00', '', 1, zeroblob(8000))",
                    (f"msg_{n}",),
                )
        except StoreUnavailable as error:
            heard.append(error)
            raise

    with pytest.raises(StoreFull):
        await store.write(fills)
    await store.write(lambda connection: connection.query("pragma max_page_count=1000000"))
    await store.write(insert("msg_after"))

    assert [StoreFull] == [type(error) for error in heard]
    assert ["msg_after"] == stored(store)
    store.close()


@pytest.mark.parametrize(
    ("statement", "meaning"),
    [
        ("do $$ begin raise exception using errcode = '53100'; end $$", StoreFull),
        ("do $$ begin raise exception using errcode = '40P01'; end $$", StoreUnavailable),
        ("do $$ begin raise exception using errcode = '57014'; end $$", StoreUnavailable),
        ("select pg_terminate_backend(pg_backend_pid())", StoreUnavailable),
        ("do $$ begin raise exception using errcode = '54000'; end $$", psycopg.OperationalError),
        ("select 1/0", psycopg.DataError),
    ],
    ids=["full", "deadlock", "cancelled", "connection", "too big", "data"],
)
async def test_a_fault_of_the_server_is_told_from_a_fault_of_the_data(
    postgres_database: str, statement: str, meaning: type[Exception]
) -> None:
    """Inside the transaction already: what would be the same for every message is the record's, the rest is not."""
    store = open_store(str(postgres_database))
    heard: list[BaseException] = []

    def fails(connection: Connection) -> None:
        try:
            connection.execute(statement)
        except Exception as error:
            heard.append(error)
            raise

    with pytest.raises(meaning):
        await store.write(fails)
    await store.write(insert("msg_after"))

    assert [True] == [isinstance(error, meaning) for error in heard]
    assert ["msg_after"] == stored(store)
    store.close()


async def test_a_commit_in_doubt_is_ended_before_the_record_is_asked(postgres_database: str) -> None:
    """The server process whose commit nobody heard of is gone when the next look is taken: what it says is final."""
    store = PostgresStore(str(postgres_database))
    connection = store._take()
    watcher = store._take()
    pid = connection.backend_pid
    store._leave_behind(connection)
    store._give_back(watcher)
    alive = store.read_now(lambda found: found.query("select 1 from pg_stat_activity where pid = ?", (pid,)))

    assert [] == alive
    store._give_back(connection)
    await store.write(insert("msg_after"))
    assert ["msg_after"] == stored(store)
    store.close()
