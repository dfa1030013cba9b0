"""What every format gives back, and the codes of what can be wrong with bytes.

A format never raises on bad input except `DocumentRejected`, and always says what, where and how to fix it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.errors import DocumentRejected, Finding

SYNTAX = "XD-FMT-001"
ENCODING = "XD-FMT-002"
DUPLICATE_KEY = "XD-FMT-003"
NUMBER = "XD-FMT-004"
DEPTH = "XD-FMT-005"
CHARACTER = "XD-FMT-006"
COLUMN_MISSING = "XD-FMT-007"
COLUMN_UNKNOWN = "XD-FMT-008"
ROW_LENGTH = "XD-FMT-009"
VALUE_TYPE = "XD-FMT-010"
VALUE_MISSING = "XD-FMT-011"
VALUE_TOO_LONG = "XD-FMT-012"
BYTE_ORDER_MARK = "XD-FMT-013"
OPTIONS = "XD-FMT-014"
EMPTY = "XD-FMT-015"
TOO_MANY = "XD-FMT-016"
GROUP_INCOMPLETE = "XD-FMT-017"

CODES: dict[str, str] = {
    SYNTAX: "The bytes do not follow the format",
    ENCODING: "The bytes are not text in the agreed encoding",
    DUPLICATE_KEY: "A key appears twice in one object",
    NUMBER: "A number that cannot be kept exactly",
    DEPTH: "The document is nested too deeply",
    CHARACTER: "A character that must not appear in data",
    COLUMN_MISSING: "An agreed column is not in the header",
    COLUMN_UNKNOWN: "A column that was not agreed",
    ROW_LENGTH: "A row has the wrong number of columns",
    VALUE_TYPE: "A value does not have the agreed type",
    VALUE_MISSING: "A required value is empty",
    VALUE_TOO_LONG: "A value does not fit its column",
    BYTE_ORDER_MARK: "The file begins with a byte order mark",
    OPTIONS: "The options of the format contradict themselves",
    EMPTY: "There is no document in the file",
    TOO_MANY: "Too many faults in one file",
    GROUP_INCOMPLETE: "A document was left out because one of its rows is bad",
}

FINDINGS_MAX = 1_000


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

    @property
    def document(self) -> dict[str, Any]:
        """The only document of the file."""
        if len(self.documents) != 1:
            raise DocumentRejected(f"one document was expected, {len(self.documents)} are in the file", code=EMPTY)
        return self.documents[0]


def rejected(*findings: Finding) -> DocumentRejected:
    """Return the error of a file of which nothing can be used."""
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
