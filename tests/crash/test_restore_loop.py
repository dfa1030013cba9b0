"""A record that is replaced by its backup loses nothing that senders offer again and does nothing twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash import restore_loop

ROUNDS = 20 if os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly" else 1

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


async def test_a_restore_and_what_its_list_names_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Backups at random instants under load, older records restored, senders asked: the partners' ledgers agree."""
    report = await restore_loop.run(ROUNDS, 21, tmp_path)

    assert (0, 0, []) == (report.lost, report.doubled, report.examples)
    assert report.offered_again > 0 and report.asked > 0


async def test_a_copy_put_in_place_without_the_mark_doubles(tmp_path: Path) -> None:
    """Positive control: what was made after the backup is made again at a partner that always acts."""
    report = await restore_loop.run(1, 22, tmp_path, "unmarked")

    assert report.doubled > 0


async def test_senders_that_are_not_asked_lose_what_they_were_answered_for(tmp_path: Path) -> None:
    """Positive control: the list is needed; without it acknowledged messages are gone."""
    report = await restore_loop.run(1, 23, tmp_path, "nobody_asked")

    assert report.lost > 0
