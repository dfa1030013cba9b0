"""`/v1/purchases`, `/v1/loads`, `/v1/claims` and the suppliers' scorecard; and what a supplier itself may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, get
from litestar.params import FromPath, FromQuery

from ...governance.configuration import Configuration
from ...processes.claims import STATUS_ARROWS as CLAIM_ARROWS
from ...processes.freight.state import STATUS_ARROWS as LOAD_ARROWS
from ...processes.freight.state import etas
from ...processes.receiving.state import STATUS_ARROWS as PURCHASE_ARROWS
from ...views import aggregate_facts, aggregate_list, supplier_scorecard
from ...views.aggregate_facts import AggregateFacts
from ...views.aggregate_list import AggregateRow, Facets, Filter
from ...views.order_facts import Fault, Name
from ...views.supplier_scorecard import SupplierScore
from ..access import Principal
from ..context import api_principal, web_of
from ..problems import Unauthenticated, refuse_unknown
from .orders import Cursor, Limit


class AggregateList(msgspec.Struct, frozen=True):
    """One page. `next_cursor` is empty on the last one."""

    items: tuple[AggregateRow, ...]
    next_cursor: str
    facets: Facets


class AggregateStep(msgspec.Struct, frozen=True):
    """One event of the journal: what happened, who said it."""

    at: str
    type: str
    partner: str
    data: Any


class Sent(msgspec.Struct, frozen=True):
    """One message to a partner, and where it stands."""

    document: str
    partner: str
    state: str
    message_id: str


class AggregateDetail(msgspec.Struct, frozen=True):
    """Everything known of one purchase order, load or claim. `state` holds the quantities, tenders or bills."""

    number: str
    aggregate_id: str
    status: str
    party: str
    at_risk: bool
    state: Any
    events: tuple[AggregateStep, ...]
    sent: tuple[Sent, ...]
    faults: tuple[Fault, ...]
    names: tuple[Name, ...]
    etas: dict[str, str] = {}


class ScoreList(msgspec.Struct, frozen=True):
    """The suppliers' scores."""

    items: tuple[SupplierScore, ...]


def detail_of(facts: AggregateFacts) -> AggregateDetail:
    """Return the facts as the API gives them."""
    return AggregateDetail(
        facts.number,
        facts.aggregate_id,
        facts.status,
        facts.party,
        facts.at_risk,
        facts.state,
        tuple(AggregateStep(one.occurred_at.isoformat(), one.type, one.partner, one.data) for one in facts.events),
        tuple(Sent(one.document_type, one.partner, one.state, one.message_id) for one in facts.outbound),
        facts.faults,
        facts.names,
        {name: at.isoformat() for name, at in etas(facts.state).items()} if hasattr(facts.state, "offers") else {},
    )


async def _list(
    request: Request[Any, Any, Any], kind: str, wanted: Filter, cursor: str, limit: int, action: str = "supply.read"
) -> AggregateList:
    principal, _ = await _who(request, action)
    hub = web_of(request).hub
    page = await hub.store.read(
        lambda connection: aggregate_list.load(
            connection, principal.tenant_id, kind, wanted, now=hub.clock.now(), cursor=cursor, limit=limit
        )
    )
    return AggregateList(page.rows, page.next_cursor, page.facets)


async def _detail(request: Request[Any, Any, Any], kind: str, number: str) -> AggregateDetail:
    principal, _ = await _who(request, "supply.read")
    facts = await web_of(request).hub.store.read(
        lambda connection: aggregate_facts.load(connection, principal.tenant_id, kind, number)
    )
    return detail_of(facts)


def _known(arrows: dict[str, tuple[str, ...]], status: str) -> None:
    refuse_unknown(status, (name for name in arrows if name != "(new)"), "/query/status")


@get("/v1/purchases", operation_id="listPurchases", summary="List purchase orders", tags=["supply"])
async def list_purchases(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    supplier: FromQuery[str] = "",
    at_risk: FromQuery[bool] = False,
    q: FromQuery[str] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> AggregateList:
    """Return purchase orders by number from the highest down. `q` finds by any name: a notice, an SSCC, a receipt."""
    _known(PURCHASE_ARROWS, status)
    return await _list(request, "purchase", Filter(status, supplier, at_risk, q), cursor, limit)


@get("/v1/purchases/{number:str}", operation_id="getPurchase", summary="Get a purchase order", tags=["supply"])
async def get_purchase(request: Request[Any, Any, Any], number: FromPath[str]) -> AggregateDetail:
    """Return the purchase order that `number` names: its number, a notice, a receipt, an SSCC."""
    return await _detail(request, "purchase", number)


@get("/v1/loads", operation_id="listLoads", summary="List loads", tags=["supply"])
async def list_loads(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    carrier: FromQuery[str] = "",
    at_risk: FromQuery[bool] = False,
    q: FromQuery[str] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> AggregateList:
    """Return loads by number from the highest down. `q` finds by any name: a tender, a PRO, an invoice."""
    _known(LOAD_ARROWS, status)
    return await _list(request, "load", Filter(status, carrier, at_risk, q), cursor, limit)


@get("/v1/loads/{number:str}", operation_id="getLoad", summary="Get a load", tags=["supply"])
async def get_load(request: Request[Any, Any, Any], number: FromPath[str]) -> AggregateDetail:
    """Return the load with its tenders, milestones, estimates by class, appointments and matched bills."""
    return await _detail(request, "load", number)


@get("/v1/claims", operation_id="listClaims", summary="List claims", tags=["supply"])
async def list_claims(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    carrier: FromQuery[str] = "",
    at_risk: FromQuery[bool] = False,
    q: FromQuery[str] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> AggregateList:
    """Return claims by number from the highest down."""
    _known(CLAIM_ARROWS, status)
    return await _list(request, "claim", Filter(status, carrier, at_risk, q), cursor, limit)


@get("/v1/claims/{number:str}", operation_id="getClaim", summary="Get a claim", tags=["supply"])
async def get_claim(request: Request[Any, Any, Any], number: FromPath[str]) -> AggregateDetail:
    """Return the claim with its evidence and the carrier's words."""
    return await _detail(request, "claim", number)


@get("/v1/suppliers", operation_id="listSuppliers", summary="Score suppliers", tags=["supply"])
async def list_suppliers(request: Request[Any, Any, Any]) -> ScoreList:
    """Return for each supplier how it keeps its word: answers, notices, time, quantity, damage."""
    principal, configuration = await _who(request, "supply.read")
    return await _scores(request, principal, configuration, None)


@get("/v1/supplier/purchases", operation_id="listOwnPurchases", summary="List own purchase orders", tags=["supplier"])
async def list_own_purchases(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    q: FromQuery[str] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> AggregateList:
    """Return the purchase orders of the supplier whose connection the key belongs to, and no others."""
    _known(PURCHASE_ARROWS, status)
    mine = await _mine(request)
    return await _list(request, "purchase", Filter(status, q=q, parties=mine), cursor, limit, "supplier.read")


@get(
    "/v1/supplier/purchases/{number:str}",
    operation_id="getOwnPurchase",
    summary="Get an own purchase order",
    tags=["supplier"],
)
async def get_own_purchase(request: Request[Any, Any, Any], number: FromPath[str]) -> AggregateDetail:
    """Return one own purchase order; another supplier's does not exist here (404).

    Only what the supplier was told or said itself is in it: no faults, no messages to others.
    """
    principal, configuration = await _who(request, "supplier.read")
    mine = await _mine(request)
    facts = await web_of(request).hub.store.read(
        lambda connection: aggregate_facts.load(connection, principal.tenant_id, "purchase", number, parties=mine)
    )
    partner = configuration.connections[principal.identity.connection_id].partner
    own = msgspec.structs.replace(
        facts,
        events=tuple(one for one in facts.events if _is_theirs(one.type, one.partner, partner)),
        outbound=tuple(one for one in facts.outbound if one.partner == partner),
        faults=(),
    )
    return detail_of(own)


@get("/v1/supplier/score", operation_id="getOwnScore", summary="Get the own score", tags=["supplier"])
async def get_own_score(request: Request[Any, Any, Any]) -> ScoreList:
    """Return the supplier's own scores."""
    principal, configuration = await _who(request, "supplier.read")
    return await _scores(request, principal, configuration, await _mine(request))


# What a supplier may read of the journal besides its own words.
_OPEN_TYPES = (
    "crossdock.purchase.requested.v1",
    "crossdock.purchase.confirmed.v1",
    "crossdock.receipt.discrepancy.v1",
    "crossdock.purchase.closed.v1",
)


def _is_theirs(kind: str, said_by: str, partner: str) -> bool:
    return said_by == partner or kind in _OPEN_TYPES


async def _mine(request: Request[Any, Any, Any]) -> frozenset[str]:
    """Return the supplier codes that the key's connection speaks for."""
    principal, configuration = await _who(request, "supplier.read")
    connection = configuration.connections.get(principal.identity.connection_id)
    rules = configuration.policy_of("purchase")
    return rules.suppliers_of(connection.partner) if connection is not None else frozenset()


async def _scores(
    request: Request[Any, Any, Any],
    principal: Principal,
    configuration: Configuration,
    suppliers: frozenset[str] | None,
) -> ScoreList:
    hub = web_of(request).hub
    read: Callable[[Any], supplier_scorecard.Scorecard] = lambda connection: supplier_scorecard.load(  # noqa: E731
        connection, principal.tenant_id, configuration.policy_of("purchase"), now=hub.clock.now(), suppliers=suppliers
    )
    return ScoreList((await hub.store.read(read)).rows)


async def _who(request: Request[Any, Any, Any], action: str) -> tuple[Principal, Configuration]:
    principal = await api_principal(request)
    principal.require(action)
    configuration = web_of(request).hub.configuration(principal.tenant_id)
    if configuration is None:
        raise Unauthenticated()
    return principal, configuration


HANDLERS = [
    list_purchases,
    get_purchase,
    list_loads,
    get_load,
    list_claims,
    get_claim,
    list_suppliers,
    list_own_purchases,
    get_own_purchase,
    get_own_score,
]
