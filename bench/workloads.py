"""The workloads every system is put through: W1 single events, W2 batches, W3 the open loop.

W4 to W8 (files, a partner that is slow, one that is away, a kill, the long run) ask more of the system than a door and
live in `bench.troubles`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from crossdock.simulator.load import measuring
from crossdock.simulator.load.measuring import Measurement, Sink, System

W1_16, W1_64, W2 = "16 connections", "64 connections", "batches of 50"
MIXED = "16 connections, 1 % twice, 0.5 % unreadable"
OPEN_100, OPEN_500, HALF = "open loop, 100/s", "open loop, 500/s", "open loop, half of its most"
W1_RUN = (W1_16, W1_64, OPEN_100, OPEN_500, HALF)


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """One way to load a system. `rate` 0 is the closed loop; -0.5 is half of what was reached at 16 connections."""

    name: str
    connections: int = 16
    batch: int = 1
    rate: float = 0.0
    seconds: float = 0.0
    duplicates_percent: float = 0.0
    invalid_percent: float = 0.0

    def plan(self, rate: float) -> dict[str, Any]:
        """Return what the generator is told."""
        return {
            "connections": self.connections,
            "batch": self.batch,
            "rate": rate,
            "duplicates_percent": self.duplicates_percent,
            "invalid_percent": self.invalid_percent,
        }


CLOSED = (
    Workload(name=W1_16),
    Workload(name=W1_64, connections=64),
    Workload(name=W2, connections=8, batch=50),
)
OPEN = (
    Workload(name=OPEN_100, connections=32, rate=100, seconds=4),
    Workload(name=OPEN_500, connections=32, rate=500, seconds=4),
    Workload(name=HALF, connections=32, rate=-0.5, seconds=4),
)
UNCLEAN = (Workload(name=MIXED, duplicates_percent=1.0, invalid_percent=0.5),)


def run(
    system: System, sink: Sink, workloads: Sequence[Workload], *, events: int, warm_up: int, seconds: float = 0.0
) -> Iterator[Measurement]:
    """Warm a system up, then put it through the workloads, each with events of its own.

    An open loop faster than what the system reached is left out: it would only measure its own backlog.
    `seconds`, where given, replaces the length of the open loops.
    """
    first, most = 0, 0.0
    measuring.run(system, sink, "warm-up", first, warm_up, {"connections": 16})
    first += warm_up
    for workload in workloads:
        rate = most / 2 if workload.rate < 0 else workload.rate
        if workload.rate > 0 and rate > 0.9 * most > 0:
            continue
        count = int(max(100, rate * (seconds or workload.seconds))) if workload.rate else events
        count += -count % 5
        measurement = measuring.run(system, sink, workload.name, first, count, workload.plan(rate))
        first += count
        if workload.name == W1_16:
            most = measurement.per_second
        yield measurement
