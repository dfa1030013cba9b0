"""Bytes as they came or went: content-addressed, compressed when it pays, kept out of the hot rows.

The address is the SHA-256 of the plain bytes; reading checks it, so a changed byte is found before it is used.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable

import zstandard

from ..errors import CrossdockError
from .engine import Connection

COMPRESS_FROM_BYTES = 2048

_local = threading.local()


class PayloadDamaged(CrossdockError):
    """Stored bytes are not what was stored: a byte changed at rest."""

    code = "XD-SYS-020"


def digest_of(content: bytes) -> bytes:
    """Return the address of some bytes (SHA-256, 32 bytes)."""
    return hashlib.sha256(content).digest()


def save(connection: Connection, rows: Iterable[tuple[str, bytes, bytes]]) -> None:
    """Store contents given as (tenant_id, digest, content); what is there already is left as it is."""
    connection.executemany(
        "insert into payloads (tenant_id, digest, encoding, size_bytes, content) values (?,?,?,?,?) on conflict do nothing",
        [(tenant_id, digest, *_packed(content)) for tenant_id, digest, content in rows],
    )


def _packed(content: bytes) -> tuple[str, int, bytes]:
    if len(content) < COMPRESS_FROM_BYTES:
        return "", len(content), content
    compressor = getattr(_local, "compressor", None)
    if compressor is None:
        compressor = _local.compressor = zstandard.ZstdCompressor(level=3)
    return "zstd", len(content), compressor.compress(content)


def load(connection: Connection, tenant_id: str, digests: list[bytes]) -> dict[bytes, bytes]:
    """Return the contents of some addresses; absent ones are left out.

    Raises PayloadDamaged when stored bytes do not match their address.
    """
    if not digests:
        return {}
    rows = connection.many(
        "select digest, encoding, size_bytes, content from payloads where tenant_id = ? and digest in ({})",
        [tenant_id],
        digests,
    )
    return {bytes(row[0]): _unpacked(*row) for row in rows}


def _unpacked(digest: bytes, encoding: str, size_bytes: int, content: bytes) -> bytes:
    try:
        plain = zstandard.ZstdDecompressor().decompress(content, max_output_size=size_bytes) if encoding == "zstd" else bytes(content)
    except zstandard.ZstdError as error:
        raise PayloadDamaged(f"payload {bytes(digest).hex()[:16]} cannot be unpacked: {error}") from error
    if digest_of(plain) != bytes(digest):
        raise PayloadDamaged(f"payload {bytes(digest).hex()[:16]} changed at rest", hint="Restore it from a backup")
    return plain
