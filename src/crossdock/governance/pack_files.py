"""Read the YAML files of a pack into typed values, with file and line for every fault.

Strict on purpose: duplicate keys, anchors, unknown fields and unknown files are findings, never silently dropped.
What the values mean together is checked in `configuration.py`. Nothing here opens a file: texts are handed in.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from ..errors import ConfigurationError, Finding
from ..mapping.yaml_source import Located, load

T = TypeVar("T")

INVALID, DANGLING = "XD-CFG-006", "XD-CFG-007"
FILES_MAX = 2_000
FILE_BYTES_MAX = 4 * 1024 * 1024

_AT = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


def read_directory(directory: Path) -> dict[str, str]:
    """Return the pack of a directory: relative path with forward slashes → text. Hidden files and other kinds are left
    out.
    """
    if not directory.is_dir():
        raise ConfigurationError(f"There is no directory {directory}", hint="Name the directory that holds pack.yaml")
    files: dict[str, str] = {}
    for path in sorted(directory.rglob("*.y*ml")):
        relative = path.relative_to(directory)
        if path.suffix not in (".yaml", ".yml") or any(part.startswith(".") for part in relative.parts):
            continue
        if path.is_symlink() or not path.is_file():
            raise _fault(relative.as_posix(), "is a link or no regular file", "Copy the file itself into the pack")
        if path.stat().st_size > FILE_BYTES_MAX:
            raise _fault(relative.as_posix(), f"is larger than {FILE_BYTES_MAX:,} bytes", "Split the file")
        try:
            files[relative.as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise _fault(relative.as_posix(), f"is not UTF-8 (byte {error.start})", "Save the file as UTF-8") from error
        if len(files) > FILES_MAX:
            raise _fault(relative.as_posix(), f"is one file more than {FILES_MAX}", "Split the pack")
    return files


class PackReader:
    """Reads files one by one and gathers every finding, so that a person fixes a pack in one pass."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def tree(self, file: str, text: str) -> Located | None:
        """Return the located tree of a file, or None when it is no YAML at all."""
        root, findings = load(text)
        for finding in findings:
            message = finding.message.replace(" in a map", "").replace("a map may", "a file may")
            self.add(file, finding.line or 1, message, value=finding.value, hint=finding.hint)
        return root

    def struct(self, file: str, located: Located, kind: type[T]) -> T | None:
        """Convert a mapping into a struct, or book a finding at the line that does not fit."""
        if not located.is_mapping:
            self.add(file, located.line, f"this should be a mapping of fields, not {_shape(located.value)}")
            return None
        try:
            return msgspec.convert(located.plain(), kind)
        except msgspec.ValidationError as error:
            self._invalid(file, located, kind, str(error))
            return None

    def structs(self, file: str, text: str, kind: type[T], *, under: str = "") -> list[tuple[T, Located]]:
        """Read a file that holds one struct or a list of them, in either case as (value, place) pairs.

        `under` names a key that may stand around the list: `routes:`.
        """
        root = self.tree(file, text)
        if root is None:
            return []
        if under and root.is_mapping and set(root.value) == {under}:
            root = root.value[under]
        items = root.value if root.is_list else [root]
        read = [(self.struct(file, item, kind), item) for item in items]
        return [(value, item) for value, item in read if value is not None]

    def add(
        self,
        file: str,
        line: int,
        message: str,
        *,
        code: str = INVALID,
        value: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Book a finding at file and line."""
        self.findings.append(Finding(code, message, pointer=f"{file}:{line}", line=line, value=value, hint=hint))

    def dangling(self, file: str, line: int, message: str, name: str, known: Iterable[str]) -> None:
        """Book a reference to something that does not exist, with the closest name that does."""
        self.add(file, line, message, code=DANGLING, value=name, hint=closest(name, known))

    def _invalid(self, file: str, located: Located, kind: type[Any], text: str) -> None:
        at = _AT.search(text)
        path = at.group(1) if at else ""
        message = _AT.sub("", text)
        unknown = _UNKNOWN.search(message)
        place, hint = _place(located, path), None
        if unknown:
            name = unknown.group(1)
            place = place.value.get(name, place) if place.is_mapping else place
            fields = _fields_at(kind, path)
            hint = closest(name, fields) or (f"Fields: {', '.join(sorted(fields))}" if fields else None)
            message = f"there is no field {name}"
        elif path:
            message = f"{path.lstrip('.')}: {message[:1].lower()}{message[1:]}"
        shown = None if isinstance(place.value, (dict, list)) or place.value is None else str(place.value)[:200]
        self.add(file, place.line, message, value=shown, hint=hint)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return "Did you mean X?" when one of the known names is near, else the first few of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Known: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}" if names else None


def pack_error(findings: Iterable[Finding]) -> ConfigurationError:
    """Return the one error that carries every finding of a pack."""
    errors = [finding for finding in findings if finding.severity == "error"]
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return ConfigurationError(
        f"{first.pointer}: {first.message}{more}",
        code=first.code,
        hint=tuple(dict.fromkeys(finding.hint for finding in errors if finding.hint)),
        pointer=first.pointer,
        findings=tuple(errors),
    )


def _fault(file: str, message: str, hint: str) -> ConfigurationError:
    finding = Finding(INVALID, f"{file} {message}", pointer=f"{file}:1", line=1, hint=hint)
    return ConfigurationError(finding.message, code=INVALID, hint=hint, pointer=finding.pointer, findings=(finding,))


def _place(located: Located, path: str) -> Located:
    """Return the value at a path such as `.inbound[0].format`."""
    return follow(located, [match.group(1) or match.group(2) or "" for match in _STEP.finditer(path)])


def follow(located: Located, steps: Iterable[str]) -> Located:
    """Follow keys and list positions as far as they lead, and return the value there."""
    for step in steps:
        if located.is_mapping and step in located.value:
            located = located.value[step]
        elif located.is_list and step.isdigit() and int(step) < len(located.value):
            located = located.value[int(step)]
        else:
            break
    return located


def _fields_at(kind: Any, path: str) -> list[str]:
    """Return the field names of the struct a path leads to, for a suggestion."""
    for match in _STEP.finditer(path):
        kind = _struct_in(kind)
        if match.group(1) is not None and kind is not None:
            hints = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
            kind = hints.get(match.group(1))
    kind = _struct_in(kind)
    return [field.encode_name for field in msgspec.structs.fields(kind)] if kind is not None else []


def _struct_in(kind: Any) -> Any:
    """Return the struct inside an annotation such as `tuple[InboundRule, ...]`, or None."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for argument in get_args(kind) if (found := _struct_in(argument)) is not None), None)


def _shape(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return "empty" if value is None else f"the single value {str(value)[:40]!r}"


def lookup_rows(reader: PackReader, file: str, rows: Mapping[str, Located]) -> dict[str, str]:
    """Return the rows of a lookup table as text → text; a row that is no single value is a finding."""
    result: dict[str, str] = {}
    for key, located in rows.items():
        if isinstance(located.value, (dict, list)) or located.value is None:
            reader.add(file, located.line, f"the row {key} should be a single value, not {_shape(located.value)}")
        else:
            value = located.value
            result[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return result
