"""`crossdock doctor` finds planted faults and prints their fix."""

from __future__ import annotations

import base64
import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import apsw
import psycopg
import pytest

from crossdock.cli.app import main
from crossdock.cli.doctor import Check, examine
from crossdock.durable.identity import Ids, ManualClock
from crossdock.governance import releases, tenants
from crossdock.store import workers
from crossdock.store.engine import Connection, open_store
from tests.support.postgres import PostgresCluster
from tests.support.processes import free_port


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory with a free port."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSDOCK_WEB_PORT", str(free_port()))
    return tmp_path


def check(name: str) -> Check:
    return next(found for found in examine() if found.name == name)


def test_new_installation_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    """In an empty directory every check is ok and the exit code is 0."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])

    assert not ended.value.code
    assert {"ok"} == {row["state"] for row in json.loads(capsys.readouterr().out)}


def test_port_in_use_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A port somebody listens on is named, another is offered, and the exit code is 1."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("CROSSDOCK_WEB_PORT", str(port))

        with pytest.raises(SystemExit) as ended:
            main(["doctor"])

    assert 1 == ended.value.code
    assert f"CROSSDOCK_WEB_PORT={port + 1}" in capsys.readouterr().out


def test_damaged_database_is_found(installation: Path) -> None:
    """A file that is no database is told, with what to do."""
    (installation / "var").mkdir()
    (installation / "var/crossdock.db").write_bytes(b"this is not a database, it only looks like one" * 100)

    assert "fix" == check("store").state


def test_database_without_write_ahead_log_is_found(installation: Path) -> None:
    """A database in another journal mode is not what crossdock left there."""
    (installation / "var").mkdir()
    connection = apsw.Connection(str(installation / "var/crossdock.db"))
    connection.execute("CREATE TABLE t (x)")
    connection.close()

    found = check("store")

    assert "fix" == found.state
    assert "journal mode is delete" in found.message


def test_lost_root_key_is_found(installation: Path) -> None:
    """A database whose key file is gone cannot open its secrets; a new key would not help."""
    (installation / "var").mkdir()
    (installation / "var/crossdock.db").touch()

    assert "Restore the key file that belongs to it" == check("key").fix


def test_root_key_for_everybody_is_found(installation: Path) -> None:
    """A key file that others may read gets the chmod that repairs it."""
    key = installation / "var/root.key"
    key.parent.mkdir()
    key.write_bytes(base64.b64encode(b"k" * 32))
    key.chmod(0o644)

    assert "chmod 600 var/root.key" == check("key").fix
    key.chmod(0o600)
    assert "ok" == check("key").state


def test_root_key_in_the_settings_file_is_found(installation: Path) -> None:
    """A key in a file that is likely under version control is told."""
    key = base64.b64encode(b"k" * 32).decode()
    (installation / "crossdock.toml").write_text(f'[security]\nroot_key = "{key}"\n')

    assert "fix" == check("key").state


def test_unreachable_postgres_does_not_show_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is told without the password of the address."""
    monkeypatch.setenv("CROSSDOCK_STORE_URL", f"postgresql://hub:hunter2@127.0.0.1:{free_port()}/hub")

    found = check("store")

    assert "fix" == found.state
    assert "hunter2" not in found.message


def test_postgres_is_examined(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A durable server and an ordinary role are well."""
    monkeypatch.setenv("CROSSDOCK_STORE_URL", database)

    assert "ok" == check("store").state


def test_postgres_superuser_is_found(
    database: str, postgres_cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that passes by row-level security is told, and how to change it."""
    with psycopg.connect(database) as connection:
        name = connection.info.dbname
    monkeypatch.setenv("CROSSDOCK_STORE_URL", postgres_cluster.superuser_dsn(name))

    assert "NOBYPASSRLS" in check("store").fix


def test_postgres_that_may_lose_commits_is_found(
    database: str, postgres_cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role or server that does not wait for the disk is told."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER ROLE crossdock SET synchronous_commit = off")
    monkeypatch.setenv("CROSSDOCK_STORE_URL", database)

    found = check("store")
    with psycopg.connect(postgres_cluster.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute("ALTER ROLE crossdock RESET synchronous_commit")

    assert "fix" == found.state
    assert "synchronous_commit" in found.message


def test_missing_right_to_write_is_found(installation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory nobody can write to is named."""
    monkeypatch.setenv("CROSSDOCK_STORE_URL", "sqlite:////proc/crossdock.db")

    assert "fix" == check("writable").state


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_release_that_cannot_run_is_named(
    engine: str, installation: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant whose active release is damaged is named with its fix; sound releases are counted."""
    url = "sqlite:///var/crossdock.db" if engine == "sqlite" else request.getfixturevalue("postgres_database")
    monkeypatch.setenv("CROSSDOCK_STORE_URL", url)
    clock = ManualClock(datetime(2026, 11, 23, 14, 0, tzinfo=UTC))
    store = open_store(url)

    def apply(connection: Connection) -> None:
        for tenant in ("acme", "broken"):
            tenants.create(connection, tenant, tenant, at=clock.now())
            files = {"pack.yaml": f"tenant: {tenant}\nname: {tenant}\n"}
            releases.apply(connection, tenant, files, author="t", note="", at=clock.now(), ids=Ids(clock, 31_415))

    store.write_now(apply)
    sound = check("releases")
    store.write_now(
        lambda connection: connection.execute("update releases set digest = 'x' where tenant_id = 'broken'")
    )
    releases.forget_compiled()
    damaged = check("releases")
    store.close()

    assert ("ok", "2 active, all can run") == (sound.state, sound.message)
    assert ("fix", True, False) == (damaged.state, "broken:" in damaged.message, "acme:" in damaged.message)


def test_who_works_on_a_postgres_record_is_told(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doors without a worker are a fault to mend; with one that holds every slot all is well."""
    monkeypatch.setenv("CROSSDOCK_STORE_URL", database)
    assert not [one for one in examine() if one.name == "workers"]
    store = open_store(database, readers=1)
    assert "none is running" == check("workers").message
    store.write_now(lambda connection: workers.register(connection, "gate:1", "web", 60_000_000))
    assert ("fix", "crossdock up --role worker") == (check("workers").state, check("workers").fix.rpartition(": ")[2])
    number = store.write_now(lambda connection: workers.register(connection, "yard:2", "worker", 60_000_000))
    assert "nobody's" in check("workers").message
    store.write_now(lambda connection: workers.beat(connection, number, 60_000_000, takes_slots=True))
    assert "ok" == check("workers").state
    assert "yard:2 (worker, 64 slots)" in check("workers").message
    store.close()
