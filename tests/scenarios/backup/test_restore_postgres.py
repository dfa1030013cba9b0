"""What a restore on PostgreSQL must hold: the journal goes on in another cluster, and a cut-off restore never runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from crossdock.bootstrap import backups
from crossdock.canonical.events import Event
from crossdock.durable.identity import Ids, SystemClock
from crossdock.errors import ConfigurationError
from crossdock.store import backup as copies
from crossdock.store import journal, restores
from crossdock.store.engine import Store, open_store
from crossdock.store.journal import Cursor
from tests.support.postgres import PostgresCluster, find_binaries

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def old_cluster() -> Iterator[PostgresCluster]:
    """A second server whose transactions are far ahead of those of the first."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("NOT RUN: no PostgreSQL binaries on this machine")
    cluster = PostgresCluster(binaries)
    try:
        with psycopg.connect(cluster.superuser_dsn("postgres"), autocommit=True) as connection:
            connection.execute(
                "do $$ begin for n in 1..60000 loop perform pg_current_xact_id(); commit; end loop; end $$"
            )
        yield cluster
    finally:
        cluster.close()


def add(store: Store, subject: str) -> None:
    event = Event(
        id=Ids(SystemClock()).new("evt"), tenant_id="acme", type="t", subject=subject, data={}, occurred_at=NOW,
        recorded_at=NOW, correlation_id="c",
    )  # fmt: skip
    store.write_now(lambda connection: journal.append(connection, [event]))


def subjects(store: Store, cursor: Cursor) -> list[str]:
    found = store.read_now(lambda connection: journal.follow(connection, "acme", cursor))
    return [event.subject for event, _ in found]


def manifest() -> copies.Manifest:
    return copies.Manifest(
        backup_id="bak_1", engine="postgresql", made_at=1, crossdock_version="", engine_version="", migrations=(),
        file="", size_bytes=0, sha256="", journal_position="", rows={}, payloads_checked=0, root_key_fingerprint="",
    )  # fmt: skip


def test_followers_go_on_in_another_cluster(old_cluster: PostgresCluster, database: str, tmp_path: Path) -> None:
    """The dump's transactions are larger than any of the new server: all is seen, in order, from every old cursor."""
    first = old_cluster.dsn(old_cluster.create_database())
    store = open_store(first, readers=0)
    for subject in ("a", "b", "c"):
        add(store, subject)
    seen = store.read_now(lambda connection: journal.follow(connection, "acme", Cursor()))
    end = store.read_now(journal.end)
    store.write_now(
        lambda connection: connection.execute(
            "insert into backbone_places (backbone, cursor_transaction, cursor_position) values ('b', ?, ?)",
            (seen[1][1].transaction, seen[1][1].position),
        )
    )
    copies.dump_postgres(first, tmp_path / "x.dump")
    store.close()

    backups._restore_postgres(manifest(), tmp_path / "x.dump", database, SystemClock())
    store = open_store(database, readers=0)
    store.claim()
    add(store, "after")

    now = store.read_now(journal.end)
    assert seen[0][1].transaction > now.transaction, "the control: the old cluster is not ahead"
    assert seen[2][1] <= store.read_now(journal.farthest), "the door would refuse the follower"
    assert ["a", "b", "c", "after"] == subjects(store, Cursor())
    assert ["b", "c", "after"] == subjects(store, seen[0][1])
    assert ["after"] == subjects(store, seen[2][1])
    assert ["after"] == subjects(store, end)
    # An old transaction may also be below this cluster's: what was restored still counts by its position.
    assert ["c", "after"] == subjects(store, Cursor(now.transaction, seen[1][1].position))
    (place,) = store.read_now(
        lambda connection: connection.query("select cursor_transaction, cursor_position from backbone_places")
    )
    assert ["c", "after"] == subjects(store, Cursor(*place))
    store.close()


@pytest.mark.parametrize("join", [False, True])
def test_a_restore_cut_off_before_the_mark_never_runs(
    database: str, postgres_cluster: PostgresCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, join: bool
) -> None:
    """Killed between load and mark: no hub starts, and the next restore says how to clear it."""
    store = open_store(database, readers=0)
    store.close()
    copies.dump_postgres(database, tmp_path / "x.dump")
    target = postgres_cluster.dsn(postgres_cluster.create_database())

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(backups, "mark", dies)
        with pytest.raises(KeyboardInterrupt):
            backups._restore_postgres(manifest(), tmp_path / "x.dump", target, SystemClock())
    half = open_store(target, readers=0)
    with pytest.raises(ConfigurationError) as refused:
        half.join() if join else half.claim()
    half.close()
    assert "XD-SYS-064" == refused.value.code
    with pytest.raises(copies.RestoreRefused, match="not empty"):
        backups._restore_postgres(manifest(), tmp_path / "x.dump", target, SystemClock())

    whole = postgres_cluster.dsn(postgres_cluster.create_database())
    backups._restore_postgres(manifest(), tmp_path / "x.dump", whole, SystemClock())
    done = open_store(whole, readers=0)
    done.join() if join else done.claim()
    done.close()


def test_a_dump_that_cannot_be_loaded_leaves_nothing(database: str, tmp_path: Path) -> None:
    """The marker goes again: the database is as empty as it was, and a hub may start on it."""
    (tmp_path / "x.dump").write_bytes(b"no dump")
    with pytest.raises(copies.RestoreRefused):
        backups._restore_postgres(manifest(), tmp_path / "x.dump", database, SystemClock())
    store = open_store(database, readers=0)
    store.claim()
    store.close()


def test_the_numbers_looked_at_are_bounded_to_the_highest_of_each_sender() -> None:
    """A record of years is not read whole: the highest numbers come, by value and not by their text."""
    store = open_store("sqlite:///:memory:")

    def run(connection: restores.Connection) -> list[restores.Row]:
        connection.executemany(
            "insert into interchanges (tenant_id, sender, receiver, control_number, usage, digest, message_id,"
            " received_at) values ('acme', ?, 'us', ?, 'P', ?, 'm', 0)",
            [(sender, str(number), b"") for sender in ("a", "b") for number in range(1, 121)],
        )
        return restores.interchanges(connection, "acme", each=3, limit=5)

    found = store.write_now(run)
    assert [("a", "120"), ("a", "119"), ("a", "118"), ("b", "120"), ("b", "119")] == [(r[0], r[3]) for r in found]
    store.close()
