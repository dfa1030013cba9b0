"""CSV in and out: declared columns, a checked header, and one verdict for each row.

Lines are decoded one by one, so a wrong byte or an unclosed quote costs its own row and not the file.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from crossdock.errors import Finding
from crossdock.formats.documents import (
    COLUMN_MISSING,
    COLUMN_UNKNOWN,
    EMPTY,
    ENCODING,
    ROW_LENGTH,
    Decoded,
    rejected,
    without_bom,
)
from crossdock.formats.rows import Column, RowReader, written


class CsvOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of `format: csv`. `header: false` takes the columns in their order."""

    columns: tuple[Column, ...]
    delimiter: str = ","
    encoding: Literal["utf-8", "latin-1", "cp1252", "ascii"] = "utf-8"
    header: bool = True
    quote: str = '"'
    group_by: tuple[str, ...] = ()
    line_ending: Literal["crlf", "lf"] = "crlf"

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not names or len(set(names)) != len(names):
            raise ValueError("`columns` needs at least one column, each with a name of its own")
        if len(self.delimiter) != 1 or len(self.quote) > 1 or self.delimiter == self.quote or self.delimiter in "\r\n":
            raise ValueError("`delimiter` and `quote` are one character each, and differ")
        unknown = set(self.group_by) - set(names)
        if unknown:
            raise ValueError(f"`group_by` names {', '.join(sorted(unknown))}, which is no column")


def decode(data: bytes, options: CsvOptions) -> Decoded:
    """Return a document for each row, or for each group of rows; bad rows are findings with row and column."""
    content, findings = without_bom(data)
    lines = _Lines(content, len(data) - len(content), options)
    reader = RowReader(options.columns, options.group_by)
    order = [column.name for column in options.columns]
    for number, start, end, cells, wrong in lines.rows():
        if reader.is_full:
            break
        if wrong is not None:
            reader.findings.append(wrong)
        elif options.header and lines.is_first:
            lines.is_first = False
            order = _header(cells, options.columns, findings, start)
        elif len(cells) != len(order):
            message = f"the row has {len(cells)} columns, {len(order)} were expected"
            hint = f'is "{options.delimiter}" the delimiter, and is a quote missing?'
            reader.finding(
                ROW_LENGTH, message, number, start, expected=str(len(order)), value=str(len(cells)), hint=hint
            )
        else:
            reader.row(dict(zip(order, cells, strict=True)), number, start, end)
    decoded = reader.decoded(findings)
    if not decoded.documents:
        raise rejected(*(decoded.findings or [Finding(EMPTY, "the file holds no row", offset=0)]))
    return decoded


def encode(document: Any, options: CsvOptions) -> bytes:
    """Return the rows of a document (`rows`, or the document itself as one row) as CSV."""
    table, findings = written(options.columns, document)
    if findings:
        raise rejected(*findings)
    lines = _Written()
    ending = "\r\n" if options.line_ending == "crlf" else "\n"
    quoting: Any = csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE
    writer = csv.writer(
        lines, delimiter=options.delimiter, quotechar=options.quote or None, quoting=quoting, lineterminator=ending
    )
    number = 0
    try:
        if options.header:
            writer.writerow([column.title for column in options.columns])
        for number, cells in enumerate(table, 1):  # noqa: B007 - names the row that failed
            writer.writerow(cells)
        return "".join(lines.parts).encode(options.encoding)
    except csv.Error as error:
        hint = "set `quote`, or take the delimiter out of the value in the map"
        raise rejected(
            Finding(ROW_LENGTH, f"the row cannot be written: {error}", pointer=f"row {number}", hint=hint)
        ) from None
    except UnicodeEncodeError as error:
        value = error.object[error.start : error.end][:20]
        message = f"the character {value!r} does not exist in {options.encoding}"
        raise rejected(Finding(ENCODING, message, value=value, expected=options.encoding)) from None


class _Written:
    """Collects what the csv module writes."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> int:
        self.parts.append(text)
        return len(text)


class _Lines:
    """The rows of a file with their places. An unreadable row ends at its own line; the next begins there."""

    def __init__(self, content: bytes, offset: int, options: CsvOptions) -> None:
        self.raw = content.splitlines(keepends=True)
        self.offsets = [offset]
        for line in self.raw:
            self.offsets.append(self.offsets[-1] + len(line))
        self.options = options
        self.is_first = True

    def _from(self, begin: int) -> Any:
        quoting: Any = csv.QUOTE_MINIMAL if self.options.quote else csv.QUOTE_NONE
        lines = (line.decode(self.options.encoding) for line in self.raw[begin:])
        return csv.reader(
            lines, delimiter=self.options.delimiter, quotechar=self.options.quote or None, quoting=quoting, strict=True
        )

    def rows(self) -> Iterator[tuple[int, int, int, list[str], Finding | None]]:
        """Yield the number of a row's first line, its bytes, its cells, and what is wrong if it cannot be read."""
        begin = 0
        while begin < len(self.raw):
            reader = self._from(begin)
            at = begin
            try:
                for cells in reader:
                    end = begin + reader.line_num
                    if any(cells) or len(cells) > 1:
                        yield at + 1, self.offsets[at], self.offsets[end], cells, None
                    at = end
                return
            except UnicodeDecodeError as error:
                at = max(at, begin + reader.line_num)
                offset = self.offsets[at] + error.start
                message = f"this byte is not {self.options.encoding}"
                hint = "agree on the encoding: `encoding: cp1252` reads most Windows exports"
                wrong = Finding(
                    ENCODING, message, pointer=f"row {at + 1}", offset=offset, line=at + 1, hint=hint,
                    value=error.object[error.start : error.end].hex(" "), expected=self.options.encoding,
                )  # fmt: skip
            except csv.Error as error:
                message = f"the row cannot be read: {error}"
                hint = "a quote inside a value is written twice, and each quote is closed"
                wrong = Finding(
                    ROW_LENGTH, message, pointer=f"row {at + 1}", offset=self.offsets[at], line=at + 1, hint=hint
                )
            yield at + 1, self.offsets[at], self.offsets[at + 1], [], wrong
            begin = at + 1


def _header(cells: list[str], columns: tuple[Column, ...], findings: list[Finding], offset: int) -> list[str]:
    """Return the column names in the order of the file; a missing column ends it, a foreign one is a warning."""
    titles = [cell.strip() for cell in cells]
    by_title = {column.title: column.name for column in columns}
    by_folded = {title.casefold(): name for title, name in by_title.items()}
    order: list[str] = []
    for number, title in enumerate(titles, 1):
        name = by_title.get(title) or by_folded.get(title.casefold())
        place = f"row 1, column {number}"
        if name is None:
            message = f'the column "{title[:60]}" was not agreed and is not read'
            findings.append(
                Finding(
                    COLUMN_UNKNOWN, message, severity="warning", pointer=place, value=title[:60], offset=offset, line=1
                )
            )
            name = f"\x00{number}"
        elif name in order:
            raise rejected(
                Finding(
                    COLUMN_MISSING,
                    f'the column "{title}" appears twice',
                    pointer=place,
                    value=title,
                    offset=offset,
                    line=1,
                )
            )
        order.append(name)
    missing = []
    for column in columns:
        if column.name not in order:
            near = difflib.get_close_matches(column.title, [title for title in titles if title], n=1)
            hint = f'the file has "{near[0]}": is it that one?' if near else f"the file has: {', '.join(titles)[:200]}"
            message = f'the column "{column.title}" is missing'
            missing.append(
                Finding(
                    COLUMN_MISSING, message, pointer="row 1", expected=column.title, hint=hint, offset=offset, line=1
                )
            )
    if missing:
        raise rejected(*missing, *findings)
    return order
