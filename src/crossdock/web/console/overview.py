"""The first page: are we on time, and what do I do first."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get

from ...governance import releases
from ...views import overview as overview_view
from ...views.overview import NextStep
from .frame import Notice, show, visit


@get(["/console", "/console.json"], include_in_schema=False)
async def overview(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show the day of the tenant."""
    here = await visit(request, "overview.read")
    view = await here.read(
        lambda connection: overview_view.load(
            connection, here.tenant_id, configuration=here.configuration, now=here.now
        )
    )
    history = await here.read(lambda connection: releases.history(connection, here.tenant_id, limit=5))
    silent = [one for one in view.partners if one.health == "silent"]
    notices = tuple(
        Notice(f"No news from {one.name}: {one.reason}. {_call(here, one.partner)}", "purple", "wifi-off")
        for one in silent
    )
    public = here.public_url
    return await show(
        here,
        "console/overview.html",
        view,
        section="overview",
        notices=notices,
        releases=history if here.principal.may("release.read") else (),
        address_of=address_of,
        copies=(
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {public}/v1/orders?at_risk=true"),
            ("JSON", f"{public}/console.json"),
        ),
    )


def address_of(step: NextStep) -> str:
    """Return the page that does a step."""
    key = quote(step.key, safe="")
    return {
        "issue": f"/console/issues/{key}",
        "order": f"/console/orders/{key}",
        "partner": f"/console/messages?partner={key}",
    }[step.kind]


def _call(here: Any, partner: str) -> str:
    spec = here.configuration.partners.get(partner)
    return f"Call {spec.contact}." if spec is not None and spec.contact else "Its contact is not in the pack."
