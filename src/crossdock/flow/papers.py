"""What the translate stage hands on: one `Translation` per message, one `Paper` per business document in it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..errors import Finding
from .ingest import Stored


class Trouble(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a paper or message did not go through, in the words of the error contract.

    Everything with the same `cause` is one issue. `suggestion` is what a person could do with one click.
    """

    code: str
    cause: str
    title: str
    detail: str = ""
    pointer: str = ""
    error_class: str = "data"
    suggestion: dict[str, Any] | None = None


class Paper(msgspec.Struct):
    """One business document on its way. `value` is the canonical object once the map has run.

    `names` are (type, value) by which the order of a held or rejected paper may be found, so that its issue can say
    whom it concerns.
    """

    position: int
    pointer: str
    type: str
    state: str = "applied"
    map: str = ""
    object: str = ""
    event_type: str = ""
    value: Any = None
    canonical: bytes | None = None
    awaits: str = ""
    findings: tuple[Finding, ...] = ()
    trouble: Trouble | None = None
    byte_offset: int = 0
    byte_length: int = 0
    subject: str = ""
    business_key: str = ""
    document_id: str = ""
    replay_of: str = ""
    stored_before: bool = False
    names: tuple[tuple[str, str], ...] = ()


class InterchangeNote(msgspec.Struct, frozen=True):
    """What the ledger of interchanges must know of one interchange, and the acknowledgment it calls for.

    `foreign` says that its envelope names somebody else: it is neither entered nor acknowledged.
    `groups` holds (functional id, group control number) of what an acknowledgment will name.
    """

    sender: str
    receiver: str
    control_number: str
    usage: str
    first_position: int
    last_position: int
    acknowledge: bool
    foreign: bool
    interchange: Any


class Translation(msgspec.Struct):
    """All that came of one message."""

    message: Stored
    papers: list[Paper]
    state: Literal["processed", "failed", "ignored"] = "processed"
    trouble: Trouble | None = None
    interchanges: tuple[InterchangeNote, ...] = ()
