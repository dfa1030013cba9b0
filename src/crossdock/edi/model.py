"""The parts of an interchange as the reader hands them on.

Plain frozen data: delimiters, segments, sets, groups, interchanges, and the envelope a writer is given.
Values stay the strings that were sent; what they mean is the schema's and the map's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from crossdock.errors import Finding

Acceptance = Literal["A", "E", "R"]


def is_number(value: str) -> bool:
    """Whether a value is digits and nothing else; superscripts and other scripts' digits are not."""
    return value.isascii() and value.isdigit()


class EdiFinding(Finding, frozen=True, omit_defaults=True):
    """A finding that also knows its place in numbers, for acknowledgments.

    `segment` counts from ST = 1; `element` and `component` count from 1; `tag` is the segment's id.
    """

    segment: int | None = None
    tag: str = ""
    element: int | None = None
    component: int | None = None
    reference: str = ""
    set_control_number: str = ""


class Delimiters(msgspec.Struct, frozen=True):
    """The separators of one interchange; `repetition` is empty before release 00402 and where ISA11 is a letter."""

    element: str = "*"
    segment: str = "~"
    component: str = ">"
    repetition: str = ""


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One segment: `elements[0]` is the tag, `elements[1]` the first element; `offset` is its first byte.

    `single_byte`: its bytes were not UTF-8, so each character was one byte.
    """

    elements: list[str]
    offset: int = 0
    single_byte: bool = False

    @property
    def tag(self) -> str:
        return self.elements[0]

    def get(self, number: int) -> str:
        """Return element `number` (1 is the first), or an empty string when it was not sent."""
        return self.elements[number] if number < len(self.elements) else ""

    def element_offset(self, number: int) -> int:
        """Return the byte offset of element `number`; past the last element, of the segment's end."""
        before = self.elements[:number]
        return self.offset + sum(self.byte_length(value) for value in before) + len(before)

    def byte_length(self, value: str) -> int:
        """Return how many bytes a value of this segment took in the message."""
        return len(value) if self.single_byte or value.isascii() else len(value.encode("utf-8"))


class TransactionSet(msgspec.Struct, frozen=True):
    """One set with everything between ST and SE, both included.

    `acceptance` is A (clean), E (accepted with errors, only where the partner's overlay is lenient) or R.
    """

    code: str
    control_number: str
    segments: list[Segment]
    findings: tuple[Finding, ...] = ()
    offset: int = 0
    acceptance: Acceptance = "A"
    pointer: str = ""
    release: str = ""
    functional_id: str = ""
    delimiters: Delimiters = Delimiters()

    @property
    def accepted(self) -> bool:
        """Whether the set may go on to a map."""
        return self.acceptance != "R"


class Group(msgspec.Struct, frozen=True):
    """A functional group. `strays` are segments that stood outside any set: kept, and reported."""

    functional_id: str
    sender: str
    receiver: str
    control_number: str
    version: str
    sets: list[TransactionSet]
    findings: tuple[Finding, ...] = ()
    strays: list[Segment] = []
    date: str = ""
    time: str = ""
    declared_count: str = ""
    offset: int = 0
    agency: str = "X"
    header: Segment | None = None
    trailer: Segment | None = None


class Interchange(msgspec.Struct, frozen=True):
    """One interchange. `segments` are those at interchange level (ISA, TA1, IEA and any stray), in order."""

    sender_qualifier: str
    sender: str
    receiver_qualifier: str
    receiver: str
    control_number: str
    version: str
    usage: str
    date: str
    time: str
    ack_requested: bool
    groups: list[Group]
    findings: tuple[Finding, ...] = ()
    offset: int = 0
    length: int = 0
    raw: bytes = b""
    segments: list[Segment] = []
    delimiters: Delimiters = Delimiters()
    segment_count: int = 0
    format: Literal["x12", "edifact"] = "x12"

    @property
    def sets(self) -> list[TransactionSet]:
        """All transaction sets, in the order sent."""
        return [one for group in self.groups for one in group.sets]

    @property
    def isa(self) -> Segment | None:
        """The ISA segment exactly as sent, or None for bare sets."""
        return next((segment for segment in self.segments if segment.tag in ("ISA", "UNB")), None)

    def all_findings(self) -> list[Finding]:
        """Every finding of the interchange, its groups and its sets, by position."""
        found = list(self.findings)
        for group in self.groups:
            found += group.findings
            for one in group.sets:
                found += one.findings
        return sorted(found, key=lambda finding: -1 if finding.offset is None else finding.offset)


class ReadResult(msgspec.Struct, frozen=True):
    """All that was in the bytes. `garbage` counts stretches of bytes that belong to no interchange."""

    interchanges: list[Interchange]
    findings: tuple[Finding, ...]
    segment_count: int
    format: Literal["x12", "edifact", "unknown"]
    garbage: int = 0

    def all_findings(self) -> list[Finding]:
        """Every finding of the file and of all its interchanges."""
        return list(self.findings) + [one for each in self.interchanges for one in each.all_findings()]


class PartnerOverlay(msgspec.Struct, frozen=True):
    """What a partner agreement changes about reading.

    `acceptance`: strict rejects a set with any error; lenient accepts it with errors unless it is cut short.
    `unknown_segments`: what to say of segments the schema does not place.
    `severities` overrides the severity of single finding codes.
    `schema` is grammar text laid over our own (see docs/why/edi-codec.md).
    """

    acceptance: Literal["strict", "lenient"] = "strict"
    unknown_segments: Literal["warn", "reject", "pass"] = "warn"
    severities: Mapping[str, Literal["error", "warning", "info"]] = {}
    schema: str = ""


class GroupEnvelope(msgspec.Struct, frozen=True):
    """What the writer needs to know of one functional group; GS02/GS03 default to the ISA ids."""

    functional_id: str
    control_number: int
    sets: list[list[Segment]]
    sender: str = ""
    receiver: str = ""
    version: str = ""
    date: str = ""
    time: str = ""
    agency: str = "X"


class Envelope(msgspec.Struct, frozen=True):
    """What the writer needs to know of an interchange; nothing in it is made up by the writer.

    `date` is CCYYMMDD (ISA09 gets its last six digits, GS04 all eight), `time` HHMM or longer.
    """

    sender_qualifier: str
    sender: str
    receiver_qualifier: str
    receiver: str
    control_number: int
    date: str
    time: str
    usage: Literal["P", "T", "I"] = "P"
    interchange_version: str = "00401"
    group_version: str = "004010"
    ack_requested: bool = False
    delimiters: Delimiters = Delimiters()
    newline: str = ""
    authorization: tuple[str, str] = ("00", "")
    security: tuple[str, str] = ("00", "")
    charset: Literal["utf-8", "latin-1"] = "utf-8"
