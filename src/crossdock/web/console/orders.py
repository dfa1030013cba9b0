"""The orders list: which orders match. The address is the state; facets show what another choice would give."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import FromQuery

from ...views import orders_list
from .frame import show, twin, visit

ROWS = 50


@get(["/console/orders", "/console/orders.json", "/console/orders.csv"], include_in_schema=False)
async def orders(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    site: FromQuery[str] = "",
    partner: FromQuery[str] = "",
    at_risk: FromQuery[bool] = False,
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """Show the tenant's orders."""
    here = await visit(request, "order.read")
    wanted = orders_list.Filter(status, site, partner, at_risk)
    view = await here.read(
        lambda connection: orders_list.load(
            connection,
            here.tenant_id,
            wanted,
            configuration=here.configuration,
            now=here.now,
            cursor=after,
            limit=ROWS,
        )
    )
    chosen = {"status": status, "site": site, "partner": partner, "at_risk": "true" if at_risk else ""}

    def link(**changes: str) -> str:
        query = {name: value for name, value in {**chosen, **changes}.items() if value}
        return "/console/orders" + ("?" + urlencode(query) if query else "")

    query = urlencode({name: value for name, value in chosen.items() if value})
    return await show(
        here,
        "console/orders.html",
        view,
        section="orders",
        crumbs=(("Overview", "/console"), ("Orders", "")),
        wanted=wanted,
        chosen=chosen,
        link=link,
        next_href=link(after=view.next_cursor) if view.next_cursor else "",
        copies=(
            (
                "curl",
                f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' '{here.public_url}/v1/orders?{query}'",
            ),
            ("JSON", twin(here, "json")),
            ("CSV, this page", twin(here, "csv")),
        ),
    )
