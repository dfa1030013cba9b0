"""A real Tryton 8.2 server for the tests: a process of its own on a copy of the prepared SQLite database."""

from __future__ import annotations

import base64
import json
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import PeerServer, prepared

DATABASE = "erp"


class TrytonServer(PeerServer):
    """Tryton, with the hands of somebody who works in it: `sell`, `rows`. Never used by the product."""

    def __init__(self, prepared_at: Path, folder: Path) -> None:
        super().__init__(folder)
        self._bin = prepared_at / "venv/bin"
        self.seed: dict[str, Any] = json.loads((prepared_at / "seed.json").read_text())
        (folder / "db").mkdir(parents=True)
        # A copy of the file would lose what still lies in the write-ahead log.
        with (
            closing(sqlite3.connect(prepared_at / "erp.sqlite")) as source,
            closing(sqlite3.connect(folder / "db/erp.sqlite")) as target,
        ):
            source.backup(target)

    def command(self, port: int) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        configuration = self.folder / "trytond.conf"
        configuration.write_text(
            f"[web]\nlisten = 127.0.0.1:{port}\n[database]\nuri = sqlite://\npath = {self.folder / 'db'}\n"
        )
        return (self._bin / "trytond", "-c", configuration, "-d", DATABASE), {}

    def answers(self) -> bool:
        # The first question makes the server load its modules: it is ready when that is done.
        return self.status("GET", f"/{DATABASE}/rest/model/res.user?f=login", headers=self._headers()) == 200

    def _headers(self) -> dict[str, str]:
        context = base64.urlsafe_b64encode(json.dumps({"company": self.seed["company"]}).encode()).decode()
        return {"Authorization": f"bearer {self.seed['key']}", "X-Tryton-Context": context}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of one request to the REST interface."""
        request = urllib.request.Request(
            f"{self.url}/{DATABASE}/rest/model/{path}",
            None if body is None else json.dumps(body).encode(),
            {**self._headers(), "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error
        return json.loads(content) if content else None

    def rows(self, model: str, domain: list[Any], *fields: str) -> list[dict[str, Any]]:
        """Return the records of a model, oldest first."""
        domain_text = base64.urlsafe_b64encode(json.dumps(domain).encode()).decode()
        order = base64.urlsafe_b64encode(b'[["id","ASC"]]').decode()
        query = urllib.parse.urlencode([("d", domain_text), ("o", order), *(("f", field) for field in fields)])
        return list(self.call("GET", f"{model}?{query}"))

    def sell(
        self, reference: str, lines: Iterable[tuple[str, int, str]], *, customer: str = "Blue Fern Cafe"
    ) -> dict[str, Any]:
        """Have somebody enter and confirm a sale: lines are (code, quantity, price). Returns number and line ids."""
        made = self.draw_up(reference, lines, customer=customer)
        for action in ("quote", "confirm"):
            self.call("POST", f"sale.sale/{made['id']}/{action}", {})
        return self.sale(made["id"])

    def draw_up(
        self, reference: str, lines: Iterable[tuple[str, int, str]], *, customer: str = "Blue Fern Cafe"
    ) -> dict[str, Any]:
        """Have somebody enter a sale and leave it a draft."""
        who = self.seed["customers"][customer]
        rows = [
            {
                "product": self.seed["products"][code],
                "quantity": quantity,
                "unit": self.seed["unit"],
                "unit_price": {"__class__": "Decimal", "decimal": price},
            }
            for code, quantity, price in lines
        ]
        body = {
            "party": who["party"],
            "invoice_address": who["address"],
            "shipment_address": who["address"],
            "payment_term": self.seed["term"],
            "reference": reference,
            "invoice_method": "fulfillment",
            "shipment_method": "order",
            "lines": [["create", rows]],
        }
        return dict(self.call("POST", "sale.sale?f=number", body))

    def sale(self, sale_id: int) -> dict[str, Any]:
        """Return a sale with its states and lines."""
        fields = ("number", "reference", "state", "shipment_state", "invoice_state", "lines.product.code")
        query = urllib.parse.urlencode([("f", field) for field in fields])
        return dict(self.call("GET", f"sale.sale/{sale_id}?{query}"))

    def shipments(self, sale_id: int) -> list[dict[str, Any]]:
        """Return the shipments of a sale with what leaves in them."""
        return self.rows(
            "stock.shipment.out",
            [["moves.origin.sale", "=", sale_id, "sale.line"]],
            *("number", "reference", "state", "outgoing_moves.quantity", "outgoing_moves.product.code"),
        )

    def invoices(self, sale_id: int) -> list[dict[str, Any]]:
        """Return the invoices of a sale with their lines."""
        return self.rows(
            "account.invoice",
            [["lines.origin.sale", "=", sale_id, "sale.line"]],
            *("number", "reference", "state", "total_amount", "lines.quantity", "lines.product.code"),
        )


@pytest.fixture(scope="session")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    """One running Tryton for this worker; tests tell their records apart by references of their own."""
    server = TrytonServer(prepared("tryton", "Tryton"), tmp_path_factory.mktemp("tryton"))
    server.start()
    yield server
    server.stop()
