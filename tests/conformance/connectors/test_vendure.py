"""The Vendure connector keeps its promises against a real shop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import pytest

from crossdock.connectors import registry
from crossdock.sdk import Connector, Outbound, Pulled
from crossdock.sdk.conformance import REFUSED, Effect, run
from tests.conformance.connectors.harnesses import a_context
from tests.conformance.connectors.real_peers import RealHarness, Translated
from tests.conformance.connectors.test_promises import done_promises
from tests.support.processes import free_port
from tests.support.vendure import PASSWORD, USERNAME, VendureServer, vendure

__all__ = ["vendure"]

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
QUANTITY = 2


class VendureHarness(RealHarness):
    """The suite's orders are paid orders that wait for their shipment; its documents to pull are orders being paid."""

    def __init__(self, server: VendureServer) -> None:
        super().__init__(server.url)
        self.server = server
        self._orders: dict[str, dict[str, Any]] = {}

    def is_effect(self, method: str, path: str, body: bytes) -> bool:
        return b"transitionFulfillmentToState" in body

    async def connector(self, *, credentials: Literal["good", "bad"] = "good", reachable: bool = True) -> Connector:
        url = self.proxy.url if reachable else f"http://127.0.0.1:{free_port()}"
        secrets = {"password": PASSWORD if credentials == "good" else "not-the-password"}
        context = a_context({"url": url, "username": USERNAME}, secrets, self.clock, self.timeout_seconds)
        self._made.append(registry.create("vendure", context))
        return Translated(self._made[-1], self)

    async def outgoing(self, outbound: Outbound) -> bytes:
        name = json.loads(outbound.content)["order"]
        order = {"code": "no-such-order", "lines": [{"id": "0"}]}
        if outbound.content != REFUSED:
            if name not in self._orders:
                self._orders[name] = self.server.buy(QUANTITY)
            order = self._orders[name]
        reference = f"{self.tag}-{outbound.identity}"
        self.sent[reference] = outbound.content
        lines = [{"line": order["lines"][0]["id"], "quantity": QUANTITY}]
        return json.dumps(
            {"effect": "fulfil", "order": order["code"], "reference": reference, "tracking": ["CL1"], "lines": lines}
        ).encode()

    def incoming(self, pulled: Pulled) -> bytes | None:
        return self.offered.get(json.loads(pulled.content)["customer"]["name"].split(" ")[0])

    async def offer(self, name: str, content: bytes) -> None:
        await (await self.offer_partly(name, content))()

    async def offer_partly(self, name: str, content: bytes) -> Callable[[], Awaitable[None]]:
        """Half a document is an order that is not paid for yet."""
        customer = f"{self.tag}|{name}"
        self.offered[customer] = content
        self.server.buy(1, name=customer, pay=False)

        async def complete() -> None:
            self.server.pay()

        return complete

    def effects(self) -> list[Effect]:
        found = []
        for order in self._orders.values():
            for one in self.server.order(order["id"])["fulfillments"]:
                if one["state"] == "Shipped":
                    reference = one["method"].partition("[")[2][:-1]
                    whole = [QUANTITY] == [line["quantity"] for line in one["lines"]]
                    found.append(Effect(reference, self.sent[reference] if whole else b"another quantity"))
        return found

    def attempts(self) -> list[Effect]:
        """Every attempt that made a fulfillment wrote our reference into it."""
        found = []
        for _, _, body in self.proxy.writes:
            if b"addFulfillmentToOrder" in body:
                arguments = json.loads(body)["variables"]["input"]["handler"]["arguments"]
                found.append(Effect(arguments[0]["value"], b""))
        return found

    def escaped(self) -> bool:
        return bool(self.outside.writes)


@pytest.fixture
async def make_vendure(vendure: VendureServer) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    made: list[VendureHarness] = []

    async def make() -> Any:
        made.append(await VendureHarness(vendure).start())
        return made[-1]

    yield make
    for harness in made:
        await harness.stop()


@pytest.mark.parametrize("promise", done_promises("vendure"))
async def test_vendure_keeps(promise: str, make_vendure: Callable[[], Awaitable[Any]]) -> None:
    """The Vendure connector keeps the promise against the real shop."""
    await run(promise, make_vendure)
