"""The Tryton connector keeps its promises against a real Tryton server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import pytest

from crossdock.connectors import registry
from crossdock.sdk import Connector, Outbound, Pulled
from crossdock.sdk.conformance import REFUSED, Effect, PromiseBroken, run
from tests.conformance.connectors.harnesses import a_context
from tests.conformance.connectors.real_peers import RealHarness, Translated
from tests.conformance.connectors.test_promises import NeverAcknowledges, TakesUnknownForDone, done_promises
from tests.support.processes import free_port
from tests.support.tryton import DATABASE, TrytonServer, tryton

__all__ = ["tryton"]

pytestmark = pytest.mark.slow
QUANTITY = 4


class TrytonHarness(RealHarness):
    """The suite's orders are sales that wait for their shipment; its documents to pull are sales that are confirmed."""

    def __init__(self, server: TrytonServer) -> None:
        super().__init__(server.url)
        self.server = server
        self._sales: dict[str, dict[str, Any]] = {}

    def is_effect(self, method: str, path: str, body: bytes) -> bool:
        return method == "POST" and "/stock.shipment.out/" in path and "/do?" in path

    async def connector(self, *, credentials: Literal["good", "bad"] = "good", reachable: bool = True) -> Connector:
        url = self.proxy.url if reachable else f"http://127.0.0.1:{free_port()}"
        settings = {"url": url, "database": DATABASE, "company": self.server.seed["company"]}
        secrets = {"key": self.server.seed["key"] if credentials == "good" else "0" * 40}
        self._made.append(registry.create("tryton", a_context(settings, secrets, self.clock, self.timeout_seconds)))
        return Translated(self._made[-1], self)

    async def outgoing(self, outbound: Outbound) -> bytes:
        order = json.loads(outbound.content)["order"]
        sale = {"number": "no-such-sale", "lines": [{"id": 0}]}
        if outbound.content != REFUSED:
            if order not in self._sales:
                self._sales[order] = self.server.sell(f"{self.tag}:{order}", [("NG-1001", QUANTITY, "18.90")])
            sale = self._sales[order]
        reference = f"{self.tag}-{outbound.identity}"
        self.sent[reference] = outbound.content
        line = {"line": str(sale["lines"][0]["id"]), "quantity": str(QUANTITY), "item": "NG-1001"}
        return json.dumps(
            {"effect": "ship", "sale": sale["number"], "reference": reference, "tracking": ["CL1"], "lines": [line]}
        ).encode()

    def incoming(self, pulled: Pulled) -> bytes | None:
        return self.offered.get(json.loads(pulled.content)["reference"])

    async def offer(self, name: str, content: bytes) -> None:
        await (await self.offer_partly(name, content))()

    async def offer_partly(self, name: str, content: bytes) -> Callable[[], Awaitable[None]]:
        """Half a document is a sale that somebody still writes: a draft."""
        reference = f"{self.tag}|{name}"
        self.offered[reference] = content
        draft = self.server.draw_up(reference, [("NG-1105", 1, "46.00")])

        async def complete() -> None:
            for action in ("quote", "confirm"):
                self.server.call("POST", f"sale.sale/{draft['id']}/{action}", {})

        return complete

    def effects(self) -> list[Effect]:
        rows = self.server.rows(
            "stock.shipment.out",
            [["reference", "like", f"{self.tag}-%"], ["state", "=", "done"]],
            *("reference", "outgoing_moves.quantity"),
        )
        found = []
        for row in rows:
            reference = row["reference"].split(" ")[0]
            whole = [QUANTITY] == [move["quantity"] for move in row["outgoing_moves"]]
            found.append(Effect(reference, self.sent[reference] if whole else b"another quantity"))
        return found

    def attempts(self) -> list[Effect]:
        """Every attempt that reached a shipment wrote our reference into it."""
        bodies = [json.loads(body) for method, _, body in self.proxy.writes if method == "PUT"]
        return [Effect(body["reference"].split(" ")[0], b"") for body in bodies]


@pytest.fixture
async def make_tryton(tryton: TrytonServer) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    made: list[TrytonHarness] = []

    async def make() -> Any:
        made.append(await TrytonHarness(tryton).start())
        return made[-1]

    yield make
    for harness in made:
        await harness.stop()


@pytest.mark.parametrize("promise", done_promises("tryton"))
async def test_tryton_keeps(promise: str, make_tryton: Callable[[], Awaitable[Any]]) -> None:
    """The Tryton connector keeps the promise against the real server."""
    await run(promise, make_tryton)


@pytest.mark.parametrize("flaw, promise", [(TakesUnknownForDone, "unknown_outcome"), (NeverAcknowledges, "pull_twice")])
async def test_bad_connector_is_caught_at_tryton(
    flaw: Any, promise: str, make_tryton: Callable[[], Awaitable[Any]]
) -> None:
    """The suite is able to fail against the real server too."""

    async def make_bad() -> Any:
        harness = await make_tryton()
        good = harness.connector

        async def connector(**options: Any) -> Any:
            return flaw(await good(**options))

        harness.connector = connector
        return harness

    with pytest.raises(PromiseBroken):
        await run(promise, make_bad)
