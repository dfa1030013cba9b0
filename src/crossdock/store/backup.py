"""A consistent copy of a record that is being worked on, and what makes it trustworthy.

SQLite: one read snapshot is copied with SQLite's own backup, page by page; the hub goes on writing meanwhile.
PostgreSQL: `pg_dump` under an exported snapshot. A copy counts only after every payload's digest was recomputed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..errors import ConfigurationError, CrossdockError
from . import journal, payloads
from .engine import RESTORING_SCHEMA, Connection
from .postgres import PostgresConnection
from .sqlite import SqliteConnection

MANIFEST = "manifest.json"
FILES = {"sqlite": "record.db", "postgresql": "record.dump"}
FORMAT = 1
STEP_PAGES = 500
PAYLOAD_PAGE = 500
COUNTED = ("tenants", "inbound_messages", "outbound_messages", "documents", "events", "aggregates", "payloads")
_ENVIRONMENT = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
    "dbname": "PGDATABASE", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT",
}  # fmt: skip


class BackupFailed(CrossdockError):
    """The backup was not made, or is not what was backed up."""

    code = "XD-SYS-062"


class RestoreRefused(CrossdockError):
    """The backup cannot be restored here; nothing was changed."""

    code = "XD-SYS-063"


class AuditHead(msgspec.Struct, frozen=True):
    """The end of a tenant's audit chain: kept here it shows a later cut."""

    count: int
    hash: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is and how to tell that it is whole. `made_at` is the instant of the snapshot, microseconds UTC."""

    format: int = FORMAT
    backup_id: str
    engine: str
    made_at: int
    crossdock_version: str
    engine_version: str
    migrations: tuple[str, ...]
    file: str
    size_bytes: int
    sha256: str
    journal_position: str
    rows: dict[str, int]
    payloads_checked: int
    damaged: tuple[str, ...] = ()
    audit_heads: dict[str, AuditHead] = {}
    root_key_fingerprint: str


class Facts(msgspec.Struct):
    """What was read in the snapshot itself."""

    made_at: int
    migrations: tuple[str, ...]
    journal_position: str
    rows: dict[str, int]
    audit_heads: dict[str, AuditHead]


def fingerprint(root_key: bytes) -> str:
    """Return what tells two root keys apart and reveals neither."""
    return hashlib.sha256(b"crossdock root key|" + root_key).hexdigest()[:16]


def copy_sqlite(source: Path, target: Path) -> tuple[Facts, str]:
    """Copy an SQLite record that may be in use into a new file; return what it holds and SQLite's version.

    The copy is one file without a write-ahead log, flushed to the disk.
    """
    if not source.exists():
        raise BackupFailed(f"there is no record at {source}", hint="Check store.url")
    raw = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        raw.set_busy_timeout(10_000)
        # Only the hub's writing connection may checkpoint.
        raw.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        raw.execute("pragma query_only=on; pragma wal_autocheckpoint=0").fetchall()
        raw.execute("begin")
        facts = _facts(SqliteConnection(raw))
        copy = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        try:
            with copy.backup("main", raw, "main") as backup:
                while not backup.done:
                    # In steps, so that the disk is not taken away from the hub for long.
                    backup.step(STEP_PAGES)
                    time.sleep(0)
            copy.pragma("journal_mode", "delete")
        finally:
            copy.close()
        raw.execute("rollback")
    finally:
        raw.close()
    flush(target)
    return facts, apsw.sqlite_lib_version()


def check_sqlite(path: Path) -> tuple[int, tuple[str, ...]]:
    """Check a record's structure and the digest of every payload; return how many were checked and which are damaged.

    Raises BackupFailed when the structure is damaged.
    """
    raw = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        verdict = [row[0] for row in raw.execute("pragma integrity_check(5)")]
        if verdict != ["ok"]:
            raise BackupFailed(f"the copy is damaged: {'; '.join(map(str, verdict))}")
        return _check_payloads(SqliteConnection(raw))
    finally:
        raw.close()


def dump_postgres(url: str, target: Path) -> tuple[Facts, str, int, tuple[str, ...]]:
    """Dump a PostgreSQL record under one snapshot; return what it holds, the server's version and the payload check."""
    program = postgres_program("pg_dump")
    with psycopg.connect(url, autocommit=True) as raw:
        connection = PostgresConnection(raw)
        raw.execute("begin transaction isolation level repeatable read read only")
        facts = _facts(connection)
        row = connection.one("select pg_export_snapshot(), current_setting('server_version')")
        assert row is not None
        _run([program, "--format=custom", f"--snapshot={row[0]}", f"--file={target}"], url)
        checked, damaged = _check_payloads(connection)
        raw.execute("rollback")
    flush(target)
    return facts, row[1], checked, damaged


def load_postgres(url: str, dump: Path) -> None:
    """Load a dump into an empty database, whole or not at all. Raises RestoreRefused."""
    parts = conninfo_to_dict(url)
    try:
        _run(
            [
                postgres_program("pg_restore"),
                "--single-transaction",
                "--exit-on-error",
                "--no-owner",
                "--no-privileges",
                f"--dbname={parts.get('dbname', '')}",
                str(dump),
            ],
            url,
        )
    except BackupFailed as error:
        raise RestoreRefused(str(error)) from error


def begin_restore(url: str) -> None:
    """Say durably in a PostgreSQL database that a restore runs: no hub starts on it until `restores.finish`."""
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute(f"create schema if not exists {RESTORING_SCHEMA}")


def give_up_restore(url: str) -> None:
    """Take back `begin_restore` after a dump that could not be loaded: nothing is there."""
    if is_empty_postgres(url):
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(f"drop schema if exists {RESTORING_SCHEMA}")


def is_empty_postgres(url: str) -> bool:
    """Tell whether a database holds no table of ours or anybody's."""
    with psycopg.connect(url, autocommit=True) as raw:
        row = raw.execute(
            "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchone()
    return row is not None and row[0] == 0


@contextlib.contextmanager
def hold_worker_lock(url: str) -> Iterator[None]:
    """Keep every hub from working on a PostgreSQL record meanwhile. Raises ConfigurationError when one does."""
    from .postgres import _WORKER_LOCK

    with psycopg.connect(url, autocommit=True) as raw:
        row = raw.execute("select pg_try_advisory_lock(%s)", (_WORKER_LOCK,)).fetchone()
        if row is None or not row[0]:
            raise RestoreRefused("a hub works on this database", hint="Stop it, and restore into an empty database")
        yield


def postgres_program(name: str) -> str:
    """Return the path of a PostgreSQL client program. Raises ConfigurationError where there is none."""
    found = shutil.which(name)
    if found is not None:
        return found
    installed = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(re.sub(r"\D", "", path.parts[-3]) or 0)
    )
    if not installed:
        raise ConfigurationError(
            f"{name} is not installed",
            code="XD-SYS-062",
            hint=("Install the client programs of your PostgreSQL", "Or back up with your own base backup and WAL"),
        )
    return str(installed[-1])


def _run(command: list[str], url: str) -> None:
    """Run a client program; the address goes by the environment, where other users do not see its password."""
    parts = conninfo_to_dict(url)
    environment = {
        **os.environ,
        **{_ENVIRONMENT[key]: str(value) for key, value in parts.items() if key in _ENVIRONMENT},
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own list
    if done.returncode:
        raise BackupFailed(f"{Path(command[0]).name} failed: {done.stderr.strip()[-800:]}")


def _facts(connection: Connection) -> Facts:
    migrations = tuple(row[0] for row in connection.query("select name from schema_migrations order by name"))
    rows = {name: int((connection.one(f"select count(*) from {name}") or (0,))[0]) for name in COUNTED}
    heads = {}
    for (tenant_id,) in connection.query("select tenant_id from tenants order by tenant_id"):
        last = connection.one(
            "select audit_id, hash from audit where tenant_id = ? order by audit_id desc limit 1", (tenant_id,)
        )
        if last is not None:
            heads[tenant_id] = AuditHead(int(last[0].removeprefix("aud_")), last[1])
    # The snapshot was taken by the first read above: nothing that commits from now on is in the copy.
    return Facts(time.time_ns() // 1000, migrations, str(journal.end(connection)), rows, heads)


def _check_payloads(connection: Connection) -> tuple[int, tuple[str, ...]]:
    checked = 0
    damaged: list[str] = []
    after: tuple[Any, Any] = ("", "")
    while rows := connection.query(
        "select tenant_id, message_id from payloads where (tenant_id, message_id) > (?, ?)"
        " order by tenant_id, message_id limit ?",
        (*after, PAYLOAD_PAGE),
    ):
        after = (rows[-1][0], rows[-1][1])
        by_tenant: dict[str, list[str]] = {}
        for tenant_id, message_id in rows:
            by_tenant.setdefault(tenant_id, []).append(message_id)
        for tenant_id, message_ids in by_tenant.items():
            _, wrong = payloads.load_sound(connection, tenant_id, message_ids)
            damaged += sorted(wrong)
        checked += len(rows)
    return checked, tuple(damaged)


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Have a file, or a directory's entries, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_manifest(directory: Path) -> Manifest:
    """Return a backup's manifest. Raises RestoreRefused when there is none that can be read."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise RestoreRefused(
            f"{directory} is no backup: {error}", hint="Name the directory that holds manifest.json"
        ) from error
    if manifest.format != FORMAT or manifest.engine not in FILES:
        raise RestoreRefused(f"{directory} was written by another Crossdock (format {manifest.format})")
    return manifest


def check_file(directory: Path, manifest: Manifest) -> Path:
    """Return the file of a backup after comparing size and digest. Raises RestoreRefused."""
    path = directory / FILES[manifest.engine]
    if not path.is_file() or path.stat().st_size != manifest.size_bytes or digest_of_file(path) != manifest.sha256:
        raise RestoreRefused(
            f"{path} is not the file that was backed up", hint="It was cut or changed; use another backup"
        )
    return path
