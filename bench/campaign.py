"""One run of the benchmark: what is measured in which order, so that rounds alternate and one failure costs one part.

Parts: `hub` (embedded), `storage`, `postgres`, `workers`, `nats`, `saq`, `peers`, `troubles`, `soak`, `cost`, `rooms`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from bench import hub_systems, peer_systems, troubles, workloads
from bench.databases import Databases, NoPostgres
from bench.goals import EMBEDDED, POSTGRES
from bench.record import Calibration, Record, Round
from bench.storage_path import StoragePath
from crossdock.simulator.load import limits, measuring
from crossdock.simulator.load.measuring import Sink, System

PARTS = ("hub", "storage", "postgres", "workers", "nats", "saq", "peers", "troubles", "soak", "cost", "rooms")
ROOMS = ("mapping", "process", "edi_codec", "http_client")
WORKERS = (1, 2, 4)
NOT_HERE = (NoPostgres, peer_systems.NotInstalled, hub_systems.CannotRun, RuntimeError, OSError, psycopg.Error)


class Options(msgspec.Struct, kw_only=True):
    """How much is measured. `rounds` are those of the hub and SAQ; others take `peer_rounds`."""

    parts: tuple[str, ...]
    events: int = 10_000
    rounds: int = 5
    peer_rounds: int = 2
    peer_share: float = 1.0
    storage_events: int = 8_000
    batches: tuple[int, ...] = (16, 64, 256)
    open_loops: bool = True
    seconds: float = 1.0
    soak_seconds: float = 3600.0
    cost_orders: dict[str, tuple[int, ...]] = msgspec.field(
        default_factory=lambda: {"sqlite": (10_000, 100_000), "postgresql": (10_000, 100_000)}
    )
    trouble_events: int = 20_000


class Campaign:
    """Runs the parts and fills the record."""

    def __init__(self, record: Record, options: Options, scratch: Path, databases: Databases, sink: Sink) -> None:
        self.record, self.options = record, options
        self._scratch, self._databases, self._sink = scratch, databases, sink

    def run(self) -> None:
        """Measure everything that was asked for."""
        asked = set(self.options.parts)
        if asked & {"hub", "postgres", "workers", "nats", "saq", "peers"}:
            self._harness()
            self._alternate(asked)
        if "troubles" in asked:
            for name, work in troubles.ALL.items():
                self._try(name, partial(self._trouble, name, work))
        if "soak" in asked:
            self._try("soak", lambda: self._trouble("soak", self._soak))
        if "cost" in asked:
            for engine, sizes in self.options.cost_orders.items():
                self._try(f"cost on {engine}", partial(self._cost, engine, sizes))
        if "rooms" in asked:
            for room in ROOMS:
                self._try(room, partial(self._room, room))

    # -- rates

    def _harness(self) -> None:
        """Take the ceiling: the generator posting straight to the sink."""
        say("the harness alone")
        alone = _SinkAlone(self._sink)
        for name, plan in (
            (workloads.W1_16, {"connections": 16}),
            (workloads.W1_64, {"connections": 64}),
            (workloads.W2, {"connections": 8, "batch": 50}),
        ):
            count = self.options.events * (3 if "batch" in plan else 1)
            found = measuring.run(alone, self._sink, name, 0, count, plan)
            self.record.ceilings[name] = found.per_second

    def _alternate(self, asked: set[str]) -> None:
        for number in range(self.options.rounds):
            if asked & {"hub", "storage"}:
                self._limits("sqlite")
                self._try("what well-known things cost here", self._yardsticks)
            if "postgres" in asked:
                self._try("limits of PostgreSQL", lambda: self._limits("postgresql"))
            systems = list(self._systems(asked, number))
            # A slow hour must not always meet the same system.
            for name, work, open_system, events in systems if number % 2 == 0 else reversed(systems):
                self._try(name, partial(self._round, name, number, work, open_system, events))
            if "storage" in asked:
                for engine in ("sqlite", *(("postgresql",) if "postgres" in asked else ())):
                    for batch in self.options.batches:
                        self._try(f"storage path on {engine}", partial(self._storage, engine, batch))

    def _systems(
        self, asked: set[str], number: int
    ) -> Iterator[tuple[str, tuple[workloads.Workload, ...], Callable[[], AbstractContextManager[Any]], int]]:
        """Yield what runs in a round: name, workloads, how it is opened, events."""
        scratch, sink, databases, events = self._scratch, self._sink.url, self._databases, self.options.events
        full = (*workloads.CLOSED, *(workloads.OPEN if self.options.open_loops else ()), *workloads.UNCLEAN)
        closed = workloads.CLOSED
        if "hub" in asked:
            yield EMBEDDED, full, lambda: hub_systems.embedded(scratch, sink), events
        if "saq" in asked or "peers" in asked:
            yield self._peer("SAQ")
        if "postgres" in asked:
            yield POSTGRES, full, lambda: hub_systems.on_postgres(databases, scratch, sink), events
        if number >= self.options.peer_rounds:
            return
        for count in WORKERS if "workers" in asked else ():
            name = f"Crossdock, PostgreSQL, {count} workers"
            yield name, closed, _later(hub_systems.with_workers, count, databases, scratch, sink), events
        if "nats" in asked:
            for count in WORKERS[:2]:
                name = f"Crossdock, PostgreSQL, {count} workers, NATS"
                yield name, closed, _later(self._with_nats, count), events
        if "peers" in asked:
            for name in peer_systems.PEERS:
                if name != "SAQ":
                    yield self._peer(name)

    def _peer(
        self, name: str
    ) -> tuple[str, tuple[workloads.Workload, ...], Callable[[], AbstractContextManager[Any]], int]:
        peer = peer_systems.PEERS[name]
        closed = workloads.CLOSED if peer.batches else workloads.CLOSED[:2]
        # The latency at half load is compared with SAQ's; the others' rates are what counts.
        work = (*closed, *(workloads.OPEN if name == "SAQ" and self.options.open_loops else ()))
        count = max(200, int(peer.events * self.options.peer_share))
        return (
            name,
            work,
            _later(peer_systems.running, peer, self._sink.url, self._databases, self._scratch),
            count - count % 50,
        )

    @contextlib.contextmanager
    def _with_nats(self, count: int) -> Iterator[System]:
        with hub_systems.nats_server(self._scratch) as url:
            with hub_systems.with_workers(count, self._databases, self._scratch, self._sink.url, url) as system:
                yield system

    def _round(
        self,
        name: str,
        number: int,
        work: tuple[workloads.Workload, ...],
        open_system: Callable[[], AbstractContextManager[Any]],
        events: int,
    ) -> None:
        say(f"round {number + 1}: {name}")
        calibration = self._calibrate()
        with open_system() as system:
            warm_up = max(100, events // 5)
            found = list(workloads.run(system, self._sink, work, events=events, warm_up=warm_up - warm_up % 5))
        self.record.rounds.append(Round(system=name, number=number, calibration=calibration, measurements=found))
        for one in found:
            say(f"    {one.workload:44s} {one.per_second:8,.0f}/s {one.cpu_microseconds:8,.0f} µs  lost {one.lost}")

    def _calibrate(self) -> Calibration:
        seconds = self.options.seconds
        return Calibration(
            appends=limits.appends_per_second(self._scratch, seconds),
            sqlite_rows=limits.sqlite_rows_per_second(self._scratch, 100, seconds),
            decodes=limits.python_loops_per_second(seconds / 3),
        )

    def _yardsticks(self) -> None:
        for name, value in module("bench.yardsticks", str(self._sink.port)).items():
            self.record.yardsticks.setdefault(name, []).append(value)

    def _limits(self, engine: str) -> None:
        found, seconds = self.record.limits, self.options.seconds
        if engine == "sqlite":
            found.add("SQLite, 1 row a commit", limits.sqlite_rows_per_second(self._scratch, 1, seconds))
            found.add("SQLite, 100 rows a commit", limits.sqlite_rows_per_second(self._scratch, 100, seconds))
            found.add(
                "SQLite, least transaction (inbox, state, outbox, booking; nothing decoded), 64 a commit",
                limits.sqlite_ceiling_per_second(self._scratch, seconds=seconds),
            )
            return
        dsn = self._databases.fresh()
        with psycopg.connect(dsn) as connection:
            self.record.machine.postgres = connection.info.parameter_status("server_version") or ""
        found.add("PostgreSQL, 1 row a commit", limits.postgres_rows_per_second(dsn, 1, seconds))
        found.add("PostgreSQL, 100 rows a commit", limits.postgres_rows_per_second(dsn, 100, seconds))

    def _storage(self, engine: str, batch: int) -> None:
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            url = f"sqlite:///{folder}/hub.db" if engine == "sqlite" else self._databases.fresh()
            found = module("bench.storage_path", url, folder, str(self.options.storage_events), str(batch))
        one = msgspec.convert(found, StoragePath)
        self.record.storage.setdefault(engine, []).append(one)
        say(f"    storage path, {engine}, {batch} at a time: {one.per_second:,.0f}/s, {one.cpu_microseconds:,.0f} µs")

    # -- the rest

    def _trouble(self, name: str, work: Callable[[Path, Sink, int], dict[str, Any]]) -> None:
        say(name)
        self.record.troubles[name] = found = work(self._scratch, self._sink, self.options.trouble_events)
        for key, value in found.items():
            say(f"    {key}: {value}")

    def _soak(self, scratch: Path, sink: Sink, events: int) -> dict[str, Any]:
        return troubles.soak(scratch, sink, self.options.soak_seconds)

    def _cost(self, engine: str, sizes: tuple[int, ...]) -> None:
        say(f"the cost of an order on {engine}")
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            url = f"sqlite:///{folder}/hub.db" if engine == "sqlite" else self._databases.fresh()
            found = module("bench.cost", "--json", "--url", url, "--orders", ",".join(map(str, sizes)))
        self.record.cost += found

    def _room(self, room: str) -> None:
        say(room)
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{room}"], check=False, capture_output=True, text=True, timeout=600
        )
        if not done.stdout.strip():
            raise RuntimeError(done.stderr.strip()[-300:])
        self.record.rooms[room] = done.stdout

    def _try(self, name: str, work: Callable[[], None]) -> None:
        """Measure; what cannot be measured here is kept with its reason and stops nothing else."""
        try:
            work()
        except NOT_HERE as error:
            self.record.missing.setdefault(name, str(error).strip().replace("\n", " ")[-300:])
            say(f"    {name} was NOT measured: {error}")


class _SinkAlone:
    """The sink as the system under test: nothing between generator and sink."""

    path, token, orders_first = "/events", "", False

    def __init__(self, sink: Sink) -> None:
        self.port = sink.port
        self.processes: dict[str, int] = {}

    def counters(self) -> dict[str, float]:
        """Nothing is counted."""
        return {}


def module(name: str, *arguments: str) -> Any:
    """Run one of the bench's own modules and return the JSON it prints. Raises RuntimeError with its last words."""
    done = subprocess.run([sys.executable, "-m", name, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-400:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def _later(open_system: Callable[..., AbstractContextManager[Any]], *arguments: Any) -> Callable[[], Any]:
    return lambda: open_system(*arguments)


_BEGAN = time.monotonic()


def say(words: str) -> None:
    """Tell people how far it is, on standard error."""
    print(f"[{time.monotonic() - _BEGAN:6.0f} s] {words}", file=sys.stderr, flush=True)
