"""What CSV and fixed width share: columns with types, rows with places, grouping of rows into documents.

A bad row never fails the file. If it belongs to a group, its whole group is left out: half an order is no order.
Text is data: a cell that begins with `=` stays as it is, in and out.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Literal

import msgspec

from crossdock.errors import Finding
from crossdock.formats.documents import (
    FINDINGS_MAX,
    GROUP_INCOMPLETE,
    TOO_MANY,
    VALUE_MISSING,
    VALUE_TOO_LONG,
    VALUE_TYPE,
    Decoded,
    Position,
)

_INTEGER = re.compile(r"[+-]?[0-9]{1,38}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,38}\.?[0-9]{0,38}|\.[0-9]{1,38})", re.ASCII)


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column: its name in documents, and how its values are written.

    `header` is its name in a CSV header; `width`, `start` (from 1), `align` and `fill` are of fixed width;
    `decimals` are the implied digits after the point, `decimal_mark` the sign where it is written.
    """

    name: str
    header: str | None = None
    type: Literal["text", "integer", "decimal"] = "text"
    required: bool = False
    width: int = 0
    start: int = 0
    align: Literal["left", "right"] = "left"
    fill: str = " "
    decimals: int = 0
    decimal_mark: Literal[".", ","] = "."

    @property
    def title(self) -> str:
        """The column's name in a header."""
        return self.header or self.name

    def read(self, text: str) -> Any:
        """Return the value of a cell, `None` if it is blank; raises `ValueError` if it does not have the type."""
        content = text.strip()
        if not content:
            return None
        if self.type == "text":
            return content
        if self.type == "integer":
            if not _INTEGER.fullmatch(content):
                raise ValueError("a whole number")
            return int(content)
        if self.decimal_mark == ",":
            content = content.replace(".", "").replace(",", ".")
        if not _DECIMAL.fullmatch(content):
            raise ValueError("a number" + (" with a decimal comma" if self.decimal_mark == "," else ""))
        number = Decimal(content)
        return number.scaleb(-self.decimals) if self.decimals and "." not in content else number

    def write(self, value: Any) -> str:
        """Return the cell of a value; raises `ValueError` if it does not have the type."""
        if value is None:
            return ""
        if value is True or value is False:
            return "true" if value else "false"
        if isinstance(value, (list, dict)):
            raise ValueError("a plain value")
        if self.type == "text":
            return format(value, "f") if isinstance(value, Decimal) else str(value)
        try:
            number = Decimal(str(value))
        except ArithmeticError:
            raise ValueError("a number") from None
        if not number.is_finite() or abs(number.adjusted()) > 60:
            raise ValueError("a number")
        if self.type == "integer" and number != number.to_integral_value():
            raise ValueError("a whole number")
        if self.decimals:
            number = number.scaleb(self.decimals)
            if number != number.to_integral_value():
                raise ValueError(f"a number with at most {self.decimals} digits after the point")
        text = format(number.to_integral_value() if self.type == "integer" or self.decimals else number, "f")
        return text.replace(".", self.decimal_mark)


class Row(msgspec.Struct, frozen=True):
    """A row that was read: its number in the file (from 1), its bytes, and its values by column name."""

    number: int
    offset_start: int
    offset_end: int
    values: dict[str, Any]


class RowReader:
    """Turns cells into values, keeps good rows, notes bad ones and puts rows together into documents."""

    def __init__(self, columns: tuple[Column, ...], group_by: tuple[str, ...]) -> None:
        self.columns = columns
        self.group_by = group_by
        self.rows: list[Row] = []
        self.findings: list[Finding] = []
        self.bad_groups: dict[tuple[Any, ...], int] = {}

    @property
    def is_full(self) -> bool:
        """Tell whether so much is wrong that reading on makes no sense."""
        return len(self.findings) >= FINDINGS_MAX

    def finding(self, code: str, message: str, number: int, offset: int, *, column: str = "", **more: Any) -> None:
        """Note what is wrong with a row."""
        pointer = f"row {number}" + (f", column {column}" if column else "")
        self.findings.append(Finding(code, message, pointer=pointer, offset=offset, line=number, **more))

    def row(self, cells: dict[str, str], number: int, start: int, end: int) -> None:
        """Take one row, given as text by column name."""
        values: dict[str, Any] = {}
        before = len(self.findings)
        for column in self.columns:
            text = cells.get(column.name, "")
            if "\x00" in text:
                message = "NUL must not appear in data"
                self.finding(VALUE_TYPE, message, number, start, column=column.title, hint="ask for the file again")
                continue
            try:
                value = column.read(text)
            except ValueError as expected:
                message = f"this is not {expected}"
                self.finding(
                    VALUE_TYPE, message, number, start, column=column.title, value=text[:60], expected=str(expected)
                )
                continue
            if value is None and column.required:
                message = "a required value is empty"
                self.finding(
                    VALUE_MISSING, message, number, start, column=column.title, expected=f"a value in {column.title}"
                )
            values[column.name] = value
        if len(self.findings) == before:
            self.rows.append(Row(number, start, end, values))
        elif all(values.get(name) is not None for name in self.group_by) and self.group_by:
            self.bad_groups.setdefault(tuple(values[name] for name in self.group_by), number)

    def decoded(self, findings: list[Finding]) -> Decoded:
        """Return the documents: one for each row, or one for each group of rows."""
        if self.is_full:
            message = f"reading stopped after {FINDINGS_MAX:,} faults"
            self.findings.append(Finding(TOO_MANY, message, hint="the file is probably of another layout"))
        if not self.group_by:
            documents = [row.values for row in self.rows]
            positions = tuple(Position(row.offset_start, row.offset_end, (row.number,)) for row in self.rows)
            return Decoded(documents, tuple(findings + self.findings), positions)
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row.values[name] for name in self.group_by), []).append(row)
        for key, number in self.bad_groups.items():
            left_out = groups.pop(key, [])
            label = ", ".join(f"{name} {value}" for name, value in zip(self.group_by, key, strict=True))
            message = f"{label} was left out because row {number} is bad ({len(left_out)} good rows with it)"
            hint = "correct the row and send this document again"
            self.findings.append(Finding(GROUP_INCOMPLETE, message, pointer=f"row {number}", line=number, hint=hint))
        documents, places = [], []
        for key, rows in groups.items():
            documents.append({**dict(zip(self.group_by, key, strict=True)), "rows": [row.values for row in rows]})
            places.append(Position(rows[0].offset_start, rows[-1].offset_end, tuple(row.number for row in rows)))
        return Decoded(documents, tuple(findings + self.findings), tuple(places))


def rows_of(document: Any) -> list[dict[str, Any]]:
    """Return the rows of an outbound document: its `rows`, or itself as the only row; a list's are joined."""
    if isinstance(document, list):
        return [row for item in document for row in rows_of(item)]
    rows = document.get("rows", [document]) if isinstance(document, dict) else []
    return [row for row in rows if isinstance(row, dict)]


def written(columns: tuple[Column, ...], document: Any) -> tuple[list[list[str]], list[Finding]]:
    """Return the cells of an outbound document, and what cannot be written."""
    findings: list[Finding] = []
    table: list[list[str]] = []
    for number, row in enumerate(rows_of(document), 1):
        cells = []
        for column in columns:
            value = row.get(column.name)
            pointer = f"row {number}, column {column.title}"
            try:
                text = column.write(value)
            except ValueError as expected:
                shown = str(value)[:60]
                findings.append(
                    Finding(VALUE_TYPE, f"this is not {expected}", pointer=pointer, value=shown, expected=str(expected))
                )
                text = ""
            if not text and value is None and column.required:
                findings.append(Finding(VALUE_MISSING, "a required value is empty", pointer=pointer))
            if column.width and len(text) > column.width:
                message = f"the value has {len(text)} characters, the column {column.width}"
                hint = "shorten it in the map: left(value, width)"
                findings.append(Finding(VALUE_TOO_LONG, message, pointer=pointer, value=text[:60], hint=hint))
            cells.append(text)
        table.append(cells)
    return table, findings
