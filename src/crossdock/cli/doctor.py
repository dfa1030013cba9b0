"""`crossdock doctor`: is this installation fit to run? Each line is ok or says the fix.

The checks look with their own eyes: they must work when the rest does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import apsw
import msgspec
import psycopg
import typer

from crossdock.backbone.server_check import examine as examine_broker
from crossdock.config import Settings, load_root_key, load_settings
from crossdock.durable.lanes import SLOTS
from crossdock.error_codes import entry_of
from crossdock.errors import ConfigurationError, CrossdockError
from crossdock.governance import releases
from crossdock.store import workers
from crossdock.store.engine import Connection
from crossdock.store.postgres import PostgresConnection
from crossdock.store.sqlite import SqliteConnection

PYTHON_MIN = (3, 11)
# Below this release SQLite could corrupt a WAL when two connections checkpoint at the same moment.
SQLITE_MIN = (3, 51, 3)
DISK_FREE_BYTES_MIN = 1_000_000_000
CLOCK_SKEW_SECONDS_MAX = 5.0
# Reading a larger file would take longer than somebody waits for a check.
QUICK_CHECK_BYTES_MAX = 200_000_000
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "glusterfs"})
POSTGRES_CONNECT_SECONDS_MAX = 5


class Check(msgspec.Struct, frozen=True):
    """The outcome of one check. `fix` is empty when all is well or nothing needs to be done."""

    name: str
    state: Literal["ok", "fix"]
    message: str
    fix: str = ""


def command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check this installation; each line is ok or says the fix. Ends with 1 when something is to be fixed."""
    checks = tuple(examine())
    if as_json:
        typer.echo(json.dumps([msgspec.to_builtins(check) for check in checks], ensure_ascii=False, indent=2))
    else:
        for check in checks:
            typer.echo(f"{check.state:<4} {check.name:<9} {check.message}")
            if check.fix:
                typer.echo(f"{'':<14} → {check.fix}")
    failed = sum(check.state == "fix" for check in checks)
    if failed:
        if not as_json:
            typer.echo(f"{failed} of {len(checks)} checks need a fix", err=True)
        raise typer.Exit(1)
    if not as_json:
        typer.echo("All is well. Next: crossdock up", err=True)


def examine() -> Iterator[Check]:
    """Run every check in turn; a settings fault ends the row, for the others stand on the settings."""
    yield _python()
    try:
        settings = load_settings()
    except ConfigurationError as error:
        for finding in error.findings:
            yield Check(
                "settings", "fix", f"{finding.message} ({finding.pointer})", finding.hint or finding.expected or ""
            )
        return
    told = sorted(set(settings.origins.values()))
    yield Check("settings", "ok", f"defaults{' and ' + ', '.join(told) if told else ''}")
    for check in (_store, _releases, _disk, _directories, _root_key, _port, _clock):
        yield check(settings)
    if settings.store.sqlite_path is None:
        yield from _workers(settings)
    if settings.backbone.servers:
        yield _backbone(settings)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON_MIN:
        return Check("python", "fix", f"Python {version}", "Install Python 3.11 or newer")
    return Check("python", "ok", f"Python {version}")


def _store(settings: Settings) -> Check:
    path = settings.store.sqlite_path
    return _postgres(settings) if path is None else _sqlite(path)


def _sqlite(path: Path) -> Check:
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < SQLITE_MIN:
        return Check(
            "store", "fix", f"SQLite {version}", "Install the pinned apsw: pip install -r requirements/runtime.txt"
        )
    kind = _file_system(path)
    if kind in NETWORK_FILE_SYSTEMS:
        return Check(
            "store", "fix", f"{path} lies on {kind}", "Use a local disk: SQLite's locks do not hold over a network"
        )
    if not path.exists():
        return Check("store", "ok", f"SQLite {version}; {path} will be made at the first start")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        with connection:
            mode = connection.pragma("journal_mode")
            damage = (
                connection.execute("PRAGMA quick_check(1)").get if path.stat().st_size < QUICK_CHECK_BYTES_MAX else "ok"
            )
        connection.close()
    except apsw.Error as error:
        return Check(
            "store", "fix", f"{path}: {error}", "Stop other programs that use the file, or restore your backup"
        )
    if damage != "ok":
        return Check("store", "fix", f"{path} is damaged: {damage}", "Restore the last backup; keep the damaged file")
    if mode != "wal":
        return Check(
            "store", "fix", f"{path}: journal mode is {mode}", "crossdock up sets it to wal; nothing else may set it"
        )
    return Check("store", "ok", f"SQLite {version}, {path}, write-ahead log, no damage")


def _postgres(settings: Settings) -> Check:
    try:
        with psycopg.connect(settings.store.url, connect_timeout=POSTGRES_CONNECT_SECONDS_MAX) as connection:
            version = connection.info.server_version // 10_000
            wrong = [
                name
                for name in ("fsync", "full_page_writes", "synchronous_commit")
                if (connection.execute(f"SHOW {name}").fetchone() or ("",))[0] == "off"
            ]
            role = connection.execute(
                "SELECT rolname FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)"
            ).fetchone()
            now = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    except psycopg.Error as error:
        # The address may hold a password: only the server's own words are shown.
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Check("store", "fix", f"PostgreSQL: {words}", "Start the server, or correct store.url")
    if wrong:
        return Check(
            "store", "fix", f"PostgreSQL runs with {', '.join(wrong)} off", "Switch it on: a commit must be durable"
        )
    if role is not None:
        fix = f"ALTER ROLE {role[0]} NOSUPERUSER NOBYPASSRLS, or use another role"
        return Check("store", "fix", f"the role {role[0]} passes by row-level security", fix)
    if now is not None and abs(now[0] - time.time()) > CLOCK_SKEW_SECONDS_MAX:
        fix = "Synchronize both clocks (chrony, systemd-timesyncd)"
        return Check("store", "fix", f"its clock differs by {now[0] - time.time():+.0f} s", fix)
    return Check("store", "ok", f"PostgreSQL {version}, durable commits, role bound by row-level security")


def _releases(settings: Settings) -> Check:
    """Look whether every tenant's active release can be run; the hub leaves one out that cannot, and starts."""
    path = settings.store.sqlite_path
    if path is not None and not path.exists():
        return Check("releases", "ok", "none yet")
    try:
        with contextlib.closing(_open_to_read(settings, path)) as raw:
            connection = SqliteConnection(raw) if isinstance(raw, apsw.Connection) else PostgresConnection(raw)
            active = releases.active_ids(connection)
            broken = [f"{tenant}: {why}" for tenant, _ in active if (why := _why_not(connection, tenant))]
    except (apsw.Error, psycopg.Error):
        # What is wrong with the store is said by its own check; a new one holds no table yet.
        return Check("releases", "ok", "none can be read")
    if broken:
        fix = "Apply the tenant's pack again; everybody else's work goes on"
        return Check("releases", "fix", "cannot run: " + "; ".join(broken), fix)
    return Check("releases", "ok", f"{len(active)} active, all can run")


def _workers(settings: Settings) -> Iterator[Check]:
    """Say who works on a PostgreSQL record now, and find slots that nobody works although somebody could."""
    try:
        with contextlib.closing(_open_to_read(settings, None)) as raw:
            assert isinstance(raw, psycopg.Connection)
            live = workers.listed(PostgresConnection(raw))
    except psycopg.Error:
        return
    working = [one for one in live if one.role != "web"]
    told = ", ".join(f"{one.name} ({one.role}, {one.slots} slots)" for one in live) or "none is running"
    if working and sum(one.slots for one in working) < SLOTS:
        fix = "Look again in a few seconds; if it lasts, look at the workers' logs for slots.not_loaded"
        yield Check("workers", "fix", f"some slots are nobody's: {told}", fix)
    elif live and not working:
        fix = "Start one: crossdock up --role worker"
        yield Check("workers", "fix", f"what comes in is stored and nobody works on it: {told}", fix)
    else:
        yield Check("workers", "ok", told)


def _open_to_read(settings: Settings, path: Path | None) -> apsw.Connection | psycopg.Connection[Any]:
    if path is not None:
        return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    return psycopg.connect(settings.store.url, connect_timeout=POSTGRES_CONNECT_SECONDS_MAX, autocommit=True)


def _why_not(connection: Connection, tenant_id: str) -> str:
    try:
        releases.active(connection, tenant_id)
    except (CrossdockError, msgspec.MsgspecError) as error:
        return str(error)
    return ""


def _disk(settings: Settings) -> Check:
    place = _nearest_directory(settings.store.sqlite_path or Path(settings.security.root_key_file))
    free = shutil.disk_usage(place).free
    message = f"{free / 1e9:.1f} GB free at {place}"
    if free < DISK_FREE_BYTES_MIN:
        return Check("disk", "fix", message, "Keep at least 1 GB free: on a full disk nothing is accepted")
    return Check("disk", "ok", message)


def _directories(settings: Settings) -> Check:
    places = [Path(settings.security.root_key_file).parent]
    if settings.store.sqlite_path is not None:
        places.append(settings.store.sqlite_path.parent)
    for place in sorted(set(places)):
        nearest = _nearest_directory(place / "file")
        try:
            with tempfile.TemporaryFile(dir=nearest):
                pass
        except OSError as error:
            return Check(
                "writable", "fix", f"{nearest}: {error.strerror}", f"Give this user the right to write in {nearest}"
            )
    return Check("writable", "ok", ", ".join(str(place) for place in sorted(set(places))))


def _root_key(settings: Settings) -> Check:
    file = Path(settings.security.root_key_file)
    if not settings.security.root_key and not file.exists():
        database = settings.store.sqlite_path
        if database is not None and database.exists():
            return Check(
                "key", "fix", f"{database} is there and {file} is not", "Restore the key file that belongs to it"
            )
        return Check("key", "ok", f"{file} will be made at the first start; back it up apart from the database")
    try:
        load_root_key(settings)
    except ConfigurationError as error:
        return Check("key", "fix", str(error), error.hint[0])
    if settings.security.root_key:
        if settings.origin("security.root_key").startswith("file"):
            return Check(
                "key", "fix", "the root key stands in the settings file", "Move it to CROSSDOCK_SECURITY_ROOT_KEY"
            )
        return Check("key", "ok", "from the environment")
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return Check("key", "fix", f"{file} can be read by others (mode {mode:04o})", f"chmod 600 {file}")
    return Check("key", "ok", f"{file}, mode {mode:04o}")


def _port(settings: Settings) -> Check:
    host, port = settings.web.host, settings.web.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fix = f"Stop what listens there, or choose another port: CROSSDOCK_WEB_PORT={port + 1}"
            return Check("port", "fix", f"{host}:{port} is in use", fix)
        return Check("port", "fix", f"{host}:{port}: {error.strerror}", "Correct web.host and web.port")
    return Check("port", "ok", f"{host}:{port} is free")


def _clock(settings: Settings) -> Check:
    place = _nearest_directory(settings.store.sqlite_path or Path(settings.security.root_key_file))
    now = datetime.now(UTC)
    fix = "Set the clock and keep it synchronized (chrony, systemd-timesyncd)"
    # A machine without a clock battery starts in 1970; certificates and signatures are refused then.
    if now.year < 2026:
        return Check("clock", "fix", f"it is {now:%Y-%m-%d %H:%M} UTC here", fix)
    if not os.access(place, os.W_OK):
        return Check("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC")
    with tempfile.NamedTemporaryFile(dir=place) as file:
        skew = Path(file.name).stat().st_mtime - time.time()
    if abs(skew) > CLOCK_SKEW_SECONDS_MAX:
        return Check("clock", "fix", f"the disk's clock differs by {skew:+.0f} s", fix)
    return Check("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _backbone(settings: Settings) -> Check:
    try:
        report = asyncio.run(examine_broker(settings.backbone))
    except CrossdockError as error:
        return Check("backbone", "fix", str(error), "; ".join(error.hint) or entry_of(error.code).fix[0])
    if report.faults:
        return Check(
            "backbone",
            "fix",
            "; ".join(what for what, _ in report.faults),
            "; ".join(dict.fromkeys(fix for _, fix in report.faults)),
        )
    return Check("backbone", "ok", f"NATS {report.version}; {'; '.join(report.remarks)}")


def _nearest_directory(path: Path) -> Path:
    """Return the directory of `path`, or the nearest one above it that exists."""
    return next(parent for parent in path.absolute().parents if parent.is_dir())


def _file_system(path: Path) -> str:
    """Return the kind of file system that holds `path`, where the machine tells (Linux), else an empty text."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    place = _nearest_directory(path).resolve()
    rows = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    holding = [(len(row[1]), row[2]) for row in rows if len(row) > 2 and place.is_relative_to(row[1])]
    return max(holding, default=(0, ""))[1]
