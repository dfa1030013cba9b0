"""Instants: points in time that are the same all over the world, never the clock on somebody's wall.

A time without its offset would be read in the zone of the machine that runs the hub, so it is refused where a canonical
object is made: a map says the offset, or the place whose clock it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

# The type of every `at`, `…_at` and `as_of` field.
Instant = Annotated[datetime, msgspec.Meta(tz=True)]

# What a person does about one without.
OFFSET_HINT = "Give the offset (2026-03-01T14:30:00-08:00), or name the place in the map: at_zone(field, zone)"


def lacks_offset(fault: str) -> bool:
    """Tell whether msgspec refused a value because it is a time without its offset.

    >>> lacks_offset("Expected `datetime` with a timezone component - at `$.as_of`")
    True
    """
    return "timezone component" in fault
