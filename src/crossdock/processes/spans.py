"""Spans of time as packs write them: a whole number with m, h or d."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec

SPAN = r"^[1-9][0-9]{0,4}[mhd]$"
_UNITS = {"m": 1, "h": 60, "d": 1_440}

Span = Annotated[str, msgspec.Meta(pattern=SPAN)]
OptionalSpan = Annotated[str, msgspec.Meta(pattern=rf"({SPAN})|(^$)")]


def span_of(text: str) -> timedelta:
    """Return the span that `30m`, `2h` or `1d` names; nothing for an empty text.

    >>> span_of("90m"), span_of("")
    (datetime.timedelta(seconds=5400), datetime.timedelta(0))
    """
    return timedelta(minutes=int(text[:-1]) * _UNITS[text[-1]]) if text else timedelta()
