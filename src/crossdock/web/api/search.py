"""`GET /v1/search`: find anything by any of its names."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import QueryParameter

from ...views import search as search_view
from ..context import api_principal, web_of


@get("/v1/search", operation_id="search", summary="Find by any identifier", tags=["search"])
async def search(
    request: Request[Any, Any, Any],
    q: Annotated[str, QueryParameter(min_length=1, max_length=200, description="any identifier, in whatever writing")],
    limit: Annotated[int, QueryParameter(ge=1, le=50)] = 20,
) -> search_view.Answer:
    """Return what bears this name, best first; spaces, dashes, case and leading zeros do not count."""
    principal = await api_principal(request)
    principal.require("search.read")
    return await web_of(request).hub.store.read(
        lambda connection: search_view.find(connection, principal.tenant_id, q, limit=limit)
    )
