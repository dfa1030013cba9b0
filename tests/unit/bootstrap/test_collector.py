"""The garbage collector of a process that serves."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from crossdock.bootstrap import collector


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Give the other tests their collector back."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_was_made_at_the_start_is_not_looked_at_again() -> None:
    """After settling, the objects of the start are out of the collector's sight, and young ones are still collected."""
    collector.settle()

    assert gc.get_freeze_count() > 1_000
    assert gc.isenabled()
    ring: list[object] = []
    ring.append(ring)
    del ring
    assert gc.collect() >= 1
