"""The customer asks to return goods of an order: choose lines and amounts, see why something may not come back.

Works without JavaScript, under the link that opened the order. What is chosen is judged by the same rules as any
request; the order's page then shows where the return stands.
"""

from __future__ import annotations

import secrets
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from ...canonical.returns import CONDITIONS, ReturnLine, ReturnRequest
from ...flow.by_hand import Refused, SentAgain
from ...governance.configuration import Configuration
from ...processes.returns.eligibility import returnable
from ...processes.returns.state import ReturnLineState
from ...views import order_facts
from ...views.order_facts import OrderFacts
from ..access import refuse_foreign_requests
from ..context import web_of
from ..rendering import page, redirect, sentence
from .links import opened_order
from .order_page import configuration_of, frame_of

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]

CONDITION_WORDS = {
    "unopened": "Unopened",
    "opened": "Opened",
    "damaged": "Damaged",
    "defective": "Does not work",
    "wrong_item": "Not what I ordered",
}
LINES_MAX = 200
# Of the nonce of a form.
FORM_LENGTH_MIN, FORM_LENGTH_MAX = 16, 64


@get("/p/{tenant_id:str}/order/{token:str}/return", include_in_schema=False)
async def return_page(
    request: Request[Any, Any, Any], tenant_id: FromPath[str], token: FromPath[str]
) -> Response[bytes]:
    """Show what of the order may come back, and why the rest may not."""
    configuration = configuration_of(request, tenant_id)
    facts = await _facts(request, configuration, token)
    if facts is None:
        return redirect(f"/p/{configuration.tenant_id}")
    return _show(request, configuration, token, facts)


@post("/p/{tenant_id:str}/order/{token:str}/return", include_in_schema=False, status_code=200)
async def ask_return(
    request: Request[Any, Any, Any], tenant_id: FromPath[str], token: FromPath[str], data: Form
) -> Response[bytes]:
    """Ask for the return and lead back to the order; say what is wrong where nothing was chosen."""
    configuration = configuration_of(request, tenant_id)
    refuse_foreign_requests(request)
    facts = await _facts(request, configuration, token)
    if facts is None:
        return redirect(f"/p/{configuration.tenant_id}")
    web, address = web_of(request), request.client.host if request.client else ""
    wait = web.portal_lookups.hit(f"{configuration.tenant_id}|{address}|return")
    if wait:
        response = _show(request, configuration, token, facts, data, "Too many tries. Please wait a little.", 429)
        response.headers["retry-after"] = str(int(wait) + 1)
        return response
    lines, wrong = _chosen(facts, data)
    if wrong or not lines:
        return _show(request, configuration, token, facts, data, wrong or "Choose how many of which item come back.")
    form = data.get("form", "")
    if not FORM_LENGTH_MIN <= len(form) <= FORM_LENGTH_MAX:
        return _show(request, configuration, token, facts, data, "This page was not complete. Please send it again.")
    asked = ReturnRequest(
        "?",
        facts.number,
        lines,
        channel="portal",
        resolution="exchange" if data.get("resolution") == "exchange" else "refund",
        note=data.get("note", "").strip()[:500],
    )
    try:
        await web.hub.by_hand.ask_to_return(configuration.tenant_id, asked, "customer in the portal", form)
    except SentAgain:
        """The page was sent twice: the order shows the return that it began."""
    except Refused as error:
        return _show(request, configuration, token, facts, data, f"{sentence(str(error))}.")
    return redirect(f"/p/{configuration.tenant_id}/order/{token}#h-returns")


def _chosen(facts: OrderFacts, data: dict[str, str]) -> tuple[tuple[ReturnLine, ...], str]:
    lines: list[ReturnLine] = []
    for index, line in enumerate(facts.state.order.lines[:LINES_MAX]):
        text = data.get(f"quantity-{index}", "").strip()
        if not text or text == "0":
            continue
        try:
            quantity = Decimal(text)
        except InvalidOperation:
            return (), f"{text[:20]} is no number."
        if not quantity.is_finite() or quantity <= 0:
            return (), f"{text[:20]} cannot come back."
        condition = data.get(f"condition-{index}", "unopened")
        if condition not in CONDITIONS:
            return (), "Say in which condition the item is."
        lines.append(
            ReturnLine(quantity, line.line_no, line.sku, condition, data.get(f"reason-{index}", "").strip()[:200])  # type: ignore[arg-type]
        )
    return tuple(lines), ""


def _show(
    request: Request[Any, Any, Any],
    configuration: Configuration,
    token: str,
    facts: OrderFacts,
    data: dict[str, str] | None = None,
    wrong: str = "",
    status_code: int = 422,
) -> Response[bytes]:
    rules, now = configuration.policy_of("return"), web_of(request).hub.clock.now()
    best = _by_line(returnable(facts.state, rules, now, condition="damaged"))
    plain = _by_line(returnable(facts.state, rules, now, condition="unopened"))
    lines = [
        {
            "name": line.description or line.sku,
            "allowed": max(best[line.line_no].allowed, plain[line.line_no].allowed),
            "refusal": best[line.line_no].refusal if not best[line.line_no].allowed else "",
            "remark": plain[line.line_no].refusal if not plain[line.line_no].allowed else "",
        }
        for line in facts.state.order.lines[:LINES_MAX]
    ]
    context = {
        **frame_of(configuration),
        "number": facts.number,
        "lines": lines,
        "conditions": [(key, CONDITION_WORDS[key]) for key in CONDITIONS if key in rules.conditions],
        "data": data or {},
        "wrong": wrong,
        "form": secrets.token_urlsafe(16),
        "order_href": f"/p/{configuration.tenant_id}/order/{token}",
        "any_allowed": any(line["allowed"] for line in lines),
    }
    return page("portal/return.html", context, status_code=status_code if wrong else 200)


def _by_line(lines: tuple[ReturnLineState, ...]) -> dict[str, ReturnLineState]:
    return {line.line_no: line for line in lines}


async def _facts(request: Request[Any, Any, Any], configuration: Configuration, token: str) -> OrderFacts | None:
    web = web_of(request)
    tenant_id = configuration.tenant_id
    number = opened_order(web.portal_key, tenant_id, token, now=web.gate.clock.now())
    if number is None:
        return None
    return await web.hub.store.read(lambda connection: order_facts.load(connection, tenant_id, number))
