"""Vendure end to end: a paid order leaves the dock, and the shop shows it with its tracking."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crossdock.bootstrap import Hub
from crossdock.config import load_settings
from crossdock.connectors import registry
from crossdock.durable.identity import ManualClock
from crossdock.sdk import Connector, Outbound, PushResult
from tests.conformance.connectors.harnesses import START, MovingClock, a_context
from tests.support.vendure import PASSWORD, USERNAME, VendureServer, vendure

__all__ = ["vendure"]

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
PACK = Path(__file__).parents[2] / "examples/vendure/pack"
TENANT = "hazel"


@pytest.fixture
async def shop(vendure: VendureServer) -> AsyncIterator[Connector]:
    settings = {"url": vendure.url, "username": USERNAME}
    connector = registry.create("vendure", a_context(settings, {"password": PASSWORD}, MovingClock(START), 30.0))
    yield connector
    await connector.close()


async def tell(shop: Connector, document: dict[str, Any]) -> PushResult:
    return await shop.push(Outbound("msg_1", "id-1", "any", json.dumps(document).encode(), "application/json"))


def a_fulfil(order: dict[str, Any], reference: str, quantity: int) -> dict[str, Any]:
    lines = [{"line": order["lines"][0]["id"], "quantity": quantity}]
    return {"effect": "fulfil", "order": order["code"], "reference": reference, "tracking": ["CL1"], "lines": lines}


class Dock:
    """The example's dock: a folder of JSON files."""

    def __init__(self, folder: Path) -> None:
        self.inbox, self.outbox = folder / "from_dock", folder / "to_dock"
        for path in (self.inbox, self.outbox):
            path.mkdir(parents=True)

    def put(self, name: str, document: dict[str, Any]) -> None:
        (self.inbox / ".part").write_text(json.dumps(document))
        (self.inbox / ".part").rename(self.inbox / name)

    def requests(self) -> dict[str, dict[str, Any]]:
        """Return what was asked for, by the order's number."""
        documents = [json.loads(path.read_text()) for path in sorted(self.outbox.glob("*.json"))]
        return {document["order"]: document for document in documents}


async def test_paid_order_leaves_and_the_shop_shows_its_tracking(vendure: VendureServer, tmp_path: Path) -> None:
    """Stock goes to the shop, a paid order to the dock, the shipped part back as a fulfillment; an unpaid one waits."""
    clock = ManualClock(START)
    settings = load_settings(
        environment={},
        overrides={
            "store.url": f"sqlite:///{tmp_path.absolute()}/hub.db",
            "security.root_key_file": str(tmp_path / "root.key"),
            "security.allow_private_networks": ("127.0.0.0/8",),
            "security.folder_root": str(tmp_path),
            "log.level": "error",
        },
    )
    dock = Dock(tmp_path / "dock")
    files = {path.relative_to(PACK).as_posix(): path.read_text("utf-8") for path in sorted(PACK.rglob("*.yaml"))}
    files["connections/shop.yaml"] = files["connections/shop.yaml"].replace("https://shop.hazel.example", vendure.url)
    files["connections/dock.yaml"] = files["connections/dock.yaml"].replace("/srv/hazel/dock", str(tmp_path / "dock"))
    hub = await Hub.start(settings, clock=clock, ids_seed=1)

    async def pass_minutes(minutes: int) -> None:
        for _ in range(minutes):
            clock.move_to(clock.now() + timedelta(minutes=1))
            await hub.advance()

    try:
        await hub.set_secret(TENANT, "shop-password", PASSWORD)
        await hub.apply_pack(TENANT, files, "tester")
        dock.put("STOCK_1.json", {"at": START.isoformat(), "lines": [{"item": "NG-1105", "quantity": "77"}]})
        await pass_minutes(2)
        in_shop = vendure.stock("NG-1105")
        paid = await asyncio.to_thread(vendure.buy, 5, "NG-1105", name="Paid")
        unpaid = await asyncio.to_thread(vendure.buy, 5, "NG-1105", name="Unpaid", pay=False)
        await pass_minutes(2)
        request = dock.requests()[paid["code"]]
        lines = [{"line": request["lines"][0]["line"], "item": "NG-1105", "quantity": "3"}]
        shipment = {"shipment": "D-77", "ref": request["ref"], "at": clock.now().isoformat(), "lines": lines}
        dock.put("SHIP_1.json", {**shipment, "carrier": "Cargoline", "tracking": ["CL77"]})
        await pass_minutes(3)
    finally:
        await hub.stop()

    assert 77 == in_shop
    assert unpaid["code"] not in dock.requests()
    order = vendure.order(paid["id"])
    assert "PartiallyShipped" == order["state"]
    (fulfillment,) = order["fulfillments"]
    assert ("Shipped", "Cargoline [D-77]", "CL77") == tuple(
        fulfillment[key] for key in ("state", "method", "trackingCode")
    )
    assert [3] == [line["quantity"] for line in fulfillment["lines"]]


async def test_fulfillment_that_was_begun_is_gone_on_with(shop: Connector, vendure: VendureServer) -> None:
    """A crash between the two steps leaves a pending fulfillment, which the next attempt ships instead of another."""
    order = vendure.buy(2, name="Crash")
    document = a_fulfil(order, "CRASH-1", 2)
    api: Any = shop
    plain = api._tell

    async def dying(query: str, variables: Any) -> Any:
        if "transitionFulfillmentToState" in query:
            raise asyncio.CancelledError
        return await plain(query, variables)

    api._tell = dying
    with pytest.raises(asyncio.CancelledError):
        await tell(shop, document)
    api._tell = plain
    again, once_more = await tell(shop, document), await tell(shop, document)

    assert ("done", "it was told already") == (again.outcome, once_more.detail)
    assert ["Shipped"] == [one["state"] for one in vendure.order(order["id"])["fulfillments"]]


async def test_shop_that_says_no_in_a_200_has_refused(shop: Connector, vendure: VendureServer) -> None:
    """More than was ordered is refused in Vendure's words, though its answer is a 200."""
    order = vendure.buy(2, name="Surplus")

    refused = await tell(shop, a_fulfil(order, "SURPLUS-1", 9))
    strange = await tell(shop, {"effect": "stock", "lines": [{"item": "NO-SUCH", "quantity": 1}]})

    assert ("failed", True, "XD-PTR-016") == (refused.outcome, refused.permanent, refused.code)
    assert "ITEMS_ALREADY_FULFILLED_ERROR" in refused.detail
    assert ("failed", True, "XD-PTR-041") == (strange.outcome, strange.permanent, strange.code)


async def test_forgotten_session_is_renewed_once(shop: Connector, vendure: VendureServer) -> None:
    """A token that Vendure no longer knows costs a login, not a message."""
    api: Any = shop
    api._token = "forgotten"
    order = vendure.buy(1, name="Session")

    assert "done" == (await tell(shop, a_fulfil(order, "SESSION-1", 1))).outcome
