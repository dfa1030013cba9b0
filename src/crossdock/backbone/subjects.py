"""How canonical events are addressed on the wire: one subject per tenant and type, one stream for all.

Every token is encoded, so that no text of a tenant can become a subject separator or a wildcard: what is neither a
letter, a digit, `_` nor `-` is written as `=XX` for each byte of its UTF-8, and an empty text as `=`.
"""

from __future__ import annotations

import re

from ..errors import DocumentRejected

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_OURS = "crossdock."


def token(text: str) -> str:
    """Return a text as one token of a subject. Two texts never have the same token."""
    raw = text.encode("utf-8")
    if not raw:
        return "="
    return "".join(chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in raw)


def text_of(encoded: str) -> str:
    """Return the text that `token` has encoded. Raises DocumentRejected for anything else."""
    if encoded == "=":
        return ""
    try:
        text = re.sub(rb"=([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), encoded.encode("ascii")).decode()
    except UnicodeError:
        text = ""
    if not text or token(text) != encoded:
        raise DocumentRejected(f"{encoded!r} is no token of a subject of ours")
    return text


def subject_of(prefix: str, tenant_id: str, event_type: str) -> str:
    """Return where an event is published: `crossdock.events.acme.order.released.v1`."""
    return f"{prefix}.events.{token(tenant_id)}.{_tokens(event_type)}"


def filter_of(prefix: str, tenant_id: str, event_type: str = "") -> str:
    """Return what a consumer of a tenant asks for: everything, or one type."""
    return f"{prefix}.events.{token(tenant_id)}.{_tokens(event_type) if event_type else '>'}"


def all_of(prefix: str) -> str:
    """Return the subjects the stream takes in."""
    return f"{prefix}.events.>"


def stream_of(prefix: str) -> str:
    """Return the name of the stream: `CROSSDOCK_EVENTS`."""
    return f"{prefix.upper()}_EVENTS"


def wake_of(prefix: str) -> str:
    """Return where workers wake each other. It lies outside the stream: a wake-up is not kept."""
    return f"{prefix}.wake"


def _tokens(event_type: str) -> str:
    # Types of the catalogue are dotted names; the prefix already says whose they are.
    return ".".join(token(part) for part in event_type.removeprefix(_OURS).split("."))
