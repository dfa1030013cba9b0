"""A hub that stands still for a while loses nothing and doubles nothing; a variant that does not ask is caught."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash import stop_loop

STOPS = 60 if os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly" else 4

pytestmark = pytest.mark.slow


async def test_a_process_that_stands_still_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Stopped under load, once for longer than a push may take: once, by the partners' own ledgers."""
    report = await stop_loop.run(STOPS, 21, tmp_path)

    assert (0, 0, []) == (report.lost, report.doubled, report.examples)
    assert report.acked > 50 and report.effects > 50


async def test_a_hub_that_sends_again_without_asking_is_caught(tmp_path: Path) -> None:
    """Positive control: what had no answer when the process stood still happens twice."""
    report = await stop_loop.run(3, 22, tmp_path, "send_again_without_asking")

    assert report.doubled > 0
