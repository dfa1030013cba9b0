"""The servers that other tests lean on: real, private to the test, gone afterwards."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import psycopg
import pytest

from tests.support.openssh import OpenSshServer, SftpAccount, find_sshd
from tests.support.postgres import PostgresCluster


def test_database_is_empty_and_durable(database: str) -> None:
    """A test's database starts without tables and its server flushes every commit to disk."""
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        durability = [connection.execute(f"SHOW {name}").fetchone() for name in ("fsync", "synchronous_commit")]

    assert (0,) == tables
    assert [("on",), ("on",)] == durability


def test_database_owner_cannot_pass_by_row_level_security(database: str) -> None:
    """The role the tests use is an ordinary one, as in production."""
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchone()

    assert (False, False) == row


def test_committed_rows_survive_a_crash_of_the_server(postgres_cluster: PostgresCluster, database: str) -> None:
    """What was committed is there after the server was killed and started again."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("INSERT INTO kept VALUES (7)")

    postgres_cluster.stop(crash=True)
    postgres_cluster.start()

    with psycopg.connect(database) as connection:
        assert (7,) == connection.execute("SELECT id FROM kept").fetchone()


async def test_sftp_account_reaches_its_directory(sftp_account: SftpAccount) -> None:
    """The account logs in with its key, checks the host key and writes where the test looks."""
    hosts = asyncssh.import_known_hosts(f"[{sftp_account.host}]:{sftp_account.port} {sftp_account.host_public_key}")
    async with asyncssh.connect(
        sftp_account.host,
        sftp_account.port,
        username=sftp_account.username,
        client_keys=[str(sftp_account.client_key_path)],
        known_hosts=hosts,
        config=None,
    ) as connection:
        async with connection.start_sftp_client() as sftp, sftp.open(f"{sftp_account.directory}/a.txt", "w") as file:
            await file.write("940")

    assert "940" == (sftp_account.directory / "a.txt").read_text()


async def test_sftp_server_refuses_an_unknown_key(sftp_account: SftpAccount) -> None:
    """A key that was not made for this run is turned away."""
    stranger = asyncssh.generate_private_key("ssh-ed25519")

    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            sftp_account.host,
            sftp_account.port,
            username=sftp_account.username,
            client_keys=[stranger],
            known_hosts=None,
            config=None,
        )


def test_a_closed_server_leaves_nothing(tmp_path: Path) -> None:
    """After `close` neither the process nor its directory is left."""
    executable = find_sshd()
    if executable is None:
        pytest.skip("NOT RUN: no OpenSSH server on this machine")
    server = OpenSshServer(executable)
    process = server._process
    assert process is not None

    server.close()

    assert process.poll() is not None
    assert not server.directory.exists()
