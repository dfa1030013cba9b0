"""Returns in the console: the list, and one return as finance, warehouse and service see it."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery

from ...canonical.returns import ReturnChange
from ...views import returns as view_of_returns
from ..access import refuse_foreign_pages
from ..problems import BadRequest
from ..rendering import redirect
from .frame import show, twin, visit

ROWS = 50
ACTIONS: dict[str, Literal["approve", "refuse", "cancel"]] = {
    "approve": "approve",
    "refuse": "refuse",
    "cancel": "cancel",
}

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@get(["/console/returns", "/console/returns.json", "/console/returns.csv"], include_in_schema=False)
async def returns(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    site: FromQuery[str] = "",
    channel: FromQuery[str] = "",
    late: FromQuery[bool] = False,
    q: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """Show the tenant's returns."""
    here = await visit(request, "return.read")
    wanted = view_of_returns.Filter(status, site, channel, late, q.strip()[:100])
    view = await here.read(
        lambda connection: view_of_returns.load(connection, here.tenant_id, wanted, cursor=after, limit=ROWS)
    )
    chosen = {"status": status, "site": site, "channel": channel, "late": "true" if late else "", "q": wanted.text}

    def link(**changes: str) -> str:
        query = {name: value for name, value in {**chosen, **changes}.items() if value}
        return "/console/returns" + ("?" + urlencode(query) if query else "")

    query = urlencode({name: value for name, value in chosen.items() if value})
    return await show(
        here,
        "console/returns.html",
        view,
        section="returns",
        crumbs=(("Overview", "/console"), ("Returns", "")),
        wanted=wanted,
        chosen=chosen,
        link=link,
        next_href=link(after=view.next_cursor) if view.next_cursor else "",
        copies=(
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' '{here.public_url}/v1/returns?{query}'"),
            ("JSON", twin(here, "json")),
            ("CSV, this page", twin(here, "csv")),
        ),
    )


@get("/console/returns/{number:path}", include_in_schema=False)
async def one_return(request: Request[Any, Any, Any], number: FromPath[str]) -> Response[bytes]:
    """Show one return, found by any of its names."""
    here = await visit(request, "return.read")
    wanted = number.strip("/").removesuffix(".json")
    if not wanted:
        raise BadRequest("Name a return")
    page = await here.read(lambda connection: view_of_returns.detail(connection, here.tenant_id, wanted))
    public, base = here.public_url, f"/console/returns/{quote(page.number, safe='')}"
    return await show(
        here,
        "console/return.html",
        page,
        section="returns",
        crumbs=(("Overview", "/console"), ("Returns", "/console/returns"), (page.number, "")),
        base=base,
        copies=(
            (
                "curl",
                f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {public}/v1/returns/{quote(page.number, safe='')}",
            ),
            ("JSON", f"{public}{base}.json"),
        ),
    )


@post("/console/return-word/{number:path}", include_in_schema=False, status_code=303)
async def settle(request: Request[Any, Any, Any], number: FromPath[str], data: Form) -> Response[bytes]:
    """Take a person's word on a return: approve, refuse or cancel it."""
    here = await visit(request, "return.decide")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    number = number.strip("/")
    action = ACTIONS.get(data.get("action", ""))
    if action is None:
        raise BadRequest("Approve, refuse or cancel")
    change = ReturnChange(number, action, data.get("reason", "")[:500], here.principal.actor)
    await here.hub.by_hand.change_return(here.tenant_id, change, here.principal.actor)
    return redirect(f"/console/returns/{quote(number, safe='')}")
