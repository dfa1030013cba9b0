"""Read EDIFACT by structure: service string, segments, messages, and the counts and references of the trailers.

Elements stay as sent, components and release characters included; no message is validated or mapped here.
UNOC and its like are single-byte, UNOW and UNOY are UTF-8: what decodes as UTF-8 is, the rest is Latin-1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from crossdock.edi.assembler import count_findings
from crossdock.edi.codes import make
from crossdock.edi.model import Delimiters, EdiFinding, Group, Interchange, Segment, TransactionSet
from crossdock.edi.validation import DEFAULT_OVERLAY, judge

_BLANKS = " \t\r\n\x00"
_TAG = re.compile(r"[A-Z]{3}")


class _Service(NamedTuple):
    """The service string advice, or its defaults."""

    component: str = ":"
    element: str = "+"
    release: str = "?"
    terminator: str = "'"


def starts_edifact(text: str, at: int) -> bool:
    """Whether UNA, UNB or UNH stands at `at`."""
    return text.startswith("UNA", at) or bool(re.match(r"UN[BGH][^A-Za-z0-9\s]", text[at : at + 4]))


def read_edifact(text: str, at: int, base: int, data: bytes | None) -> list[Interchange]:
    """Return the interchanges from `at` to the end of the text; bare messages form one without UNB."""
    service, start, findings = _service(text, at, base)
    reader = _Reader(service, base + at, findings, data)
    cut = _splitter(service.terminator, service.release)
    offset = start
    for piece in cut(text[start:]):
        reader.take(piece, base + offset, last=offset + len(piece) >= len(text))
        offset += len(piece) + 1
    reader.end(base + len(text))
    return reader.interchanges


def _service(text: str, at: int, base: int) -> tuple[_Service, int, list[EdiFinding]]:
    findings: list[EdiFinding] = []
    if text.startswith("UNA", at) and len(text) >= at + 9:
        signs = text[at + 3 : at + 9]
        release = "" if signs[3] == " " else signs[3]
        return _Service(signs[0], signs[1], release, signs[5]), at + 9, findings
    service = _Service(element=text[at + 3 : at + 4] or "+")
    if "'" not in text[at:]:
        service = service._replace(terminator="\n")
        findings.append(
            make(
                "terminator-recovered",
                "No ' ends a segment, which by the letter leaves UNZ missing; lines are used.",
                offset=base + at,
                expected="'",
                value="\n",
                pointer="UNB 1",
            )
        )
    return service, at, findings


def _splitter(sign: str, release: str) -> Callable[[str], list[str]]:
    """Return a function that cuts at `sign` unless the release character stands before it."""
    if not release or release == sign:
        return lambda text: text.split(sign)
    token = re.compile(f"(?:[^{re.escape(release + sign)}]|{re.escape(release)}.?)*", re.DOTALL)

    def cut(text: str) -> list[str]:
        if release not in text:
            return text.split(sign)
        parts, at = [], 0
        while True:
            match = token.match(text, at)
            assert match is not None
            parts.append(match[0])
            at = match.end() + 1
            if at > len(text):
                return parts

    return cut


class _Reader:
    """Puts EDIFACT segments together; the same shapes come out as for X12."""

    def __init__(self, service: _Service, offset: int, findings: list[EdiFinding], data: bytes | None) -> None:
        self.interchanges: list[Interchange] = []
        self._service = service
        self._data = data
        self._elements = _splitter(service.element, service.release)
        self._signs = Delimiters(service.element, service.terminator, service.component)
        self._noted: set[str] = set()
        self._reset(offset, findings)

    def _reset(self, offset: int, findings: list[EdiFinding]) -> None:
        self._offset = offset
        self._pointer = f"UNB {len(self.interchanges) + 1}"
        self._findings = findings
        self._segments: list[Segment] = []
        self._messages: list[TransactionSet] = []
        self._open: list[Segment] | None = None
        self._header: Segment | None = None
        self._groups = 0
        self._closed = False
        self._count = 0

    def take(self, piece: str, offset: int, *, last: bool) -> None:
        """Take one piece of text that begins at file offset `offset`."""
        stripped = piece.lstrip(_BLANKS)
        lead = piece[: len(piece) - len(stripped)]
        offset += len(lead)
        text = stripped.rstrip("\r\n") if self._service.terminator == "\n" else stripped
        if last:
            text = text.rstrip(_BLANKS)
        if not text:
            return
        self._note_layout(lead, text, offset)
        decoded = _decoded(text)
        elements = self._elements(decoded or text)
        if last and self._service.terminator != "\n":
            self._find("segment-unterminated", "The last segment has no terminator.", offset, value=text)
        if not _TAG.fullmatch(elements[0]):
            self._find("segment-tag-bad", f"{elements[0][:20]!r} is not a segment tag.", offset, value=elements[0])
        self._place(elements[0], Segment(elements, offset, decoded is None))

    def _note_layout(self, lead: str, text: str, offset: int) -> None:
        if "\n" in lead and "newline" not in self._noted:
            self._noted.add("newline")
            self._find("newline-after-terminator", "Line breaks follow the segment terminators.", offset - len(lead))
        blanks = lead.lstrip("\r\n")
        if "\t" in blanks:
            raw = blanks + text[:3]
            self._find("segment-tag-bad", f"{raw!r} has blanks before the tag.", offset - len(blanks), value=raw,
                       severity="warning")  # fmt: skip
        if blanks and "indent" not in self._noted:
            self._noted.add("indent")
            self._find("indented-segments", "Segments are indented.", offset)

    def _place(self, tag: str, segment: Segment) -> None:
        if tag == "UNB":
            if self._segments or self._messages or self._open:
                self.end(segment.offset)
            self._header = segment
        self._count += 1
        if tag == "UNH":
            self._end_message(None, segment.offset)
            self._open = [segment]
        elif tag == "UNT" and self._open is not None:
            self._open.append(segment)
            self._end_message(segment, segment.offset)
        elif tag == "UNZ":
            self._end_message(None, segment.offset)
            self._segments.append(segment)
            self._check_unz(segment)
            self._closed = True
            self.end(segment.offset + len(self._service.element.join(segment.elements)) + 1)
        elif tag in ("UNG", "UNE"):
            self._end_message(None, segment.offset)
            self._groups += tag == "UNG"
            self._segments.append(segment)
        elif self._open is not None:
            self._open.append(segment)
        else:
            self._segments.append(segment)
            if tag not in ("UNB", "UNA"):
                code = "unt-without-unh" if tag == "UNT" else "segment-outside-set"
                self._find(code, f"{tag} stands outside any message.", segment.offset, value=tag)

    def _end_message(self, trailer: Segment | None, offset: int) -> None:
        segments, self._open = self._open, None
        if segments is None:
            return
        reference = segments[0].get(1)
        parts = segments[0].get(2).split(self._service.component)
        pointer = f"{self._pointer} > UNH {reference}"
        findings: list[EdiFinding] = []
        if trailer is None:
            findings.append(make("unt-missing", f"Message {reference} has no UNT.", pointer=pointer, offset=offset))
        else:
            place = f"{pointer} > UNT #{len(segments)} > UNT"
            findings += count_findings(trailer, len(segments), "segment-count-wrong", "UNT count", "segments", place)
            if trailer.get(2) != reference:
                message = f"UNT ref {trailer.get(2) or None} != UNH {reference}"
                findings.append(
                    make(
                        "set-control-number-differs",
                        message,
                        value=trailer.get(2),
                        expected=reference,
                        pointer=f"{place}02",
                        offset=trailer.element_offset(2),
                    )
                )
        judged, acceptance = judge(findings, DEFAULT_OVERLAY, reference, pointer)
        version = ".".join(parts[1:3])
        self._messages.append(
            TransactionSet(
                parts[0], reference, segments, judged, segments[0].offset, acceptance, pointer, version, "", self._signs
            )
        )

    def _check_unz(self, trailer: Segment) -> None:
        counted = self._groups or len(self._messages)
        pointer = f"{self._pointer} > UNZ"
        self._findings += count_findings(trailer, counted, "message-count-wrong", "UNZ count", "messages", pointer)
        reference = self._header.get(5) if self._header else ""
        place = {"value": trailer.get(2), "pointer": f"{pointer}02", "offset": trailer.element_offset(2)}
        if self._header is None or not reference:
            message = "UNZ stands without UNB, or UNB holds no reference."
            self._findings.append(make("unz-incomplete", message, **place))
        elif trailer.get(2) != reference:
            message = f"UNZ ref {trailer.get(2)} != UNB {reference}"
            self._findings.append(make("interchange-control-number-differs", message, expected=reference, **place))

    def _find(self, code: str, message: str, offset: int, **more: object) -> None:
        self._findings.append(make(code, message, offset=offset, pointer=self._pointer, **more))

    def end(self, end: int) -> None:
        """Close the interchange that is open at file offset `end`, when anything was read of it."""
        self._end_message(None, end)
        if not (self._segments or self._messages):
            return
        if self._header is None:
            self._find("unb-missing", "Messages stand without UNB.", self._offset)
        elif not self._closed:
            reference = self._header.get(5).strip() or "without a reference"
            self._find("unz-missing", f"Interchange {reference} has no UNZ.", end)
        header = self._header or Segment(["UNB"])

        def part(number: int, component: int) -> str:
            parts = header.get(number).split(self._service.component)
            return parts[component] if component < len(parts) else ""

        group = Group("", part(2, 0), part(3, 0), "", "", self._messages)
        raw = self._data[self._offset : end] if self._data is not None else b""
        self.interchanges.append(
            Interchange(
                part(2, 1), part(2, 0), part(3, 1), part(3, 0), header.get(5), header.get(1),
                "T" if header.get(11) == "1" else "P", part(4, 0), part(4, 1), header.get(9) == "1", [group],
                tuple(self._findings), self._offset, end - self._offset, raw, self._segments, self._signs,
                self._count, "edifact",
            )
        )  # fmt: skip
        self._reset(end, [])


def _decoded(text: str) -> str | None:
    """Return the text decoded as UTF-8, or None when it must stay Latin-1."""
    try:
        return text if text.isascii() else text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return None
