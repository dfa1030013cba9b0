"""The two buttons that have waiting orders sourced again: of one order, and of every order behind an issue."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from ...views import issues as issues_view
from ..access import refuse_foreign_pages
from ..rendering import page
from .frame import visit

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@post("/console/source/{number:path}", include_in_schema=False, status_code=200)
async def source_order(request: Request[Any, Any, Any], number: FromPath[str], data: Form) -> Response[bytes]:
    """Look for sites for a waiting order now, past its hold."""
    here = await visit(request, "order.source")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    answer = await here.hub.source_again(here.tenant_id, number.strip("/"), here.principal.actor)
    return page("console/sourced.html", {"orders": (answer,)})


@post("/console/issues/{issue_id:str}/source", include_in_schema=False, status_code=200)
async def source_issue(request: Request[Any, Any, Any], issue_id: FromPath[str], data: Form) -> Response[bytes]:
    """Look for sites for every waiting order behind the issue now, past its hold."""
    here = await visit(request, "order.source")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    await here.read(lambda connection: issues_view.load(connection, here.tenant_id, issue_id, now=here.now))
    answers = await here.hub.source_issue_again(here.tenant_id, issue_id, here.principal.actor)
    return page("console/sourced.html", {"orders": answers})
