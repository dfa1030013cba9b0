"""Returns at the doors: the portal's own request, the console's pages, and what each role may do."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.web.world import POSTCODE, TENANT, World


async def opened(anyone: httpx.AsyncClient, number: str) -> str:
    """Find an order in the portal and return the address of its page."""
    answer = await anyone.post(f"/p/{TENANT}", data={"number": number, "postcode": POSTCODE})
    assert 303 == answer.status_code
    return str(answer.headers["location"])


async def nonce(anyone: httpx.AsyncClient, order: str) -> str:
    """Return the nonce of a fresh form."""
    found = re.search(r'name="form" value="([^"]+)"', (await anyone.get(f"{order}/return")).text)
    assert found is not None
    return found[1]


async def test_a_customer_asks_for_a_return_without_script(anyone: httpx.AsyncClient, world: World) -> None:
    """The form offers what may come back; afterwards the order's page shows the return and offers what is left."""
    order = await opened(anyone, "SO-1001")
    form = await anyone.get(f"{order}/return")
    assert "up to 2" in form.text and "up to 1" in form.text
    assert not re.search(r"<script|crossdock", form.text, re.IGNORECASE)

    chosen = {"quantity-0": "1", "condition-0": "damaged"}
    first, second = await nonce(anyone, order), await nonce(anyone, order)
    for form in (first, first, second):
        answer = await anyone.post(f"{order}/return", data={**chosen, "form": form})
        await world.settle()
    assert (303, f"{order}#h-returns") == (answer.status_code, answer.headers["location"])
    await world.settle()
    page = (await anyone.get(order)).text
    # The first form was sent twice and is one return; the second asks for one more of the same, which is another.
    assert "RMA-SO-1001-2" in page and "RMA-SO-1001-3" in page and "RMA-SO-1001-4" not in page
    assert "Accepted: please send the goods" in page
    again = await anyone.get(f"{order}/return")
    assert "are returned, or on their way back, already" in again.text
    third = await anyone.post(f"{order}/return", data={**chosen, "form": await nonce(anyone, order)})
    assert 422 == third.status_code and "already" in third.text
    await world.settle()
    assert "RMA-SO-1001-4" not in (await anyone.get(order)).text


async def test_requests_to_return_are_limited(app: Any, anyone: httpx.AsyncClient, world: World) -> None:
    """One address may not go on asking, as it may not go on looking orders up."""
    order = await opened(anyone, "SO-1001")
    limit = world.hub.settings.limits.portal_lookups_per_minute
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test") as eager:
        codes = [(await eager.post(f"{order}/return", data={})).status_code for _ in range(limit + 1)]

    assert [422] * limit + [429] == codes


@pytest.mark.parametrize(
    "data, words",
    [
        ({}, "Choose how many"),
        ({"quantity-1": "many"}, "many is no number"),
        ({"quantity-1": "-1"}, "-1 cannot come back"),
        ({"quantity-1": "1", "condition-1": "eaten"}, "in which condition"),
        ({"quantity-1": "1"}, "was not complete"),
    ],
)
async def test_what_is_filled_in_wrongly_is_said_and_kept(
    anyone: httpx.AsyncClient, data: dict[str, str], words: str
) -> None:
    """Nothing is asked for, the form comes back with what was typed and a sentence."""
    order = await opened(anyone, "SO-1001")
    answer = await anyone.post(f"{order}/return", data=data)

    assert 422 == answer.status_code
    assert words in answer.text
    for value in data.values():
        assert value not in ("many", "-1") or f'value="{value}"' in answer.text


async def test_another_sites_form_and_a_forged_link_get_nothing(anyone: httpx.AsyncClient) -> None:
    """A form posted by a foreign page is refused; a link of nobody leads back to the start."""
    order = await opened(anyone, "SO-1001")
    foreign = await anyone.post(f"{order}/return", data={"quantity-0": "1"}, headers={"sec-fetch-site": "cross-site"})
    assert 403 == foreign.status_code
    forged = await anyone.get(f"/p/{TENANT}/order/forged.token/return")
    assert (303, f"/p/{TENANT}") == (forged.status_code, forged.headers["location"])


async def test_an_order_that_nobody_has_yet_offers_no_return(anyone: httpx.AsyncClient) -> None:
    """What is not delivered cannot come back, and the page says so instead of showing a form."""
    order = await opened(anyone, "SO-1003")
    assert "Return something" not in (await anyone.get(order)).text
    page = (await anyone.get(f"{order}/return")).text
    assert "Nothing of this order can come back" in page
    assert "<form" not in page


async def test_the_console_shows_one_state_to_three_teams(browser: httpx.AsyncClient, world: World) -> None:
    """List, facets, search and page; the page names finance, warehouse and service with the same status."""
    rows = (await browser.get("/console/returns?channel=agent")).text
    assert world.rma in rows
    assert "No return matches" in (await browser.get("/console/returns?q=nothing-like-it")).text
    page = (await browser.get(f"/console/returns/{world.rma}")).text
    for word in ("Finance", "Warehouse", "Service", "may come back", "Within 30 days"):
        assert word in page, word
    twin: Any = (await browser.get(f"/console/returns/{world.rma}.json")).json()
    assert 1 == len({party["status"] for party in twin["parties"]}) and 3 == len(twin["parties"])
    order = (await browser.get("/console/orders/SO-1001")).text
    assert f"/console/returns/{world.rma}" in order
    waits = (await browser.get("/console/orders/SO-1002")).text
    assert "Not invoiced in whole, because" in waits and "No carrier says that shipment" in waits


async def test_roles_may_do_with_returns_what_they_should(app: Any, world: World) -> None:
    """An agent may ask and decide, an auditor only look, and neither may have an invoice corrected."""
    asked = {"order_number": "SO-1001", "lines": [{"line_no": "20", "quantity": "1"}]}
    for role, expected in (("auditor", 403), ("agent", 201)):
        headers = {"authorization": f"Bearer {await world.key(TENANT, role)}", "idempotency-key": f"ask-{role}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://hub.test", headers=headers
        ) as client:
            assert 200 == (await client.get("/v1/returns")).status_code
            answers = [await client.post("/v1/returns", json=asked) for _ in (1, 2)]
            assert [expected] * 2 == [answer.status_code for answer in answers]
            assert answers[0].json().get("number") == answers[1].json().get("number")
            rebill = await client.post("/v1/orders/SO-1001/rebill", json={"release": "SO-1001:1"})
            assert 403 == rebill.status_code
