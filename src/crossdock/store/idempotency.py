"""Acts that are done once: the key of a request is taken in the transaction that does what it asks for."""

from __future__ import annotations

import hashlib

from .engine import Connection


def take(connection: Connection, tenant_id: str, actor: str, route: str, key: str, now: int) -> bool:
    """Take a key, as of `now` in microseconds; return False where it was taken before. Rolled back with the act."""
    added = connection.one(
        "insert into idempotency_keys (tenant_id, actor, route, key, fingerprint, status, response, created_at)"
        " values (?, ?, ?, ?, ?, 200, ?, ?) on conflict (tenant_id, actor, route, key) do nothing returning key",
        (tenant_id, actor, route, key, hashlib.sha256(key.encode()).digest(), b"", now),
    )
    return added is not None
