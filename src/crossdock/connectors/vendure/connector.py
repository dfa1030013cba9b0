"""Vendure 3 over its admin API (GraphQL): pull paid orders; tell what was shipped, and the stock on hand.

Vendure answers 200 to nearly everything: whether it agrees stands in the answer, as an `errors` list of GraphQL or as a
result whose type is an error. The session begins with a login and is renewed once when Vendure has forgotten it.

    fulfil   (made with our reference) Pending → Shipped
    stock    set to the number told
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from ...errors import ConfigurationError, Finding, TransientError, UnknownOutcome
from ...sdk import CheckResult, ConnectorContext, FindResult, Outbound, Pulled, PushResult
from ..egress import MalformedAddress, parse_url
from ..rest import Refused, RestClient, checked, decode_payload, found, pushed, required_secret
from .documents import (
    ORDER_FIELDS,
    Fulfil,
    Stock,
    Telling,
    method_of,
    order_document,
    reference_of,
)

ORDERS_PER_PAGE = 50
PAGES_MAX = 200
SEEN_MAX = 20_000
CONTRADICTION = "XD-PTR-041"
_DONE_STATES = ("Shipped", "Delivered")

_LOGIN = """mutation ($username: String!, $password: String!) { login(username: $username, password: $password) {
  __typename ... on ErrorResult { errorCode message } } }"""
_ORDERS = """query ($options: OrderListOptions) { orders(options: $options) { items { %s } } }"""
_FULFILLMENTS = """query ($code: String!) { orders(options: {filter: {code: {eq: $code}}}) { items { id state
  lines { id } fulfillments { id state method trackingCode lines { orderLineId quantity } } } } }"""
_FULFIL = """mutation ($input: FulfillOrderInput!) { addFulfillmentToOrder(input: $input) {
  __typename ... on Fulfillment { id state } ... on ErrorResult { errorCode message } } }"""
_SHIP = """mutation ($id: ID!) { transitionFulfillmentToState(id: $id, state: "Shipped") {
  __typename ... on Fulfillment { id state } ... on ErrorResult { errorCode message } } }"""
_VARIANTS = """query ($skus: [String!]!, $take: Int!) {
  productVariants(options: {take: $take, filter: {sku: {in: $skus}}}) { items { id sku stockLevels {
    stockLocationId stockOnHand } } }
  stockLocations { items { id name } } }"""
_STOCK = """mutation ($input: [UpdateProductVariantInput!]!) { updateProductVariants(input: $input) { id } }"""


class VendureSettings(msgspec.Struct, frozen=True):
    """What `manifest.toml` describes, with its types."""

    url: str
    username: str
    path: str = "/admin-api"
    channel: str = ""
    states: tuple[str, ...] = ("PaymentSettled",)
    money_digits: int = 2


def create(context: ConnectorContext) -> Vendure:
    """Return the connector of one connection; raises ConfigurationError for settings that cannot work."""
    return Vendure(context)


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what the manifest's types alone cannot see."""
    del secrets
    try:
        parse_url(str(settings.get("url", "")))
    except MalformedAddress as error:
        return [Finding("XD-CFG-003", str(error), pointer="/settings/url")]
    return []


class Vendure:
    """One channel of one Vendure."""

    def __init__(self, context: ConnectorContext) -> None:
        self._context = context
        try:
            self._settings = settings = msgspec.convert(dict(context.settings), VendureSettings)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"the settings cannot be read: {error}") from error
        self._password = required_secret(context, "password")
        headers = {"vendure-token": settings.channel} if settings.channel else {}
        self._api = RestClient(context, settings.url, headers)
        self._token = ""
        self._login_lock = asyncio.Lock()
        self._seen: dict[str, str] = {}

    async def check(self) -> CheckResult:
        """Log in and ask for one order."""

        async def ask() -> str:
            await self._ask(_ORDERS % "id", {"options": {"take": 1}})
            return f"{self._api.authority} answers to {self._settings.username}"

        return await checked(ask)

    # -- orders out

    async def pull(self) -> AsyncIterator[Pulled]:
        """Yield every paid order that nobody has begun to ship.

        The list of those is asked for whole each time, so an order is never missed by a cursor; what was taken with the
        same content before is passed over, after a restart by the hub's own receipt keys.
        """
        present: set[str] = set()
        for page in range(PAGES_MAX):
            options = {
                "filter": {"state": {"in": list(self._settings.states)}},
                "sort": {"id": "ASC"},
                "skip": page * ORDERS_PER_PAGE,
                "take": ORDERS_PER_PAGE,
            }
            orders = (await self._ask(_ORDERS % ORDER_FIELDS, {"options": options}))["orders"]["items"]
            for order in orders:
                present.add(order["id"])
                content = msgspec.json.encode(order_document(order, self._settings.money_digits))
                digest = hashlib.sha256(content).hexdigest()[:20]
                if self._seen.get(order["id"]) == digest:
                    continue
                yield Pulled(
                    content,
                    f"order-{order['code']}.json",
                    "application/json",
                    self._acknowledgment(order["id"], digest),
                    receipt_key=f"order:{order['id']}:{digest}",
                )
            if len(orders) < ORDERS_PER_PAGE:
                break
        if len(self._seen) > SEEN_MAX:
            self._seen = {order: digest for order, digest in self._seen.items() if order in present}

    def _acknowledgment(self, order_id: str, digest: str) -> Callable[[], Awaitable[None]]:
        async def acknowledge() -> None:
            self._seen[order_id] = digest

        return acknowledge

    # -- fulfillments and stock back

    async def push(self, outbound: Outbound) -> PushResult:
        """Carry one telling through, from wherever an earlier attempt left it."""

        async def effect() -> PushResult:
            telling: Telling = decode_payload(outbound.content, Telling)
            return await (self._fulfil(telling) if isinstance(telling, Fulfil) else self._set_stock(telling))

        return await pushed(self._context, effect)

    async def find(self, outbound: Outbound) -> FindResult:
        """Look for the fulfillment of our reference; of stock, whether it is what was told."""

        async def question() -> FindResult:
            telling: Telling = decode_payload(outbound.content, Telling)
            if isinstance(telling, Stock):
                return FindResult("absent" if await self._differences(telling) else "found")
            ours = _ours(await self._order(telling.order), telling.reference)
            if ours is None:
                return FindResult("absent", detail=f"no fulfillment bears {telling.reference}")
            if ours["state"] in _DONE_STATES:
                return FindResult("found", reference=ours["id"])
            return FindResult("absent", detail=f"{telling.reference} is begun and {ours['state']}")

        return await found(question)

    async def _fulfil(self, fulfil: Fulfil) -> PushResult:
        order = await self._order(fulfil.order)
        ours = _ours(order, fulfil.reference)
        if ours is None:
            known = {line["id"] for line in order["lines"]}
            strange = [line.line for line in fulfil.lines if line.line not in known]
            if strange:
                raise Refused(f"order {fulfil.order} has no line {strange[0]} in the shop", code=CONTRADICTION)
            body = {
                "lines": [
                    {"orderLineId": line.line, "quantity": line.quantity} for line in fulfil.lines if line.quantity
                ],
                "handler": {
                    "code": "manual-fulfillment",
                    "arguments": [
                        {"name": "method", "value": method_of(fulfil)},
                        {"name": "trackingCode", "value": " ".join(fulfil.tracking)},
                    ],
                },
            }
            ours = _result(await self._tell(_FULFIL, {"input": body}), "addFulfillmentToOrder")
        elif ours["state"] in _DONE_STATES:
            return PushResult("done", reference=ours["id"], detail="it was told already")
        if ours["state"] != "Pending":
            raise Refused(f"fulfillment {ours['id']} is {ours['state']} in the shop", code=CONTRADICTION)
        _result(await self._tell(_SHIP, {"id": ours["id"]}), "transitionFulfillmentToState")
        return PushResult("done", reference=ours["id"])

    async def _set_stock(self, stock: Stock) -> PushResult:
        changes = await self._differences(stock)
        if changes:
            await self._tell(_STOCK, {"input": changes})
        return PushResult("done", detail="" if changes else "it was so already")

    async def _differences(self, stock: Stock) -> list[dict[str, Any]]:
        """Return what has to be changed for the shop to have the stock that was told."""
        skus = [line.item for line in stock.lines]
        answer = await self._ask(_VARIANTS, {"skus": skus, "take": min(1_000, max(1, len(skus)))})
        locations = {one["name"]: one["id"] for one in answer["stockLocations"]["items"]}
        if stock.location not in locations and (stock.location or len(locations) != 1):
            raise Refused(f"the shop has no stock location {stock.location!r}", code=CONTRADICTION)
        location = locations.get(stock.location) or next(iter(locations.values()))
        variants = {one["sku"]: one for one in answer["productVariants"]["items"]}
        unknown = [sku for sku in skus if sku not in variants]
        if unknown:
            raise Refused(f"the shop knows no article {', '.join(unknown[:5])}", code=CONTRADICTION)
        changes = []
        for line in stock.lines:
            variant = variants[line.item]
            levels = {level["stockLocationId"]: level["stockOnHand"] for level in variant["stockLevels"]}
            if levels.get(location) != line.quantity:
                level = {"stockLocationId": location, "stockOnHand": line.quantity}
                changes.append({"id": variant["id"], "stockLevels": [level]})
        return changes

    async def _order(self, code: str) -> dict[str, Any]:
        items = (await self._ask(_FULFILLMENTS, {"code": code}))["orders"]["items"]
        if len(items) != 1:
            raise Refused(f"the shop has {len(items)} orders {code!r}", code=CONTRADICTION)
        return dict(items[0])

    # -- GraphQL and its session

    async def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of a question; a lost answer is transient."""
        try:
            return await self._tell(query, variables)
        except UnknownOutcome as error:
            raise TransientError(str(error), code=error.code) from error

    async def _tell(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of a mutation, logged in; raises UnknownOutcome for a lost answer."""
        for renewed in (False, True):
            token = await self._session()
            answer, _ = await self._api.post(
                self._settings.path, _body(query, variables), {"authorization": f"Bearer {token}"}
            )
            problem = _problem(answer)
            if problem is None:
                return dict(answer["data"])
            words, code = problem
            if code in ("FORBIDDEN", "UNAUTHORIZED"):
                if not renewed:
                    self._token = ""
                    continue
                raise Refused(
                    f"the shop does not allow {self._settings.username} to do this",
                    error_class="system",
                    code="XD-PTR-017",
                    hint="Give its role the rights to read and update orders and the catalog.",
                )
            if code == "INTERNAL_SERVER_ERROR":
                raise TransientError(f"the shop failed: {words}", code="XD-PTR-013")
            raise Refused(f"the shop refused: {words}", code="XD-PTR-016")
        raise AssertionError("a session is renewed once")

    async def _session(self) -> str:
        async with self._login_lock:
            if self._token:
                return self._token
            variables = {"username": self._settings.username, "password": self._password}
            try:
                answer, response = await self._api.post(self._settings.path, _body(_LOGIN, variables))
            except UnknownOutcome as error:
                raise TransientError(str(error), code=error.code) from error  # a login changes nothing of ours
            login = ((answer or {}).get("data") or {}).get("login") or {}
            if login.get("__typename") != "CurrentUser":
                raise Refused(
                    f"the shop refused the login: {login.get('message', 'no answer')}",
                    error_class="system",
                    code="XD-PTR-017",
                    hint="Compare username and password with the administrator in Vendure.",
                )
            self._token = response.header(b"vendure-auth-token")
            if not self._token:
                raise Refused(
                    "the shop gives no bearer token",
                    error_class="system",
                    code="XD-PTR-017",
                    hint="Let authOptions.tokenMethod of Vendure hold 'bearer'.",
                )
            return self._token

    async def close(self) -> None:
        """Close the kept connections."""
        await self._api.close()


def _body(query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    return {"query": query, "variables": dict(variables)}


def _problem(answer: Any) -> tuple[str, str] | None:
    """Return (words, code) of a GraphQL answer that holds errors or no data."""
    if not isinstance(answer, dict):
        return "an answer that is no object", ""
    errors = answer.get("errors")
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], dict) else {}
        return str(first.get("message", ""))[:300], str((first.get("extensions") or {}).get("code", ""))
    return None if isinstance(answer.get("data"), dict) else ("an answer without data", "")


def _result(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the result of a mutation, or raise Refused when its type is an error."""
    result = dict(data[name])
    if "errorCode" in result:
        raise Refused(f"the shop refused: {result.get('message')} ({result['errorCode']})", code="XD-PTR-016")
    return result


def _ours(order: Mapping[str, Any], reference: str) -> dict[str, Any] | None:
    fulfillments = order.get("fulfillments") or ()
    return next(
        (dict(one) for one in fulfillments if reference_of(one["method"]) == reference and one["state"] != "Cancelled"),
        None,
    )
