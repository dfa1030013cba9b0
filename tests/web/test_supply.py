"""Purchase orders, loads and claims through the doors; and a supplier that sees its own orders and nothing else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.web.world import CLAIM, LOAD, OTHER, PURCHASE, TENANT, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _as(app: Any, world: World, partner: str, tenant: str = TENANT) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {await world.key(tenant, 'partner', partner)}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub.test", headers=headers)


async def test_lists_filter_and_find_by_any_name(api: httpx.AsyncClient) -> None:
    """Facets count what another choice would give; a notice, a PRO or an invoice leads to its thing."""
    page = (await api.get("/v1/purchases")).json()
    assert ["PO-8001", PURCHASE] == [row["number"] for row in page["items"]]
    assert {"V-ALPINE": 1, "V-BRISK": 1} == page["facets"]["party"]
    for path, query, number in (
        ("purchases", "status=sent", "PO-8001"),
        ("purchases", "supplier=V-ALPINE", PURCHASE),
        ("purchases", "q=da-1", PURCHASE),
        ("purchases", "q=PO-7", PURCHASE),
        ("loads", "q=SWLF-L-501", LOAD),
        ("loads", "q=I-1", LOAD),
        ("loads", "carrier=SWLF&status=disputed", LOAD),
        ("claims", "at_risk=false", CLAIM),
    ):
        found = (await api.get(f"/v1/{path}?{query}")).json()

        assert [number] == [row["number"] for row in found["items"]], query


async def test_a_load_tells_its_waterfall_its_arrival_and_its_match(api: httpx.AsyncClient) -> None:
    """Who was asked, who says when it arrives, and what of the bill is not paid and why."""
    load = (await api.get(f"/v1/loads/{LOAD}")).json()

    assert [["RDGT", "declined"], ["SWLF", "accepted"]] == [[o["carrier"], o["state"]] for o in load["state"]["offers"]]
    assert {"planned", "actual"} == set(load["etas"])
    assert ["", "not_agreed"] == [line.get("reason", "") for line in load["state"]["bills"][0]["lines"]]
    assert {"XD-FRT-005", "XD-FRT-010"} <= {fault["code"] for fault in load["faults"]}


async def test_pages_cut_into_pieces_lose_nothing(api: httpx.AsyncClient) -> None:
    """Following the cursor gives every purchase order once; a cursor of another list is refused."""
    first = (await api.get("/v1/purchases?limit=1")).json()
    second = (await api.get(f"/v1/purchases?limit=1&cursor={first['next_cursor']}")).json()

    assert ["PO-8001", PURCHASE, ""] == [
        first["items"][0]["number"],
        second["items"][0]["number"],
        second["next_cursor"],
    ]
    assert "XD-API-002" == (await api.get("/v1/purchases?cursor=zz")).json()["code"]
    assert 422 == (await api.get("/v1/purchases?status=nonsense")).status_code


async def test_a_supplier_sees_its_own_orders_only(app: Any, world: World) -> None:
    """Alpine finds its order by its notice; Brisk's does not exist for it, nor does any other resource."""
    alpine = await _as(app, world, "alpine")
    listed = (await alpine.get("/v1/supplier/purchases")).json()
    own = (await alpine.get("/v1/supplier/purchases/DA-1")).json()

    assert [PURCHASE] == [row["number"] for row in listed["items"]]
    assert {"V-ALPINE": 1} == listed["facets"]["party"]
    assert 1 == listed["facets"]["total"]
    assert (PURCHASE, []) == (own["number"], own["faults"])
    assert {"alpine"} == {one["partner"] for one in own["sent"]}
    assert {"alpine", ""} >= {one["partner"] for one in own["events"]}
    assert "wms" not in str(own["sent"])
    assert 404 == (await alpine.get("/v1/supplier/purchases/PO-8001")).status_code
    assert ["V-ALPINE"] == [row["supplier"] for row in (await alpine.get("/v1/supplier/score")).json()["items"]]
    for path in ("/v1/purchases", f"/v1/purchases/{PURCHASE}", "/v1/loads", "/v1/suppliers", "/v1/orders"):
        assert 403 == (await alpine.get(path)).status_code, path
    await alpine.aclose()


async def test_who_supplies_nothing_sees_nothing(app: Any, world: World) -> None:
    """A carrier's key lists no order; another tenant's partner finds none; a foreign supplier gets 404."""
    for partner, tenant in (("ridge", TENANT), ("dock", OTHER)):
        client = await _as(app, world, partner, tenant)
        listed = (await client.get("/v1/supplier/purchases")).json()

        assert ([], 0) == (listed["items"], listed["facets"]["total"])
        assert 404 == (await client.get(f"/v1/supplier/purchases/{PURCHASE}")).status_code
        assert [] == (await client.get("/v1/supplier/score")).json()["items"]
        await client.aclose()
    brisk = await _as(app, world, "brisk")
    assert 404 == (await brisk.get(f"/v1/supplier/purchases/{PURCHASE}")).status_code
    assert 404 == (await brisk.get("/v1/supplier/purchases/DA-1")).status_code
    await brisk.aclose()


async def test_an_integrators_key_is_no_suppliers(api: httpx.AsyncClient) -> None:
    """The supplier's resources are for keys that are bound to a supplier's connection."""
    assert 403 == (await api.get("/v1/supplier/purchases")).status_code


@pytest.mark.parametrize(
    "path, words",
    [
        ("/console/purchases", "PO-8001"),
        (f"/console/purchases/{PURCHASE}", "5 damaged"),
        ("/console/loads", "Disputed"),
        (f"/console/loads/{LOAD}", "not agreed"),
        ("/console/claims", CLAIM),
        (f"/console/claims/{CLAIM}", "Missing: photo"),
        ("/console/suppliers", "V-ALPINE"),
    ],
)
async def test_the_console_shows_them(browser: httpx.AsyncClient, path: str, words: str) -> None:
    """Each page says what matters, without JavaScript; its JSON twin is there too."""
    answer = await browser.get(path)
    twin = await browser.get(path + ".json")

    assert (200, 200) == (answer.status_code, twin.status_code)
    assert words in answer.text
    assert "application/json" == twin.headers["content-type"].partition(";")[0]


@pytest.mark.parametrize("name", ["purchases", "loads", "claims"])
async def test_empty_lists_say_what_to_do(browser: httpx.AsyncClient, name: str) -> None:
    """A search without an answer offers the way back; the CSV twin of the list exists."""
    assert "Nothing matches" in (await browser.get(f"/console/{name}?q=zzz")).text
    assert "text/csv" in (await browser.get(f"/console/{name}.csv")).headers["content-type"]
