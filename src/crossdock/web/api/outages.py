"""`/v1/outages`: declare that a partner is away, see what waits, end it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody

from ...durable.outage import OutageAction
from ...flow.outages import Outage
from ..context import api_principal, web_of
from ..idempotency import once

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(name="idempotency-key", description="the same key does the same work once", max_length=255),
]


class OutageList(msgspec.Struct, frozen=True):
    """Outages that last come first, then the newest of those that ended."""

    items: tuple[Outage, ...]


class OutageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection whose partner is away. Without an action the pack's own is taken."""

    connection: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    action: OutageAction | None = None


class OutageEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an outage is over; kept in the audit."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


_OUTAGE = {200: ResponseSpec(Outage, generate_examples=False, description="the outage")}


@get("/v1/outages", operation_id="listOutages", summary="List outages", tags=["outages"])
async def list_outages(request: Request[Any, Any, Any]) -> OutageList:
    """Return the tenant's outages with what waits for each connection."""
    principal = await api_principal(request)
    principal.require("outage.read")
    return OutageList(tuple(await web_of(request).hub.outages(principal.tenant_id)))


@post(
    "/v1/outages",
    operation_id="declareOutage",
    summary="Declare an outage",
    tags=["outages"],
    status_code=200,
    responses=_OUTAGE,
)
async def declare_outage(
    request: Request[Any, Any, Any], data: JSONBody[OutageRequest], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Hold a connection whose partner is away, source elsewhere, or send through its fallback, until it is ended."""
    principal = await api_principal(request)
    principal.require("outage.declare")
    hub = web_of(request).hub

    async def act() -> Outage:
        return await hub.declare_outage(principal.tenant_id, data.connection, principal.actor, data.reason, data.action)

    return await once(request, principal, "outage.declare", data, act)


@post(
    "/v1/outages/{outage_id:str}/end",
    operation_id="endOutage",
    summary="End an outage",
    tags=["outages"],
    status_code=200,
    responses=_OUTAGE,
)
async def end_outage(
    request: Request[Any, Any, Any],
    outage_id: FromPath[str],
    data: JSONBody[OutageEnd],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Discard stale updates the pack declares collapsible, then send what waits at the partner's pace."""
    principal = await api_principal(request)
    principal.require("outage.declare")
    hub = web_of(request).hub

    async def act() -> Outage:
        return await hub.end_outage(principal.tenant_id, outage_id, principal.actor, data.reason)

    return await once(request, principal, "outage.end", {"outage": outage_id, "reason": data.reason}, act)
