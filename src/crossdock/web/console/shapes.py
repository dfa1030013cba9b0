"""Shapes: which partner changed its documents without notice, with the diff and the two buttons."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body

from ...views import shapes as shapes_view
from ..access import refuse_foreign_pages
from ..problems import BadRequest
from .frame import show, visit

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@get(["/console/shapes", "/console/shapes.json"], include_in_schema=False)
async def shapes(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show deviations and what was learned."""
    here = await visit(request, "issue.read")
    view = await here.read(
        lambda connection: shapes_view.load(connection, here.tenant_id, configuration=here.configuration)
    )
    return await show(
        here,
        "console/shapes.html",
        view,
        section="contracts",
        crumbs=(("Overview", "/console"), ("Contracts", "/console/contracts"), ("Shapes", "")),
        copies=(
            ("CLI", f"crossdock shapes list --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {here.public_url}/v1/shapes"),
            ("JSON", f"{here.public_url}/console/shapes.json"),
        ),
    )


@post("/console/shapes/decide", include_in_schema=False, status_code=303)
async def decide_shape(request: Request[Any, Any, Any], data: Form) -> Response[bytes]:
    """Approve or refuse, then show the list."""
    here = await visit(request, "issue.fix")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    decision: Literal["approve", "refuse"]
    match data.get("decision"):
        case "approve":
            decision = "approve"
        case "refuse":
            decision = "refuse"
        case _:
            raise BadRequest("Approve or refuse")
    places = [data.get(name, "")[:200] for name in ("connection", "document_type", "digest")]
    await here.hub.shape_decisions.decide(
        here.tenant_id, places[0], places[1], places[2], decision, actor=here.principal.actor
    )
    return Response(b"", status_code=303, headers={"location": "/console/shapes"}, media_type="text/html")
