"""Bytes to documents and back: JSON, CSV, fixed width. X12 and EDIFACT live in `edi`.

Here live the codecs and the typed options of each format. Nothing in here maps, routes or stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from crossdock.errors import ConfigurationError, Finding
from crossdock.formats import csv_format, fixed_width, json_format
from crossdock.formats.csv_format import CsvOptions
from crossdock.formats.documents import OPTIONS, Decoded, Position
from crossdock.formats.fixed_width import FixedOptions
from crossdock.formats.json_format import JsonOptions
from crossdock.formats.rows import Column


class FormatSide(Protocol):
    """What names a format: the `from` or `to` of a map."""

    @property
    def format(self) -> str | None:
        """The name of the format."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Its options as they stand in the map."""


FORMATS: dict[str, tuple[type[Any], Any]] = {
    "json": (JsonOptions, json_format),
    "csv": (CsvOptions, csv_format),
    "fixed": (FixedOptions, fixed_width),
}


def options_of(side: FormatSide) -> Any:
    """Return the typed options of a format; raises `ConfigurationError` if they are wrong or the format is not ours."""
    known = FORMATS.get(side.format or "")
    if known is None:
        raise ConfigurationError(f"the format {side.format} is not decoded here", code=OPTIONS)
    options = dict(side.options)
    columns = options.get("columns")
    if isinstance(columns, list):
        options["columns"] = [{"name": column} if isinstance(column, str) else column for column in columns]
    if isinstance(options.get("group_by"), str):
        options["group_by"] = [options["group_by"]]
    try:
        return msgspec.convert(options, known[0])
    except msgspec.ValidationError as error:
        hint = "the options of each format are in docs/reference/mapping-language.md"
        finding = Finding(OPTIONS, f"format {side.format}: {error}", hint=hint)
        raise ConfigurationError(finding.message, code=OPTIONS, hint=finding.hint or (), findings=(finding,)) from None


def check(side: FormatSide) -> list[Finding]:
    """Return what is wrong with the options of a format; other formats than ours are not judged."""
    if side.format not in FORMATS:
        return []
    try:
        options_of(side)
    except ConfigurationError as error:
        return list(error.findings)
    return []


def decode(data: bytes, side: FormatSide) -> Decoded:
    """Return the documents of a file; raises `DocumentRejected` with findings if none can be used."""
    options = options_of(side)
    decoded: Decoded = FORMATS[side.format or ""][1].decode(data, options)
    return decoded


def encode(document: Any, side: FormatSide) -> bytes:
    """Return the bytes of a document, or of a list of documents; raises `DocumentRejected` if it cannot be written."""
    options = options_of(side)
    data: bytes = FORMATS[side.format or ""][1].encode(document, options)
    return data


__all__ = [
    "Column", "CsvOptions", "Decoded", "FixedOptions", "FormatSide", "JsonOptions", "Position",
    "check", "decode", "encode", "options_of",
]  # fmt: skip
