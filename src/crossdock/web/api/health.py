"""`GET /healthz` (the process answers) and `GET /readyz` (it takes work). No credential, no detail a stranger could
use.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get

from ..context import web_of


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Whether the hub takes work now: `ready`, or `not_ready` with a reason in words."""

    status: str
    reason: str = ""


@get("/healthz", operation_id="health", summary="The process answers", tags=["health"])
async def health() -> Alive:
    """Answer from memory."""
    return Alive()


@get("/readyz", operation_id="ready", summary="The hub takes work", tags=["health"])
async def ready(request: Request[Any, Any, Any]) -> Response[Readiness]:
    """Answer 200 when the hub takes work, 503 with the reason when it does not."""
    state = web_of(request).hub.health()
    answer = Readiness("ready" if state.ready else "not_ready", state.reason)
    return Response(answer, status_code=200 if state.ready else 503)
