"""The shape of a decoded document: which fields there are, of which types, single or in lists.

Partners change their documents without notice: a number becomes text, an object a list, a field appears or is gone.
`signature` is cheap and exact, for the hot path: two documents of one signature have one shape. `Profile` is what was
learned of many documents; `changes` says in words what a document does that none of them did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

ChangeKind = Literal["new", "type", "gone", "value", "null_rate"]

# What stands behind the fiftieth element of a list is like what stands before it, or nobody would keep it in a list.
ELEMENTS_MAX = 50
PATHS_MAX = 2_000
VALUES_MAX = 8
VALUE_LENGTH_MAX = 32
SAMPLES_MIN = 50
NULL_RATE_STEP = 0.3

_NAMES: Mapping[type, str] = {
    str: "text", int: "number", float: "number", Decimal: "number", bool: "true or false", type(None): "null",
    dict: "object", list: "list", tuple: "list",
}  # fmt: skip
_NESTED = (dict, list)


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is not as it was. `path` is a JSON pointer in which `[]` stands for any element of a list."""

    kind: ChangeKind
    path: str
    before: str = ""
    after: str = ""

    @property
    def words(self) -> str:
        """Return the change as a person says it."""
        match self.kind:
            case "new":
                return f"new field {self.path} ({self.after})"
            case "type":
                return f"{self.path} was {self.before}, is {self.after}"
            case "gone":
                return f"{self.path} is gone (was {self.before})"
            case "value":
                return f"{self.path} has the new value {self.after}"
            case _:
                return f"{self.path} is empty in {self.after} of documents, was in {self.before}"

    @property
    def breaks(self) -> bool:
        """Whether a map that read the old shape may read this one wrongly: a type changed, or a field is gone."""
        return self.kind in ("type", "gone")


class Field(msgspec.Struct, omit_defaults=True):
    """What was learned of one path. `always`: it was there wherever its parent was.

    `null_rate` is the share of empty values in the last full window of samples; None while the first is not full.
    """

    types: list[str]
    always: bool = True
    samples: int = 0
    nulls: int = 0
    null_rate: float | None = None
    values: list[str] | None = None


class Profile(msgspec.Struct, omit_defaults=True):
    """What was learned of the documents of one kind. `seen` counts them."""

    fields: dict[str, Field] = {}
    seen: int = 0

    def merge(self, document: Any) -> None:
        """Take a document as it is into what is known."""
        found = flatten(document)
        for path, types in found.items():
            known = self.fields.get(path)
            if known is None:
                if len(self.fields) < PATHS_MAX:
                    # One that comes later than its parent is optional.
                    parent = self.fields.get(_parent(path))
                    self.fields[path] = Field(sorted(types), always=self.seen == 0 or parent is None)
            elif not types <= set(known.types):
                known.types = sorted({*known.types, *types})
        for path, known in self.fields.items():
            if known.always and path not in found and _parent(path) in found:
                known.always = False
        self.seen += 1

    def changes(self, document: Any, *, missing: bool = True) -> tuple[Change, ...]:
        """Return what a document does that none before it did. `missing` false: an absent field is no change."""
        found = flatten(document)
        result = []
        for path, types in found.items():
            known = self.fields.get(path)
            if known is None:
                parent = self.fields.get(_parent(path))
                # Below something new everything is new: it is said once.
                if parent is not None or _parent(path) == "":
                    result.append(Change("new", path, after=_words(types)))
            elif not types <= set(known.types):
                result.append(Change("type", path, _words(known.types), _words(types)))
        if missing:
            result += [
                Change("gone", path, _words(known.types))
                for path, known in self.fields.items()
                if known.always and path not in found and _parent(path) in found
            ]
        return tuple(sorted(result, key=lambda change: (change.path, change.kind)))

    def sample(self, document: Any) -> tuple[Change, ...]:
        """Count empty fields and the values of short texts; return what is new about them, each thing once.

        A text field with few values in the first fifty samples is taken for a code list.
        """
        result = []
        for path, value in leaves(document):
            known = self.fields.get(path)
            if known is None:
                continue
            known.samples += 1
            if value is None:
                known.nulls += 1
            elif isinstance(value, str):
                result += _note_value(known, path, value)
            if known.samples >= SAMPLES_MIN:
                rate, before = known.nulls / known.samples, known.null_rate
                known.null_rate, known.samples, known.nulls = rate, 0, 0
                if before is not None and abs(rate - before) >= NULL_RATE_STEP:
                    result.append(Change("null_rate", path, f"{before:.0%}", f"{rate:.0%}"))
        return tuple(result)


def _note_value(known: Field, path: str, value: str) -> list[Change]:
    if known.values is None:
        known.values = []
    # One value too many says that this is no code list; so it stays.
    if value in known.values or len(known.values) > VALUES_MAX:
        return []
    if len(value) > VALUE_LENGTH_MAX:
        known.values = [""] * (VALUES_MAX + 1)
        return []
    known.values.append(value)
    return [Change("value", path, after=value)] if known.null_rate is not None else []


def signature(value: Any) -> Any:
    """Return a hashable thing that is equal for documents of the same shape; the order of keys counts."""
    kind = value.__class__
    if kind is dict:
        return (*value, *[signature(one) if one.__class__ in _NESTED else one.__class__ for one in value.values()])
    if kind is list:
        return frozenset(
            [signature(one) if one.__class__ in _NESTED else one.__class__ for one in value[:ELEMENTS_MAX]]
        )
    return kind


def flatten(document: Any) -> dict[str, set[str]]:
    """Return the types of every path of a document: `/lines/[]/sku` → {text}."""
    found: dict[str, set[str]] = {}
    _walk(document, "", found)
    return found


def _walk(value: Any, path: str, found: dict[str, set[str]]) -> None:
    found.setdefault(path, set()).add(_NAMES.get(value.__class__, value.__class__.__name__))
    if isinstance(value, Mapping):
        for key, one in value.items():
            _walk(one, f"{path}/{key}", found)
    elif isinstance(value, list | tuple):
        for one in value[:ELEMENTS_MAX]:
            _walk(one, path + "/[]", found)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every single value of a document with its path."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from leaves(one, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for one in value[:ELEMENTS_MAX]:
            yield from leaves(one, path + "/[]")
    else:
        yield path, value


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _words(types: Any) -> str:
    return " or ".join(sorted(types))
