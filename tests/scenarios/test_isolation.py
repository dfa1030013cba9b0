"""A short share of `python -m bench.isolation`: one hanging partner, a real hub, real sockets, and the control.

Here it is asked whether the others go on at all; how well is measured by the bench, on a quiet machine.
"""

from __future__ import annotations

import pytest

from bench.isolation import slow

pytestmark = pytest.mark.nightly

# The backlog is larger than what may wait at all: it must not be held against those who go on.
SHARE = {"backlog": 600, "per_second": 40.0, "seconds": 3.0, "waiting_max": 500, "noticed_seconds": 6.0}


async def test_a_partner_that_hangs_with_a_backlog_holds_nobody_else() -> None:
    """Every message to the other 49 arrives, and none is refused at the door."""
    found = await slow(**SHARE, patience_seconds=60.0)  # type: ignore[arg-type]

    assert (0, 0) == (found.refused, found.missing)


async def test_one_queue_for_all_is_caught() -> None:
    """The control: behind the same backlog in one queue the others do not arrive."""
    found = await slow(**SHARE, shared_queue=True, patience_seconds=3.0)  # type: ignore[arg-type]

    assert found.missing > 0
