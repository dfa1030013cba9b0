"""`/v1/shapes`: which partner changed its documents without notice, and a person's word on it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from ...views import shapes as shapes_view
from ...views.shapes import ShapesPage
from ..context import api_principal, web_of
from ..idempotency import once
from ..problems import Unauthenticated
from .issues import IdempotencyKey


class ShapeDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Approve or refuse one set of changes, named as the list names it."""

    connection: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    document_type: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    digest: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    decision: Literal["approve", "refuse"]
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class ShapeDecided(msgspec.Struct, frozen=True):
    """How many messages were set free."""

    messages: int


@get("/v1/shapes", operation_id="listShapes", summary="List shapes of documents", tags=["shapes"])
async def list_shapes(request: Request[Any, Any, Any]) -> ShapesPage:
    """Return deviations with their diff, those that wait for a word first, and what is learned."""
    principal = await api_principal(request)
    principal.require("issue.read")
    hub = web_of(request).hub
    configuration = hub.configuration(principal.tenant_id)
    if configuration is None:
        raise Unauthenticated()
    return await hub.store.read(
        lambda connection: shapes_view.load(connection, principal.tenant_id, configuration=configuration)
    )


@post(
    "/v1/shapes/decide",
    operation_id="decideShape",
    summary="Approve or refuse a changed shape",
    tags=["shapes"],
    status_code=200,
    responses={200: ResponseSpec(ShapeDecided, generate_examples=False, description="what was set free")},
)
async def decide_shape(
    request: Request[Any, Any, Any], data: JSONBody[ShapeDecision], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Approve: documents held for it are released by themselves. Refuse: they and those to come are rejected."""
    principal = await api_principal(request)
    principal.require("issue.fix")
    hub = web_of(request).hub

    async def act() -> ShapeDecided:
        count = await hub.shape_decisions.decide(
            principal.tenant_id,
            data.connection,
            data.document_type,
            data.digest,
            data.decision,
            actor=principal.actor,
            reason=data.reason,
        )
        return ShapeDecided(count)

    return await once(request, principal, "shape.decide", data, act)
