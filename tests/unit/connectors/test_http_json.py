"""The HTTP connector: what goes out, and what each answer means."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from crossdock.connectors import registry
from crossdock.errors import AccessDenied, ConfigurationError, PermanentError, TransientError
from crossdock.sdk import Connector, Outbound, PushResult
from crossdock.sdk.signatures import verify_hmac, verify_standard
from tests.conformance.connectors.harnesses import START, MovingClock, a_context
from tests.conformance.connectors.http_peer import HttpPeer, answer, answer_json

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ORDER = Outbound("msg_1", "SO-1-1", "fulfillment_request", b'{"order":"SO-1"}', "application/json")
Make = Callable[..., Connector]


@pytest.fixture
async def peer() -> AsyncIterator[HttpPeer]:
    started = await HttpPeer().start()
    started.answer = lambda *_: answer(200, b"{}")
    yield started
    await started.stop()


@pytest.fixture
async def make(peer: HttpPeer) -> AsyncIterator[Make]:
    made: list[Connector] = []

    def build(secrets: dict[str, str] | None = None, **settings: Any) -> Connector:
        host = f"http://127.0.0.1:{peer.port}"
        full = {
            "url": f"{host}/in",
            **{k: v.replace("HOST", host) if k.endswith("url") else v for k, v in settings.items()},
        }
        made.append(registry.create("http_json", a_context(full, secrets or {}, MovingClock(START), 3.0)))
        return made[-1]

    yield build
    for connector in made:
        await connector.close()


async def answered(make: Make, peer: HttpPeer, reply: bytes | None, **settings: Any) -> PushResult:
    peer.answer = lambda *_: reply
    return await make(**settings).push(ORDER)


def meaning(result: PushResult) -> tuple[str, bool]:
    return result.outcome, result.permanent


@pytest.mark.parametrize(
    "status, expected",
    [(status, ("done", False)) for status in (200, 201, 202, 204)]
    + [(status, ("failed", False)) for status in (408, 425, 429, 500, 502, 503, 504)]
    + [(status, ("failed", True)) for status in (301, 302, 307, 308, 400, 401, 403, 404, 409, 410, 413, 415, 422)],
)
async def test_meaning_of_a_status(make: Make, peer: HttpPeer, status: int, expected: tuple[str, bool]) -> None:
    """Each status is done, failed for now, or failed for good."""
    result = await answered(make, peer, answer(status, b"" if status == 204 else b"{}"))

    assert (expected, status) == (meaning(result), result.http_status)


@pytest.mark.parametrize(
    "setting, expected", [("done", ("done", False)), ("permanent", ("failed", True)), ("transient", ("failed", False))]
)
async def test_conflict_means_what_the_connection_says(
    make: Make, peer: HttpPeer, setting: str, expected: tuple[str, bool]
) -> None:
    """409 is a duplicate for one partner and a real conflict for another."""
    assert expected == meaning(await answered(make, peer, answer(409, b"{}"), on_conflict=setting))


async def test_further_statuses_can_be_made_transient(make: Make, peer: HttpPeer) -> None:
    """A partner that answers 401 while it restarts is tried again."""
    assert ("failed", False) == meaning(await answered(make, peer, answer(401, b"{}"), transient_statuses=[401]))


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("120", 120.0),
        (format_datetime(START + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(START - timedelta(seconds=90), usegmt=True), 0.0),
        ("999999999999", 86_400.0),
        ("soon", None),
        ("-5", None),
        ("Mon, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
async def test_retry_after_in_seconds_or_as_a_date(
    make: Make, peer: HttpPeer, text: str, seconds: float | None
) -> None:
    """Retry-After is understood in both forms, bounded by a day, and nonsense is no wish at all."""
    result = await answered(make, peer, answer(503, b"{}", {"retry-after": text}))

    assert seconds == result.retry_after_seconds


@pytest.mark.parametrize(
    "body, expected",
    [
        (b'{"status":"accepted"}', ("done", False)),
        (b'{"status":"queued"}', ("done", False)),
        (b'{"status":"error","reason":"unknown sku"}', ("failed", True)),
        (b"{}", ("failed", True)),
        (b"<html>maintenance</html>", ("unknown", False)),
        (b"", ("unknown", False)),
    ],
)
async def test_transport_status_is_not_the_business_outcome(
    make: Make, peer: HttpPeer, body: bytes, expected: tuple[str, bool]
) -> None:
    """A 200 that says no in its body is a refusal; one that says nothing readable is unknown."""
    result = await answered(make, peer, answer(200, body), success_when={"/status": ["accepted", "queued"]})

    assert expected == meaning(result)


async def test_true_is_not_one(make: Make, peer: HttpPeer) -> None:
    """JSON's true and 1 are two things."""
    assert "failed" == (await answered(make, peer, answer(200, b'{"ok":1}'), success_when={"/ok": True})).outcome


async def test_reference_and_answer_are_kept_without_secrets(make: Make, peer: HttpPeer) -> None:
    """The partner's id and the first 8 KB of its answer are kept; an echoed token is not."""
    peer.answer = lambda *_: answer_json(201, {"data": {"id": 4711}, "echo": "Bearer t0p-secret", "x": "y" * 20_000})
    result = await make({"token": "t0p-secret"}, auth="bearer", reference_pointer="/data/id").push(ORDER)

    assert "4711" == result.reference
    assert len(result.response) <= 8192
    assert b"t0p-secret" not in result.response


async def test_identity_goes_with_every_attempt(make: Make, peer: HttpPeer) -> None:
    """The identity travels as Idempotency-Key and in the URL, percent-encoded there."""
    peer.answer = lambda *_: answer(200, b"{}")
    connector = make(url="HOST/orders/{identity}", method="PUT")
    odd = Outbound("msg_1", "SO/1 ?&-1", "fulfillment_request", b"x", "application/edi-x12", attempt=2)

    await connector.push(odd)

    method, url, headers, body = peer.requests[-1]
    assert ("PUT", "/orders/SO%2F1%20%3F%26-1", b"x") == (method, url, body)
    assert ("SO/1 ?&-1", "application/edi-x12") == (headers["idempotency-key"], headers["content-type"])


async def test_path_by_document_type(make: Make, peer: HttpPeer) -> None:
    """Each document type has its own path; others go to the url."""
    connector = make(paths={"fulfillment_request": "/v1/orders?x=1"})
    for document in ("fulfillment_request", "fulfillment_cancel"):
        await connector.push(Outbound("m", "i", document, b"{}", "application/json"))

    assert ["/v1/orders?x=1", "/in"] == [request[1] for request in peer.requests]


@pytest.mark.parametrize(
    "settings, secrets, header, value",
    [
        ({"auth": "bearer"}, {"token": "t-1"}, "authorization", "Bearer t-1"),
        ({"auth": "api_key"}, {"api_key": "k-1"}, "x-api-key", "k-1"),
        ({"auth": "api_key", "auth_header": "x-key"}, {"api_key": "k-1"}, "x-key", "k-1"),
        (
            {"auth": "basic", "username": "u"},
            {"password": "p"},
            "authorization",
            "Basic " + base64.b64encode(b"u:p").decode(),
        ),
    ],
)
async def test_credentials(
    make: Make, peer: HttpPeer, settings: dict[str, Any], secrets: dict[str, str], header: str, value: str
) -> None:
    """Each way to authenticate puts its header on the request."""
    await make(secrets, **settings).push(ORDER)

    assert value == peer.requests[-1][2][header]


async def test_standard_webhooks_verify_under_old_and_new_secret(make: Make, peer: HttpPeer) -> None:
    """Signed by the clock of the hub, with every secret, under the identity as webhook-id."""
    new = "whsec_" + base64.b64encode(b"n" * 32).decode()
    await make({"signing_secret": SECRET, "signing_secret_2": new}, auth="standard_webhooks").push(ORDER)
    headers, body = peer.requests[-1][2:]

    for secret in (SECRET, new):
        assert ("SO-1-1", START) == (
            (found := verify_standard(headers, body, [secret], now=START)).id,
            found.signed_at,
        )


async def test_hmac_verifies_with_its_timestamp(make: Make, peer: HttpPeer) -> None:
    """A plain HMAC goes out in the configured header and form."""
    connector = make(
        {"signing_secret": "s3cret"},
        auth="hmac",
        auth_header="x-hub-signature",
        signature_prefix="sha256=",
        timestamp_header="x-time",
    )
    await connector.push(ORDER)
    headers, body = peer.requests[-1][2:]

    verify_hmac(headers, body, ["s3cret"], header="x-hub-signature", timestamp_header="x-time", now=START)
    with pytest.raises(AccessDenied):
        verify_hmac(headers, body + b" ", ["s3cret"], header="x-hub-signature", timestamp_header="x-time", now=START)


@pytest.mark.parametrize("idempotent, outcome, requests", [(True, "done", 3), (False, "unknown", 2)])
async def test_dead_connection_is_repeated_only_for_idempotent_partners(
    make: Make, peer: HttpPeer, idempotent: bool, outcome: str, requests: int
) -> None:
    """Only a partner that acts once for one identity gets the same request again at once."""
    connector = make(idempotent=idempotent)
    await connector.push(ORDER)
    replies = [None, answer(200, b"{}")]
    peer.answer = lambda *_: replies.pop(0)

    result = await connector.push(ORDER)

    assert (outcome, requests) == (result.outcome, len(peer.requests))
    assert 1 == len({request[2]["idempotency-key"] for request in peer.requests})


@pytest.mark.parametrize(
    "status, body, settings, expected",
    [
        (200, b'{"id":"P-1"}', {"reference_pointer": "/id"}, ("found", "P-1")),
        (404, b"", {}, ("absent", "")),
        (410, b"", {}, ("absent", "")),
        (500, b"", {}, ("cannot_tell", "")),
        (401, b"", {}, ("cannot_tell", "")),
        (302, b"", {}, ("cannot_tell", "")),
        (200, b'{"orders":[]}', {"find_pointer": "/orders"}, ("absent", "")),
        (200, b'{"orders":[1]}', {"find_pointer": "/orders/0"}, ("found", "")),
        (200, b"<html>", {"find_pointer": "/orders"}, ("cannot_tell", "")),
    ],
)
async def test_find(
    make: Make, peer: HttpPeer, status: int, body: bytes, settings: dict[str, Any], expected: tuple[str, str]
) -> None:
    """What the partner says about an effect is found, absent, or cannot be told."""
    peer.answer = lambda *_: answer(status, body)

    found = await make(find_url="HOST/find?key={identity}", **settings).find(ORDER)

    assert expected == (found.answer, found.reference)
    assert "/find?key=SO-1-1" == peer.requests[-1][1]


async def test_find_without_a_question_cannot_tell(make: Make) -> None:
    """Without find_url nobody is asked."""
    assert "cannot_tell" == (await make().find(ORDER)).answer


async def drain(connector: Connector, acknowledge: Callable[[int], bool] = lambda _: True) -> list[tuple[str, bytes]]:
    taken = []
    async for pulled in connector.pull():
        if acknowledge(len(taken)):
            await pulled.acknowledge()
        taken.append((pulled.receipt_key, pulled.content))
    return taken


async def test_polled_items_are_byte_for_byte(make: Make, peer: HttpPeer) -> None:
    """An item is stored as the partner wrote it: spaces, number forms and key order included."""
    peer.answer = lambda *_: answer(200, b'{"data":{"items":[ {"id": 7, "n": 1.50} ,{"id":8,"id2":1e3}]}}')
    connector = make(poll_url="HOST/feed", poll_items="/data/items", poll_key="/id")

    assert [("7", b'{"id": 7, "n": 1.50}'), ("8", b'{"id":8,"id2":1e3}')] == await drain(connector)


async def test_cursor_never_passes_an_item_that_is_not_durable(make: Make, peer: HttpPeer) -> None:
    """A later item's acknowledgment does not carry the cursor over an earlier one."""
    peer.answer = lambda *_: answer(200, b'[{"t":"1"},{"t":"2"},{"t":"3"}]')
    connector = make(poll_url="HOST/feed?since={since}", poll_cursor="/t", poll_start="0")

    await drain(connector, lambda index: index != 1)
    await drain(connector)
    await drain(connector)

    assert ["/feed?since=0", "/feed?since=1", "/feed?since=3"] == [request[1] for request in peer.requests]


@pytest.mark.parametrize(
    "reply, kind",
    [
        (answer(429, b"", {"retry-after": "9"}), TransientError),
        (answer(503, b""), TransientError),
        (None, TransientError),
        (answer(401, b""), PermanentError),
        (answer(302, b""), PermanentError),
        (answer(200, b"<html>"), PermanentError),
        (answer(200, b'{"items":[]}'), PermanentError),
        (answer(200, b"[1]" + b" " * 2000), PermanentError),
    ],
)
async def test_failed_poll_is_typed(make: Make, peer: HttpPeer, reply: bytes | None, kind: type[Exception]) -> None:
    """A poll that fails says whether to come again or to call a person."""
    peer.answer = lambda *_: reply

    with pytest.raises(kind) as failure:
        await drain(make(poll_url="HOST/feed", response_bytes_max=1000))

    if isinstance(failure.value, TransientError) and reply and b"429" in reply:
        assert 9.0 == failure.value.retry_after_seconds


async def test_nothing_new_is_nothing(make: Make, peer: HttpPeer) -> None:
    """204 and 304 are empty answers, not faults."""
    for status in (204, 304):
        peer.answer = lambda *_, status=status: answer(status, b"")
        assert [] == await drain(make(poll_url="HOST/feed"))


@pytest.mark.parametrize("headers", [{"host": "x"}, {"Content-Length": "1"}, {"a b": "c"}, {"x": "a\r\nb: c"}])
async def test_configured_headers_cannot_break_the_message(make: Make, peer: HttpPeer, headers: dict[str, str]) -> None:
    """Headers of a message that would change its framing or break out are refused for good."""
    result = await make().push(Outbound("m", "i", "d", b"{}", "application/json", headers=headers))

    assert (("failed", True), []) == (meaning(result), peer.requests)


@pytest.mark.parametrize(
    "settings, secrets",
    [
        ({"url": "https://user:pass@a.test/"}, {}),
        ({"url": "http://2130706433/"}, {}),
        ({"url": "https://a.test/", "auth": "bearer"}, {}),
        ({"url": "https://a.test/", "method": "DELETE"}, {}),
        ({"url": "https://a.test/", "headers": {"transfer-encoding": "chunked"}}, {}),
    ],
)
def test_unusable_settings_are_refused_at_once(settings: dict[str, Any], secrets: dict[str, str]) -> None:
    """What can never work fails when the connector is made, not at three in the morning."""
    with pytest.raises((ConfigurationError, PermanentError)):
        registry.create("http_json", a_context(settings, secrets, MovingClock(datetime(2026, 1, 1, tzinfo=UTC))))
