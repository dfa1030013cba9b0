"""The customer's own page of one order: order number and postcode in, the customer-facing story out.

Works without JavaScript. A wrong pair, an unknown order and another tenant's order are answered with the same words;
tries
are limited for each address. Nothing here names Crossdock or any other tenant.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from ...errors import NotFound
from ...governance.configuration import Configuration
from ...views import customer_tracking
from ...views.customer_tracking import Tracking
from ..context import web_of
from ..rendering import last_day, local, page
from .brand import stylesheet, theme_of
from .links import opened_order, order_token

STEPS = ("Ordered", "Preparing", "Shipped", "Out for delivery", "Delivered")
TROUBLES = ("Delayed", "Delivery attempted", "Refused at the door", "Held at customs", "Returned to sender")
SILENT_AFTER = timedelta(hours=26)

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@get("/p/{tenant_id:str}", include_in_schema=False)
async def look_up_page(request: Request[Any, Any, Any], tenant_id: FromPath[str]) -> Response[bytes]:
    """Show the form."""
    return _form(configuration_of(request, tenant_id))


@get("/portal/{tenant_id:str}", include_in_schema=False)
async def long_address(tenant_id: FromPath[str]) -> Response[bytes]:
    """Lead to the short address."""
    return Response(
        b"", status_code=303, headers={"location": f"/p/{quote(tenant_id, safe='')}"}, media_type="text/html"
    )


@post("/p/{tenant_id:str}", include_in_schema=False, status_code=200)
async def look_up(request: Request[Any, Any, Any], tenant_id: FromPath[str], data: Form) -> Response[bytes]:
    """Find the order and lead to its page, or say in neutral words that the pair does not fit."""
    configuration = configuration_of(request, tenant_id)
    web = web_of(request)
    number, postcode = data.get("number", "").strip()[:80], data.get("postcode", "").strip()[:20]
    address = request.client.host if request.client else ""
    wait = web.portal_lookups.hit(f"{tenant_id}|{address}")
    if wait:
        response = _form(configuration, number=number, postcode=postcode, busy=True, status_code=429)
        response.headers["retry-after"] = str(int(wait) + 1)
        return response
    found = await web.hub.store.read(
        lambda connection: customer_tracking.look_up(connection, tenant_id, number, postcode)
    )
    if found is None:
        return _form(configuration, number=number, postcode=postcode, wrong=True, status_code=404)
    token = order_token(web.portal_key, tenant_id, found.number, now=web.gate.clock.now())
    return Response(b"", status_code=303, headers={"location": f"/p/{tenant_id}/order/{token}"}, media_type="text/html")


@get("/p/{tenant_id:str}/order/{token:str}", include_in_schema=False)
async def order_page(
    request: Request[Any, Any, Any], tenant_id: FromPath[str], token: FromPath[str]
) -> Response[bytes]:
    """Show the order a link opens; a link that is over leads back to the form."""
    configuration = configuration_of(request, tenant_id)
    web = web_of(request)
    number = opened_order(web.portal_key, tenant_id, token, now=web.gate.clock.now())
    if number is None:
        return _form(configuration, status_code=404)
    view = await web.hub.store.read(lambda connection: customer_tracking.load(connection, tenant_id, number))
    zone = configuration.head.timezone
    context = {
        **frame_of(configuration),
        "view": view,
        "zone": zone,
        "steps": STEPS,
        "troubles": TROUBLES,
        "expected": _expected(view, zone),
        "silence": _silence(view, web.hub.clock.now()),
        "may_return": view.step == 4 or any(parcel.delivered_at for parcel in view.parcels),
        "return_href": f"/p/{configuration.tenant_id}/order/{token}/return",
    }
    return page("portal/order.html", context)


@get("/p/{tenant_id:str}/brand.css", include_in_schema=False)
async def brand_css(request: Request[Any, Any, Any], tenant_id: FromPath[str]) -> Response[bytes]:
    """Return the tenant's theme as a stylesheet of its own, so that the content security policy needs no exception."""
    css = stylesheet(theme_of(configuration_of(request, tenant_id).brand))
    return Response(css.encode(), media_type="text/css", headers={"cache-control": "public, max-age=300"})


def configuration_of(request: Request[Any, Any, Any], tenant_id: str) -> Configuration:
    """Return the configuration of the tenant whose portal it is, or raise `NotFound`."""
    configuration = web_of(request).hub.configuration(tenant_id)
    if configuration is None:
        raise NotFound()
    return configuration


def frame_of(configuration: Configuration) -> dict[str, Any]:
    brand = configuration.brand
    return {
        "tenant_id": configuration.tenant_id,
        "name": brand.product_name or configuration.head.name,
        "brand": brand,
        "brand_version": hashlib.sha256(stylesheet(theme_of(brand)).encode()).hexdigest()[:8],
        "home": f"/p/{configuration.tenant_id}",
    }


def _form(
    configuration: Configuration,
    *,
    number: str = "",
    postcode: str = "",
    wrong: bool = False,
    busy: bool = False,
    status_code: int = 200,
) -> Response[bytes]:
    context = {**frame_of(configuration), "number": number, "postcode": postcode, "wrong": wrong, "busy": busy}
    return page("portal/look_up.html", context, status_code=status_code)


def _expected(view: Tracking, zone: str) -> str:
    """Return when the order arrives, in one sentence; nothing when it has arrived or nobody promised."""
    if view.step == 4 or view.promised_at is None:
        return ""
    return f"Expected by {local(last_day(view.promised_at), zone, '%A %d %B')}"


def _silence(view: Tracking, now: datetime) -> str:
    """Return the sentence for a parcel nobody has scanned for long; it is never silent about silence."""
    if view.step not in (2, 3) or not view.timeline:
        return ""
    quiet = now - view.timeline[-1].at
    if view.silent and quiet < SILENT_AFTER:
        return "There is no update from the carrier at the moment. Nothing says that your order is late."
    if quiet < SILENT_AFTER:
        return ""
    return f"No scan by the carrier for {int(quiet.total_seconds() // 3600)} hours. We are asking them."
