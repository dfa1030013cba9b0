"""What one run of the benchmark leaves: every round raw, the machine, the commit, and why something is missing.

docs/reference/performance.json is this record; docs/reference/performance.md is made of it by `bench.page`, so the two
can never differ.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from bench.storage_path import StoragePath
from crossdock.simulator.load.measuring import Measurement

ROOT = Path(__file__).resolve().parents[1]


class Machine(msgspec.Struct, kw_only=True):
    """What was measured on."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    sqlite: str
    postgres: str = ""


class Calibration(msgspec.Struct, kw_only=True):
    """How fast the machine was just before a round: everything else is read against it."""

    appends: float
    sqlite_rows: float
    decodes: float


class Round(msgspec.Struct, kw_only=True):
    """One system in one round: the calibration before it, and what it did."""

    system: str
    number: int
    calibration: Calibration
    measurements: list[Measurement]


class Limits(msgspec.Struct, kw_only=True):
    """What the machine can do at most, once a round; keys say what is done."""

    values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        """Keep one more value."""
        self.values.setdefault(name, []).append(value)


class Record(msgspec.Struct, kw_only=True):
    """Everything one run found."""

    at: str
    commit: str
    command: str
    machine: Machine
    load_before: float
    seconds: float = 0.0
    ceilings: dict[str, float] = {}
    # Microseconds by the names of `yardsticks.THERE`, one value a round.
    yardsticks: dict[str, list[float]] = {}
    limits: Limits = msgspec.field(default_factory=Limits)
    rounds: list[Round] = []
    storage: dict[str, list[StoragePath]] = {}
    troubles: dict[str, dict[str, Any]] = {}
    cost: list[dict[str, Any]] = []
    rooms: dict[str, str] = {}
    missing: dict[str, str] = {}

    def values(self, system: str, workload: str, field: str) -> list[float]:
        """Return a figure of every round of a system that ran a workload."""
        return [
            float(value)
            for one in self.rounds
            if one.system == system
            for measurement in one.measurements
            if measurement.workload == workload and (value := getattr(measurement, field)) is not None
        ]

    def measurements(self, system: str, workload: str) -> list[Measurement]:
        """Return every round of a system that ran a workload."""
        return [
            measurement
            for one in self.rounds
            if one.system == system
            for measurement in one.measurements
            if measurement.workload == workload
        ]

    def systems(self) -> list[str]:
        """Return the systems measured, in the order they were first."""
        return list(dict.fromkeys(one.system for one in self.rounds))


def new_record(command: str) -> Record:
    """Return an empty record of this machine, now."""
    return Record(
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=_commit(),
        command=command,
        machine=_machine(),
        load_before=os.getloadavg()[0],
    )


def write(record: Record, path: Path) -> None:
    """Write a record as JSON for people and programs."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def read(path: Path) -> Record:
    """Return the record at a path. Raises OSError or msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=Record)


def _machine() -> Machine:
    return Machine(
        processor=_field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        cores=os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        system=platform.platform(terse=True),
        python=platform.python_version(),
        sqlite=apsw.sqlite_lib_version(),
    )


def _field(path: Path, name: str) -> str:
    if not path.exists():
        return ""
    lines = (line.partition(":") for line in path.read_text().splitlines())
    fields: Mapping[str, str] = {key.strip(): value.strip() for key, _, value in lines}
    return fields.get(name, "")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"
