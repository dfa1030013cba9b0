"""One measurement: load a system through its door, wait until everything has arrived at the sink, count what it cost.

The system is whatever listens on a port and sends to the sink: the hub, or a peer on the same job. Nothing here knows
which.
"""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from . import job, processes
from .generator import Plan, Result

WAIT_SECONDS_MAX = 120.0


class Measurement(msgspec.Struct, kw_only=True):
    """One workload, end to end. Rates are events a second; CPU is microseconds an event, by process.

    Latencies count from the send (in an open loop: from when the event was due) to the arrival at the sink, or to the
    answer of the door (`accept_`). `commits` and `wal_bytes` are for each event, None where nobody counts them.
    """

    workload: str
    events: int
    per_second: float
    accepted_per_second: float
    cpu: dict[str, float]
    p50_ms: float
    p99_ms: float
    p999_ms: float
    accept_p50_ms: float
    accept_p99_ms: float
    accept_p999_ms: float
    order_violations: int
    duplicates: int
    lost: int
    refused: int
    resident_mb: float
    commits: float | None = None
    wal_bytes: float | None = None

    @property
    def cpu_microseconds(self) -> float:
        """CPU of the system's own processes and the sink, without database, broker and generator."""
        return sum(value for name, value in self.cpu.items() if name not in ("database", "broker", "generator"))


class System(Protocol):
    """What is measured. `processes` are the roots of process trees by name: `app`, `database`, `broker`."""

    port: int
    path: str
    token: str
    orders_first: bool
    processes: Mapping[str, int]

    def counters(self) -> Mapping[str, float]:
        """Return what has been counted so far: `commits`, `wal_bytes`, where it can be known."""
        ...


class Sink:
    """The stub partner, a process of its own."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    @property
    def url(self) -> str:
        """Where systems send to."""
        return f"http://127.0.0.1:{self.port}/events"

    def ask(self, path: str) -> Any:
        """Return what the sink answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.loads(answer.read() or b"{}")


@contextlib.contextmanager
def open_sink() -> Iterator[Sink]:
    """Start a sink; end it."""
    process = processes.start_module("crossdock.simulator.load.sink", "0")
    try:
        assert process.stdout is not None
        yield Sink(process, int(process.stdout.readline()))
    finally:
        processes.end(process)


def generate(system: System, **plan: Any) -> Result:
    """Run the generator, a process of its own, to its end."""
    full = Plan(system.port, system.path, system.token, **plan)
    command = [sys.executable, "-m", "crossdock.simulator.load.generator", msgspec.json.encode(full).decode()]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the generator failed: {done.stderr.strip()[-400:]}")
    return msgspec.json.decode(done.stdout, type=Result)


def release_orders(system: System, first: int, count: int) -> None:
    """Have the orders released that events `first` to `first + count` belong to, where the system must know them."""
    if system.orders_first:
        per_order = job.EVENTS_PER_ORDER
        generate(system, first=first // per_order, count=count // per_order, batch=50, connections=4, orders=True)


def run(system: System, sink: Sink, workload: str, first: int, count: int, plan: Mapping[str, Any]) -> Measurement:
    """Run one workload; `first` and `count` are rounded down to whole orders."""
    count -= count % job.EVENTS_PER_ORDER
    first -= first % job.EVENTS_PER_ORDER
    release_orders(system, first, count)
    time.sleep(0.3)
    sink.ask("/reset")
    roots = {**system.processes, "sink": sink.process.pid}
    counted, cpu = system.counters(), {name: processes.cpu_seconds(root) for name, root in roots.items()}
    result = generate(system, first=first, count=count, **plan)
    stats = wait_for(sink, count)
    time.sleep(0.2)
    cpu = {name: (processes.cpu_seconds(root) - cpu[name]) / count * 1e6 for name, root in roots.items()}
    cpu["generator"] = result.cpu_seconds / count * 1e6
    counts = {name: (value - counted[name]) / count for name, value in system.counters().items()}
    arrivals = sink.ask("/arrivals")
    latencies = sorted((at - result.sent_ns[event_id]) / 1e6 for event_id, at in arrivals.items())
    accepts = sorted(result.accept_ms)
    return Measurement(
        workload=workload,
        events=count,
        per_second=stats["unique"] / max(1e-9, (stats["last_ns"] - result.began_ns) / 1e9),
        accepted_per_second=result.accepted / ((result.ended_ns - result.began_ns) / 1e9),
        cpu=cpu,
        p50_ms=quantile(latencies, 0.5),
        p99_ms=quantile(latencies, 0.99),
        p999_ms=quantile(latencies, 0.999),
        accept_p50_ms=quantile(accepts, 0.5),
        accept_p99_ms=quantile(accepts, 0.99),
        accept_p999_ms=quantile(accepts, 0.999),
        order_violations=stats["order_violations"],
        duplicates=stats["duplicates"],
        lost=count - stats["unique"],
        refused=result.refused,
        resident_mb=sum(processes.resident_megabytes(root) for name, root in roots.items() if name.startswith("app")),
        commits=counts.get("commits"),
        wal_bytes=counts.get("wal_bytes"),
    )


def wait_for(sink: Sink, count: int, seconds: float = WAIT_SECONDS_MAX) -> dict[str, Any]:
    """Return the sink's counts once so many events have arrived, or nothing new has for a while."""
    deadline, before = time.monotonic() + seconds, -1
    quiet_since = time.monotonic()
    while True:
        stats: dict[str, Any] = sink.ask("/stats")
        now = time.monotonic()
        if stats["unique"] != before:
            before, quiet_since = stats["unique"], now
        if stats["unique"] >= count or now > deadline or now - quiet_since > seconds / 4:
            return stats
        time.sleep(0.05)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of sorted `values` lies; not a number when there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else math.nan


def median(rows: Sequence[Measurement]) -> Measurement:
    """Return the medians of several rounds of one workload; of what must never happen, the worst round counts."""
    fields: dict[str, Any] = {}
    for name in Measurement.__struct_fields__:
        values = [getattr(row, name) for row in rows]
        if name in ("order_violations", "duplicates", "lost", "refused"):
            fields[name] = max(values)
        elif name == "cpu":
            fields[name] = {key: statistics.median(value[key] for value in values) for key in values[0]}
        elif isinstance(values[0], str) or any(value is None for value in values):
            fields[name] = values[0]
        else:
            fields[name] = statistics.median(values)
    return Measurement(**fields)
