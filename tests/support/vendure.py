"""A real Vendure shop for the tests: a process of its own on a copy of the prepared SQLite database."""

from __future__ import annotations

import json
import shutil
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import PeerServer, prepared

USERNAME = PASSWORD = "superadmin"


class VendureServer(PeerServer):
    """Vendure, with the hands of customers and of somebody in the shop."""

    def __init__(self, prepared_at: Path, folder: Path) -> None:
        super().__init__(folder)
        self._prepared_at = prepared_at
        self._admin = ""
        self._unpaid: Callable[[], object] = dict
        with (
            closing(sqlite3.connect(prepared_at / "filled/shop.sqlite")) as source,
            closing(sqlite3.connect(self.folder / "shop.sqlite")) as target,
        ):
            source.backup(target)

    def command(self, port: int) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        node = shutil.which("node")
        assert node is not None
        return (node, self._prepared_at / "server.js", str(port), self.folder), {}

    def answers(self) -> bool:
        body = json.dumps({"query": "{ __typename }"}).encode()
        return self.status("POST", "/admin-api", body, {"Content-Type": "application/json"}) == 200

    def _ask(self, api: str, query: str, variables: Any, token: str) -> tuple[dict[str, Any], str]:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{api}", body, headers), timeout=60) as answer:
            decoded = json.loads(answer.read())
            if decoded.get("errors"):
                raise RuntimeError(f"{query[:80]}: {decoded['errors']}")
            return dict(decoded["data"]), answer.headers.get("vendure-auth-token") or token

    def admin(self, query: str, variables: Any = None) -> dict[str, Any]:
        """Return the data of a question to the admin API."""
        if not self._admin:
            login = f'mutation {{ login(username: "{USERNAME}", password: "{PASSWORD}") {{ __typename }} }}'
            _, self._admin = self._ask("admin-api", login, None, "")
        return self._ask("admin-api", query, variables, self._admin)[0]

    def buy(self, quantity: int, sku: str = "NG-1001", *, name: str = "Ada", pay: bool = True) -> dict[str, Any]:
        """Have a customer order an article and pay for it; returns the order."""
        token = ""

        def shop(query: str, variables: Any = None) -> dict[str, Any]:
            nonlocal token
            data, token = self._ask("shop-api", query, variables, token)
            return data

        products = shop("{ products { items { variants { id sku } } } }")["products"]["items"]
        variant = next(one["id"] for product in products for one in product["variants"] if one["sku"] == sku)
        add = (
            "mutation($v: ID!, $n: Int!) { addItemToOrder(productVariantId: $v, quantity: $n) { ... on Order { id } } }"
        )
        order_id = shop(add, {"v": variant, "n": quantity})["addItemToOrder"]["id"]
        shop(
            'mutation($n: String!, $e: String!) { setCustomerForOrder(input: {firstName: $n, lastName: "Moss", '
            "emailAddress: $e}) { __typename } }",
            # One address is one customer, whose name would change with every order.
            {"n": name, "e": f"{name.encode().hex()}@example.com"},
        )
        shop(
            'mutation { setOrderShippingAddress(input: {fullName: "Ada Moss", streetLine1: "1 Main", city: "Omaha", '
            'province: "NE", postalCode: "68102", countryCode: "US"}) { __typename } }'
        )
        method = shop("{ eligibleShippingMethods { id } }")["eligibleShippingMethods"][0]["id"]
        shop("mutation($i: [ID!]!) { setOrderShippingMethod(shippingMethodId: $i) { __typename } }", {"i": [method]})
        shop('mutation { transitionOrderToState(state: "ArrangingPayment") { __typename } }')
        pay_now = 'mutation { addPaymentToOrder(input: {method: "dummy", metadata: {}}) { __typename } }'
        self._unpaid = lambda: shop(pay_now)
        if pay:
            self._unpaid()
        return self.order(order_id)

    def pay(self) -> None:
        """Have the customer who ordered last pay."""
        self._unpaid()

    def order(self, order_id: str) -> dict[str, Any]:
        """Return an order with its fulfillments."""
        query = """query($id: ID!) { order(id: $id) { id code state customer { firstName } lines { id quantity }
            fulfillments { id state method trackingCode lines { orderLineId quantity } } } }"""
        return dict(self.admin(query, {"id": order_id})["order"])

    def stock(self, sku: str) -> int:
        """Return how much of an article the shop has on hand."""
        query = """query($sku: String!) { productVariants(options: {filter: {sku: {eq: $sku}}}) {
            items { stockLevels { stockOnHand } } } }"""
        return int(self.admin(query, {"sku": sku})["productVariants"]["items"][0]["stockLevels"][0]["stockOnHand"])


@pytest.fixture(scope="session")
def vendure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendureServer]:
    """One running shop for this worker."""
    server = VendureServer(prepared("vendure", "Vendure"), tmp_path_factory.mktemp("vendure"))
    server.start()
    yield server
    server.stop()
