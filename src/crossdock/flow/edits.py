"""Edits of a dead letter, and what differs afterwards. Pure: bytes and edits in, new bytes out.

Documents made of fields (JSON, canonical) are compared field by field; X12 segment by segment, other text line by line.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from ..errors import DocumentRejected

DIFFERENCES_MAX = 200
REFUSED = "XD-DOC-022"
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_COUNT = re.compile(r"0|[1-9][0-9]{0,5}")


class Difference(msgspec.Struct, frozen=True):
    """One field that differs. An absent one is null."""

    pointer: str
    before: Any
    after: Any


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Set the field at a JSON pointer (`/lines/0/sku`) to a value; `remove` takes it out instead."""

    pointer: Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern="^/")]
    value: Any = None
    remove: bool = False


def edited(content: bytes, edits: tuple[Edit, ...]) -> bytes:
    """Return a JSON document with edits applied, numbers exact. An edit that hits nothing is `DocumentRejected`."""
    try:
        document = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DocumentRejected(
            f"Only a JSON document can be edited field by field: {error}",
            code=REFUSED,
            hint="Hand in the whole corrected content instead",
        ) from error
    for edit in edits:
        _apply(document, edit)
    return _encode(document)


def _apply(document: Any, edit: Edit) -> None:
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in edit.pointer.split("/")[1:]]
    at = document
    for part in way:
        at = _step(at, part, edit.pointer)
    if isinstance(at, dict):
        if edit.remove:
            if last not in at:
                raise _nothing(edit.pointer)
            del at[last]
        else:
            at[last] = edit.value
    elif isinstance(at, list) and (last == "-" or _COUNT.fullmatch(last)):
        place = len(at) if last == "-" else int(last)
        if place > len(at) or (edit.remove and place == len(at)):
            raise _nothing(edit.pointer)
        if edit.remove:
            del at[place]
        elif place == len(at):
            at.append(edit.value)
        else:
            at[place] = edit.value
    else:
        raise _nothing(edit.pointer)


def _step(at: Any, part: str, pointer: str) -> Any:
    if isinstance(at, dict) and part in at:
        return at[part]
    if isinstance(at, list) and _COUNT.fullmatch(part) and int(part) < len(at):
        return at[int(part)]
    raise _nothing(pointer)


def _nothing(pointer: str) -> DocumentRejected:
    return DocumentRejected(
        f"There is nothing at {pointer}", code=REFUSED, pointer=pointer, hint="Name a field that is in the document"
    )


def differences(before: bytes | None, after: bytes | None) -> tuple[Difference, ...]:
    """Return the fields in which two JSON documents differ, as JSON pointers; an absent document has none."""
    found: list[Difference] = []
    _compare("", msgspec.json.decode(before) if before else None, msgspec.json.decode(after) if after else None, found)
    return tuple(found[:DIFFERENCES_MAX])


def of_values(before: Any, after: Any) -> tuple[Difference, ...]:
    """Return the fields in which two values made of mappings, lists and plain values differ."""
    found: list[Difference] = []
    _compare("", before, after, found)
    return tuple(found[:DIFFERENCES_MAX])


def of_contents(before: bytes, after: bytes) -> tuple[Difference, ...]:
    """Return what differs between two contents of any format.

    >>> [one.pointer for one in of_contents(b"a;1\\nb;2\\n", b"a;1\\nb;3\\n")]
    ['line 2']
    """
    try:
        return differences(before, after)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    word, old, new = "line", _lines(before), _lines(after)
    if before.lstrip()[:3] == b"ISA" == after.lstrip()[:3] and len(before) > 105:
        mark = before.lstrip()[105:106].decode("latin-1")
        word = "segment"
        old, new = (before.decode("latin-1").split(mark), after.decode("latin-1").split(mark))
    found = [
        Difference(f"{word} {place + 1}", _at(old, place), _at(new, place))
        for place in range(max(len(old), len(new)))
        if _at(old, place) != _at(new, place)
    ]
    return tuple(found[:DIFFERENCES_MAX])


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines()


def _at(parts: list[str], place: int) -> str | None:
    return parts[place] if place < len(parts) else None


def _compare(pointer: str, before: Any, after: Any, found: list[Difference]) -> None:
    if before == after or len(found) >= DIFFERENCES_MAX:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            _compare(f"{pointer}/{key}", before.get(key), after.get(key), found)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            _compare(f"{pointer}/{number}", old, new, found)
    else:
        found.append(Difference(pointer or "/", before, after))
