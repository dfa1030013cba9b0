"""`Idempotency-Key` on writes: the same request under the same key is done once and answered alike for 24 hours.

The key is reserved in the record before the work starts, so that two clicks at once cannot both do it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Response

from ..durable.identity import to_micros
from ..errors import Conflict
from .access import Principal
from .context import web_of
from .problems import BadRequest, PreconditionMismatch

KEPT_MICROS = 24 * 3_600 * 1_000_000
# A reservation this old belongs to a process that died; the work itself is idempotent.
ABANDONED_MICROS = 60 * 1_000_000
KEY_LENGTH_MAX = 255
_ENCODER = msgspec.json.Encoder(decimal_format="string")


class StillInFlight(Conflict):
    """A request with this key is being worked on at this moment."""

    code = "XD-ING-006"


async def once(
    request: Any, principal: Principal, route: str, body: Any, act: Callable[[], Awaitable[Any]], *, status: int = 200
) -> Response[bytes]:
    """Do `act` and answer with its result as JSON; under a known key answer as before and do nothing."""
    key = request.headers.get("idempotency-key", "")
    if not key:
        return _answer(_ENCODER.encode(await act()), status)
    if len(key) > KEY_LENGTH_MAX:
        raise BadRequest(f"The Idempotency-Key is longer than {KEY_LENGTH_MAX} characters")
    store, gate = web_of(request).hub.store, web_of(request).gate
    place = (principal.tenant_id, principal.actor, route, key)
    fingerprint = hashlib.sha256(request.url.path.encode() + b"\0" + _ENCODER.encode(body)).digest()
    now = to_micros(gate.clock.now())

    def reserve(connection: Any) -> tuple[bytes, int, bytes] | None:
        connection.execute(
            "delete from idempotency_keys where tenant_id = ? and actor = ? and route = ? and key = ?"
            " and (created_at < ? or (status = 0 and created_at < ?))",
            (*place, now - KEPT_MICROS, now - ABANDONED_MICROS),
        )
        added = connection.one(
            "insert into idempotency_keys (tenant_id, actor, route, key, fingerprint, status, response, created_at)"
            " values (?, ?, ?, ?, ?, 0, ?, ?) on conflict (tenant_id, actor, route, key) do nothing returning key",
            (*place, fingerprint, b"", now),
        )
        if added is not None:
            return None
        known: tuple[bytes, int, bytes] | None = connection.one(
            "select fingerprint, status, response from idempotency_keys"
            " where tenant_id = ? and actor = ? and route = ? and key = ?",
            place,
        )
        return known

    known = await store.write(reserve)
    if known is not None:
        if bytes(known[0]) != fingerprint:
            raise PreconditionMismatch(hint="Use a new key for a new request")
        if known[1] == 0:
            raise StillInFlight()
        return _answer(bytes(known[2]), known[1], replayed=True)
    try:
        content = _ENCODER.encode(await act())
    except BaseException:
        await store.write(
            lambda connection: connection.execute(
                "delete from idempotency_keys where tenant_id = ? and actor = ? and route = ? and key = ?", place
            )
        )
        raise
    await store.write(
        lambda connection: connection.execute(
            "update idempotency_keys set status = ?, response = ?"
            " where tenant_id = ? and actor = ? and route = ? and key = ?",
            (status, content, *place),
        )
    )
    return _answer(content, status)


def _answer(content: bytes, status: int, *, replayed: bool = False) -> Response[bytes]:
    headers = {"idempotency-replayed": "true"} if replayed else {}
    return Response(content, status_code=status, media_type="application/json", headers=headers)
