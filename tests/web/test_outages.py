"""Outages over the API, and the door that refuses when the spool's bounds are reached."""

from __future__ import annotations

import httpx
import pytest

from tests.web.world import TENANT, World, order

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _as(world: World, role: str) -> dict[str, str]:
    return {"authorization": f"Bearer {await world.key(TENANT, role)}"}


async def test_an_outage_is_declared_seen_and_ended(anyone: httpx.AsyncClient, world: World) -> None:
    """Declared twice is a conflict; the list shows it; its end is told once."""
    headers = await _as(world, "operations")
    begun = await anyone.post("/v1/outages", json={"connection": "harbor", "reason": "flood"}, headers=headers)
    again = await anyone.post("/v1/outages", json={"connection": "harbor"}, headers=headers)
    listed = await anyone.get("/v1/outages", headers=headers)
    outage_id = begun.json()["outage_id"]
    ended = await anyone.post(f"/v1/outages/{outage_id}/end", json={"reason": "dry"}, headers=headers)
    once_more = await anyone.post(f"/v1/outages/{outage_id}/end", json={}, headers=headers)

    assert (200, 409, 200, 200, 409) == tuple(answer.status_code for answer in (begun, again, listed, ended, once_more))
    assert "XD-PTR-024" == again.json()["code"] == once_more.json()["code"]
    assert outage_id == listed.json()["items"][0]["outage_id"]
    assert ended.json()["ended_at"]


async def test_who_only_reads_declares_nothing(anyone: httpx.AsyncClient, world: World) -> None:
    """An auditor sees outages and may not begin one."""
    headers = await _as(world, "auditor")

    assert 200 == (await anyone.get("/v1/outages", headers=headers)).status_code
    assert 403 == (await anyone.post("/v1/outages", json={"connection": "harbor"}, headers=headers)).status_code


async def test_an_almost_full_disk_answers_507_with_a_time(
    anyone: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is stored, the sender is told when to come back, and people still read."""
    spool = world.hub.sending.spool
    monkeypatch.setattr(spool, "_free_bytes", lambda: 1)
    spool.look_at_disk()
    partner = {"authorization": f"Bearer {await world.key(TENANT, 'partner', 'erp')}"}
    refused = await anyone.post("/v1/ingest/northgate/erp", content=order("SO-2901"), headers=partner)
    read = await anyone.get("/v1/outages", headers=await _as(world, "operations"))
    monkeypatch.undo()
    spool.look_at_disk()
    taken = await anyone.post("/v1/ingest/northgate/erp", content=order("SO-2901"), headers=partner)

    assert (507, "XD-SYS-016") == (refused.status_code, refused.json()["code"])
    assert int(refused.headers["retry-after"]) > 0
    assert (200, 202) == (read.status_code, taken.status_code)
