"""The order page: where it is, what happens next, who has the ball."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery

from ...flow.source_again import waiting
from ...views import customer_tracking, order_timeline
from ...views.order_facts import NO_UPDATE, Fault
from ..problems import BadRequest
from .frame import show, visit
from .order_graph import draw

ZOOMS = ("compact", "timeline", "raw")


@get("/console/orders/{number:path}", include_in_schema=False)
async def order(
    request: Request[Any, Any, Any],
    number: FromPath[str],
    zoom: FromQuery[Literal["compact", "timeline", "raw"]] = "timeline",
    view: FromQuery[Literal["", "customer"]] = "",
) -> Response[bytes]:
    """Show one order, found by any of its names."""
    here = await visit(request, "order.read")
    wanted = number.strip("/").removesuffix(".json")
    if not wanted:
        raise BadRequest("Name an order")
    page = await here.read(
        lambda connection: order_timeline.load(
            connection, here.tenant_id, wanted, configuration=here.configuration, now=here.now
        )
    )
    tracking = None
    if view == "customer":
        tracking = await here.read(lambda connection: customer_tracking.load(connection, here.tenant_id, page.number))
    base = f"/console/orders/{quote(page.number, safe='')}"
    public = here.public_url
    return await show(
        here,
        "console/order.html",
        page,
        section="orders",
        crumbs=(("Overview", "/console"), ("Orders", "/console/orders"), (page.number, "")),
        mode=view or "ops",
        zoom=zoom,
        base=base,
        tracking=tracking,
        drawing=draw(page),
        waits=bool(waiting(page.state)),
        faults=_grouped(page.faults),
        silent=any(fault.code == NO_UPDATE for fault in page.faults),
        reached=max((place for place, point in enumerate(page.milestones) if point.actual_at), default=-1),
        skus={line.line_no: line for line in page.state.order.lines},
        copies=(
            ("CLI", f"crossdock trace {page.number} --tenant {here.tenant_id}"),
            (
                "curl",
                f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {public}/v1/orders/{quote(page.number, safe='')}",
            ),
            ("JSON", f"{public}{base}.json"),
        ),
    )


def _grouped(faults: tuple[Fault, ...]) -> list[tuple[Fault, int]]:
    """Return each fault once with how often it stands there: one cause, one line."""
    counts: dict[tuple[str, str, str], tuple[Fault, int]] = {}
    for fault in faults:
        key = (fault.issue_id, fault.code, fault.detail)
        counts[key] = (fault, counts[key][1] + 1 if key in counts else 1)
    return list(counts.values())
