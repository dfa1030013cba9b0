"""The ingest door: authenticity before content, typed refusals, one answer for what does not exist and what is not
yours.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import msgspec
import pytest

from crossdock.sdk.signatures import sign_hmac, sign_standard
from crossdock.store.engine import StoreFull, StoreUnavailable
from crossdock.web.app import create_app
from crossdock.web.server import open_doors
from tests.web.world import OTHER, TENANT, World, delivery, order

pytestmark = pytest.mark.asyncio(loop_scope="module")
HARBOR = "whsec_aGFyYm9yLXNpZ25pbmctc2VjcmV0LTEyMzQ1Njc4"


async def _erp(world: World) -> dict[str, str]:
    return {"authorization": f"Bearer {await world.key(TENANT, 'partner', 'erp')}", "content-type": "application/json"}


async def test_a_document_is_answered_after_it_is_durable(anyone: httpx.AsyncClient, world: World) -> None:
    """202 names the message, and the record holds it by then."""
    answer = await anyone.post("/v1/ingest/northgate/erp", content=order("SO-2001"), headers=await _erp(world))

    assert 202 == answer.status_code
    message_id = answer.json()["message_id"]
    assert 1 == world.one("select count(*) from inbound_messages where message_id = ?", message_id)


async def test_a_duplicate_is_answered_as_the_first_was(anyone: httpx.AsyncClient, world: World) -> None:
    """The same paper again gets 202 and the id of its first message, and says so."""
    headers = {**await _erp(world), "idempotency-key": "rel-2002"}
    first = await anyone.post("/v1/ingest/northgate/erp", content=order("SO-2002"), headers=headers)
    again = await anyone.post("/v1/ingest/northgate/erp", content=order("SO-2002"), headers=headers)

    assert (202, 202) == (first.status_code, again.status_code)
    assert first.json()["message_id"] == again.json()["message_id"] == again.json()["duplicate_of"]


async def test_one_identity_for_two_contents_is_a_conflict(anyone: httpx.AsyncClient, world: World) -> None:
    """The same key with other bytes is refused with its code; the bytes are kept."""
    headers = {**await _erp(world), "idempotency-key": "rel-2003"}
    await anyone.post("/v1/ingest/northgate/erp", content=order("SO-2003"), headers=headers)
    answer = await anyone.post("/v1/ingest/northgate/erp", content=order("SO-2004"), headers=headers)

    assert (409, "XD-ING-005") == (answer.status_code, answer.json()["code"])
    assert 1 == world.one("select count(*) from inbound_messages where message_id = ?", answer.json()["pointer"])


async def test_unknown_foreign_and_wrong_look_alike(anyone: httpx.AsyncClient, world: World) -> None:
    """Whatever is wrong with a credential, and whether the address exists or not, the refusal is the same."""
    now = int(world.clock.now().timestamp())
    credentials: list[dict[str, str]] = [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {await world.key(OTHER, 'operations')}"},
        {"x-shop-hmac-sha256": "00" * 32},
        sign_standard("wh_1", now, b"other bytes", [HARBOR]),
        sign_standard("wh_2", now - 4000, b"{}", ["whsec_d3JvbmcgYnV0IGxvbmcgZW5vdWdo"]),
    ]
    paths = ["northgate/nothing", "nobody/erp", "lakeside/dock", "northgate/erp", "northgate/harbor", "northgate/shop"]
    seen = set()
    for path in [*paths, "northgate/cargoline", "/", "x"]:
        for headers in credentials:
            answer = await anyone.post(f"/v1/ingest/{path}", content=b"{}", headers=headers)
            told = {**answer.json(), "instance": "", "request_id": ""}
            kept = {name: value for name, value in answer.headers.items() if name != "content-length"}
            seen.add((answer.status_code, json.dumps(told, sort_keys=True), json.dumps(kept, sort_keys=True)))

    assert [401] == [status for status, _, _ in seen]


async def test_refusals_carry_their_ids(anyone: httpx.AsyncClient) -> None:
    """A problem at the door names the request, and the trace it belongs to."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = await anyone.post(
        "/v1/ingest/northgate/erp", content=b"{}", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    )

    assert answer.json()["request_id"].startswith("req_")
    assert trace == answer.json()["trace_id"]


@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_a_body_too_large_is_answered_on_a_real_socket(world: World, framing: str) -> None:
    """A sender that writes its whole body before it reads still gets the problem, not a reset."""
    settings = msgspec.structs.replace(
        world.hub.settings,
        web=msgspec.structs.replace(world.hub.settings.web, ingest_body_bytes_max=200_000, port=0),
    )
    hub = Elsewhere(world.hub, settings)
    await open_doors(hub)
    host, port = hub.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    size = 550_000
    how = "transfer-encoding: chunked" if framing == "chunked" else f"content-length: {size}"
    writer.write(f"POST /v1/ingest/northgate/erp HTTP/1.1\r\nhost: hub\r\n{how}\r\n\r\n".encode())
    for _ in range(size // 50_000):
        if framing == "chunked":
            writer.write(b"%x\r\n" % 50_000)
        writer.write(b"x" * 50_000 + (b"\r\n" if framing == "chunked" else b""))
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await hub.close()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "XD-DOC-007" == json.loads(answer.partition(b"\r\n\r\n")[2])["code"]


class Elsewhere:
    """The hub of the tests under other settings, with doors of its own."""

    def __init__(self, hub: Any, settings: Any) -> None:
        self._hub = hub
        self.settings = settings
        self.url = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hub, name)

    def on_stop(self, close: Any) -> None:
        self.close = close


async def test_a_key_of_one_connection_opens_no_other(anyone: httpx.AsyncClient, world: World) -> None:
    """A partner's key works on its own connection only."""
    answer = await anyone.post("/v1/ingest/northgate/shop", content=b"{}", headers=await _erp(world))

    assert 401 == answer.status_code


async def test_a_signed_webhook_is_taken(anyone: httpx.AsyncClient, world: World) -> None:
    """A Standard Webhooks signature over the raw body opens the door, and its id is the receipt key."""
    body = b'{"type": "fulfillment.accepted", "data": {}}'
    headers = sign_standard("wh_1", int(world.clock.now().timestamp()), body, [HARBOR])
    answer = await anyone.post("/v1/ingest/northgate/harbor", content=body, headers=headers)

    assert 202 == answer.status_code
    key = world.one("select receipt_key from inbound_messages where message_id = ?", answer.json()["message_id"])
    assert "wh_1" in key


async def test_a_changed_body_breaks_the_signature(anyone: httpx.AsyncClient, world: World) -> None:
    """One changed byte is refused like an unknown address; who proves the secret hears that the time is wrong."""
    now = int(world.clock.now().timestamp())
    wrong = await anyone.post(
        "/v1/ingest/northgate/harbor", content=b"{ }", headers=sign_standard("wh_2", now, b"{}", [HARBOR])
    )
    stale = await anyone.post(
        "/v1/ingest/northgate/harbor", content=b"{}", headers=sign_standard("wh_3", now - 4000, b"{}", [HARBOR])
    )

    assert (401, "XD-SEC-001") == (wrong.status_code, wrong.json()["code"])
    assert (401, "XD-ING-009") == (stale.status_code, stale.json()["code"])


async def test_an_hmac_header_is_checked(anyone: httpx.AsyncClient) -> None:
    """The carrier's plain HMAC opens its door."""
    body = delivery("SO-1002")
    headers = {"x-cargoline-signature": sign_hmac(body, "cargoline-secret"), "content-type": "application/json"}
    answer = await anyone.post("/v1/ingest/northgate/cargoline", content=body, headers=headers)

    assert 202 == answer.status_code


async def test_ndjson_is_one_document_a_line(anyone: httpx.AsyncClient, world: World) -> None:
    """Every line gets an answer of its own, in order."""
    body = b"\n".join(order(f"SO-30{n:02}") for n in range(5)) + b"\n"
    headers = {**await _erp(world), "content-type": "application/x-ndjson"}
    answer = await anyone.post("/v1/ingest/northgate/erp", content=body, headers=headers)

    assert 202 == answer.status_code
    assert ["received"] * 5 == [item["state"] for item in answer.json()["items"]]
    assert 5 == len({item["message_id"] for item in answer.json()["items"]})


async def test_the_key_of_a_batch_is_not_the_key_of_its_documents(anyone: httpx.AsyncClient, world: World) -> None:
    """Documents under one Idempotency-Key are no conflicts with each other; the same body again is all duplicates."""
    body = b"\n".join(order(f"SO-31{n:02}") for n in range(3))
    headers = {**await _erp(world), "content-type": "application/x-ndjson", "idempotency-key": "batch-31"}
    first, again = [await anyone.post("/v1/ingest/northgate/erp", content=body, headers=headers) for _ in range(2)]

    assert ["received"] * 3 == [item["state"] for item in first.json()["items"]]
    assert ["duplicate"] * 3 == [item["state"] for item in again.json()["items"]]


async def test_truncated_json_is_kept_and_answered(anyone: httpx.AsyncClient, world: World) -> None:
    """What cannot be read is kept as it came: the sender is not asked to parse for us."""
    answer = await anyone.post("/v1/ingest/northgate/erp", content=b'{"a": [1,', headers=await _erp(world))
    await world.settle()

    assert 202 == answer.status_code
    assert "failed" == world.one("select state from inbound_messages where message_id = ?", answer.json()["message_id"])


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_too_large_is_refused_early(world: World, app: Any, declared: bool) -> None:
    """A body above the limit is refused: at once by its length, or as soon as the limit is passed while it streams.

    What is read afterwards, so that the sender gets to read the answer, is bounded.
    """
    limit, read = world.hub.settings.web.ingest_body_bytes_max, 0
    headers = [(b"authorization", f"Bearer {await world.key(TENANT, 'partner', 'erp')}".encode())]
    if declared:
        headers.append((b"content-length", b"50000000"))
    sent: list[Any] = []

    async def receive() -> Any:
        nonlocal read
        read += 1_000_000
        return {"type": "http.request", "body": b"x" * 1_000_000, "more_body": True}

    async def send(message: Any) -> None:
        sent.append((read, message))

    await app({"type": "http", "method": "POST", "path": "/v1/ingest/northgate/erp", "headers": headers}, receive, send)

    assert 413 == sent[0][1]["status"]
    assert "XD-DOC-007" == json.loads(sent[1][1]["body"])["code"]
    assert sent[1][0] <= (0 if declared else limit + 1_000_000)
    assert read <= 3 * limit + 2_000_000


@pytest.mark.parametrize(("error", "status"), [(StoreFull(), 507), (StoreUnavailable(), 503)])
async def test_a_store_that_cannot_write_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """A full disk is 507 and a store that is down 503, both with Retry-After, and nothing is claimed to be kept."""

    async def refuse(offer: Any) -> Any:
        raise error

    monkeypatch.setattr(world.hub, "ingest", refuse)
    transport = httpx.ASGITransport(create_app(world.hub, session_clock=world.session_clock))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test") as client:
        answer = await client.post("/v1/ingest/northgate/erp", content=b"{}", headers=await _erp(world))

    assert status == answer.status_code
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) > 0


async def test_only_post_is_taken(anyone: httpx.AsyncClient) -> None:
    """Another method is refused and told which one works."""
    answer = await anyone.get("/v1/ingest/northgate/erp")

    assert (405, "POST") == (answer.status_code, answer.headers["allow"])
