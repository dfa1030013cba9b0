"""A throwaway PostgreSQL for the tests: a cluster per worker, a database per test.

The cluster listens on a Unix socket in a private directory only, with `fsync=on`: durability is what is tested.
PostgreSQL refuses to run as root, so root hands the cluster to the user `postgres` (or `nobody`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from tests.support.processes import end, spawn

START_SECONDS_MAX = 30.0
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    f"{sys.prefix}/lib/python3*/site-packages/*pgserver/pginstall/bin",
)


class PostgresCluster:
    """One running server. `owner` is a plain role without rights to pass by row-level security."""

    owner = "crossdock"

    def __init__(self, binaries: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._settings = settings or {}
        self.directory = Path(tempfile.mkdtemp(prefix="xd-pg-"))
        self.log = self.directory / "server.log"
        self._data = self.directory / "data"
        self._user = _unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = self._reachable(binaries)
        self._names = itertools.count(1)
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._initialize()
            self.start()
            self._prepare()
            undo.pop_all()

    def dsn(self, database: str) -> str:
        """Return the address of `database` for its owner."""
        return f"postgresql://{self.owner}@/{database}?host={self.directory}&port={self.port}"

    def superuser_dsn(self, database: str) -> str:
        """Return the address of `database` for the superuser, who passes by every check."""
        return f"postgresql://postgres@/{database}?host={self.directory}&port={self.port}"

    def create_database(self) -> str:
        """Create an empty database, unlike any other of this cluster, and return its name."""
        name = f"test_{next(self._names)}"
        with psycopg.connect(self.superuser_dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {self.owner}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, even when connections to it are still open."""
        with psycopg.connect(self.superuser_dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def start(self) -> None:
        """Start the server and return once it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "on",
            "max_connections": "60",
            "shared_buffers": "64MB",
            "log_timezone": "UTC",
            "timezone": "UTC",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._data, *options]
        self._process = spawn(command, log=self.log, user=self._user, death_signal=signal.SIGQUIT)
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.superuser_dsn("postgres")).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()}") from None
                time.sleep(0.05)
            else:
                return

    @property
    def port(self) -> int:
        """The port of the server; of its socket's name only, unless a setting has it listen."""
        return int(self._settings.get("port", "5432"))

    @property
    def pid(self) -> int:
        """The process id of the running postmaster."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server: in order, or the way a power cut does it (`crash=True`)."""
        if self._process is not None:
            end(self._process, signal.SIGQUIT if crash else signal.SIGINT)
            self._process = None

    def close(self) -> None:
        """Stop the server and remove every trace of it."""
        self.stop(crash=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _initialize(self) -> None:
        arguments = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres"]
        initdb = spawn([self._binaries / "initdb", *arguments, "-D", self._data], log=self.log, user=self._user)
        if initdb.wait(60) != 0:
            raise RuntimeError(f"initdb failed:\n{self.log.read_text()}")

    def _prepare(self) -> None:
        with psycopg.connect(self.superuser_dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {self.owner} LOGIN")

    def _reachable(self, binaries: Path) -> Path:
        # A .venv below a private home cannot be entered by the unprivileged user: give it a copy. The programs
        # find their libraries by a path relative to themselves, so package and libraries move together.
        if self._user is None or not binaries.is_relative_to(sys.prefix):
            return binaries
        package = binaries.parents[1]
        for directory in package.parent.glob(f"{package.name}*"):
            shutil.copytree(directory, self.directory / "install" / directory.name, symlinks=True)
        return self.directory / "install" / binaries.relative_to(package.parent)


class StandbyCluster(PostgresCluster):
    """A copy of a running server that follows it, over `link` (a port of this machine) once the copy is made."""

    def __init__(self, binaries: Path, primary: PostgresCluster, link: int, *, settings: Mapping[str, str]) -> None:
        self._primary = primary
        source = f"host=127.0.0.1 port={link} user=postgres application_name=standby"
        super().__init__(binaries, settings={**settings, "primary_conninfo": source})

    def promote(self) -> None:
        """Make it a primary of its own; return once it takes writes."""
        with psycopg.connect(self.superuser_dsn("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT pg_promote(true, 30)").fetchone() != (True,):
                raise RuntimeError("the standby was not promoted")

    def _initialize(self) -> None:
        source = ["-h", str(self._primary.directory), "-p", str(self._primary.port), "-U", "postgres"]
        how = ["-X", "stream", "--checkpoint=fast", "--no-sync", "-D", str(self._data)]
        copy = spawn([self._binaries / "pg_basebackup", *source, *how], log=self.log, user=self._user)
        if copy.wait(60) != 0:
            raise RuntimeError(f"pg_basebackup failed:\n{self.log.read_text()}")
        (self._data / "standby.signal").touch()

    def _prepare(self) -> None:
        """Everything is there already."""


def find_binaries() -> Path | None:
    """Return the directory that holds `initdb` and `postgres`, or None when the machine has none."""
    named = os.environ.get("CROSSDOCK_TEST_POSTGRES_BIN")
    on_path = shutil.which("initdb")
    candidates = [Path(named)] if named else []
    candidates += [Path(on_path).resolve().parent] if on_path else []
    for pattern in PLACES:
        # The newest version first; "9" must not win over "17".
        found = Path("/").glob(pattern.lstrip("/"))
        candidates += sorted(found, key=lambda path: (len(str(path)), str(path)), reverse=True)
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root and there is neither a user postgres nor nobody")


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """One running PostgreSQL for this worker; skips loudly where there are no binaries."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("NOT RUN: no PostgreSQL binaries on this machine (scripts/ensure_postgres.sh could get none)")
    cluster = PostgresCluster(binaries)
    yield cluster
    cluster.close()


@pytest.fixture
def postgres_database(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """The address of an empty database that is this test's own."""
    name = postgres_cluster.create_database()
    yield postgres_cluster.dsn(name)
    postgres_cluster.drop_database(name)


@pytest.fixture
def database(postgres_database: str) -> str:
    """The address of an empty PostgreSQL database; the short name of `postgres_database`."""
    return postgres_database
