"""What every page owes besides itself: HEAD, CSV twins, a word about unknown parameters, addresses that last."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from crossdock.canonical.catalog import schemas
from crossdock.web.rendering import as_csv
from tests.web.world import OTHER, TENANT, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "path", ["/console", "/console/orders", "/p/northgate", "/docs/errors/XD-MAP-014", "/v1/orders"]
)
async def test_the_head_of_a_page_can_be_asked_for(browser: httpx.AsyncClient, path: str) -> None:
    """HEAD is answered like GET, without the body."""
    answer = await browser.head(path)

    assert (200, b"") == (answer.status_code, answer.content)


@pytest.mark.parametrize("name", ["orders", "messages", "issues"])
async def test_lists_have_csv_twins(browser: httpx.AsyncClient, name: str) -> None:
    """Each list is there as CSV, with a column for each field, and its page offers the address."""
    answer = await browser.get(f"/console/{name}.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert (200, "text/csv; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert rows
    assert f"/console/{name}.csv" in (await browser.get(f"/console/{name}")).text


async def test_a_cell_is_no_formula() -> None:
    """What a spreadsheet would compute is shown instead; numbers stay numbers."""

    class Row(msgspec.Struct):
        name: str
        count: int
        amount: Decimal

    answer = as_csv([Row("=HYPERLINK(1)", -3, Decimal("-1.50")), Row("+49", 0, Decimal(0))], name="rows.csv")

    assert "name,count,amount\r\n'=HYPERLINK(1),-3,-1.50\r\n'+49,0,0\r\n" == answer.content.decode()


async def test_an_unknown_parameter_is_not_ignored_in_silence(browser: httpx.AsyncClient) -> None:
    """A page says which parameter it does not know, and says nothing of those it knows."""
    assert "does not know state" in (await browser.get("/console/issues?state=closed")).text
    assert "does not know" not in (await browser.get("/console/messages?state=failed&direction=in")).text


async def test_a_status_that_does_not_exist_is_refused(api: httpx.AsyncClient) -> None:
    """An unknown value of a filter is 422 with the nearest name, never an empty list."""
    answer = await api.get("/v1/orders?status=shiped")

    assert (422, "XD-API-422", "/query/status") == (
        answer.status_code,
        answer.json()["code"],
        answer.json()["pointer"],
    )
    assert "Did you mean shipped?" in answer.json()["hint"]
    assert 422 == (await api.get("/v1/messages?state=open")).status_code
    assert 200 == (await api.get("/v1/orders?status=shipped&site=RENO")).status_code


async def test_pointers_name_the_place_in_the_request(api: httpx.AsyncClient, world: World) -> None:
    """A finding about a request points into the query or the body, in no framework's words."""
    issue_id = world.one("select issue_id from issues where tenant_id = ? limit 1", TENANT)
    missing = (await api.get("/v1/search")).json()
    wrong = (await api.post(f"/v1/issues/{issue_id}/fix", json={"table": "a", "key": "b", "value": 3})).json()

    assert "/query/q" == missing["pointer"]
    assert "/value" == wrong["pointer"]


async def test_a_cause_and_a_file_lead_to_their_pages(browser: httpx.AsyncClient, world: World) -> None:
    """An issue is found by its cause and a message by its file's name, so that addresses can be told in advance."""
    issue_id, cause = world.query("select issue_id, cause from issues where tenant_id = ? limit 1", TENANT)[0]

    answer = await browser.get(f"/console/issues/{cause.replace('|', '%7C')}")
    assert (303, f"/console/issues/{issue_id}") == (answer.status_code, answer.headers["location"])
    answer = await browser.get("/console/messages/SHIP_SO-1001.csv")
    assert 303 == answer.status_code
    assert 200 == (await browser.get(answer.headers["location"])).status_code
    assert 404 == (await browser.get("/console/issues/lookup:none:none")).status_code


async def test_what_problems_and_events_point_to_is_there(anyone: httpx.AsyncClient) -> None:
    """The API's page, its description and the schema of every event are public; schemas may be cached."""
    assert "/v1/orders" in (await anyone.get("/docs/api")).text
    assert "3.1.0" == (await anyone.get("/openapi.json")).json()["openapi"]
    name = "crossdock.order.released.v1"
    answer = await anyone.get(f"/schemas/{name}.json")
    assert msgspec.json.encode(schemas()[name]) == answer.content
    assert "public, max-age=3600" == answer.headers["cache-control"]
    assert 404 == (await anyone.get("/schemas/nothing.json")).status_code


@pytest.mark.parametrize("cursor", ["nonsense", "0.999999999", "-1.2", "1.2.3", "0." + "9" * 60])
async def test_a_stream_starts_nowhere_else_than_it_was_told(api: httpx.AsyncClient, cursor: str) -> None:
    """A malformed id of the last event, or one from beyond the end, is refused; nothing is replayed from the start."""
    answer = await api.get("/v1/events/stream", headers={"last-event-id": cursor})

    assert (400, "/header/Last-Event-ID") == (answer.status_code, answer.json()["pointer"])


async def test_keys_and_secrets_are_an_operators(app: Any, world: World) -> None:
    """Others are refused; a key of another tenant looks like one that does not exist; no answer holds a value."""
    mine, foreign, other = [
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://hub.test",
            headers={"authorization": f"Bearer {await world.key(tenant, role)}"},
        )
        for tenant, role in ((TENANT, "operator"), (OTHER, "operator"), (TENANT, "operations"))
    ]
    made = await mine.post("/v1/keys", json={"role": "agent", "label": "the portal"})
    (key,) = [one for one in (await mine.get("/v1/keys")).json()["items"] if one["label"] == "the portal"]
    answers = [await foreign.post(f"/v1/keys/{key_id}/revoke") for key_id in (key["key_id"], "key_nothing")]
    bodies = [{**answer.json(), "instance": "", "request_id": ""} for answer in answers]

    assert made.json()["token"].startswith("xd_northgate_")
    assert [404, 404] == [answer.status_code for answer in answers]
    assert bodies[0] == bodies[1]
    assert 403 == (await other.get("/v1/keys")).status_code
    assert 403 == (await other.post("/v1/secrets", json={"name": "a", "value": "b"})).status_code
    assert 204 == (await mine.post("/v1/secrets", json={"name": "spare", "value": "unsaid-value"})).status_code
    assert "unsaid-value" not in (await mine.get("/v1/secrets")).text
    assert 204 == (await mine.post("/v1/secrets/remove", json={"name": "spare"})).status_code
    assert 204 == (await mine.post(f"/v1/keys/{key['key_id']}/revoke")).status_code
    named = "select count(*) from audit where tenant_id = ? and action in ('key.create', 'secret.put', 'secret.remove')"
    assert world.one(named, TENANT) >= 3


async def test_who_repairs_an_issue_is_named(api: httpx.AsyncClient, world: World) -> None:
    """The one who adds the missing row is who closed the issue, by the label of the key."""
    found = "select issue_id from issues where tenant_id = ? and state <> 'resolved' and cause like '%lookup:%'"
    issue_id = world.one(found, TENANT)
    row = {"table": "service_levels", "key": "XXL", "value": "standard"}
    assert 200 == (await api.post(f"/v1/issues/{issue_id}/fix", json=row)).status_code
    await world.settle()

    state, closed_by = world.query("select state, closed_by from issues where issue_id = ?", issue_id)[0]
    assert ("resolved", True) == (state, closed_by.startswith("integrator (key_"))
