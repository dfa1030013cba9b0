"""A hub whose PostgreSQL fails over to its synchronous standby loses nothing it acknowledged and does nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from crossdock.store.engine import CommitUnknown, Connection, StoreUnavailable
from crossdock.store.postgres import PostgresStore
from tests.crash import postgres_failover
from tests.crash.postgres_failover import Pair
from tests.support.postgres import find_binaries

pytestmark = pytest.mark.slow

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'"


@pytest.fixture
def binaries() -> Path:
    found = find_binaries()
    if found is None:
        pytest.skip("NOT RUN: no PostgreSQL binaries on this machine")
    return found


@pytest.fixture
async def pair(binaries: Path) -> AsyncIterator[Pair]:
    """A primary and its synchronous standby."""
    pair = Pair(binaries, asynchronous=False)
    await pair.link.start()
    await pair.add_standby()
    yield pair
    await pair.link.stop()
    pair.close()


@pytest.mark.nightly
async def test_a_lost_primary_costs_nothing_that_was_acknowledged(binaries: Path, tmp_path: Path) -> None:
    """Parted from its standby, its waits cancelled, then killed: the hub goes on with the promoted standby."""
    report = await postgres_failover.run(1, 31, tmp_path, binaries, kinds=("cancel",))

    assert (0, 0, 0, []) == (report.lost, report.doubled, report.acked_alone, report.examples)
    assert report.cancelled > 0 and report.unknown_cycles > 0
    assert report.settled_durable + report.settled_not_durable > 0
    assert report.acked > 20 and report.effects > 20


@pytest.mark.nightly
async def test_a_standby_nobody_waits_for_is_caught(binaries: Path, tmp_path: Path) -> None:
    """Positive control: asynchronous, what the lone primary acknowledged is lost."""
    report = await postgres_failover.run(1, 32, tmp_path, binaries, kinds=("cancel",), asynchronous=True)

    assert report.acked_alone > 0 and report.not_in_record > 0 and report.lost > 0


@pytest.mark.nightly
async def test_a_hub_that_counts_a_cancelled_wait_as_done_is_caught(binaries: Path, tmp_path: Path) -> None:
    """Positive control: the server says "committed" with a warning; whoever drops it acknowledges what is lost."""
    report = await postgres_failover.run(1, 33, tmp_path, binaries, "count_cancelled_as_done", kinds=("cancel",))

    assert report.acked_alone > 0 and report.not_in_record > 0 and report.lost > 0


async def test_a_cancelled_wait_is_unknown_until_the_standby_has_it(pair: Pair) -> None:
    """Its row is there for everyone to see, yet no look at it comes through before the standby is back."""
    store = await _opened(pair)
    try:
        await store.write(lambda connection: connection.execute("create table papers (number int)"))
        pair.link.half_open()
        for function in (lambda c: c.execute("insert into papers values (1)"), _papers):
            waiting = asyncio.create_task(store.write(function))
            await _cancel_wait(pair)
            with pytest.raises(CommitUnknown):
                await waiting
        look = asyncio.create_task(store.write(_papers))
        await _waits(pair)
        assert [(1,)] == await asyncio.to_thread(_rows, store.url, "SELECT number FROM papers")
        assert not look.done()

        pair.link.heal()
        assert [(1,)] == await look
    finally:
        pair.link.heal()
        await asyncio.to_thread(store.close)


async def test_of_two_named_servers_the_primary_is_taken(pair: Pair) -> None:
    """The address that the how-to gives finds the primary, though the standby is named first."""
    database = await asyncio.to_thread(pair.primary.create_database)
    assert pair.standby is not None
    servers = f"127.0.0.1:{pair.standby.port},127.0.0.1:{pair.primary.port}"
    how = "target_session_attrs=read-write&connect_timeout=5&keepalives_idle=10&tcp_user_timeout=20000"
    url = f"postgresql://{pair.primary.owner}@{servers}/{database}?{how}"
    store = await asyncio.to_thread(PostgresStore, url, threads=1)

    assert [(False,)] == await store.write(lambda connection: connection.query("select pg_is_in_recovery()"))
    await asyncio.to_thread(store.close)


async def test_a_standby_that_is_not_promoted_yet_is_unavailable(pair: Pair) -> None:
    """A write there is refused as a moment's fault, not as one of what is written."""
    store = await _opened(pair)
    try:
        await store.write(lambda connection: connection.execute("create table papers (number int)"))
        assert pair.standby is not None
        store.url = pair.standby.dsn(store.url.partition("?")[0].rpartition("/")[2])
        await asyncio.to_thread(pair.primary.stop)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await store.write(lambda c: c.execute("insert into papers values (1)"))
    finally:
        pair.link.heal()
        await asyncio.to_thread(store.close)


async def _opened(pair: Pair) -> PostgresStore:
    # In a thread: the standby is reached through a proxy in this one.
    database = await asyncio.to_thread(pair.primary.create_database)
    return await asyncio.to_thread(PostgresStore, pair.primary.dsn(database), threads=1)


def _papers(connection: Connection) -> list[tuple[int]]:
    return connection.query("select number from papers")


def _rows(dsn: str, sql: str) -> list[tuple[int]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        answer = connection.execute(sql)
        return answer.fetchall() if answer.description else []


async def _waits(pair: Pair) -> int:
    """Return the server process that waits for the standby, once there is one."""
    async with asyncio.timeout(20):
        while not (found := await asyncio.to_thread(_rows, pair.primary.superuser_dsn("postgres"), WAITING)):
            await asyncio.sleep(0.01)
    return found[0][0]


async def _cancel_wait(pair: Pair) -> None:
    pid = await _waits(pair)
    await asyncio.to_thread(_rows, pair.primary.superuser_dsn("postgres"), f"SELECT pg_cancel_backend({pid})")
