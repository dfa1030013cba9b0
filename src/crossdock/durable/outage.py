"""Outages of a connection: when one has begun, what may take another way, and which waiting updates are stale. Pure.

An outage is declared by a person or detected: the circuit has been open for longer than `detect_after_minutes`, or a
connection that speaks by itself has been silent for longer than `silence_minutes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec

OutageAction = Literal["hold", "reroute", "file"]
# declared by a person; detected by a circuit that stays open; silent: nothing came in
OutageCause = Literal["declared", "detected", "silent"]


class OutagePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a connection does while its partner is away.

    `action`: hold (everything waits), reroute (new releases are sourced elsewhere, what is due here waits) or file
    (what has certainly not reached the partner goes out through `fallback_connection`). A fallback may stand with
    reroute too. `collapse` names the document types of which only the newest of a lane is sent afterwards.
    Minutes of 0 detect nothing.
    """

    detect_after_minutes: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    silence_minutes: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    action: OutageAction = "hold"
    fallback_connection: str = ""
    collapse: tuple[str, ...] = ()

    @property
    def diverts(self) -> bool:
        """Tell whether sends take another way during an outage."""
        return bool(self.fallback_connection) and self.action != "hold"


def detected(policy: OutagePolicy, *, open_since: float | None, heard_at: float | None, now: float) -> str:
    """Return in words why an outage is detected, or an empty text. Instants are seconds since 1970.

    `open_since` is when the circuit opened and has not closed since, `heard_at` when the partner last said anything.
    """
    limit = policy.detect_after_minutes * 60
    if limit and open_since is not None and now - open_since >= limit:
        return f"no send has gone through for {(now - open_since) / 60:.0f} minutes"
    limit = policy.silence_minutes * 60
    if limit and heard_at is not None and now - heard_at >= limit:
        return f"nothing was heard for {(now - heard_at) / 60:.0f} minutes"
    return ""


class Waiting(msgspec.Struct, frozen=True):
    """One waiting send as the rules below see it. `certain`: it has certainly not reached the partner."""

    message_id: str
    lane: str
    document_type: str
    certain: bool


def stale(waiting: Iterable[Waiting], collapse: Sequence[str]) -> dict[str, str]:
    """Return which waiting updates a newer one of the same lane and type makes stale: stale id → newest id.

    `waiting` stands in the order it was made. What may have reached the partner is never stale: it must be settled.
    """
    newest: dict[tuple[str, str], str] = {}
    types = frozenset(collapse)
    found = [one for one in waiting if one.document_type in types]
    for one in found:
        newest[one.lane, one.document_type] = one.message_id
    return {
        one.message_id: newest[one.lane, one.document_type]
        for one in found
        if one.certain and newest[one.lane, one.document_type] != one.message_id
    }


def divertible(lane: Iterable[Waiting]) -> list[str]:
    """Return which messages of one lane may take another way: none behind one that may have reached the partner.

    That one must be settled first, or the later would overtake it.
    """
    result: list[str] = []
    for one in lane:
        if not one.certain:
            return []
        result.append(one.message_id)
    return result
