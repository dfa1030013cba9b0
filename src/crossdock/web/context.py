"""What every handler reaches through its request: the hub, the gate, and who asks."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import msgspec

from .access import SESSION_COOKIE, Gate, Principal
from .hub_port import Hub
from .limits import SlidingWindow


class Web(msgspec.Struct, frozen=True):
    """The parts one web process shares, kept in the application's state as `web`. `closing` ends open streams."""

    hub: Hub
    gate: Gate
    portal_lookups: SlidingWindow
    portal_key: bytes
    closing: asyncio.Event


def web_of(request: Any) -> Web:
    """Return the shared parts."""
    web: Web = request.app.state.web
    return web


def request_id_of(scope: Any) -> str:
    """Return the id of the request of an ASGI scope, made at its first use; it stands in problems and in the log."""
    known: str | None = scope.get("crossdock_request_id")
    if known is None:
        known = "req_" + secrets.token_hex(10)
        scope["crossdock_request_id"] = known
    return known


def trace_id_in(traceparent: str) -> str:
    """Return the trace id of a W3C traceparent header, empty without one."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else ""


async def api_principal(request: Any) -> Principal:
    """Return who calls the API, or raise `Unauthenticated`."""
    return await web_of(request).gate.of_api(request)


async def browser_principal(request: Any) -> Principal | None:
    """Return who is signed in, or None."""
    token = request.cookies.get(SESSION_COOKIE, "")
    if not token:
        return None
    gate = web_of(request).gate
    principal = await gate.by_session(token)
    if principal is not None:
        await gate.note_use(token)
    return principal
