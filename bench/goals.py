"""The goals of speed, each a ratio within one run or a cost: what must hold, what is aimed at, what was found.

Pure: a goal is computed from a record. A goal whose parts were not measured says so instead of guessing. Where a peer
was measured at several loads its best rate counts, so a ratio is never better than the least favourable one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

import msgspec

from bench import figures
from bench.record import Record
from bench.workloads import HALF, OPEN_500, W1_16, W1_64, W1_RUN, W2

EMBEDDED, POSTGRES = "Crossdock, SQLite", "Crossdock, PostgreSQL"
_CLOSED = (W1_16, W1_64, W2)


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """One goal. `at_most` turns the comparison round; `share` shows the figure as a percentage."""

    name: str
    must: float
    stretch: float
    find: Callable[[Record], float | None]
    at_most: bool = False
    share: bool = False
    unit: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a goal: `stretch`, `must`, `missed`, or `not measured`."""

    goal: Goal
    value: float | None
    word: str


def judge(record: Record) -> list[Verdict]:
    """Return every goal with what was found."""
    return [_verdict(goal, goal.find(record)) for goal in GOALS]


def _verdict(goal: Goal, value: float | None) -> Verdict:
    if value is None:
        return Verdict(goal=goal, value=None, word="not measured")

    def reached(bar: float) -> bool:
        return value <= bar if goal.at_most else value >= bar

    word = "stretch" if reached(goal.stretch) else "must" if reached(goal.must) else "missed"
    return Verdict(goal=goal, value=value, word=word)


def best_rates(record: Record, system: str, workloads: Iterable[str] = _CLOSED) -> list[float]:
    """Return the rates of the workload at which a system was fastest, by its median."""
    rates = [record.values(system, workload, "per_second") for workload in workloads]
    return max((found for found in rates if found), key=statistics.median, default=[])


def _against(peer: str, workload: str, peer_workloads: Iterable[str]) -> Callable[[Record], float | None]:
    def find(record: Record) -> float | None:
        return figures.ratio(
            record.values(EMBEDDED, workload, "per_second"), best_rates(record, peer, tuple(peer_workloads))
        )

    return find


def _engines(record: Record) -> float | None:
    """The least favourable of the three loads."""
    found = [
        figures.ratio(record.values(POSTGRES, one, "per_second"), record.values(EMBEDDED, one, "per_second"))
        for one in _CLOSED
    ]
    return min((one for one in found if one is not None), default=None)


def _of_ceiling(record: Record) -> float | None:
    ceiling = [one.per_second for one in record.storage.get("sqlite", []) if one.batch == 64]
    return figures.ratio(record.values(EMBEDDED, W2, "per_second"), ceiling)


def _storage_of_insert(record: Record) -> float | None:
    ours = [one.per_second for one in record.storage.get("sqlite", []) if one.batch == 64]
    return figures.ratio(ours, record.limits.values.get("SQLite, 100 rows a commit", []))


def _of_single_commits(record: Record) -> float | None:
    return figures.ratio(
        record.values(EMBEDDED, W1_64, "per_second"), record.limits.values.get("SQLite, 1 row a commit", [])
    )


def _cpu(workload: str) -> Callable[[Record], float | None]:
    def find(record: Record) -> float | None:
        return _median(record.values(EMBEDDED, workload, "cpu_microseconds"))

    return find


def _p50_in_appends(record: Record) -> float | None:
    """Median end-to-end latency at 500/s in units of one durable append, each round by its own calibration."""
    found = [
        measurement.p50_ms / 1000 * one.calibration.appends
        for one in record.rounds
        if one.system == EMBEDDED
        for measurement in one.measurements
        if measurement.workload == OPEN_500
    ]
    return _median(found)


def _p99_to_saq(record: Record) -> float | None:
    return figures.ratio(record.values(EMBEDDED, HALF, "p99_ms"), record.values("SAQ", HALF, "p99_ms"))


def _commits(record: Record) -> float | None:
    """Commits for each event over the whole of W1, low-rate phases included."""
    commits = events = 0.0
    for workload in W1_RUN:
        for one in record.measurements(EMBEDDED, workload):
            if one.commits is not None:
                commits += one.commits * one.events
                events += one.events
    return commits / events if events else None


def _never(record: Record) -> float | None:
    """Lost events and order violations of the hub over the whole run, kills included."""
    rows = [row for one in record.rounds if one.system.startswith("Crossdock") for row in one.measurements]
    if not rows:
        return None
    lost = sum(row.lost + row.order_violations for row in rows)
    kill = record.troubles.get("kill", {})
    return float(lost + int(kill.get("lost", 0)) + int(kill.get("state_doubled", 0)))


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


GOALS = (
    Goal(name="16 connections / SAQ", must=3, stretch=5, unit="×", find=_against("SAQ", W1_16, (W1_16,))),
    Goal(name="64 connections / SAQ at its best (16 or 64)", must=5, stretch=8, unit="×",
         find=_against("SAQ", W1_64, (W1_16, W1_64))),
    Goal(name="batches of 50 / SAQ at its best (16, 64 or batches)", must=8, stretch=12, unit="×",
         find=_against("SAQ", W2, _CLOSED)),
    Goal(name="16 connections / DBOS at its best", must=20, stretch=40, unit="×", find=_against("DBOS", W1_16, _CLOSED)),
    Goal(name="16 connections / n8n at its best", must=25, stretch=50, unit="×",
         find=_against("n8n", W1_16, (W1_16, W1_64))),
    Goal(name="16 connections / Node-RED (not durable) at its best", must=2, stretch=4, unit="×",
         find=_against("Node-RED", W1_16, (W1_16, W1_64))),
    Goal(name="PostgreSQL / SQLite, the worst of the three loads", must=0.8, stretch=1.2, unit="×", find=_engines),
    Goal(name="batches of 50 / storage-only ceiling at 64", must=0.20, stretch=0.33, share=True, find=_of_ceiling),
    Goal(name="storage path without HTTP at 64 / raw SQLite insert, 100 rows a commit", must=0.20, stretch=0.35,
         share=True, find=_storage_of_insert),
    Goal(name="64 connections / durable commits of one row", must=0.70, stretch=1.10, share=True,
         find=_of_single_commits),
    Goal(name="CPU of hub and sink, 16 connections", must=450, stretch=280, unit=" µs", at_most=True, find=_cpu(W1_16)),
    Goal(name="CPU of hub and sink, 64 connections", must=350, stretch=200, unit=" µs", at_most=True, find=_cpu(W1_64)),
    Goal(name="CPU of hub and sink, batches of 50", must=200, stretch=120, unit=" µs", at_most=True, find=_cpu(W2)),
    Goal(name="p50 end to end at 500/s, in durable appends", must=20, stretch=8, at_most=True, find=_p50_in_appends),
    Goal(name="p99 end to end at half load / SAQ's at half of its own", must=1, stretch=0.4, unit="×", at_most=True,
         find=_p99_to_saq),
    Goal(name="commits for each event, whole of W1", must=0.15, stretch=0.08, at_most=True, find=_commits),
    Goal(name="lost, doubled in state, out of order", must=0, stretch=0, at_most=True, find=_never),
)  # fmt: skip
