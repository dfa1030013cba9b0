"""Fixed width in and out: a line is a record, a column is a range of characters. One verdict for each line.

Widths count characters of the agreed encoding. A value that is too long is refused, never cut.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crossdock.errors import Finding
from crossdock.formats.documents import EMPTY, ENCODING, RECORD_LENGTH, Decoded, rejected, without_bom
from crossdock.formats.rows import Column, RowReader, written


class FixedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of `format: fixed`. `record` picks the lines that begin with it; it is part of the first column."""

    columns: tuple[Column, ...]
    encoding: Literal["utf-8", "latin-1", "cp1252", "ascii"] = "utf-8"
    record: str = ""
    group_by: tuple[str, ...] = ()
    line_ending: Literal["crlf", "lf"] = "crlf"

    def __post_init__(self) -> None:
        if not self.columns or any(column.width < 1 or len(column.fill) != 1 for column in self.columns):
            raise ValueError("`columns` needs at least one column, each with a width and a fill of one character")
        end = 0
        for begin, column in starts(self.columns):
            if begin < end:
                raise ValueError(f"the column {column.name} begins inside the one before it")
            end = begin + column.width
        unknown = set(self.group_by) - {column.name for column in self.columns}
        if unknown:
            raise ValueError(f"`group_by` names {', '.join(sorted(unknown))}, which is no column")


def starts(columns: tuple[Column, ...]) -> list[tuple[int, Column]]:
    """Return where each column begins (from 0): at its `start`, else right after the one before."""
    at, found = 0, []
    for column in columns:
        at = column.start - 1 if column.start else at
        found.append((at, column))
        at += column.width
    return found


def decode(data: bytes, options: FixedOptions) -> Decoded:
    """Return a document for each line, or for each group of lines; bad lines are findings with line and column."""
    content, findings = without_bom(data)
    reader = RowReader(options.columns, options.group_by)
    layout = starts(options.columns)
    needed = max((begin for begin, column in layout if column.required), default=-1) + 1
    end = len(data) - len(content)
    for number, raw in enumerate(content.splitlines(keepends=True), 1):
        start, end = end, end + len(raw)
        if reader.is_full:
            break
        try:
            line = raw.decode(options.encoding).rstrip("\r\n\x1a")
        except UnicodeDecodeError as error:
            message = f"this byte is not {options.encoding}"
            value = raw[error.start : error.end].hex(" ")
            reader.finding(ENCODING, message, number, start + error.start, value=value, expected=options.encoding)
            continue
        if not line.strip() or not line.startswith(options.record):
            continue
        if len(line) < needed:
            message = f"the line has {len(line)} characters, at least {needed} are needed"
            hint = "the line was cut, or it is of another record type"
            reader.finding(RECORD_LENGTH, message, number, start, expected=str(needed), value=str(len(line)), hint=hint)
            continue
        cells = {column.name: _unfilled(line[begin : begin + column.width], column) for begin, column in layout}
        reader.row(cells, number, start, end)
    decoded = reader.decoded(findings)
    if not decoded.documents:
        raise rejected(*(decoded.findings or [Finding(EMPTY, "the file holds no record", offset=0)]))
    return decoded


def encode(document: Any, options: FixedOptions) -> bytes:
    """Return the rows of a document (`rows`, or the document itself as one row) as lines of fixed width."""
    table, findings = written(options.columns, document)
    for number, cells in enumerate(table, 1):
        for column, cell in zip(options.columns, cells, strict=True):
            if "\n" in cell or "\r" in cell:
                place = f"row {number}, column {column.title}"
                findings.append(
                    Finding(
                        RECORD_LENGTH,
                        "a line end inside a value would break the record",
                        pointer=place,
                        value=repr(cell)[:60],
                    )
                )
    if findings:
        raise rejected(*findings)
    lines = []
    for cells in table:
        line = ""
        for (begin, column), cell in zip(starts(options.columns), cells, strict=True):
            line = line.ljust(begin) + _filled(cell, column)
        lines.append(line + ("\r\n" if options.line_ending == "crlf" else "\n"))
    try:
        return "".join(lines).encode(options.encoding)
    except UnicodeEncodeError as error:
        value = error.object[error.start : error.end][:20]
        message = f"the character {value!r} does not exist in {options.encoding}"
        raise rejected(Finding(ENCODING, message, value=value, expected=options.encoding)) from None


def _unfilled(text: str, column: Column) -> str:
    if column.fill == " ":
        return text
    if column.align == "right":
        stripped = text.strip().lstrip(column.fill)
        # Zeros that fill a number may be all there is of it.
        return stripped or ("0" if column.fill == "0" and text.strip() else "")
    return text.rstrip(column.fill)


def _filled(text: str, column: Column) -> str:
    if column.align == "left":
        return text.ljust(column.width, column.fill)
    if column.fill == "0" and text.startswith(("-", "+")):
        return text[0] + text[1:].rjust(column.width - 1, "0")
    return text.rjust(column.width, column.fill)
