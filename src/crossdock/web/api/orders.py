"""`/v1/orders` and `/v1/shipments`: where goods are, what happened to them, what was asked and why."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter

from ...canonical.identifiers import search_key
from ...errors import NotFound
from ...flow.source_again import SourcedOrder
from ...governance.configuration import Configuration
from ...processes.order_state import STATUS_ARROWS
from ...views import last_look, order_timeline, orders_list
from ...views.order_timeline import OrderPage, ShipmentNode, Step
from ..access import Principal
from ..context import api_principal, web_of
from ..idempotency import once
from ..problems import Unauthenticated, refuse_unknown
from .issues import IdempotencyKey

Cursor = Annotated[str, QueryParameter(description="next_cursor of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="rows of a page")]


class OrderList(msgspec.Struct, frozen=True):
    """One page. `next_cursor` is empty on the last one."""

    items: tuple[orders_list.OrderRow, ...]
    next_cursor: str
    facets: orders_list.Facets


class Timeline(msgspec.Struct, frozen=True):
    """The story of an order in steps, oldest first."""

    order_number: str
    steps: tuple[Step, ...]


class ShipmentOfOrder(msgspec.Struct, frozen=True):
    """One shipment and the order and fulfillment it belongs to."""

    order_number: str
    fulfillment_number: str
    shipment: ShipmentNode


class ShipmentList(msgspec.Struct, frozen=True):
    """The shipments of an order."""

    items: tuple[ShipmentOfOrder, ...]


@get("/v1/orders", operation_id="listOrders", summary="List orders", tags=["orders"])
async def list_orders(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    site: FromQuery[str] = "",
    partner: FromQuery[str] = "",
    at_risk: FromQuery[bool] = False,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> OrderList:
    """Return orders by number from the highest down, with the counts of each facet."""
    principal, configuration = await _who(request, "order.read")
    refuse_unknown(status, (name for name in STATUS_ARROWS if name != "(new)"), "/query/status")
    refuse_unknown(site, configuration.sites, "/query/site")
    refuse_unknown(partner, configuration.partners, "/query/partner")
    hub = web_of(request).hub
    wanted = orders_list.Filter(status, site, partner, at_risk)
    page = await hub.store.read(
        lambda connection: orders_list.load(
            connection,
            principal.tenant_id,
            wanted,
            configuration=configuration,
            now=hub.clock.now(),
            cursor=cursor,
            limit=limit,
        )
    )
    return OrderList(page.rows, page.next_cursor, page.facets)


@get("/v1/orders/{number:str}", operation_id="getOrder", summary="Get an order", tags=["orders"])
async def get_order(request: Request[Any, Any, Any], number: FromPath[str]) -> OrderPage:
    """Return everything known of the order that `number` names: its number, our id, a PO, a tracking number."""
    return await _order(request, number)


@get(
    "/v1/orders/{number:str}/timeline", operation_id="getOrderTimeline", summary="Get an order's story", tags=["orders"]
)
async def get_timeline(request: Request[Any, Any, Any], number: FromPath[str]) -> Timeline:
    """Return the steps of the order, each with the records it is made of."""
    page = await _order(request, number)
    return Timeline(page.number, page.steps)


@get(
    "/v1/orders/{number:str}/shipments",
    operation_id="listOrderShipments",
    summary="List an order's shipments",
    tags=["shipments"],
)
async def list_shipments(request: Request[Any, Any, Any], number: FromPath[str]) -> ShipmentList:
    """Return what left for this order, with parcels and contents."""
    return ShipmentList(tuple(_shipments(await _order(request, number))))


@post(
    "/v1/orders/{number:str}/source",
    operation_id="sourceOrder",
    summary="Source a waiting order again",
    tags=["orders"],
    status_code=200,
    responses={200: ResponseSpec(SourcedOrder, generate_examples=False, description="what became of the order")},
)
async def source(
    request: Request[Any, Any, Any], number: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Look for sites now for an order on hold or backorder, past its hold; 409 when it does not wait."""
    page = await _order(request, number, "order.source")
    principal = await api_principal(request)
    hub = web_of(request).hub
    return await once(
        request,
        principal,
        "order.source",
        None,
        lambda: hub.source_again(principal.tenant_id, page.number, principal.actor),
    )


@get("/v1/shipments/{number:str}", operation_id="getShipment", summary="Get a shipment", tags=["shipments"])
async def get_shipment(request: Request[Any, Any, Any], number: FromPath[str]) -> ShipmentOfOrder:
    """Return the shipment that bears this number, tracking number or SSCC."""
    page = await _order(request, number, "shipment.read")
    wanted = search_key(number)
    for item in _shipments(page):
        shipment = item.shipment
        names = (
            shipment.number,
            *shipment.tracking,
            *(p.id for p in shipment.parcels),
            *(p.tracking for p in shipment.parcels),
        )
        if wanted in map(search_key, names):
            return item
    raise NotFound()


@get(
    "/v1/fulfillments/{number:str}/last-look",
    operation_id="lastLook",
    summary="Ask whether a request may still be shipped",
    tags=["shipments"],
)
async def get_last_look(request: Request[Any, Any, Any], number: FromPath[str]) -> last_look.LastLook:
    """Answer a site right before it prints a label: go, or stop and why. `number` is the number of its request."""
    principal, _ = await _who(request, "shipment.read")
    hub = web_of(request).hub
    return await hub.store.read(
        lambda connection: last_look.load(connection, principal.tenant_id, number, hub.clock.now())
    )


def _shipments(page: OrderPage) -> list[ShipmentOfOrder]:
    return [ShipmentOfOrder(page.number, node.number, shipment) for node in page.graph for shipment in node.shipments]


async def _order(request: Request[Any, Any, Any], number: str, action: str = "order.read") -> OrderPage:
    principal, configuration = await _who(request, action)
    hub = web_of(request).hub
    return await hub.store.read(
        lambda connection: order_timeline.load(
            connection, principal.tenant_id, number, configuration=configuration, now=hub.clock.now()
        )
    )


async def _who(request: Request[Any, Any, Any], action: str) -> tuple[Principal, Configuration]:
    principal = await api_principal(request)
    principal.require(action)
    configuration = web_of(request).hub.configuration(principal.tenant_id)
    if configuration is None:
        raise Unauthenticated()
    return principal, configuration
