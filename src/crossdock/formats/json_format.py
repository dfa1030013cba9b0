"""JSON in and out: strict where other readers guess, fast where nothing is wrong.

msgspec decodes; one walk over the result then proves that no key was lost, that nothing is too deep and that
every number is a number. Only a document that fails goes through `json_scan`, which finds the place.

How a lost duplicate key is noticed without a second parser: each key of the source is followed by one colon
outside of strings. Colons in the bytes, less those in the decoded texts, are the pairs that were written;
if the decoded objects hold fewer keys, a key was written twice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from crossdock.errors import Finding
from crossdock.formats.documents import EMPTY, SYNTAX, Decoded, Position, rejected, without_bom
from crossdock.formats.json_scan import DEPTH_MAX, EXPONENT_MAX, diagnose

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class JsonOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of `format: json`. `root` is the dotted path of the document, or list of documents, in the file."""

    root: str = ""


def decode(data: bytes, options: JsonOptions = JsonOptions()) -> Decoded:  # noqa: B008 - frozen
    """Return the document of a JSON text, or its documents if it is an array.

    Refused with a finding: anything that is not JSON, duplicate keys, NaN and Infinity, numbers beyond a double's
    range, more than 64 levels, NUL, lone surrogates, invalid UTF-8. A UTF-8 byte order mark is skipped with a warning.
    """
    content, findings = without_bom(data)
    value = load(content, offset=len(data) - len(content))
    pointer = ""
    for key in options.root.split(".") if options.root else ():
        pointer += f"/{key}"
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, dict):
        return Decoded([value], tuple(findings), (Position(0, len(data)),))
    if not isinstance(value, list):
        raise rejected(
            Finding(
                SYNTAX, "a JSON object was expected", pointer=pointer, expected="{…}", value=_kind(value), offset=0
            ),
            *findings,
        )
    documents: list[dict[str, Any]] = []
    for number, item in enumerate(value):
        if isinstance(item, dict):
            documents.append(item)
        else:
            place = f"{pointer}/{number}"
            findings.append(
                Finding(SYNTAX, "a JSON object was expected", pointer=place, expected="{…}", value=_kind(item))
            )
    if not documents:
        raise rejected(*(findings or [Finding(EMPTY, "the array holds no document", pointer=pointer, offset=0)]))
    return Decoded(documents, tuple(findings), (Position(0, len(data)),) * len(documents))


def load(data: bytes, *, offset: int = 0) -> Any:
    """Return any JSON value, with the strictness of `decode`; `offset` is where `data` begins in its message."""
    try:
        value = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError, ArithmeticError) as error:
        raise rejected(diagnose(data, offset) or _unplaced(error)) from None
    if _is_suspect(data, value):
        finding = diagnose(data, offset)
        if finding is not None:
            raise rejected(finding)
    return value


def encode(document: Any, options: JsonOptions = JsonOptions()) -> bytes:  # noqa: B008 - frozen
    """Return a document as compact UTF-8 JSON; decimals become JSON numbers with all of their digits."""
    for key in reversed(options.root.split(".")) if options.root else ():
        document = {key: document}
    try:
        return _ENCODER.encode(document)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise rejected(Finding(SYNTAX, f"the document cannot be written as JSON: {error}")) from None


def _is_suspect(data: bytes, root: Any) -> bool:
    """Tell whether a document needs the slow look: wrong suspicion costs time, wrong trust never happens."""
    escaped = b"\\" in data
    if not escaped and _comes_out_as_it_went_in(data, root):
        return False
    if escaped and (b"\\u0000" in data or b"\\u003" in data):
        return True
    if root.__class__ is not dict and root.__class__ is not list:
        return root.__class__ is Decimal
    colons = data.count(b":")
    if colons == data.count(b'":'):
        # Every colon follows a quote. There are never fewer colons than keys were written, so equal means none is lost.
        keys = _keys_of(root, None)
        if keys == colons or not escaped:
            return keys != colons
    texts: list[str] = []
    keys = _keys_of(root, texts)
    return keys != colons - "\n".join(texts).count(":")


def _comes_out_as_it_went_in(data: bytes, root: Any) -> bool:
    """Tell whether the encoder writes a compact document byte for byte as it was: then no key of it was lost.

    It has no more levels than brackets. Numbers with an exponent (written `E+`, `E-`) are left to the slow look.
    """
    if data.count(b"{") + data.count(b"[") > DEPTH_MAX or b"E+" in data or b"E-" in data:
        return False
    return _ENCODER.encode(root) == data


def _keys_of(root: Any, texts: list[str] | None) -> int:
    """Return the number of keys of all objects, -1 if something needs the slow look; collect all texts if asked to."""
    keys = depth = 0
    level = [root]
    while level:
        depth += 1
        if depth > DEPTH_MAX:
            return -1
        deeper: list[Any] = []
        for item in level:
            if item.__class__ is dict:
                keys += len(item)
                if texts is not None:
                    texts.extend(item)
                item = item.values()
            for value in item:
                kind = value.__class__
                if kind is str:
                    if texts is not None:
                        texts.append(value)
                elif kind is dict or kind is list:
                    deeper.append(value)
                elif kind is Decimal and not -EXPONENT_MAX < value.adjusted() < EXPONENT_MAX and value:
                    return -1
        level = deeper
    return keys


def _unplaced(error: BaseException) -> Finding:
    return Finding(SYNTAX, f"this is not JSON: {error}", offset=0)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
