"""The hub as a system under test: embedded, on PostgreSQL in one process, or with several workers, with or without NATS.

One process is `crossdock.cli.bench_target`, which answers questions about itself. Several are started as an operator
would: `crossdock up --role all --workers N`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from bench.databases import Databases
from crossdock.cli.bench import HubProcess, hub_process
from crossdock.config import setting_names
from crossdock.simulator.load import processes


class CannotRun(Exception):
    """This form of the hub does not exist here; says why."""


@contextlib.contextmanager
def embedded(folder: Path, sink_url: str) -> Iterator[HubProcess]:
    """Start the hub on SQLite."""
    place = _fresh(folder, "embedded")
    with hub_process(f"sqlite:///{place}/hub.db", place, sink_url) as hub:
        yield hub


@contextlib.contextmanager
def on_postgres(databases: Databases, folder: Path, sink_url: str) -> Iterator[HubProcess]:
    """Start the hub on PostgreSQL, doors and worker in one process."""
    place = _fresh(folder, "postgres")
    with hub_process(databases.fresh(), place, sink_url) as hub:
        hub.processes = {"app": hub.process.pid, "database": databases.pid()}
        yield hub


class HubWithWorkers:
    """A hub of several processes on one PostgreSQL."""

    path = HubProcess.path
    orders_first = True

    def __init__(self, port: int, token: str, roots: Mapping[str, int], dsn: str) -> None:
        self.port, self.token, self.processes = port, token, roots
        self._dsn = dsn

    def counters(self) -> dict[str, float]:
        """Return what the server counted: transactions of this database (those that only read included), log bytes."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            row = connection.execute(
                "select xact_commit, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
                " from pg_stat_database where datname = current_database()"
            ).fetchone()
        assert row is not None
        return {"commits": float(row[0]), "wal_bytes": float(row[1])}


@contextlib.contextmanager
def with_workers(
    count: int, databases: Databases, folder: Path, sink_url: str, nats_url: str = ""
) -> Iterator[HubWithWorkers]:
    """Start the hub with so many workers. Raises CannotRun where `crossdock up` knows no workers."""
    environment = _environment(nats_url)
    place = _fresh(folder, f"workers-{count}")
    dsn = databases.fresh()
    with hub_process(dsn, place, sink_url) as hub:
        # The record is made ready by a hub of one process: pack, release, key.
        token = hub.token
    port = processes.free_port()
    environment |= {
        "CROSSDOCK_STORE_URL": dsn,
        "CROSSDOCK_SECURITY_ROOT_KEY_FILE": f"{place}/root.key",
        "CROSSDOCK_SECURITY_ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8",
        "CROSSDOCK_LOG_LEVEL": "error",
        # It runs in a folder of its own and must find this very source all the same.
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path),
    }
    command = [sys.executable, "-m", "crossdock", "up", "--no-links", "--port", str(port)]
    command += ["--role", "all", "--workers", str(count)]
    log = place / "hub.log"
    process = processes.start_program(command, log, folder=place, environment=environment)
    try:
        if not processes.wait_for_port(port, 60, process):
            raise CannotRun(f"it did not start: {log.read_text()[-300:].strip()}")
        yield HubWithWorkers(port, token, {"app": process.pid, "database": databases.pid()}, dsn)
    finally:
        processes.end(process)


def workers_exist() -> bool:
    """Tell whether `crossdock up` takes `--workers`."""
    done = subprocess.run(
        [sys.executable, "-m", "crossdock", "up", "--help"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb"},
    )
    return "--workers" in done.stdout


def _environment(nats_url: str) -> dict[str, str]:
    if not workers_exist():
        raise CannotRun("`crossdock up` knows no --workers at this commit")
    if not nats_url:
        return {}
    if "backbone.url" not in setting_names():
        raise CannotRun("the settings know no NATS at this commit")
    return {"CROSSDOCK_BACKBONE_URL": nats_url}


def _fresh(folder: Path, name: str) -> Path:
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


@contextlib.contextmanager
def nats_server(folder: Path) -> Iterator[str]:
    """Start one NATS server with JetStream on this disk; yield its address. Raises CannotRun where there is none."""
    program = shutil.which("nats-server") or shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if program is None:
        raise CannotRun("there is no nats-server on this machine")
    place, port = _fresh(folder, "nats"), processes.free_port()
    command = [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(place / "store")]
    process = processes.start_program(command, place / "nats.log")
    try:
        if not processes.wait_for_port(port, 15, process):
            raise CannotRun("the NATS server did not start")
        yield f"nats://127.0.0.1:{port}"
    finally:
        processes.end(process)
