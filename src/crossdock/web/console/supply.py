"""Purchase orders, loads, claims, and the suppliers' scorecard: three lists of one shape, and a page for each thing."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery

from ...processes import claims
from ...processes.freight.state import agreed, delivered, etas
from ...processes.receiving.state import in_transit
from ...views import aggregate_facts, aggregate_list, supplier_scorecard
from ...views.aggregate_facts import AggregateFacts
from ..api.supply import detail_of
from ..problems import BadRequest
from .frame import Visit, show, twin, visit

ROWS = 50


class Shelf(msgspec.Struct, frozen=True):
    """One kind of thing as the console names it."""

    path: str
    kind: str
    many: str
    one: str
    party: str
    group: str
    icon: str
    nothing: str


PURCHASES = Shelf(
    "purchases",
    "purchase",
    "Purchase orders",
    "Purchase order",
    "Supplier",
    "Site",
    "warehouse",
    "The first purchase order that the ERP releases shows here.",
)
LOADS = Shelf(
    "loads", "load", "Loads", "Load", "Carrier", "Lane", "truck", "The first load that the TMS plans shows here."
)
CLAIMS = Shelf(
    "claims",
    "claim",
    "Claims",
    "Claim",
    "Carrier",
    "Kind",
    "badge-dollar-sign",
    "Damage that a receipt finds, and claims that somebody opens, show here.",
)


@get(["/console/purchases", "/console/purchases.json", "/console/purchases.csv"], include_in_schema=False)
async def purchases(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    party: FromQuery[str] = "",
    at_risk: FromQuery[bool] = False,
    q: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """Show the tenant's purchase orders."""
    return await _list(request, PURCHASES, aggregate_list.Filter(status, party, at_risk, q), after)


@get(["/console/loads", "/console/loads.json", "/console/loads.csv"], include_in_schema=False)
async def loads(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    party: FromQuery[str] = "",
    at_risk: FromQuery[bool] = False,
    q: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """Show the tenant's loads."""
    return await _list(request, LOADS, aggregate_list.Filter(status, party, at_risk, q), after)


@get(["/console/claims", "/console/claims.json", "/console/claims.csv"], include_in_schema=False)
async def claims_list(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    party: FromQuery[str] = "",
    at_risk: FromQuery[bool] = False,
    q: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """Show the tenant's claims."""
    return await _list(request, CLAIMS, aggregate_list.Filter(status, party, at_risk, q), after)


async def _list(
    request: Request[Any, Any, Any], shelf: Shelf, wanted: aggregate_list.Filter, after: str
) -> Response[bytes]:
    here = await visit(request, "supply.read")
    view = await here.read(
        lambda connection: aggregate_list.load(
            connection, here.tenant_id, shelf.kind, wanted, now=here.now, cursor=after, limit=ROWS
        )
    )
    chosen = {
        "status": wanted.status,
        "party": wanted.party,
        "at_risk": "true" if wanted.at_risk else "",
        "q": wanted.q,
    }

    def link(**changes: str) -> str:
        query = {name: value for name, value in {**chosen, **changes}.items() if value}
        return f"/console/{shelf.path}" + ("?" + urlencode(query) if query else "")

    return await show(
        here,
        "console/supply_list.html",
        view,
        section=shelf.path,
        crumbs=(("Overview", "/console"), (shelf.many, "")),
        shelf=shelf,
        chosen=chosen,
        link=link,
        next_href=link(after=view.next_cursor) if view.next_cursor else "",
        copies=(
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' '{here.public_url}/v1/{shelf.path}'"),
            ("JSON", twin(here, "json")),
            ("CSV, this page", twin(here, "csv")),
        ),
    )


@get("/console/purchases/{number:path}", include_in_schema=False)
async def purchase(request: Request[Any, Any, Any], number: FromPath[str]) -> Response[bytes]:
    """Show one purchase order: its lines with their books, notices, receipts."""
    here, facts = await _facts(request, PURCHASES, number)
    state = facts.state
    return await _page(here, PURCHASES, facts, moving=in_transit(state.notices, state.receipts))


@get("/console/loads/{number:path}", include_in_schema=False)
async def load(request: Request[Any, Any, Any], number: FromPath[str]) -> Response[bytes]:
    """Show one load: the waterfall of its tenders, its arrival by who says so, docks, the match of its bills."""
    here, facts = await _facts(request, LOADS, number)
    state = facts.state
    return await _page(
        here,
        LOADS,
        facts,
        etas=etas(state),
        agreed=agreed(state.offers, state.extras),
        arrived=delivered(state.load, state.facts),
    )


@get("/console/claims/{number:path}", include_in_schema=False)
async def claim(request: Request[Any, Any, Any], number: FromPath[str]) -> Response[bytes]:
    """Show one claim: goods, evidence, clocks, money."""
    here, facts = await _facts(request, CLAIMS, number)
    rules = here.configuration.policy_of("claim")
    return await _page(
        here,
        CLAIMS,
        facts,
        claimed=claims.claimed(facts.state),
        missing=sorted(claims.missing(facts.state, rules)),
    )


@get(["/console/suppliers", "/console/suppliers.json", "/console/suppliers.csv"], include_in_schema=False)
async def suppliers(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show how suppliers keep their word."""
    here = await visit(request, "supply.read")
    rules = here.configuration.policy_of("purchase")
    view = await here.read(lambda connection: supplier_scorecard.load(connection, here.tenant_id, rules, now=here.now))
    return await show(
        here,
        "console/suppliers.html",
        view,
        section="purchases",
        crumbs=(("Overview", "/console"), ("Purchase orders", "/console/purchases"), ("Suppliers", "")),
        copies=(("JSON", twin(here, "json")), ("CSV", twin(here, "csv"))),
    )


async def _facts(request: Request[Any, Any, Any], shelf: Shelf, number: str) -> tuple[Visit, AggregateFacts]:
    here = await visit(request, "supply.read")
    wanted = number.strip("/").removesuffix(".json")
    if not wanted:
        raise BadRequest(f"Name a {shelf.one.lower()}")
    facts = await here.read(lambda connection: aggregate_facts.load(connection, here.tenant_id, shelf.kind, wanted))
    return here, facts


async def _page(here: Visit, shelf: Shelf, facts: AggregateFacts, **extra: Any) -> Response[bytes]:
    base = f"/console/{shelf.path}/{quote(facts.number, safe='')}"
    address = f"{here.public_url}/v1/{shelf.path}/{quote(facts.number, safe='')}"
    return await show(
        here,
        f"console/{shelf.kind}.html",
        detail_of(facts) if here.wants_json else facts,
        section=shelf.path,
        crumbs=(("Overview", "/console"), (shelf.many, f"/console/{shelf.path}"), (facts.number, "")),
        shelf=shelf,
        base=base,
        copies=(
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {address}"),
            ("JSON", f"{here.public_url}{base}.json"),
        ),
        **extra,
    )


HANDLERS = [purchases, purchase, loads, load, claims_list, claim, suppliers]
