"""How figures are put together: medians with their spread, ratios of medians, and the refusal of what the harness made.

Pure: nothing is measured here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import msgspec

CEILING_SHARE_MAX = 0.5


class Spread(msgspec.Struct, frozen=True):
    """The median of several rounds, with the least and the most."""

    median: float
    least: float
    most: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and most. Raises ValueError when there is nothing."""
    if not values:
        raise ValueError("there are no rounds to speak of")
    return Spread(statistics.median(values), min(values), max(values), len(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return the ratio of the medians; None when one side was not measured or is zero."""
    if not ours or not theirs:
        return None
    below = statistics.median(theirs)
    return statistics.median(ours) / below if below else None


def refused(per_second: float, ceiling: float) -> bool:
    """Tell whether a result says more of the generator and the sink than of what was measured.

    A system that reaches more than half of what the harness reaches alone is slowed by it.
    """
    return not math.isfinite(per_second) or per_second > CEILING_SHARE_MAX * ceiling


def ceiling_of(connections: int, batch: int, ceilings: Mapping[str, float]) -> float:
    """Return the ceiling that binds a workload, in events a second.

    What comes in batches still goes out one by one, so the sink's rate for single posts binds a batch as well.
    """
    single = ceilings["64 connections" if connections > 16 or batch > 1 else "16 connections"]
    return min(single, ceilings["batches of 50"]) if batch > 1 else single


def flat(values: Sequence[float], growth_max: float = 1.25) -> bool:
    """Tell whether a cost stays the same while a record grows: the last of the sizes costs little more than the first."""
    return len(values) < 2 or values[-1] <= values[0] * growth_max
