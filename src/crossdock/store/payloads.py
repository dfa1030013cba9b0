"""Bytes as they came or went, each under its message, compressed when it pays, kept out of the hot rows.

Reading checks the SHA-256 that was written beside them, so a changed byte is found before it is used.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence

import zstandard

from ..durable.identity import from_micros
from ..errors import CrossdockError
from .engine import Connection

COMPRESS_FROM_BYTES = 2048

_local = threading.local()


class PayloadDamaged(CrossdockError):
    """Stored bytes are not what was stored: a byte changed at rest."""

    code = "XD-SYS-020"


class PayloadReclaimed(PayloadDamaged):
    """The bytes were removed by retention; digest and size are left."""

    code = "XD-SYS-060"


def digest_of(content: bytes) -> bytes:
    """Return the SHA-256 of some bytes (32 bytes)."""
    return hashlib.sha256(content).digest()


def save(connection: Connection, rows: Iterable[tuple[str, str, bytes, bytes]]) -> None:
    """Store contents given as (tenant_id, message_id, digest, content)."""
    connection.executemany(
        "insert into payloads (tenant_id, message_id, digest, encoding, size_bytes, content) values (?,?,?,?,?,?)",
        [(tenant_id, message_id, digest, *_packed(content)) for tenant_id, message_id, digest, content in rows],
    )


def _packed(content: bytes) -> tuple[str, int, bytes]:
    if len(content) < COMPRESS_FROM_BYTES:
        return "", len(content), content
    compressor = getattr(_local, "compressor", None)
    if compressor is None:
        compressor = _local.compressor = zstandard.ZstdCompressor(level=3)
    return "zstd", len(content), compressor.compress(content)


def load(connection: Connection, tenant_id: str, message_ids: Sequence[str]) -> dict[str, bytes]:
    """Return the contents of some messages; absent ones are left out.

    Raises PayloadDamaged when stored bytes are not what was stored.
    """
    if not message_ids:
        return {}
    rows = connection.many(
        "select message_id, digest, encoding, size_bytes, content from payloads where tenant_id = ? and"
        " message_id in ({})",
        [tenant_id],
        message_ids,
    )
    return {row[0]: _unpacked(*row) for row in rows}


def load_sound(
    connection: Connection, tenant_id: str, message_ids: Sequence[str]
) -> tuple[dict[str, bytes], dict[str, PayloadDamaged]]:
    """Return the contents of some messages, and what is wrong with those that are damaged or gone."""
    try:
        contents = load(connection, tenant_id, message_ids)
    except PayloadDamaged as error:
        if len(message_ids) == 1:
            return {}, {message_ids[0]: error}
        half = len(message_ids) // 2
        first, first_bad = load_sound(connection, tenant_id, message_ids[:half])
        second, second_bad = load_sound(connection, tenant_id, message_ids[half:])
        return {**first, **second}, {**first_bad, **second_bad}
    gone = [message_id for message_id in message_ids if message_id not in contents]
    return contents, {message_id: absence(connection, tenant_id, message_id) for message_id in gone}


def absence(connection: Connection, tenant_id: str, message_id: str) -> PayloadDamaged:
    """Return why a message has no bytes: retention removed them, or nobody knows."""
    for table in ("inbound_messages", "outbound_messages"):
        row = connection.one(
            f"select reclaimed_at from {table} where tenant_id = ? and message_id = ?", (tenant_id, message_id)
        )
        if row is not None and row[0] is not None:
            return PayloadReclaimed(f"bytes removed by retention on {from_micros(row[0]):%Y-%m-%d}")
    return PayloadDamaged(f"the bytes of {message_id} are gone")


def _unpacked(message_id: str, digest: bytes, encoding: str, size_bytes: int, content: bytes) -> bytes:
    try:
        plain = bytes(content)
        if encoding == "zstd":
            plain = zstandard.ZstdDecompressor().decompress(plain, max_output_size=size_bytes)
    except zstandard.ZstdError as error:
        raise PayloadDamaged(f"the bytes of {message_id} cannot be unpacked: {error}") from error
    if digest_of(plain) != bytes(digest):
        raise PayloadDamaged(f"the bytes of {message_id} changed at rest", hint="Restore it from a backup")
    return plain
