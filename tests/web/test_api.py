"""API v1: every resource, the error contract, tenants that do not exist for each other, roles, idempotency, the
stream.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
import pytest_asyncio

from crossdock.error_codes import CATALOG
from crossdock.web.api import openapi
from crossdock.web.api.events import follow
from tests.web.world import CLAIM, LOAD, OTHER, PURCHASE, TENANT, World, order

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _ids(world: World) -> dict[str, str]:
    return {
        "number": "SO-1001",
        "message_id": world.held,
        "name": "swift",
        "dead_letter_id": world.dead,
        "job_id": world.job,
        "outage_id": world.one("select outage_id from outages where tenant_id = ? limit 1", TENANT),
        "issue_id": world.one("select issue_id from issues where tenant_id = ? order by issue_id limit 1", TENANT),
    }


def _paths(world: World) -> list[tuple[str, str]]:
    """Every route of the API that names an object, as (method, path) of an object that exists in the first tenant."""
    found = []
    for path, item in openapi.document()["paths"].items():
        # This world has no drift and no run of reconciliation, and its tenants share no supplier.
        elsewhere = ("ingest", "/keys/", "/v1/supplier/", "/v1/drifts/", "/v1/reconciliation/")
        if "{" in path and not any(part in path for part in elsewhere):
            filled = (
                path.replace("/v1/shipments/{number}", "/v1/shipments/RS-SO-1001")
                .replace("/v1/purchases/{number}", f"/v1/purchases/{PURCHASE}")
                .replace("/v1/loads/{number}", f"/v1/loads/{LOAD}")
                .replace("/v1/claims/{number}", f"/v1/claims/{CLAIM}")
                .replace("/v1/returns/{number}", "/v1/returns/RMA-SO-1001-1")
                .replace("/v1/fulfillments/{number}", "/v1/fulfillments/SO-1001-1")
                .replace("{verb}", "pause")
                .replace("{kind}", "partner")
                .format(**_ids(world))
            )
            found += [(method.upper(), filled) for method in item if method in ("get", "post")]
    return found


async def _client(app: Any, token: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub.test", headers=headers)


def _body(path: str) -> dict[str, Any]:
    if path.endswith("/fix"):
        return {"table": "service_levels", "key": "XXL", "value": "standard"}
    if path.endswith("/rebill"):
        return {"release": "SO-1001:1"}
    if path.endswith("/settle"):
        return {"action": "cancel"}
    return {"dry_run": True} if path.endswith("/replay") else {}


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def _an_outage(world: World) -> None:
    """Something for the routes of outages to name."""
    await world.hub.declare_outage(TENANT, "desk", "tests", "a look", None)


async def test_every_object_of_another_tenant_looks_absent(app: Any, world: World) -> None:
    """Each route answers a foreign id with the very bytes of an id that does not exist, instance and request id
    aside.
    """
    async with await _client(app, await world.key(OTHER, "integrator")) as foreign:
        for method, path in _paths(world):
            absent = path
            for known in ("SO-1001", CLAIM, PURCHASE, LOAD, *_ids(world).values()):
                absent = absent.replace(known, "nothing_here")
            answers = [await foreign.request(method, one, json=_body(path)) for one in (path, absent)]
            bodies = [{**answer.json(), "instance": "", "request_id": ""} for answer in answers]
            assert (404, 404) == tuple(answer.status_code for answer in answers), path
            assert bodies[0] == bodies[1], path
            assert answers[0].headers["content-type"] == "application/problem+json"


async def test_every_object_is_there_for_its_own_tenant(api: httpx.AsyncClient, world: World) -> None:
    """The positive control: the same routes answer the tenant itself."""
    for method, path in _paths(world):
        if not path.endswith(("/fix", "/acknowledge", "/assign", "/orders/SO-1001/source")):
            answer = await api.request(method, path, json=_body(path))
            assert 200 == answer.status_code, (path, answer.text)


async def test_without_a_credential_nothing_is_told(anyone: httpx.AsyncClient, world: World) -> None:
    """Each route of the API asks for a credential first."""
    for method, path in [*_paths(world), ("GET", "/v1/orders"), ("GET", "/v1/search?q=SO"), ("GET", "/v1/releases")]:
        answer = await anyone.request(method, path, json=_body(path))
        assert (401, "XD-SEC-001") == (answer.status_code, answer.json()["code"]), path


async def test_a_problem_keeps_the_error_contract(api: httpx.AsyncClient) -> None:
    """What, how to fix and where to read are there, the code is in the catalogue, and no word of a trace."""
    answer = await api.get("/v1/orders/NOPE", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    problem = answer.json()

    assert {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "code",
        "hint",
        "doc_url",
        "request_id",
        "retryable",
    } <= set(problem)
    assert "a" * 32 == problem["trace_id"]
    assert problem["code"] in CATALOG
    assert problem["hint"]
    assert (await api.get(problem["doc_url"])).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/orders?limit=0", 400),
        ("/v1/orders?cursor=zz", 400),
        ("/v1/search", 400),
        ("/v1/issues?state=x", 400),
        ("/v1/nothing", 404),
    ],
)
async def test_bad_parameters_are_problems(api: httpx.AsyncClient, path: str, status: int) -> None:
    """A parameter that cannot be is a typed problem, never a server error."""
    answer = await api.get(path)

    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])


async def test_a_bad_body_is_a_problem(api: httpx.AsyncClient, world: World) -> None:
    """Unreadable JSON, an unknown field and a wrong type are refused before anything is done."""
    path = f"/v1/issues/{_ids(world)['issue_id']}/replay"
    for content in (b"{", b'{"nope": 1}', b'{"dry_run": "maybe"}', b"[]", b"\xff"):
        answer = await api.post(path, content=content, headers={"content-type": "application/json"})
        assert 400 == answer.status_code, content


async def test_roles_are_kept(app: Any, world: World) -> None:
    """An agent sees orders and may not see bytes, replay or fix; a partner's key opens nothing but its door."""
    ids = _ids(world)
    async with await _client(app, await world.key(TENANT, "agent")) as agent:
        assert 200 == (await agent.get("/v1/orders")).status_code
        for method, path in (
            ("GET", f"/v1/messages/{ids['message_id']}/raw"),
            ("POST", f"/v1/issues/{ids['issue_id']}/fix"),
        ):
            answer = await agent.request(method, path, json=_body(path))
            assert (403, "XD-SEC-002") == (answer.status_code, answer.json()["code"])
    async with await _client(app, await world.key(TENANT, "partner", "erp")) as partner:
        assert 403 == (await partner.get("/v1/orders")).status_code


async def test_lists_are_cursor_pages(api: httpx.AsyncClient, world: World) -> None:
    """Following the cursor gives every order once."""
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await api.get("/v1/orders", params={"limit": 2, "cursor": cursor})).json()
        seen += [item["number"] for item in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert sorted(seen, reverse=True) == seen
    assert {"SO-1001", "SO-1002", "SO-1003"} == set(seen)


async def test_any_name_finds_the_order(api: httpx.AsyncClient) -> None:
    """Its number, PO and tracking number find an order, in whatever writing."""
    for name in ("SO-1001", "so 1001", "PO-SO-1001", "cl-so-1001"):
        hits = (await api.get("/v1/search", params={"q": name})).json()["hits"]
        assert ("order", "SO-1001") == (hits[0]["kind"], hits[0]["key"]), name


async def test_bytes_come_back_as_they_came(api: httpx.AsyncClient, world: World) -> None:
    """The raw door returns exactly the bytes that were handed in, as a download."""
    answer = await api.get(f"/v1/messages/{world.held}/raw")

    assert order("SO-1004", service="XXL") == answer.content
    assert answer.headers["content-disposition"].startswith("attachment")


async def test_a_dry_run_changes_no_row(api: httpx.AsyncClient, world: World) -> None:
    """A replay's dry run says what it would do and leaves every table as it was."""
    tables = ("documents", "events", "outbound_messages", "exceptions", "audit", "releases")
    before = [world.one(f"select count(*) from {table}") for table in tables]
    report = (await api.post(f"/v1/messages/{world.held}/replay", json={"dry_run": True})).json()

    assert report["dry_run"] is True
    assert ["held"] == [document["after"] for document in report["documents"]]
    assert before == [world.one(f"select count(*) from {table}") for table in tables]


async def test_two_clicks_are_one_effect(api: httpx.AsyncClient, world: World) -> None:
    """The same request under the same Idempotency-Key is done once and answered alike; another one is refused."""
    path = f"/v1/messages/{world.held}/replay"
    headers = {"idempotency-key": "click-1"}
    first, again = [await api.post(path, json={"reason": "try"}, headers=headers) for _ in range(2)]
    await world.settle()
    other = await api.post(path, json={"reason": "else"}, headers=headers)

    assert (200, 200, first.content) == (first.status_code, again.status_code, again.content)
    assert "true" == again.headers["idempotency-replayed"]
    assert (422, "XD-API-001") == (other.status_code, other.json()["code"])
    assert 1 == world.one("select count(*) from audit where action = 'message.replay'")


async def test_fixing_the_cause_releases_what_waited(api: httpx.AsyncClient, world: World) -> None:
    """Adding the missing row makes a release, and every held order of the issue goes on; the issue closes itself."""
    issue = next(item for item in (await api.get("/v1/issues")).json()["items"] if item["code"] == "XD-MAP-014")
    answer = await api.post(
        f"/v1/issues/{issue['issue_id']}/fix", json={"table": "service_levels", "key": "XXL", "value": "standard"}
    )
    await world.settle()

    assert 200 == answer.status_code, answer.text
    assert 200 == (await api.get("/v1/orders/SO-1004")).status_code
    assert "resolved" == (await api.get(f"/v1/issues/{issue['issue_id']}")).json()["issue"]["state"]
    assert 2 == len((await api.get("/v1/releases")).json()["items"])


async def test_an_issue_is_taken_on_once(api: httpx.AsyncClient, world: World) -> None:
    """Acknowledging names the owner, is audited, and a second time changes nothing."""
    issue_id = world.one("select issue_id from issues where tenant_id = ? and state = 'open' limit 1", TENANT)
    answers = [await api.post(f"/v1/issues/{issue_id}/acknowledge") for _ in range(2)]

    assert ["acknowledged"] * 2 == [answer.json()["issue"]["state"] for answer in answers]
    assert 1 == world.one("select count(*) from audit where action = 'issue.acknowledge'")


async def test_an_order_that_does_not_wait_cannot_be_sourced_again(api: httpx.AsyncClient) -> None:
    """A released order is a typed conflict."""
    answer = await api.post("/v1/orders/SO-1001/source")

    assert (409, "XD-API-409") == (answer.status_code, answer.json()["code"])


async def test_the_stream_resumes_without_gap_or_duplicate(world: World) -> None:
    """A client that comes back with the cursor of its last event gets exactly what it missed."""

    async def collect(start: str, count: int) -> list[tuple[str, str]]:
        seen: list[tuple[str, str]] = []
        stream = follow(world.hub, TENANT, start)
        async for chunk in stream:
            lines = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n") if ": " in line)
            if lines.get("event") == "crossdock":
                seen.append((lines["id"], json.loads(lines["data"])["id"]))
            if len(seen) == count:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return seen

    expected = [
        row[0] for row in world.query("select event_id from events where tenant_id = ? order by position", TENANT)
    ]
    first = await asyncio.wait_for(collect("0.0", 3), 10)
    rest = await asyncio.wait_for(collect(first[-1][0], len(expected) - 3), 10)

    assert expected == [event_id for _, event_id in (*first, *rest)]


async def test_a_new_event_is_streamed_after_its_commit(world: World) -> None:
    """An event shows in an open stream without being asked for."""
    stream = follow(world.hub, TENANT, "")
    opening = await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await world.take("erp", order("SO-1900"))
    chunk = await asyncio.wait_for(waiting, 5)
    await stream.aclose()  # type: ignore[attr-defined]

    assert b"event: cursor" in opening
    assert b"SO-1900" in chunk


async def test_health_tells_strangers_nothing(anyone: httpx.AsyncClient) -> None:
    """Alive and ready answer without a credential and without details."""
    assert {"status": "ok"} == (await anyone.get("/healthz")).json()
    assert {"status": "ready", "reason": ""} == (await anyone.get("/readyz")).json()


async def test_the_committed_description_is_the_generated_one(project: Any) -> None:
    """docs/reference/openapi.json is what the handlers say today."""
    committed = (project / "docs/reference/openapi.json").read_text(encoding="utf-8")

    assert openapi.text() == committed, "run: python -m crossdock.web.api.openapi docs/reference/openapi.json"


async def test_the_description_is_served(anyone: httpx.AsyncClient) -> None:
    """The same description is at /v1/openapi.json."""
    served = (await anyone.get("/v1/openapi.json")).json()

    assert openapi.document()["paths"].keys() == served["paths"].keys()


async def test_the_audit_names_no_address(app: Any, world: World) -> None:
    """Who unsubscribed stands there by a hash, the same one each time, however the address is written."""
    client = await _client(app, await world.key(TENANT, "agent"))
    async with client:
        for recipient in ("Ada@example.com", "ada@example.com"):
            assert 200 == (await client.post("/v1/unsubscribes", json={"recipient": recipient})).status_code
    objects = world.hub.store.read_now(
        lambda connection: [row[0] for row in connection.query("select object from audit where action like 'notice.%'")]
    )

    assert 2 == len(objects) and 1 == len(set(objects))
    assert objects[0].startswith("recipient/") and "@" not in objects[0]
