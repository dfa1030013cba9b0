"""Whose business a fault is: one queue for each class of error, with its owner and its clock.

    partner   the other side must act          data      a code, a record or a paper is wrong
    system    the hub or its set-up is wrong   unknown   nobody knows yet what happened
Pure: what the pack says and the facts of an issue go in, the queue's view of it comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal, get_args

import msgspec

IssueClass = Literal["partner", "data", "system", "unknown"]
CLASSES: tuple[IssueClass, ...] = get_args(IssueClass)

_UNITS = {"m": 1, "h": 60, "d": 1_440}


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`owners` of `pack.yaml`: who answers for a class, and within what time somebody takes an issue on.

    `respond_within` is a whole number with m, h or d; empty means without a clock.
    """

    owner: Annotated[str, msgspec.Meta(max_length=100)] = ""
    respond_within: Annotated[str, msgspec.Meta(pattern=r"^([1-9][0-9]{0,4}[mhd])?$")] = ""

    @property
    def target(self) -> timedelta | None:
        """Return the time in which somebody takes an issue on, or None."""
        text = self.respond_within
        return timedelta(minutes=int(text[:-1]) * _UNITS[text[-1]]) if text else None


Owners = Mapping[IssueClass, Queue]


class Clock(msgspec.Struct, frozen=True):
    """The clock of one issue in its class: since when, until when, and whether it was missed."""

    seconds: int
    respond_by_at: datetime | None = None
    breached: bool = False


def class_of(error_class: str) -> IssueClass:
    """Return the queue of an error class; one without a class is unknown.

    >>> class_of("")
    'unknown'
    """
    return next((known for known in CLASSES if known == error_class), "unknown")


def clock_of(
    queue: Queue, first_seen_at: datetime, responded_at: datetime | None, closed_at: datetime | None, now: datetime
) -> Clock:
    """Return how long an issue is, or was, in its class, and whether somebody took it on in time.

    One that closed by itself in time was no breach; one that is open and untouched past its time is one.
    """
    ended = min((at for at in (responded_at, closed_at) if at is not None), default=now)
    seconds = int(((closed_at or now) - first_seen_at).total_seconds())
    if queue.target is None:
        return Clock(seconds)
    due = first_seen_at + queue.target
    return Clock(seconds, due, ended > due)
