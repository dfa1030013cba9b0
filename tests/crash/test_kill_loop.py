"""A hub that is killed loses nothing it acknowledged and does nothing twice; variants that would are caught."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash import kill_loop

CYCLES = 100 if os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly" else 8

pytestmark = pytest.mark.slow


async def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    """Kill -9 at random moments under load: every promise is kept once, by the partners' own ledgers."""
    report = await kill_loop.run(CYCLES, 11, tmp_path)

    assert (0, 0, []) == (report.lost, report.doubled, report.examples)
    assert report.acked > 50 and report.effects > 50


async def test_a_hub_that_acknowledges_before_the_commit_is_caught(tmp_path: Path) -> None:
    """Positive control: answering first loses what was answered when the process dies."""
    report = await kill_loop.run(5, 12, tmp_path, "acknowledge_before_commit")

    assert report.lost > 0


async def test_a_hub_that_sends_again_without_asking_is_caught(tmp_path: Path) -> None:
    """Positive control: taking an unknown outcome for a failure acts twice at a partner that acts every time."""
    report = await kill_loop.run(5, 13, tmp_path, "send_again_without_asking")

    assert report.doubled > 0
