"""Find anything: one box for every name of an order, a message, a control number or an open fault."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.params import FromQuery

from ...views import search
from ...views.search import Hit
from ..rendering import page
from .frame import show, visit

SUGGESTIONS = 8


def address_of(hit: Hit) -> str:
    """Return the page of a hit."""
    if hit.kind == "order":
        return f"/console/orders/{quote(hit.key, safe='')}"
    if hit.kind in ("issue", "fault"):
        return f"/console/issues/{hit.key}"
    if hit.kind in ("message", "outbound", "document", "interchange"):
        return f"/console/messages/{hit.key}"
    return f"/console/messages?subject={quote(hit.key, safe='')}"


@get("/console/find/suggest", include_in_schema=False)
async def suggest(request: Request[Any, Any, Any], q: FromQuery[str] = "") -> Response[bytes]:
    """Return the first hits while somebody types."""
    here = await visit(request, "search.read")
    answer = await here.read(lambda connection: search.find(connection, here.tenant_id, q, limit=SUGGESTIONS))
    return page("console/find_suggest.html", {"answer": answer, "q": q.strip(), "address_of": address_of})


@get(["/console/find", "/console/find.json"], include_in_schema=False)
async def find(request: Request[Any, Any, Any], q: FromQuery[str] = "") -> Response[bytes]:
    """Show all hits; one exact hit leads straight to its page."""
    here = await visit(request, "search.read")
    answer = await here.read(lambda connection: search.find(connection, here.tenant_id, q))
    exact = {address_of(hit) for hit in answer.hits if hit.exact}
    if len(exact) == 1 and not here.wants_json:
        return Response(b"", status_code=303, headers={"location": exact.pop()}, media_type="text/html")
    return await show(
        here,
        "console/find.html",
        answer,
        section="find",
        crumbs=(("Overview", "/console"), ("Find", "")),
        q=q.strip(),
        address_of=address_of,
    )
