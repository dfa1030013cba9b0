"""`crossdock bench`: how fast this machine takes, decides and sends, as a share of what its disk can do.

Limits and product are measured in the same run, because only ratios mean anything on a shared machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ..simulator.load import job, limits
from ..simulator.load.generator import Plan, Result

_TICKS = os.sysconf("SC_CLK_TCK")
MUST_CPU_MICROSECONDS = {"16 connections": 450, "64 connections": 350, "batches of 50": 200}


class Measurement(msgspec.Struct):
    """One workload: events per second end to end, CPU of hub and sink for each event, latencies in milliseconds."""

    workload: str
    events: int
    per_second: float
    accepted_per_second: float
    cpu_microseconds: float
    p50_ms: float
    p99_ms: float
    accept_p99_ms: float
    order_violations: int
    duplicates: int
    lost: int


class Report(msgspec.Struct):
    """One run: the limits of the machine, what the product did, and the shares."""

    store: str
    limits: dict[str, float]
    measurements: list[Measurement]
    shares: dict[str, float]
    commits_per_event: float


def command(
    postgres: Annotated[str, typer.Option(help="Also measure PostgreSQL: the URL of an EMPTY database")] = "",
    events: Annotated[int, typer.Option(help="Events of each workload")] = 10_000,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is shown")] = 3,
    folder: Annotated[Path | None, typer.Option(help="Where to put the databases: the disk that is measured")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")] = False,
) -> None:
    """Measure this machine and the product on it, in one run."""
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-", dir=folder) as scratch:
        reports = [measure("sqlite", None, Path(scratch), events, rounds)]
        if postgres:
            reports.append(measure("postgresql", iter([postgres]), Path(scratch), events, 1))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(reports), indent=2).decode() + "\n")
    else:
        for report in reports:
            show(report)


def measure(store: str, databases: Iterator[str] | None, scratch: Path, events: int, rounds: int) -> Report:
    """Run every workload `rounds` times, each round on a fresh database; return medians.

    `databases` gives the URL of an empty PostgreSQL database for each round; SQLite makes its own in `scratch`.
    """
    machine: dict[str, list[float]] = {}
    measured: dict[str, list[Measurement]] = {}
    commits: list[float] = []
    for number in range(rounds):
        url = "" if databases is None else next(databases)
        for name, value in _limits(url, scratch).items():
            machine.setdefault(name, []).append(value)
        folder = scratch / f"{store}-{number}"
        folder.mkdir()
        with _system(url or f"sqlite:///{folder}/bench.db", folder) as system:
            first = number * 10 * events
            for measurement in _workloads(system, first, events):
                measured.setdefault(measurement.workload, []).append(measurement)
            sent = system.sent
        commits.append(system.commits / sent)
        shutil.rmtree(folder)
    medians = {name: statistics.median(values) for name, values in machine.items()}
    results = [_median(rows) for rows in measured.values()]
    return Report(store, medians, results, _shares(medians, results), statistics.median(commits))


def _limits(postgres: str, scratch: Path) -> dict[str, float]:
    found = {"append + fsync": limits.appends_per_second(scratch)}
    if not postgres:
        found["1 row a commit"] = limits.sqlite_rows_per_second(scratch, 1)
        found["100 rows a commit"] = limits.sqlite_rows_per_second(scratch, 100)
        found["least transaction, 64 a commit"] = limits.sqlite_ceiling_per_second(scratch)
    else:
        found["1 row a commit"] = limits.postgres_rows_per_second(postgres, 1)
        found["100 rows a commit"] = limits.postgres_rows_per_second(postgres, 100)
    found["decodes, thousands"] = limits.python_loops_per_second()
    return found


# -- the processes


class System:
    """The hub under test and its sink, each a process."""

    def __init__(
        self, target: subprocess.Popen[str], sink: subprocess.Popen[str], port: int, token: str, sink_port: int
    ) -> None:
        self.target, self.sink = target, sink
        self.port, self.token, self.sink_port = port, token, sink_port
        self.sent = 0
        self.commits = 0

    def cpu_seconds(self) -> float:
        """Return the CPU time hub and sink have used."""
        return _cpu_seconds(self.target.pid) + _cpu_seconds(self.sink.pid)

    def ask_sink(self, path: str) -> Any:
        """Return what the sink answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.sink_port}{path}", timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def load(self, **plan: Any) -> Result:
        """Run the generator to its end."""
        full = Plan(self.port, f"/v1/ingest/{job.TENANT}/wms", self.token, **plan)
        self.sent += full.count
        done = subprocess.run(
            [sys.executable, "-m", "crossdock.simulator.load.generator", msgspec.json.encode(full).decode()],
            check=True,
            capture_output=True,
            text=True,
        )
        return msgspec.json.decode(done.stdout, type=Result)


@contextlib.contextmanager
def _system(url: str, folder: Path) -> Iterator[System]:
    sink_port = _free_port()
    sink = _start("crossdock.simulator.load.sink", str(sink_port))
    target = _start("crossdock.cli.bench_target", url, str(folder), str(sink_port))
    try:
        assert sink.stdout is not None
        assert target.stdout is not None
        sink.stdout.readline()
        told = json.loads(target.stdout.readline())
        system = System(target, sink, told["port"], told["token"], sink_port)
        yield system
        target.send_signal(signal.SIGTERM)
        system.commits = json.loads(target.stdout.readline())["commits"]
    finally:
        for process in (target, sink):
            process.terminate()
            process.wait(timeout=20)
            if process.stdout is not None:
                process.stdout.close()


def _start(module: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


# -- the workloads


def _workloads(system: System, first: int, events: int) -> Iterator[Measurement]:
    """Closed loops at 16 and 64 connections and in batches, then an open loop at half of the single-event rate."""
    plans: list[tuple[str, dict[str, Any]]] = [
        ("warm-up", {"connections": 16}),
        ("16 connections", {"connections": 16}),
        ("64 connections", {"connections": 64}),
        ("batches of 50", {"connections": 8, "batch": 50}),
    ]
    rate = 0.0
    for number, (name, plan) in enumerate(plans):
        count = events // 5 if name == "warm-up" else events
        measurement = _run(system, name, first + number * events, count, plan)
        if name == "16 connections":
            rate = measurement.per_second / 2
        if name != "warm-up":
            yield measurement
    yield _run(
        system, "half load", first + len(plans) * events, max(500, int(rate * 3)), {"connections": 32, "rate": rate}
    )


def _run(system: System, name: str, first: int, count: int, plan: dict[str, Any]) -> Measurement:
    count -= count % job.EVENTS_PER_ORDER
    first -= first % job.EVENTS_PER_ORDER
    system.load(
        first=first // job.EVENTS_PER_ORDER, count=count // job.EVENTS_PER_ORDER, batch=50, connections=4, orders=True
    )
    time.sleep(0.3)
    system.ask_sink("/reset")
    cpu = system.cpu_seconds()
    result = system.load(first=first, count=count, **plan)
    deadline = time.monotonic() + 60
    while system.ask_sink("/stats")["unique"] < count and time.monotonic() < deadline:
        time.sleep(0.05)
    stats = system.ask_sink("/stats")
    time.sleep(0.2)
    cpu = system.cpu_seconds() - cpu
    arrivals = system.ask_sink("/arrivals")
    latencies = sorted((at - result.sent_ns[event_id]) / 1e6 for event_id, at in arrivals.items())
    seconds = (stats["last_ns"] - result.began_ns) / 1e9
    accepting = (result.ended_ns - result.began_ns) / 1e9
    return Measurement(
        workload=name,
        events=count,
        per_second=count / seconds,
        accepted_per_second=result.accepted / accepting,
        cpu_microseconds=cpu / count * 1e6,
        p50_ms=_quantile(latencies, 0.5),
        p99_ms=_quantile(latencies, 0.99),
        accept_p99_ms=_quantile(sorted(result.accept_ms), 0.99),
        order_violations=stats["order_violations"],
        duplicates=stats["duplicates"],
        lost=count - stats["unique"],
    )


def _quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def _median(rows: list[Measurement]) -> Measurement:
    fields: dict[str, Any] = {}
    for name in Measurement.__struct_fields__:
        values = [getattr(row, name) for row in rows]
        if name in ("order_violations", "duplicates", "lost"):
            fields[name] = max(values)
        else:
            fields[name] = values[0] if isinstance(values[0], str) else statistics.median(values)
    return Measurement(**fields)


def _shares(machine: dict[str, float], results: list[Measurement]) -> dict[str, float]:
    by_name = {result.workload: result.per_second for result in results}
    shares = {
        "64 connections / 1 row a commit": by_name["64 connections"] / machine["1 row a commit"],
        "batches of 50 / 100 rows a commit": by_name["batches of 50"] / machine["100 rows a commit"],
    }
    if "least transaction, 64 a commit" in machine:
        shares["batches of 50 / least transaction"] = (
            by_name["batches of 50"] / machine["least transaction, 64 a commit"]
        )
    return shares


# -- the table


def show(report: Report) -> None:
    """Print a report for people."""
    console = Console()
    machine = Table(title=f"Limits of this machine ({report.store})", title_justify="left")
    machine.add_column("what")
    machine.add_column("per second", justify="right")
    for name, value in report.limits.items():
        machine.add_row(name, f"{value:,.0f}")
    console.print(machine)
    table = Table(title="Crossdock: accept, map, decide, send", title_justify="left")
    for column in (
        "workload",
        "events/s",
        "accepted/s",
        "CPU µs/event",
        "must",
        "p50 ms",
        "p99 ms",
        "order",
        "doubled",
        "lost",
    ):
        table.add_column(column, justify="left" if column == "workload" else "right")
    for row in report.measurements:
        must = MUST_CPU_MICROSECONDS.get(row.workload)
        table.add_row(
            row.workload,
            f"{row.per_second:,.0f}",
            f"{row.accepted_per_second:,.0f}",
            f"{row.cpu_microseconds:,.0f}",
            f"≤ {must}" if must else "",
            f"{row.p50_ms:,.1f}",
            f"{row.p99_ms:,.1f}",
            str(row.order_violations),
            str(row.duplicates),
            str(row.lost),
        )
    console.print(table)
    for name, share in report.shares.items():
        console.print(f"{name}: {share:.0%}")
    console.print(f"commits per event, whole run: {report.commits_per_event:.3f}")
