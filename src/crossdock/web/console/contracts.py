"""Contracts: is everybody doing what was agreed; and the blast radius of something that failed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.params import FromPath

from ...views import contracts as contracts_view
from ...views import impact as impact_view
from ...views.impact import Kind
from .frame import show, visit


@get(["/console/contracts", "/console/contracts.json"], include_in_schema=False)
async def contracts(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show what is expected of partners and where it stands."""
    here = await visit(request, "issue.read")
    view = await here.read(
        lambda connection: contracts_view.load(connection, here.tenant_id, configuration=here.configuration)
    )
    return await show(
        here,
        "console/contracts.html",
        view,
        section="contracts",
        crumbs=(("Overview", "/console"), ("Contracts", "")),
        copies=(
            ("CLI", f"crossdock contracts list --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {here.public_url}/v1/contracts"),
            ("JSON", f"{here.public_url}/console/contracts.json"),
        ),
    )


@get("/console/impact/{kind:str}/{name:str}", include_in_schema=False)
async def impact(request: Request[Any, Any, Any], kind: FromPath[Kind], name: FromPath[str]) -> Response[bytes]:
    """Show what hangs on a partner, connection, map, certificate or contract."""
    here = await visit(request, "issue.read")
    wanted = name.removesuffix(".json")
    view = await here.read(
        lambda connection: impact_view.load(
            connection, here.tenant_id, kind, wanted, configuration=here.configuration, now=here.now
        )
    )
    path = f"/impact/{kind}/{quote(wanted, safe='')}"
    return await show(
        here,
        "console/impact.html",
        view,
        section="contracts",
        crumbs=(("Overview", "/console"), ("Contracts", "/console/contracts"), (f"Impact of {wanted}", "")),
        copies=(
            ("CLI", f"crossdock impact {kind} {wanted} --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {here.public_url}/v1{path}"),
            ("JSON", f"{here.public_url}/console{path}.json"),
        ),
    )
