"""`crossdock bench`: how fast this machine takes, decides and sends, as a share of what its disk can do.

Limits and product are measured in the same run, because only ratios mean anything on a shared machine.
Peers, several workers, the cost of an order's life and the reference page are the business of `python -m bench` in the
source tree; both run the same job through `simulator.load`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ..simulator.load import job, limits, measuring, processes
from ..simulator.load.measuring import Measurement, Sink

MUST_CPU_MICROSECONDS = {"16 connections": 450, "64 connections": 350, "batches of 50": 200}


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
        first = number * 10 * events
        with measuring.open_sink() as sink, hub_process(url or f"sqlite:///{folder}/bench.db", folder, sink.url) as hub:
            rows = list(_workloads(hub, sink, first, events))
            sent = sum(row.events for row in rows) * (1 + 1 / job.EVENTS_PER_ORDER)
            commits.append(hub.counters()["commits"] / sent)
        for row in rows:
            measured.setdefault(row.workload, []).append(row)
        shutil.rmtree(folder)
    medians = {name: statistics.median(values) for name, values in machine.items()}
    results = [measuring.median(rows) for name, rows in measured.items() if name != "warm-up"]
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


class HubProcess:
    """A hub under test, in a process of its own."""

    path = f"/v1/ingest/{job.TENANT}/wms"
    orders_first = True

    def __init__(self, process: subprocess.Popen[str], port: int, token: str) -> None:
        self.process, self.port, self.token = process, port, token
        self.processes: Mapping[str, int] = {"app": process.pid}

    def counters(self) -> dict[str, float]:
        """Ask the hub for its commits and the bytes of its write-ahead log."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told: dict[str, float] = json.loads(self.process.stdout.readline())
        return told


@contextlib.contextmanager
def hub_process(url: str, folder: Path, sink_url: str, port: int = 0) -> Iterator[HubProcess]:
    """Start a hub on a record, with its root key in `folder`; end it."""
    process = processes.start_module("crossdock.cli.bench_target", url, str(folder), sink_url, str(port))
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline() or "{}")
        if not told:
            raise RuntimeError("the hub did not start; its log is above")
        yield HubProcess(process, told["port"], told["token"])
    finally:
        processes.end(process)


def _workloads(hub: HubProcess, sink: Sink, first: int, events: int) -> Iterator[Measurement]:
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
        measurement = measuring.run(hub, sink, name, first + number * events, count, plan)
        if name == "16 connections":
            rate = measurement.per_second / 2
        yield measurement
    half = {"connections": 32, "rate": rate}
    yield measuring.run(hub, sink, "half load", first + len(plans) * events, max(500, int(rate * 3)), half)


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
