"""Workers that are killed or stand still: nothing is lost, doubled or out of order, and others take over in time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash import pause_loop, workers_loop

NIGHTLY = os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly"
KILLS, PAUSES, STOPS = (40, 10, 100) if NIGHTLY else (3, 1, 4)
FENCED_WRITES = 1_000 if NIGHTLY else 60

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


async def test_workers_that_are_killed_or_stopped_lose_nothing_and_double_nothing(
    database: str, tmp_path: Path
) -> None:
    """Two or three workers under load; by the partners' own ledgers, and the order of each order's effects."""
    report = await workers_loop.run(workers_loop.Report(KILLS, PAUSES, 2, 21), database, tmp_path, every_seconds=2.0)

    assert (0, 0, 0, []) == (report.lost, report.doubled, report.disordered, report.examples)
    assert report.acked > 50 and report.effects > 50
    assert report.takeover_p99_seconds <= 15.0
    assert report.registrations >= 3 + KILLS + PAUSES


def test_every_late_write_is_refused(database: str) -> None:
    """Ended leases and real SIGSTOPs: not one row is younger than the takeover."""
    report = pause_loop.run(database, pauses=FENCED_WRITES, stopped=STOPS, seed=3)

    assert (0, FENCED_WRITES + STOPS) == (report.late, report.refused)
    assert report.rows > 0


def test_a_worker_that_does_not_ask_is_caught_writing_late(database: str) -> None:
    """Positive control: without the fence the same loop finds late writes, both ways."""
    report = pause_loop.run(database, pauses=3, stopped=1, seed=3, faults=("unfenced",))

    assert report.late > 3
