"""The frame of every console page: who is signed in, where one is, what is open; and the page as HTML or as its JSON
or CSV twin.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response

from ...governance.configuration import Configuration
from ...store import journal
from ..access import Principal
from ..context import browser_principal, web_of
from ..hub_port import Hub, public_address
from ..problems import Unauthenticated
from ..rendering import as_csv, as_json, page

NAV = (
    ("overview", "Overview", "/console", "layout-dashboard", "overview.read"),
    ("orders", "Orders", "/console/orders", "package", "order.read"),
    ("purchases", "Purchases", "/console/purchases", "warehouse", "supply.read"),
    ("loads", "Loads", "/console/loads", "truck", "supply.read"),
    ("claims", "Claims", "/console/claims", "badge-dollar-sign", "supply.read"),
    ("returns", "Returns", "/console/returns", "rotate-ccw", "return.read"),
    ("inventory", "Inventory", "/console/inventory", "boxes", "inventory.read"),
    ("reconciliation", "Reconciliation", "/console/reconciliation", "file-check", "reconciliation.read"),
    ("messages", "Messages", "/console/messages", "mail", "message.read"),
    ("issues", "Issues", "/console/issues", "triangle-alert", "issue.read"),
    ("cases", "Cases", "/console/cases", "users", "issue.read"),
    ("contracts", "Contracts", "/console/contracts", "timer", "issue.read"),
    ("dead", "Dead letters", "/console/dead-letters", "ban", "message.read"),
    ("replays", "Replays", "/console/replays", "history", "job.read"),
)


class Notice(msgspec.Struct, frozen=True):
    """A banner above the page."""

    text: str
    tone: str = "info"
    icon: str = "info"


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What the layout shows around a page."""

    tenant_name: str
    actor: str
    role: str
    csrf_token: str
    section: str
    crumbs: tuple[tuple[str, str], ...]
    nav: tuple[tuple[str, str, str, str], ...]
    open_issues: int
    release_short: str
    now: datetime
    zone: str
    cursor: str = ""
    query: str = ""
    live: bool = True
    notices: tuple[Notice, ...] = ()


class Visit(msgspec.Struct, frozen=True):
    """One request to the console by somebody who is signed in and may do it.

    `cursor` is the end of the journal before anything was read for the page: what comes behind it is news to the page.
    """

    request: Any
    principal: Principal
    hub: Hub
    configuration: Configuration
    now: datetime
    cursor: str = ""

    @property
    def tenant_id(self) -> str:
        return self.principal.tenant_id

    @property
    def zone(self) -> str:
        return self.configuration.head.timezone

    @property
    def public_url(self) -> str:
        return public_address(self.hub)

    @property
    def wants_csv(self) -> bool:
        """Whether the `.csv` twin was asked for."""
        return bool(self.request.url.path.endswith(".csv"))

    @property
    def wants_json(self) -> bool:
        """Whether the `.json` twin was asked for."""
        return bool(self.request.url.path.endswith(".json"))

    async def read(self, fn: Callable[[Any], Any]) -> Any:
        """Run a view on a read-only connection."""
        return await self.hub.store.read(fn)


async def visit(request: Request[Any, Any, Any], action: str) -> Visit:
    """Return the visit, or raise `Unauthenticated` (which leads to the sign-in page) or `AccessDenied`."""
    principal = await browser_principal(request)
    if principal is None:
        raise Unauthenticated()
    principal.require(action)
    hub = web_of(request).hub
    configuration = hub.configuration(principal.tenant_id)
    if configuration is None:
        raise Unauthenticated()
    watched = request.method == "GET" and principal.may("event.read")
    cursor = str(await hub.store.read(journal.end)) if watched else ""
    return Visit(request, principal, hub, configuration, hub.clock.now(), cursor)


async def show(
    here: Visit,
    template: str,
    view: Any,
    *,
    section: str,
    crumbs: tuple[tuple[str, str], ...] = (),
    notices: tuple[Notice, ...] = (),
    status_code: int = 200,
    **extra: Any,
) -> Response[bytes]:
    """Return a page made of a view, or the view itself as JSON, or its rows as CSV."""
    if here.wants_json:
        return as_json(view, status_code=status_code)
    if here.wants_csv:
        return as_csv(getattr(view, "rows", view), name=here.request.url.path.rpartition("/")[2])
    state = here.hub.health()
    if not state.ready:
        notices = (Notice(state.reason[:1].upper() + state.reason[1:] + ".", "bad", "triangle-alert"), *notices)
    notices = (*notices, *_ignored(here.request))
    tenant_id = here.tenant_id
    open_issues = await here.read(
        lambda connection: connection.one(
            "select count(*) from issues where tenant_id = ? and state in ('open', 'acknowledged')", (tenant_id,)
        )
    )
    frame = Frame(
        tenant_name=here.configuration.head.name,
        actor=here.principal.actor,
        role=here.principal.identity.role,
        csrf_token=here.principal.csrf_token,
        section=section,
        crumbs=crumbs,
        nav=tuple(entry[:4] for entry in NAV if here.principal.may(entry[4])),
        open_issues=int(open_issues[0]),
        release_short=here.configuration.release_id[-6:],
        now=here.now,
        zone=here.zone,
        cursor=here.cursor,
        query=here.request.query_params.get("q", "") if section == "find" else "",
        live=here.principal.may("event.read"),
        notices=notices,
    )
    context = {
        "frame": frame,
        "view": view,
        "now": here.now,
        "zone": here.zone,
        "currency": here.configuration.head.currency,
        "may": here.principal.may,
        **extra,
    }
    return page(template, context, status_code=status_code)


def twin(here: Visit, kind: str) -> str:
    """Return the address of this very page, filters included, as `json` or `csv`."""
    url = here.request.url
    path = url.path.removesuffix(".json").removesuffix(".csv")
    return f"{here.public_url}{path}.{kind}" + (f"?{url.query}" if url.query else "")


def _ignored(request: Any) -> tuple[Notice, ...]:
    """Return a notice for parameters this page does not know: ignored, but not in silence."""
    known = {
        getattr(field.kwarg_definition, "name", None) or name
        for name, field in request.route_handler.parsed_fn_signature.parameters.items()
    }
    unknown = sorted(set(request.query_params) - known)
    if not unknown:
        return ()
    offered = sorted(known - {"request", *request.path_params})
    words = f"This page does not know {', '.join(unknown)[:200]} and shows the rest"
    return (Notice(words + (f"; it knows {', '.join(offered)}." if offered else "."), "warn", "triangle-alert"),)
