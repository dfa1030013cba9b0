"""Inventory and reconciliation in the console: what is off, who is suspected, and a person's word on it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.web.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND_COUNT = """Warehouse,SKU,Status,On Hand,Counted At
RENO,NG-1001,AVAILABLE,400,11/23/2026 08:10
RENO,NG-1105,AVAILABLE,398,11/23/2026 08:10
"""
BOOKS = {
    "documentType": "BookStatement",
    "no": "BS-1",
    "books": "orders",
    "asOf": "2026-11-23T17:30:00+00:00",
    "dayBegan": "2026-11-22T17:30:00+00:00",
    "rows": [{"no": "SO-1001", "item": "NG-1001", "qty": "3", "bookedAt": "2026-11-23T15:00:00+00:00"}],
}


def token_of(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_a_drift_is_shown_with_its_suspect_and_settled_by_a_person(
    browser: httpx.AsyncClient, world: World
) -> None:
    """The map marks the item; without a word on what was found nothing is settled, with one it bears a name."""
    assert "Nothing drifted today" in (await browser.get("/console/inventory")).text
    await world.take("reno", SECOND_COUNT.encode(), name="STOCK_2.csv", kind="text/csv")
    world.clock.move_to(world.clock.now() + timedelta(minutes=1))
    await world.hub.reconciling.tick()

    twin: Any = (await browser.get("/console/inventory.json?state=open")).json()
    sku = "NG-1001"
    row = next(one for one in twin["rows"] if one["sku"] == sku)
    cells = {item["sku"]: item["cells"] for item in twin["items"]}
    assert "open" == next(cell["state"] for cell in cells[sku] if cell and cell["site"] == "RENO")
    page = (await browser.get("/console/inventory")).text
    assert row["suspects"] and row["suspects"][0]["kind"].replace("_", " ") in page.lower()
    assert "No drift matches" in (await browser.get("/console/inventory?sku=nothing-like-it")).text

    path, token = f"/console/inventory/settle/{row['drift_id']}", token_of(page)
    assert 400 == (await browser.post(path, data={"csrf_token": token, "reason": " "})).status_code
    assert 403 == (await browser.post(path, data={"csrf_token": "forged", "reason": "found"})).status_code
    assert 303 == (await browser.post(path, data={"csrf_token": token, "reason": "behind the rack"})).status_code
    after: Any = (await browser.get("/console/inventory.json?state=settled")).json()
    settled = {one["drift_id"]: (one["resolution"], one["closed_by"]) for one in after["rows"]}
    assert ("behind the rack", "dana@northgate.example") == settled[row["drift_id"]]


async def test_what_differs_is_shown_with_its_fix_and_accepted_with_a_reason(
    browser: httpx.AsyncClient, world: World
) -> None:
    """A run of one statement: the orders the ERP does not name differ, and one of them is signed off."""
    empty = (await browser.get("/console/reconciliation")).text
    assert "Nothing was compared yet" in empty
    # An hour after the orders: what is younger would be a matter of timing.
    world.clock.move_to(datetime(2026, 11, 23, 17, 31, tzinfo=UTC))
    await world.take("erp", json.dumps(BOOKS).encode())
    token = token_of(empty)
    assert 303 == (await browser.post("/console/reconciliation/run", data={"csrf_token": token})).status_code

    page = (await browser.get("/console/reconciliation")).text
    assert "signature holds" in page and "No statement" in page
    twin: Any = (await browser.get("/console/reconciliation.json")).json()
    assert twin["signed"] and 1 == len(twin["runs"])
    row = next(one for one in twin["rows"] if one["difference"]["key"] == "SO-1002")
    assert "missing_there" == row["kind"] and row["fix"]["words"] in page

    path = f"/console/reconciliation/accept/{row['difference_id']}"
    assert 400 == (await browser.post(path, data={"csrf_token": token, "reason": ""})).status_code
    assert 303 == (await browser.post(path, data={"csrf_token": token, "reason": "booked by hand"})).status_code
    accepted = (await browser.get("/console/reconciliation?state=accepted")).text
    assert "booked by hand" in accepted and "SO-1002" in accepted
