"""The field-level difference of two sets of pack files: file, key path, before, after. Pure.

Lists whose elements bear a name (`site`, `rule`, `connection` …) are compared by that name, so that one inserted
element
is one change. A file that is no readable YAML is compared as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..mapping.yaml_source import load

_NAMES = ("site", "rule", "service_level", "calendar", "partner", "connection", "name", "map")


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One difference. `path` is empty for a whole file; a missing `before` or `after` says added or removed."""

    file: str
    path: str = ""
    before: Any = None
    after: Any = None
    kind: str = "changed"


def diff_files(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """Yield every difference in the order of file and field."""
    for file in sorted({*before, *after}):
        if file not in before:
            yield Change(file, kind="added", after=f"{len(after[file].splitlines())} lines")
        elif file not in after:
            yield Change(file, kind="removed", before=f"{len(before[file].splitlines())} lines")
        elif before[file] != after[file]:
            changes = list(_diff_texts(file, before[file], after[file]))
            # Comments and layout alone are a change of the release, but of no field.
            yield from changes or [Change(file, kind="layout")]


def _diff_texts(file: str, before: str, after: str) -> Iterator[Change]:
    old, _ = load(before)
    new, _ = load(after)
    if old is None or new is None:
        yield Change(file, before=f"{len(before.splitlines())} lines", after=f"{len(after.splitlines())} lines")
    else:
        yield from _diff_values(file, "", old.plain(), new.plain())


def _diff_values(file: str, path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, list) and isinstance(after, list):
        before, after = _keyed(before, after)
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            inner = f"{path}{key}" if str(key).startswith("[") else f"{path}.{key}".lstrip(".")
            if key not in before:
                yield Change(file, inner, kind="added", after=after[key])
            elif key not in after:
                yield Change(file, inner, kind="removed", before=before[key])
            else:
                yield from _diff_values(file, inner, before[key], after[key])
    elif before != after or type(before) is not type(after):
        yield Change(file, path, before, after)


def _keyed(before: list[Any], after: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return two lists as mappings: by the name of their elements where all have one, else by position."""
    for name in _NAMES:
        keys = [[item.get(name) for item in side if isinstance(item, dict)] for side in (before, after)]
        if all(
            len(set(map(str, found))) == len(side) and None not in found
            for found, side in zip(keys, (before, after), strict=True)
        ):
            return tuple({f"[{item[name]}]": item for item in side} for side in (before, after))  # type: ignore[return-value]
    return tuple({f"[{number}]": item for number, item in enumerate(side)} for side in (before, after))  # type: ignore[return-value]
