"""Tryton end to end: what its own records say after the hub has worked with it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from crossdock.connectors import registry
from crossdock.sdk import Connector, Outbound, PushResult
from tests.conformance.connectors.harnesses import START, MovingClock, a_context
from tests.support.tryton import DATABASE, TrytonServer, tryton

__all__ = ["tryton"]

pytestmark = pytest.mark.slow
STORY = Path(__file__).parents[2] / "examples/tryton/story.py"


def story() -> ModuleType:
    """Return the example's module, loaded once."""
    if "tryton_story" not in sys.modules:
        spec = importlib.util.spec_from_file_location("tryton_story", STORY)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["tryton_story"] = module
        spec.loader.exec_module(module)
    return sys.modules["tryton_story"]


@pytest.fixture
async def erp(tryton: TrytonServer) -> AsyncIterator[Connector]:
    connector = registry.create(
        "tryton", a_context(settings_of(tryton), {"key": tryton.seed["key"]}, MovingClock(START), 60.0)
    )
    yield connector
    await connector.close()


def settings_of(tryton: TrytonServer) -> dict[str, Any]:
    return {"url": tryton.url, "database": DATABASE, "company": tryton.seed["company"]}


async def tell(erp: Connector, document: dict[str, Any]) -> PushResult:
    return await erp.push(Outbound("msg_1", "id-1", "any", json.dumps(document).encode(), "application/json"))


def a_line(sale: dict[str, Any], quantity: int, position: int = 0) -> dict[str, Any]:
    return {"line": str(sale["lines"][position]["id"]), "quantity": str(quantity)}


def a_ship(sale: dict[str, Any], reference: str, *quantities: int) -> dict[str, Any]:
    lines = [a_line(sale, quantity, position) for position, quantity in enumerate(quantities)]
    return {"effect": "ship", "sale": sale["number"], "reference": reference, "tracking": ["CL1"], "lines": lines}


async def test_confirmed_sale_is_shipped_and_invoiced_by_what_left(tryton: TrytonServer, tmp_path: Path) -> None:
    """The story: a sale confirmed in Tryton leaves Swift over X12, and its invoice is posted; of a short ship, the
    invoice holds what was shipped.
    """
    report = await story().play(tryton, tmp_path)

    assert ([], []) == (report["lost"], report["double_effects"])
    whole, short = report["orders"]
    assert {"NG-1001": "3", "NG-1105": "2"} == whole["invoiced_in_tryton"] == whole["shipped_by_swift"]
    assert ({"NG-1301": "10"}, {"NG-1301": "7"}) == (short["ordered"], short["invoiced_in_tryton"])
    assert ["XD-ORD-002"] == report["open_issues"]
    assert 2 == len({number for order in report["orders"] for number in order["invoice_numbers"]})


def test_story_tells_when_the_books_differ(tryton: TrytonServer) -> None:
    """The comparison of the story is able to fail: a shipment nobody booked is lost."""

    class Ledger:
        def of(self, kind: str) -> list[Any]:
            return []

    class Swift:
        ledger = Ledger()

    sale = tryton.sell("never-left", [("NG-1001", 1, "18.90")])
    module = story()
    module.SALES["never-left"] = [("NG-1001", 1, "18.90")]

    report = module.compare(tryton, Swift(), {"never-left": sale}, [])

    del module.SALES["never-left"]
    assert f"sale {sale['number']}: never left" in report["lost"]


async def test_rest_of_a_short_shipment_is_booked_when_it_leaves(erp: Connector, tryton: TrytonServer) -> None:
    """Two partial shipments are two shipments and two invoices in Tryton, each with its own quantity."""
    sale = tryton.sell("partly", [("NG-1001", 10, "18.90"), ("NG-1105", 4, "46.00")])
    told = []
    for number, quantities in ((1, (7, 0)), (2, (3, 4))):
        told.append(await tell(erp, a_ship(sale, f"P{number}-{sale['number']}", *quantities)))
        lines = [a_line(sale, quantity, position) for position, quantity in enumerate(quantities)]
        release = {"effect": "invoice", "sale": sale["number"], "reference": f"R{number}-{sale['number']}"}
        told.append(await tell(erp, {**release, "lines": lines}))

    assert ["done"] * 4 == [result.outcome for result in told], told
    shipped = [sorted(m["quantity"] for m in one["outgoing_moves"]) for one in tryton.shipments(sale["id"])]
    assert [[7.0], [3.0, 4.0]] == shipped
    invoices = tryton.invoices(sale["id"])
    assert [[7.0], [3.0, 4.0]] == [sorted(line["quantity"] for line in one["lines"]) for one in invoices]
    assert {"posted"} == {one["state"] for one in invoices}
    assert "sent" == tryton.sale(sale["id"])["shipment_state"]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
async def test_walk_is_gone_on_with_from_where_it_was_left(erp: Connector, tryton: TrytonServer, steps: int) -> None:
    """A crash after any step leaves nothing that the next attempt would do twice."""
    sale = tryton.sell(f"crash-{steps}", [("NG-1001", 5, "18.90")])
    document = a_ship(sale, f"C{steps}-{sale['number']}", 4)
    api: Any = erp
    plain, made = api._api.tell, 0

    async def dying(*arguments: Any, **options: Any) -> Any:
        nonlocal made
        if made == steps:
            raise asyncio.CancelledError
        made += 1
        return await plain(*arguments, **options)

    api._api.tell = dying
    with pytest.raises(asyncio.CancelledError):
        await tell(erp, document)
    api._api.tell = plain
    absent = await erp.find(Outbound("msg_1", "id-1", "any", json.dumps(document).encode(), "application/json"))
    again, once_more = await tell(erp, document), await tell(erp, document)

    assert "absent" == absent.answer
    assert ("done", "done", "it was booked already") == (again.outcome, once_more.outcome, once_more.detail)
    done = [one for one in tryton.shipments(sale["id"]) if one["state"] == "done"]
    assert [[4.0]] == [[move["quantity"] for move in one["outgoing_moves"]] for one in done]


async def test_invoice_of_another_quantity_is_not_posted(erp: Connector, tryton: TrytonServer) -> None:
    """Tryton's draft must hold exactly what was released; else nothing is changed and both quantities are named."""
    sale = tryton.sell("mismatch", [("NG-1001", 5, "18.90")])
    assert "done" == (await tell(erp, a_ship(sale, f"M-{sale['number']}", 5))).outcome
    release = {"effect": "invoice", "sale": sale["number"], "reference": f"MR-{sale['number']}"}

    refused = await tell(erp, {**release, "lines": [a_line(sale, 3)]})

    assert ("failed", True, "XD-PTR-041") == (refused.outcome, refused.permanent, refused.code)
    assert "5 of line" in refused.detail and "3 of line" in refused.detail
    assert ["draft"] == [one["state"] for one in tryton.invoices(sale["id"])]


async def test_invoice_before_the_shipment_waits(erp: Connector, tryton: TrytonServer) -> None:
    """While Tryton has drafted nothing, the release may be tried again."""
    sale = tryton.sell("early", [("NG-1001", 5, "18.90")])
    release = {"effect": "invoice", "sale": sale["number"], "reference": f"E-{sale['number']}"}

    early = await tell(erp, {**release, "lines": [a_line(sale, 5)]})

    assert ("failed", False, "XD-PTR-040") == (early.outcome, early.permanent, early.code)


async def test_invoices_posted_side_by_side_have_numbers_of_their_own(erp: Connector, tryton: TrytonServer) -> None:
    """Tryton on SQLite gives one number to invoices posted at the same time; the connector posts in turn."""
    sales = [tryton.sell(f"side-{number}", [("NG-1001", 1, "18.90")]) for number in range(4)]
    for sale in sales:
        assert "done" == (await tell(erp, a_ship(sale, f"S-{sale['number']}", 1))).outcome
    releases = [
        {"effect": "invoice", "sale": sale["number"], "reference": f"SR-{sale['number']}", "lines": [a_line(sale, 1)]}
        for sale in sales
    ]

    results = await asyncio.gather(*(tell(erp, release) for release in releases))

    assert ["done"] * 4 == [result.outcome for result in results]
    assert 4 == len({one["number"] for sale in sales for one in tryton.invoices(sale["id"])})


async def test_more_than_planned_is_refused(erp: Connector, tryton: TrytonServer) -> None:
    """What no open shipment of the sale holds is not booked."""
    sale = tryton.sell("surplus", [("NG-1001", 5, "18.90")])

    refused = await tell(erp, a_ship(sale, f"X-{sale['number']}", 6))

    assert ("failed", True, "XD-PTR-041") == (refused.outcome, refused.permanent, refused.code)
    assert ["waiting"] == [one["state"] for one in tryton.shipments(sale["id"])]


async def test_tryton_refusing_is_told_from_a_refused_key(erp: Connector, tryton: TrytonServer) -> None:
    """400 is a fault of the content, with Tryton's own words; 401 one of the connection, with a hint."""
    unknown = await tell(
        erp, {"effect": "count", "reference": "N-1", "location": "STO", "lines": [{"item": "NO-SUCH", "quantity": "1"}]}
    )
    broken = await tell(erp, {"effect": "dance"})
    stranger = registry.create("tryton", a_context(settings_of(tryton), {"key": "0" * 40}, MovingClock(START), 60.0))
    refused = await tell(stranger, {"effect": "count", "reference": "N-2", "location": "STO", "lines": []})
    await stranger.close()

    assert ("data", "XD-PTR-041") == (unknown.error_class, unknown.code)
    assert ("data", "XD-PTR-042") == (broken.error_class, broken.code)
    assert ("system", "XD-PTR-017", 401) == (refused.error_class, refused.code, refused.http_status)


async def test_count_sets_the_stock_once(erp: Connector, tryton: TrytonServer) -> None:
    """A count under one reference is one inventory in Tryton, however often it is told."""
    document = {
        "effect": "count",
        "reference": "SWIFT:one",
        "location": "STO",
        "lines": [{"item": "NG-1301", "quantity": "321"}],
    }
    before = len(tryton.rows("stock.inventory", [], "state"))

    results = [await tell(erp, document) for _ in range(3)]

    assert ["done"] * 3 == [result.outcome for result in results]
    rows = tryton.rows("stock.inventory", [], "state", "lines.quantity")[before:]
    assert [("done", [321.0])] == [(row["state"], [line["quantity"] for line in row["lines"]]) for row in rows]


async def test_sale_that_changes_after_it_was_pulled_comes_again(erp: Connector, tryton: TrytonServer) -> None:
    """New sales, which have no write_date, come; changed ones come again under a new key; the others stay away."""

    async def pull() -> list[tuple[str, str]]:
        found = []
        async for pulled in erp.pull():
            document = json.loads(pulled.content)
            if str(document["reference"]).startswith("seen"):
                found.append((document["reference"], pulled.receipt_key))
            await pulled.acknowledge()
        return found

    first_sale = tryton.sell("seen-1", [("NG-1001", 1, "18.90")])
    first, idle = await pull(), await pull()
    tryton.sell("seen-2", [("NG-1001", 1, "18.90")])
    second = await pull()
    tryton.call("PUT", f"sale.sale/{first_sale['id']}?f=number", {"reference": "seen-1b"})
    changed = await pull()

    assert (["seen-1"], []) == ([name for name, _ in first], idle)
    assert ["seen-2"] == [name for name, _ in second]
    assert ["seen-1b"] == [name for name, _ in changed] and changed[0][1] != first[0][1]
