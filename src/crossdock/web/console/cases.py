"""Cases: what the service desk has, who takes care of it, and how old the data is it is based on."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromQuery

from ...views import cases as cases_view
from .frame import show, twin, visit


@get(["/console/cases", "/console/cases.json", "/console/cases.csv"], include_in_schema=False)
async def cases(request: Request[Any, Any, Any], stale: FromQuery[bool] = False) -> Response[bytes]:
    """Show the cases of orders at risk."""
    here = await visit(request, "issue.read")
    view = await here.read(
        lambda connection: cases_view.load(
            connection, here.tenant_id, configuration=here.configuration, now=here.now, stale=stale
        )
    )
    return await show(
        here,
        "console/cases.html",
        view,
        section="cases",
        crumbs=(("Overview", "/console"), ("Cases", "")),
        stale="true" if stale else "",
        copies=(
            ("CLI", f"crossdock cases list{' --stale' if stale else ''} --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {here.public_url}/v1/cases"),
            ("JSON", twin(here, "json")),
            ("CSV", twin(here, "csv")),
        ),
    )
