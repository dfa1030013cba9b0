"""JSON pointers (RFC 6901) into a partner's answer. Pure; used to read, never to write."""

from __future__ import annotations

from typing import Any

import msgspec

MISSING: Any = object()


def is_pointer(text: str) -> bool:
    """Tell whether a text is a JSON pointer: empty, or starting with a slash."""
    return text == "" or text.startswith("/")


def look_up(document: Any, pointer: str) -> Any:
    """Return the value at a pointer, or `MISSING`."""
    for token in _tokens(pointer):
        if isinstance(document, dict):
            document = document.get(token, MISSING)
        elif isinstance(document, list):
            document = document[int(token)] if _is_index(token) and int(token) < len(document) else MISSING
        else:
            return MISSING
        if document is MISSING:
            return MISSING
    return document


def raw_items(content: bytes, pointer: str) -> list[bytes]:
    """Return the items of the list at a pointer, each byte for byte as it was sent.

    Raises msgspec.DecodeError when the content is not JSON or there is no list.
    """
    raw = msgspec.Raw(content)
    for token in _tokens(pointer):
        raw = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get(token, msgspec.Raw(b"null"))
    return [bytes(item).strip() for item in msgspec.json.decode(raw, type=list[msgspec.Raw])]


def _is_index(token: str) -> bool:
    return token.isascii() and token.isdigit() and len(token) < 10


def _tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
