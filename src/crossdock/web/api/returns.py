"""`/v1/returns`: ask for a return, look at it, settle it; and what finance may know of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ...canonical.invoices import RebillRequest
from ...canonical.returns import CHANNELS, Condition, ReturnChange, ReturnLine, ReturnRequest
from ...processes.order_state import Bill
from ...processes.returns.eligibility import returnable
from ...processes.returns.state import STATUS_ARROWS, ReturnLineState, ReturnState
from ...views import finance, gates, order_facts, returns
from ..access import Principal
from ..context import api_principal, web_of
from ..idempotency import once
from ..problems import Unauthenticated, refuse_unknown
from .issues import IdempotencyKey

Text = Annotated[str, msgspec.Meta(max_length=500)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class AskedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to come back of one line of the order."""

    line_no: Name
    quantity: Annotated[Decimal, msgspec.Meta(description="more than zero")]
    condition: Condition = "unopened"
    reason: Text = ""


class AskReturn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A return to be asked for. The hub gives its number and judges every line."""

    order_number: Name
    lines: Annotated[tuple[AskedLine, ...], msgspec.Meta(min_length=1, max_length=500)]
    resolution: Literal["refund", "exchange"] = "refund"
    note: Text = ""


class SettleReturn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's word on a return."""

    action: Literal["approve", "refuse", "cancel"]
    reason: Text = ""


class AskRebill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which release is wrong (`SO-1:1`), and why."""

    release: Name
    reason: Text = ""


class JudgedLine(msgspec.Struct, frozen=True):
    """One line: what was asked for, what may come back, and what every rule said."""

    line_no: str
    sku: str
    asked: Decimal
    allowed: Decimal
    verdict: str
    words: tuple[str, ...]
    refusal: str


class ReturnAnswered(msgspec.Struct, frozen=True):
    """Where a return stands after what was asked; `lines` say of each line what may come back and why not."""

    number: str
    order_number: str
    status: str
    words: str
    site: str
    review: str
    lines: tuple[JudgedLine, ...]


class ReturnList(msgspec.Struct, frozen=True):
    """One page. `next_cursor` is empty on the last one."""

    items: tuple[returns.ReturnRow, ...]
    next_cursor: str
    facets: returns.Facets


class Returnable(msgspec.Struct, frozen=True):
    """What of an order could come back now, line by line, with the word of every rule."""

    order_number: str
    lines: tuple[JudgedLine, ...]


class OrderMoney(msgspec.Struct, frozen=True):
    """The financial side of an order, and why it is not invoiced, or not shown as delivered, in whole."""

    finance: finance.OrderFinance
    not_invoiced: tuple[gates.Obstacle, ...]
    not_delivered: tuple[gates.Obstacle, ...]


class Rebilled(msgspec.Struct, frozen=True):
    """The releases of an order after a correction was asked for."""

    order_number: str
    bills: tuple[Bill, ...]


_ANSWER = ResponseSpec(ReturnAnswered, generate_examples=False, description="where the return stands")


@get("/v1/returns", operation_id="listReturns", summary="List returns", tags=["returns"])
async def list_returns(
    request: Request[Any, Any, Any],
    status: FromQuery[str] = "",
    site: FromQuery[str] = "",
    channel: FromQuery[str] = "",
    late: FromQuery[bool] = False,
    q: FromQuery[str] = "",
    cursor: Annotated[str, QueryParameter(description="next_cursor of the page before")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="rows of a page")] = 50,
) -> ReturnList:
    """Return returns by number from the highest down, with the counts of each facet. `q` is part of a number."""
    principal = await _who(request, "return.read")
    refuse_unknown(status, (name for name in STATUS_ARROWS if name != "(new)"), "/query/status")
    refuse_unknown(channel, CHANNELS, "/query/channel")
    wanted = returns.Filter(status, site, channel, late, q.strip()[:100])
    page = await web_of(request).hub.store.read(
        lambda connection: returns.load(connection, principal.tenant_id, wanted, cursor=cursor, limit=limit)
    )
    return ReturnList(page.rows, page.next_cursor, page.facets)


@get("/v1/returns/{number:str}", operation_id="getReturn", summary="Get a return", tags=["returns"])
async def get_return(request: Request[Any, Any, Any], number: FromPath[str]) -> returns.ReturnDetail:
    """Return everything known of a return, named by its number, a credit's or a label's."""
    principal = await _who(request, "return.read")
    return await web_of(request).hub.store.read(
        lambda connection: returns.detail(connection, principal.tenant_id, number)
    )


@post(
    "/v1/returns",
    operation_id="askReturn",
    summary="Ask to return goods",
    tags=["returns"],
    status_code=201,
    responses={201: _ANSWER},
)
async def ask_return(
    request: Request[Any, Any, Any], data: JSONBody[AskReturn], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Judge what is to come back and authorize what may; the answer explains every refusal."""
    principal = await _who(request, "return.request")
    hub = web_of(request).hub

    async def act() -> ReturnAnswered:
        order_number = await hub.store.read(
            lambda connection: order_facts.find_number(connection, principal.tenant_id, data.order_number)
        )
        asked = request_of(data, order_number, "agent")
        return answer_of(await hub.by_hand.ask_to_return(principal.tenant_id, asked, principal.actor))

    return await once(request, principal, "return.request", data, act, status=201)


@post(
    "/v1/returns/{number:str}/settle",
    operation_id="settleReturn",
    summary="Approve, refuse or cancel a return",
    tags=["returns"],
    status_code=200,
    responses={200: _ANSWER},
)
async def settle_return(
    request: Request[Any, Any, Any],
    number: FromPath[str],
    data: JSONBody[SettleReturn],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Give a person's word on a return; 409 when it comes too late."""
    principal = await _who(request, "return.decide")
    hub = web_of(request).hub

    async def act() -> ReturnAnswered:
        change = ReturnChange(number, data.action, data.reason, principal.actor)
        return answer_of(await hub.by_hand.change_return(principal.tenant_id, change, principal.actor))

    return await once(request, principal, "return.settle", data, act)


@get(
    "/v1/orders/{number:str}/returnable",
    operation_id="getReturnable",
    summary="Ask what of an order may come back",
    tags=["returns"],
)
async def get_returnable(
    request: Request[Any, Any, Any], number: FromPath[str], condition: FromQuery[Condition] = "unopened"
) -> Returnable:
    """Judge every line of an order as if all of it were to come back now in that condition; changes nothing."""
    principal = await _who(request, "return.read")
    hub = web_of(request).hub
    configuration = hub.configuration(principal.tenant_id)
    if configuration is None:
        raise Unauthenticated()
    facts = await _facts(request, principal, number)
    rules = configuration.policy_of("return")
    return Returnable(facts.number, judged(returnable(facts.state, rules, hub.clock.now(), condition=condition)))


@get("/v1/orders/{number:str}/finance", operation_id="getOrderFinance", summary="Get an order's money", tags=["orders"])
async def get_finance(request: Request[Any, Any, Any], number: FromPath[str]) -> OrderMoney:
    """Return what is confirmed, released, invoiced and credited, and what stands in the way of the rest."""
    principal = await _who(request, "order.read")
    configuration = web_of(request).hub.configuration(principal.tenant_id)
    if configuration is None:
        raise Unauthenticated()
    facts, rules = await _facts(request, principal, number), configuration.policy.orders
    found = finance.fold(facts, rules)
    return OrderMoney(found, found.obstacles, gates.why_not_delivered(facts, rules))


@post(
    "/v1/orders/{number:str}/rebill",
    operation_id="rebillOrder",
    summary="Have a wrong invoice credited and released anew",
    tags=["orders"],
    status_code=200,
    responses={200: ResponseSpec(Rebilled, generate_examples=False, description="the order's releases")},
)
async def rebill(
    request: Request[Any, Any, Any],
    number: FromPath[str],
    data: JSONBody[AskRebill],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Ask the ERP to credit an invoice; it is released under a new number once the ERP has done so."""
    principal = await _who(request, "invoice.rebill")
    hub = web_of(request).hub

    async def act() -> Rebilled:
        order_number = await hub.store.read(
            lambda connection: order_facts.find_number(connection, principal.tenant_id, number)
        )
        asked = RebillRequest(data.release, order_number, data.reason, principal.actor)
        state = await hub.by_hand.rebill(principal.tenant_id, asked, principal.actor)
        return Rebilled(order_number, state.bills)

    return await once(request, principal, "order.rebill", data, act)


def request_of(data: AskReturn, order_number: str, channel: Literal["agent", "portal"]) -> ReturnRequest:
    """Return the canonical request of what was asked; its number is given when it is written."""
    lines = tuple(
        ReturnLine(line.quantity, line.line_no, condition=line.condition, reason=line.reason) for line in data.lines
    )
    return ReturnRequest("?", order_number, lines, channel, data.resolution, data.note)


def answer_of(state: ReturnState) -> ReturnAnswered:
    """Return what who asked is told."""
    return ReturnAnswered(
        state.number,
        state.order_number,
        state.status,
        returns.STATUS_WORDS.get(state.status, state.status),
        state.site,
        state.review,
        judged(state.lines),
    )


def judged(lines: tuple[ReturnLineState, ...]) -> tuple[JudgedLine, ...]:
    """Return the verdicts on lines, as who asked is told them."""
    return tuple(
        JudgedLine(line.line_no, line.sku, line.asked, line.allowed, line.verdict, line.words, line.refusal)
        for line in lines
    )


async def _facts(request: Any, principal: Principal, number: str) -> order_facts.OrderFacts:
    tenant_id = principal.tenant_id
    return await web_of(request).hub.store.read(
        lambda connection: order_facts.load(
            connection, tenant_id, order_facts.find_number(connection, tenant_id, number)
        )
    )


async def _who(request: Any, action: str) -> Principal:
    principal = await api_principal(request)
    principal.require(action)
    return principal
