"""The doors of dead letters, bulk replays and queues: API with idempotency keys, and the console's forms."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.web.test_console import _csrf
from tests.web.world import TENANT, World, order

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROKEN = b'{"documentType": "SalesOrderRelease", "order": {"n": '


async def _broken(world: World, number: str) -> str:
    """Hand in an order that cannot be read; return its dead letter."""
    message_id = await world.take("erp", BROKEN + number.encode())
    return str(world.one("select document_id from documents where message_id = ?", message_id))


async def test_a_dead_letter_is_listed_inspected_and_amended(api: httpx.AsyncClient, world: World) -> None:
    """From the list to the new version, which names the old one; the dry run before it changes nothing."""
    dead = await _broken(world, "SO-8001")
    page = (await api.get("/v1/dead-letters", params={"kind": "document", "connection": "erp"})).json()
    assert dead in [row["id"] for row in page["items"]]
    shown = (await api.get(f"/v1/dead-letters/{dead}")).json()
    assert ("rejected", BROKEN.decode() + "SO-8001") == (shown["state"], shown["content"])

    body = {"ids": [dead], "content": order("SO-8001").decode(), "reason": "cut off in transit"}
    dry = (await api.post("/v1/dead-letters/amend", json={**body, "dry_run": True})).json()
    assert ("would", "rejected") == (
        dry["items"][0]["outcome"],
        (await api.get(f"/v1/dead-letters/{dead}")).json()["state"],
    )
    made = (await api.post("/v1/dead-letters/amend", json=body)).json()["items"][0]
    after = (await api.get(f"/v1/dead-letters/{dead}")).json()
    assert ("done", "superseded", made["new_id"]) == (made["outcome"], after["state"], after["amendments"][0]["new_id"])
    assert 200 == (await api.get("/v1/orders/SO-8001")).status_code


async def test_the_same_key_amends_once(api: httpx.AsyncClient, world: World) -> None:
    """The second request under a key gets the answer of the first; without the key it is a conflict."""
    dead = await _broken(world, "SO-8002")
    body = {"ids": [dead], "content": order("SO-8002").decode(), "reason": "cut off"}
    answers = [
        await api.post("/v1/dead-letters/amend", json=body, headers={"idempotency-key": "amend-1"}) for _ in range(2)
    ]

    assert answers[0].json() == answers[1].json()
    assert ("true", 409) == (
        answers[1].headers.get("idempotency-replayed"),
        (await api.post("/v1/dead-letters/amend", json=body)).status_code,
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("amend", {"content": "{}", "reason": "x"}, 422, "XD-DOC-022"),
        ("amend", {"content": "{}"}, 422, "XD-API-011"),
        ("amend", {"reason": "x"}, 400, "XD-API-400"),
        ("discard", {}, 422, "XD-API-011"),
    ],
)
async def test_what_is_refused_says_why(
    api: httpx.AsyncClient, world: World, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    """Each refusal has its code, and the dead letter stays one."""
    dead = await _broken(world, f"SO-81{len(body)}{len(path)}")
    answer = await api.post(f"/v1/dead-letters/{path}", json={"ids": [dead], **body})

    assert (status, code) == (answer.status_code, answer.json()["code"]), answer.text
    assert "rejected" == (await api.get(f"/v1/dead-letters/{dead}")).json()["state"]


async def test_many_are_discarded_by_a_filter(api: httpx.AsyncClient, world: World) -> None:
    """What fits goes, and nothing else."""
    dead = await _broken(world, "SO-8003")
    issue = world.one("select issue_id from exceptions where object_id = ?", dead)
    count = len((await api.get("/v1/dead-letters", params={"issue_id": issue})).json()["items"])
    answer = (
        await api.post("/v1/dead-letters/discard", json={"filter": {"issue_id": issue}, "reason": "test orders"})
    ).json()

    assert (count, 0) == (answer["done"], answer["refused"])
    assert [] == (await api.get("/v1/dead-letters", params={"issue_id": issue})).json()["items"]


async def test_a_replay_is_planned_started_and_ended(api: httpx.AsyncClient, world: World) -> None:
    """The digest of the plan starts it; another digest does not; it can be held and ended."""
    wanted = {"filter": {"connection_id": "cargoline"}, "under": "current"}
    plan = (await api.post("/v1/replays/plan", json=wanted)).json()
    stale = await api.post("/v1/replays", json={**wanted, "digest": "0" * 64})
    assert (409, "XD-API-010") == (stale.status_code, stale.json()["code"])

    started = await api.post("/v1/replays", json={**wanted, "digest": plan["digest"], "per_second": 1})
    job_id = started.json()["job_id"]
    assert (202, plan["messages"]) == (started.status_code, started.json()["total"])
    moved = [(await api.post(f"/v1/replays/{job_id}/{verb}", json={})).json() for verb in ("pause", "resume", "cancel")]
    assert ["paused", "running", "cancelled"] == [job["state"] for job in moved]
    assert 409 == (await api.post(f"/v1/replays/{job_id}/resume", json={})).status_code
    assert job_id in [job["job_id"] for job in (await api.get("/v1/replays")).json()["items"]]


async def test_an_issue_is_assigned_and_given_back(api: httpx.AsyncClient, world: World) -> None:
    """It stands in the queue of its class; its owner is named; given back it is open again."""
    dead = await _broken(world, "SO-8004")
    issue = world.one("select issue_id from exceptions where object_id = ? and state = 'open'", dead)
    page = (await api.get("/v1/issues", params={"class": "partner"})).json()
    assert issue in [row["issue_id"] for row in page["items"]]
    assert {"partner", "data", "system", "unknown"} == {queue["issue_class"] for queue in page["queues"]}
    assert issue not in [
        row["issue_id"] for row in (await api.get("/v1/issues", params={"class": "system"})).json()["items"]
    ]

    given = (await api.post(f"/v1/issues/{issue}/assign", json={"owner": "anna"})).json()["issue"]
    back = (await api.post(f"/v1/issues/{issue}/assign", json={"owner": ""})).json()["issue"]
    assert (("anna", "acknowledged"), ("", "open")) == (
        (given["owner"], given["state"]),
        (back["owner"], back["state"]),
    )


async def test_the_console_amends_and_discards(browser: httpx.AsyncClient, world: World) -> None:
    """The forms of the page do what the API does, and refuse without a reason."""
    dead, other = await _broken(world, "SO-8005"), await _broken(world, "SO-8006")
    token = await _csrf(browser)
    assert dead in (await browser.get("/console/dead-letters")).text
    form = {"csrf_token": token, "part": "raw", "content": order("SO-8005").decode(), "verb": "amend", "newline": "lf"}
    refused = await browser.post(f"/console/dead-letters/{dead}/amend", data=form)
    assert "XD-API-011" in refused.text
    assert "Amended" in (await browser.post(f"/console/dead-letters/{dead}/amend", data={**form, "reason": "cut"})).text
    answer = await browser.post(
        "/console/dead-letters/act", data={"csrf_token": token, "ids": other, "verb": "discard", "reason": "test"}
    )
    assert "Discarded" in answer.text
    assert ["discarded", "superseded"] == sorted(
        world.one("select state from documents where document_id = ?", one) for one in (dead, other)
    )


async def test_the_console_plans_and_starts_a_replay(browser: httpx.AsyncClient, world: World) -> None:
    """What the plan shows carries the digest that starts it."""
    token = await _csrf(browser)
    form = {"csrf_token": token, "connection_id": "cargoline", "under": "current"}
    plan = (await browser.post("/console/replays/plan", data=form)).text
    digest = plan.partition('name="digest" value="')[2].partition('"')[0]
    started = (await browser.post("/console/replays/start", data={**form, "digest": digest})).text

    assert "Dry run, nothing was changed" in plan
    assert "Started" in started
    assert "XD-API-012" in (await browser.post("/console/replays/plan", data={"csrf_token": token})).text


async def test_who_may_look_may_not_act(app: Any, world: World) -> None:
    """An auditor reads; amending, discarding, requeueing and replaying are refused."""
    headers = {"authorization": f"Bearer {await world.key(TENANT, 'auditor')}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://hub.test", headers=headers
    ) as auditor:
        assert 200 == (await auditor.get("/v1/dead-letters")).status_code
        for path, body in (
            ("/v1/dead-letters/amend", {"ids": ["doc_x"], "content": "{}", "reason": "x"}),
            ("/v1/dead-letters/discard", {"ids": ["doc_x"], "reason": "x"}),
            ("/v1/dead-letters/requeue", {"ids": ["doc_x"]}),
            ("/v1/replays/plan", {"filter": {"partner": "erp"}}),
        ):
            answer = await auditor.post(path, content=json.dumps(body))
            assert 403 == answer.status_code, (path, answer.text)


async def test_a_restore_is_closed_by_name_or_all_said(anyone: httpx.AsyncClient, world: World) -> None:
    """A misspelt or empty body must not settle every partner."""
    headers = {"authorization": f"Bearer {await world.key(TENANT, 'operator')}"}
    for body in ({}, {"conection": "erp"}, {"connection": ""}, {"connection": "erp", "all": True}, {"all": False}):
        answer = await anyone.post("/v1/restores/close", json=body, headers=headers)
        assert 400 == answer.status_code, (body, answer.text)
    for body in ({"connection": "erp"}, {"all": True}):
        answer = await anyone.post("/v1/restores/close", json=body, headers=headers)
        assert (200, {"closed": 0}) == (answer.status_code, answer.json())
