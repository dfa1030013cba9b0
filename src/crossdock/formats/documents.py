"""What every format gives back, and which code of the catalogue (`error_codes.py`) stands for which fault.

A format never raises on bad input except `DocumentRejected`, and always says what, where and how to fix it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from crossdock.errors import DocumentRejected, Finding

SYNTAX = "XD-DOC-002"
ENCODING = "XD-DOC-004"
DUPLICATE_KEY = "XD-DOC-003"
NUMBER = "XD-DOC-014"
DEPTH = "XD-DOC-006"
CHARACTER = "XD-DOC-005"
COLUMN_MISSING = "XD-DOC-008"
COLUMN_UNKNOWN = "XD-DOC-008"
ROW_LENGTH = "XD-DOC-009"
RECORD_LENGTH = "XD-DOC-010"
VALUE_TYPE = "XD-DOC-018"
VALUE_MISSING = "XD-DOC-018"
VALUE_TOO_LONG = "XD-DOC-018"
BYTE_ORDER_MARK = "XD-DOC-004"
OPTIONS = "XD-CFG-001"
EMPTY = "XD-DOC-015"
TOO_MANY = "XD-DOC-001"
GROUP_INCOMPLETE = "XD-DOC-001"

FINDINGS_MAX = 1_000

# What to do about a fault where the finding itself does not know better.
HINTS = {
    SYNTAX: "correct the named place and send the whole document again",
    ENCODING: "agree on one encoding, and write only characters it has",
    DUPLICATE_KEY: "remove one of the two keys",
    NUMBER: "write a finite decimal number with fewer digits",
    DEPTH: "check the sender for a loop; raise limits.document_depth_max when the depth is real",
    CHARACTER: "remove the control character; pad with blanks instead of NUL",
    COLUMN_MISSING: "compare the first row with the columns of the map",
    ROW_LENGTH: "quote the value that holds the delimiter",
    RECORD_LENGTH: "compare the line with the layout of the map",
    VALUE_TYPE: "correct the value at the named place",
    EMPTY: "check that the sender attaches the content",
    TOO_MANY: "correct the named rows and send them again",
}


class Position(msgspec.Struct, frozen=True):
    """Where a document stands in its file: bytes from `offset_start` up to `offset_end`, and its rows (from 1)."""

    offset_start: int
    offset_end: int
    rows: tuple[int, ...] = ()


class Decoded(msgspec.Struct, frozen=True):
    """The documents of a file, where each stands, and what was found. Documents with errors are not among them."""

    documents: list[dict[str, Any]]
    findings: tuple[Finding, ...] = ()
    positions: tuple[Position, ...] = ()

    def __post_init__(self) -> None:
        if self.findings:
            msgspec.structs.force_setattr(self, "findings", hinted(self.findings))

    @property
    def document(self) -> dict[str, Any]:
        """The only document of the file."""
        if len(self.documents) != 1:
            raise DocumentRejected(f"one document was expected, {len(self.documents)} are in the file", code=EMPTY)
        return self.documents[0]


def hinted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings, each with what to do about it."""
    return tuple(
        finding if finding.hint else msgspec.structs.replace(finding, hint=HINTS.get(finding.code))
        for finding in findings
    )


def rejected(*findings: Finding) -> DocumentRejected:
    """Return the error of a file of which nothing can be used."""
    findings = hinted(findings)
    errors = [finding for finding in findings if finding.severity == "error"] or list(findings)
    first = errors[0]
    message = first.message if len(errors) == 1 else f"{first.message} (and {len(errors) - 1} more)"
    return DocumentRejected(message, code=first.code, hint=first.hint or (), pointer=first.pointer, findings=findings)


def without_bom(data: bytes) -> tuple[bytes, list[Finding]]:
    """Return the bytes without a UTF-8 byte order mark, with a finding; UTF-16 and UTF-32 are refused."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        message = "the file is UTF-16 or UTF-32, UTF-8 was agreed"
        raise rejected(Finding(ENCODING, message, expected="UTF-8", hint="save or send the file as UTF-8", offset=0))
    if not data.startswith(b"\xef\xbb\xbf"):
        return data, []
    message = "the file begins with a byte order mark, which was skipped"
    return data[3:], [Finding(BYTE_ORDER_MARK, message, severity="warning", offset=0, hint="send UTF-8 without a mark")]
