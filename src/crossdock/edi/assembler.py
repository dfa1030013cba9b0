"""Put segments together: interchange, groups, sets; compare every trailer with its header.

The reader cuts the bytes into pieces and hands them in; finished sets, groups and interchanges come out.
Whatever is out of place is kept beside the structure and reported; nothing raises, nothing is dropped.
"""

from __future__ import annotations

import re

from crossdock.edi.codes import make
from crossdock.edi.envelope import Header
from crossdock.edi.model import EdiFinding, Group, Interchange, PartnerOverlay, Segment, TransactionSet, is_number
from crossdock.edi.sets import FUNCTIONAL_IDS
from crossdock.edi.validation import judge, validate

_ENVELOPE = frozenset(("ISA", "GS", "ST", "SE", "GE", "IEA"))
_TAG = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_TAG_BEHIND_JUNK = re.compile(r"[^A-Za-z0-9]+([A-Z][A-Z0-9]{1,2})")
_BLANKS = " \t\r\n\x00\x0b\x0c"
_INTERCHANGE_TAGS = frozenset(("TA1", "TA3", "ISB", "ISE", "ISX"))
_GROUP_TAGS = frozenset(("S1S", "S1E", "S1A", "S3S", "S3E", "S3A", "S4S", "S4E", "S4A", "SVA"))

# Findings about segments outside sets and about bad tags, per interchange; the segments themselves are all kept.
_APART_MAX = 1_000
_BAD_TAGS_MAX = 1_000


class _OpenGroup:
    """A functional group whose trailer has not come yet."""

    def __init__(self, header: Segment | None, number: int, pointer: str) -> None:
        self.header = header
        self.number = number
        self.pointer = pointer
        self.sets: list[TransactionSet] = []
        self.set_count = 0
        self.control_numbers: set[str] = set()
        self.strays: list[Segment] = []
        self.findings: list[EdiFinding] = []
        self.mismatched: set[str] = set()

    def get(self, number: int) -> str:
        return self.header.get(number) if self.header else ""


class Assembler:
    """Takes the pieces of one interchange. `done` holds what was finished since it was last emptied."""

    def __init__(self, header: Header, base: int, number: int, overlay: PartnerOverlay, *, keep_sets: bool) -> None:
        self._header = header
        self._signs = header.delimiters
        self._overlay = overlay
        self._keep_sets = keep_sets
        self._offset = base
        self._pointer = f"ISA {number}"
        self._bare = not header.elements
        self._findings: list[EdiFinding] = list(header.findings)
        self._segments: list[Segment] = []
        self._groups: list[Group] = []
        self._group_numbers: set[str] = set()
        self._group_count = 0
        self._group: _OpenGroup | None = None
        self._set: list[Segment] | None = None
        self._set_findings: list[EdiFinding] = []
        self._set_pointer = ""
        self._leads: set[str] = set()
        self._noted: set[str] = set()
        self._tags: set[str] = set()
        self._bad_tags = 0
        self._apart = 0
        self._utf8 = all(sign.isascii() for sign in (self._signs.element, self._signs.segment))
        self._tail = ""
        self._had_trailer = False
        self.count = 0
        self.done: list[TransactionSet | Group] = []
        if not self._bare:
            self._segments.append(_isa_segment(header.elements, base))
            self.count = 1
            self._check_isa()

    # -- pieces -------------------------------------------------------------------------------------------------

    def consume(self, pieces: list[str], offset: int) -> int | None:
        """Take pieces that start at file offset `offset`; return where to go on when the interchange ended."""
        separator, step = self._signs.element, len(self._signs.segment)
        tail, wrapped, tags = self._header.tail, self._header.wrapped, self._tags
        for piece in pieces:
            start = offset
            offset += len(piece) + step
            if tail:
                piece = self._without_tail(piece, tail, start)
            if piece[:1] <= " ":
                stripped = piece.lstrip(_BLANKS)
                lead = piece[: len(piece) - len(stripped)]
                start += len(lead)
                if lead not in self._leads:
                    self._note_lead(lead, start, blank=not stripped)
                if not stripped:
                    continue
                piece = stripped
            if "\n" in piece or "\r" in piece:
                piece = self._joined(piece, wrapped, start)
            single_byte = False
            if not piece.isascii():
                decoded = self._decoded(piece, start)
                single_byte, piece = decoded is None, decoded or piece
            elements = piece.split(separator)
            tag = elements[0]
            if tag not in tags:
                if _TAG.fullmatch(tag):
                    tags.add(tag)
                else:
                    tag = elements[0] = self._repaired(tag, start)
            segments = self._set
            if segments is not None and tag not in _ENVELOPE:
                segments.append(Segment(elements, start, single_byte))
                continue
            if tag == "ISA":
                return start
            self.count += 1
            if self._place(tag, Segment(elements, start, single_byte)):
                return offset
        return None

    def _without_tail(self, piece: str, tail: str, start: int) -> str:
        kept = piece.rstrip(tail)
        self._tail = piece[len(kept) :].strip("\r")
        if self._tail and "stray" not in self._noted:
            self._noted.add("stray")
            message = f"Segments end with {self._tail!r} before the line break that terminates them."
            self._find("stray-terminator", message, start + len(kept), value=self._tail)
        return kept

    def _note_lead(self, lead: str, start: int, *, blank: bool) -> None:
        self._leads.add(lead)
        newline = "\n" in lead or "\r" in lead
        if newline and "newline" not in self._noted:
            self._noted.add("newline")
            self._find("newline-after-terminator", "Line breaks follow the segment terminators.", start - len(lead))
        if not blank and lead[-1:] and lead[-1] in " \t" and "indent" not in self._noted:
            self._noted.add("indent")
            self._find("indented-segments", "Segments are indented.", start)

    def _joined(self, piece: str, wrapped: bool, start: int) -> str:
        if not wrapped:
            stripped = piece.rstrip("\r\n")
            at = re.search(r"[\r\n]", stripped)
            if at is None or at.start() < stripped.find(self._signs.element):
                return stripped  # breaks before or inside the tag are the business of the tag check
            finding = make("newline-in-segment", "A line break stands inside a segment.", value=stripped,
                           pointer=self._set_pointer or self._pointer, offset=start + at.start())  # fmt: skip
            (self._set_findings if self._set is not None else self._findings).append(finding)
            return stripped
        return piece.replace("\r", "").replace("\n", "")

    def _decoded(self, piece: str, start: int) -> str | None:
        """Return the piece decoded as UTF-8, or None when it must stay Latin-1."""
        if not self._utf8:
            return None  # a delimiter is part of what would be letters
        try:
            return piece.encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            if "latin" not in self._noted:
                self._noted.add("latin")
                self._find("not-utf-8", "Some bytes are not UTF-8.", start)
            return None

    def _repaired(self, tag: str, start: int) -> str:
        """Report a bad tag; give back the good tag behind leading junk, or the tag as it is."""
        self._bad_tags += 1
        if self._bad_tags <= _BAD_TAGS_MAX:
            pointer = self._set_pointer if self._set is not None else self._pointer
            finding = make("segment-tag-bad", f"{tag[:20]!r} is not a segment tag.", value=tag, pointer=pointer,
                           offset=start, segment=len(self._set) + 1 if self._set is not None else None,
                           tag="".join(sign for sign in tag if sign.isalnum())[:3])  # fmt: skip
            (self._set_findings if self._set is not None else self._findings).append(finding)
        match = _TAG_BEHIND_JUNK.fullmatch(tag)
        return match[1] if match else tag

    # -- structure ----------------------------------------------------------------------------------------------

    def _place(self, tag: str, segment: Segment) -> bool:
        """Open or close what the segment opens or closes; return True when it ends the interchange."""
        if tag == "ST":
            if self._set is not None:
                self._end_set(None, segment.offset)
            self._open_set(segment)
        elif tag == "SE" and self._set is not None:
            self._end_set(segment, segment.offset)
        elif tag == "GS":
            self._end_group(None, segment.offset)
            self._open_group(segment)
        elif tag == "GE" and self._group is not None and self._group.header is not None:
            self._end_group(segment, segment.offset)
        elif tag == "IEA" and not self._bare:
            self._end_group(None, segment.offset)
            self._segments.append(segment)
            self._check_iea(segment)
            return True
        else:
            self._keep_apart(tag, segment)
        return False

    def _keep_apart(self, tag: str, segment: Segment) -> None:
        group = self._group
        (group.strays if group else self._segments).append(segment)
        pointer = group.pointer if group else self._pointer
        if tag in _ENVELOPE:
            if self._set is not None:
                self._end_set(None, segment.offset)
            code = {"SE": "se-without-st", "GE": "ge-without-gs"}.get(tag, "iea-without-isa")
            message = f"{tag} stands without its header."
        elif tag in (_GROUP_TAGS if group else _INTERCHANGE_TAGS) or not _TAG.fullmatch(tag):
            return
        else:
            code, message = "segment-outside-set", f"{tag} stands outside any transaction set."
        self._apart += 1
        if self._apart > _APART_MAX:
            return
        finding = make(code, message, value=tag, pointer=f"{pointer} > {tag}", offset=segment.offset, tag=tag)
        (group.findings if group else self._findings).append(finding)

    def _open_group(self, segment: Segment | None, offset: int = 0) -> _OpenGroup:
        self._group_count += 1
        group = _OpenGroup(segment, self._group_count, f"{self._pointer} > GS {self._group_count}")
        self._group = group
        if segment is None:
            if not self._bare:
                group.findings.append(
                    make(
                        "gs-missing", "A set stands outside any functional group.", pointer=group.pointer, offset=offset
                    )
                )
            return group
        control, version = segment.get(6), segment.get(8)
        place = {"pointer": f"{group.pointer} > GS06", "offset": segment.element_offset(6), "value": control}
        if not is_number(control) or len(control) > 9:
            group.findings.append(make("group-control-number-invalid", "GS06 is no group control number.", **place))
        elif control.lstrip("0") in self._group_numbers:
            message = f"GS06 {control} was used before in this interchange."
            group.findings.append(make("group-control-number-duplicate", message, **place))
        self._group_numbers.add(control.lstrip("0"))
        release = self._header.elements[12] if len(self._header.elements) > 12 else ""
        if is_number(release) and version[:5] != release:
            message = f"ISA12 says {release}, GS08 says {version}."
            group.findings.append(
                make(
                    "version-disagreement",
                    message,
                    value=version,
                    expected=release,
                    pointer=f"{group.pointer} > GS08",
                    offset=segment.element_offset(8),
                )
            )
        return group

    def _open_set(self, segment: Segment) -> None:
        group = self._group or self._open_group(None, segment.offset)
        group.set_count += 1
        self._set = [segment]
        self._set_findings = []
        self._set_pointer = f"{group.pointer} > ST {segment.get(2)}"

    def _end_set(self, trailer: Segment | None, offset: int) -> None:
        segments, group = self._set, self._group
        assert segments is not None
        assert group is not None
        code, control = segments[0].get(1), segments[0].get(2)
        pointer, findings = self._set_pointer, self._set_findings
        self.count += len(segments) - 1
        if trailer is not None:
            segments.append(trailer)
            findings += trailer_findings(segments, pointer)
        else:
            findings.append(make("se-missing", f"Set {control} has no SE.", pointer=pointer, offset=offset, tag="SE"))
        if not control:
            findings.append(make("set-control-number-invalid", "ST02 is empty.", pointer=pointer,
                                 offset=segments[0].offset))  # fmt: skip
        elif control in group.control_numbers:
            findings.append(
                make(
                    "set-control-number-duplicate",
                    f"ST02 {control} was used before in this group.",
                    value=control,
                    pointer=f"{pointer} > ST #1 > ST02",
                    offset=segments[0].element_offset(2),
                )
            )
        group.control_numbers.add(control)
        expected = FUNCTIONAL_IDS.get(code)
        if group.header and expected and expected != group.get(1) and code not in group.mismatched:
            group.mismatched.add(code)
            message = f"GS01 {group.get(1)} does not fit set {code}; {expected} does."
            group.findings.append(
                make(
                    "group-type-mismatch",
                    message,
                    value=group.get(1),
                    expected=expected,
                    pointer=f"{group.pointer} > GS01",
                    offset=group.header.element_offset(1),
                )
            )
        release = group.get(8) or "004010"
        findings += validate(code, release, segments, self._signs, pointer, self._overlay)
        judged, acceptance = judge(findings, self._overlay, control, pointer)
        finished = TransactionSet(code, control, segments, judged, segments[0].offset, acceptance, pointer, release,
                                  group.get(1), self._signs)  # fmt: skip
        if self._keep_sets:
            group.sets.append(finished)
        self.done.append(finished)
        self._set, self._set_findings = None, []

    def _end_group(self, trailer: Segment | None, offset: int) -> None:
        if self._set is not None:
            self._end_set(None, offset)
        group = self._group
        if group is None:
            return
        if trailer is not None:
            self._check_ge(group, trailer)
        elif group.header is not None:
            group.findings.append(
                make("ge-missing", f"Group {group.get(6)} has no GE.", pointer=group.pointer, offset=offset, tag="GE")
            )
        get = group.get
        finished = Group(
            get(1), get(2), get(3), get(6), get(8), group.sets, tuple(group.findings), group.strays,
            get(4), get(5), trailer.get(1) if trailer else "", group.header.offset if group.header else offset,
            get(7), group.header, trailer,
        )  # fmt: skip
        self._groups.append(finished)
        self.done.append(finished)
        self._group = None

    # -- header and trailer checks ------------------------------------------------------------------------------

    def _check_ge(self, group: _OpenGroup, trailer: Segment) -> None:
        pointer = f"{group.pointer} > GE"
        group.findings += count_findings(trailer, group.set_count, "set-count-wrong", "GE01", "sets", pointer)
        assert group.header is not None
        group.findings += self._control_findings(
            trailer, group.header.get(6), "group-control-number-differs", "GE02", "GS06", pointer
        )

    def _check_iea(self, trailer: Segment) -> None:
        self._had_trailer = True
        pointer = f"{self._pointer} > IEA"
        self._findings += count_findings(trailer, self._group_count, "group-count-wrong", "IEA01", "groups", pointer)
        control = self._header.elements[13] if len(self._header.elements) > 13 else ""
        self._findings += self._control_findings(
            trailer, control, "interchange-control-number-differs", "IEA02", "ISA13", pointer
        )

    def _control_findings(
        self, trailer: Segment, expected: str, code: str, name: str, header_name: str, pointer: str
    ) -> list[EdiFinding]:
        place = {"pointer": f"{pointer}02", "offset": trailer.element_offset(2), "expected": expected}
        sent = trailer.get(2)
        if not same_number(sent, expected):
            return [make(code, f"{name} {sent} != {header_name} {expected}", value=sent, **place)]
        if self._tail:
            raw = sent + self._tail
            message = f"{name} {raw} != {header_name} {expected} by the letter; without the stray sign they agree."
            return [make(code, message, value=raw, severity="warning", **place)]
        return []

    def _check_isa(self) -> None:
        isa = self._segments[0]
        if len(isa.elements) < 17:
            return
        control = isa.get(13)
        checks = (
            ("isa-control-number-invalid", 13, is_number(control) and len(control) <= 9),
            ("isa-value-invalid", 9, len(isa.get(9)) == 6 and is_number(isa.get(9))),
            ("isa-value-invalid", 10, len(isa.get(10)) == 4 and is_number(isa.get(10))),
            ("isa-value-invalid", 12, len(isa.get(12)) == 5 and is_number(isa.get(12))),
            ("isa-value-invalid", 14, isa.get(14) in ("0", "1")),
            ("isa-value-invalid", 15, isa.get(15) in ("P", "T", "I")),
        )
        for code, number, holds in checks:
            if not holds:
                self._find(code, f"ISA{number:02} {isa.get(number)!r} is not valid.", isa.element_offset(number),
                           value=isa.get(number), pointer=f"{self._pointer} > ISA{number:02}")  # fmt: skip

    def _find(self, code: str, message: str, offset: int, *, value: str | None = None, pointer: str = "") -> None:
        self._findings.append(make(code, message, offset=offset, value=value, pointer=pointer or self._pointer))

    def note_unterminated(self, offset: int, value: str) -> None:
        """Report that the bytes ended inside a segment; a last line without its line break is no defect."""
        if self._signs.segment in "\r\n":
            return
        self._find("segment-unterminated", "The last segment has no terminator.", offset, value=value)

    def finish(self, end: int, raw: bytes) -> Interchange:
        """Close whatever is open at file offset `end` and return the interchange."""
        self._end_group(None, end)
        isa = self._segments[0] if not self._bare else Segment(["ISA"])
        if self._bare:
            self._find("bare-transaction-set", "Transaction sets stand without ISA and GS.", self._offset)
        elif not self._had_trailer:
            self._find("iea-missing", f"Interchange {isa.get(13).strip() or 'without a number'} has no IEA.", end)
        return Interchange(
            sender_qualifier=isa.get(5), sender=isa.get(6).rstrip(), receiver_qualifier=isa.get(7),
            receiver=isa.get(8).rstrip(), control_number=isa.get(13), version=isa.get(12), usage=isa.get(15),
            date=isa.get(9), time=isa.get(10), ack_requested=isa.get(14) == "1", groups=self._groups,
            findings=tuple(self._findings), offset=self._offset, length=end - self._offset, raw=raw,
            segments=self._segments, delimiters=self._signs, segment_count=self.count,
        )  # fmt: skip


def trailer_findings(segments: list[Segment], pointer: str) -> list[EdiFinding]:
    """Compare SE (the last segment) with the set it ends."""
    trailer, number = segments[-1], len(segments)
    place = f"{pointer} > SE #{number} > SE"
    findings = count_findings(trailer, number, "segment-count-wrong", "SE01", "segments", place)
    sent, expected = trailer.get(2), segments[0].get(2)
    if sent != expected:
        findings.append(
            make(
                "set-control-number-differs",
                f"SE02 {sent} != ST02 {expected}",
                value=sent,
                expected=expected,
                pointer=f"{place}02",
                offset=trailer.element_offset(2),
            )
        )
    return findings


def count_findings(trailer: Segment, counted: int, code: str, name: str, what: str, pointer: str) -> list[EdiFinding]:
    """Compare a declared count, as a number, with what was counted."""
    sent = trailer.get(1)
    place = {"pointer": f"{pointer}01", "offset": trailer.element_offset(1), "value": sent, "expected": str(counted)}
    if not is_number(sent) or len(sent) > 20 or int(sent) != counted:
        return [make(code, f"{name} {sent} but {counted} {what}", **place)]
    if sent[0] == "0" and len(sent) > 1:
        return [make("count-zero-padded", f"{name} {sent} is padded with zeros.", **place)]
    return []


def same_number(one: str, other: str) -> bool:
    """Whether two control numbers agree; leading zeros do not count."""
    if is_number(one) and is_number(other):
        return one.lstrip("0") == other.lstrip("0")
    return one == other


def _isa_segment(elements: list[str], offset: int) -> Segment:
    try:
        return Segment([value.encode("latin-1").decode("utf-8") for value in elements], offset)
    except UnicodeDecodeError:
        return Segment(elements, offset, single_byte=True)
