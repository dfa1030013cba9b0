"""Stock in the console: where it drifts, how old each site's word is, and which movement is suspected."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter

from ...views import stock_map
from ..access import refuse_foreign_pages
from ..problems import BadRequest
from ..rendering import redirect
from .frame import show, twin, visit

ROWS = 50

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@get(["/console/inventory", "/console/inventory.json", "/console/inventory.csv"], include_in_schema=False)
async def inventory(
    request: Request[Any, Any, Any],
    site: FromQuery[str] = "",
    sku: FromQuery[str] = "",
    wanted: Annotated[Literal["", "new", "timing", "open", "settled"], QueryParameter(name="state")] = "",
    items: FromQuery[Literal["", "all"]] = "",
    after_sku: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """Show the map of stock and its drifts."""
    here = await visit(request, "inventory.read")
    sku = sku.strip()[:100]
    view = await here.read(
        lambda connection: stock_map.load(
            connection,
            here.tenant_id,
            now=here.now,
            site=site,
            sku=sku,
            state=wanted,
            every_item=items == "all",
            after_sku=after_sku,
            cursor=after,
            limit=ROWS,
        )
    )
    chosen = {"site": site, "sku": sku, "state": wanted, "items": items}

    def link(**changes: str) -> str:
        query = {name: value for name, value in {**chosen, **changes}.items() if value}
        return "/console/inventory" + ("?" + urlencode(query) if query else "")

    query = urlencode({name: value for name, value in chosen.items() if value and name != "items"})
    return await show(
        here,
        "console/inventory.html",
        view,
        section="inventory",
        crumbs=(("Overview", "/console"), ("Inventory", "")),
        chosen=chosen,
        link=link,
        sites=[one.site for one in here.configuration.policy.sites],
        next_items=link(after_sku=view.next_sku) if view.next_sku else "",
        next_href=link(after=view.next_cursor) if view.next_cursor else "",
        copies=(
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' '{here.public_url}/v1/drifts?{query}'"),
            ("JSON", twin(here, "json")),
            ("CSV, this page", twin(here, "csv")),
        ),
    )


@post("/console/inventory/settle/{drift_id:str}", include_in_schema=False, status_code=303)
async def settle_drift(request: Request[Any, Any, Any], drift_id: FromPath[str], data: Form) -> Response[bytes]:
    """Settle a drift with what was found, in one's own name."""
    here = await visit(request, "reconciliation.accept")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    reason = data.get("reason", "").strip()[:500]
    if not reason:
        raise BadRequest("Say what was found: it is kept with your name")
    await here.hub.reconciling.settle_drift(here.tenant_id, drift_id, here.principal.actor, reason)
    return redirect("/console/inventory")


HANDLERS = [inventory, settle_drift]
