"""A broker that is torn down around a working hub costs nothing but time; variants for which it would are caught."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash import jetstream_kills
from tests.support.nats import nats_binary

NIGHTLY = os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly"
KILLS, WIPES = (100, 20) if NIGHTLY else (4, 1)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nightly,
    pytest.mark.skipif(nats_binary() is None, reason="NOT RUN: no nats-server on this machine"),
]


async def test_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    """Kills, wipes, pauses and older copies of three servers: every promise is kept once, by the ledgers outside."""
    report = await jetstream_kills.run(KILLS, WIPES, 21, tmp_path)

    assert (0, 0, 0) == (report.lost, report.doubled, report.out_of_order), report.examples
    assert report.events_taken > 100 and report.redeliveries > 0


async def test_a_publisher_that_does_not_wait_for_proof_is_caught(tmp_path: Path) -> None:
    """Positive control: a place that is moved before the acknowledgment loses events with the servers."""
    report = await jetstream_kills.run(2, 2, 22, tmp_path, "move_place_before_ack", nodes=1, others=False)

    assert report.lost > 0
    assert any(one.startswith("lost event of") for one in report.examples)


async def test_a_consumer_that_acknowledges_first_is_caught(tmp_path: Path) -> None:
    """Positive control: a consumer that acknowledges before it commits loses what it crashed on."""
    report = await jetstream_kills.run(2, 0, 23, tmp_path, "consumer_acks_first", nodes=1, others=False)

    assert report.consumer_crashes > 0
    assert report.lost > 0
