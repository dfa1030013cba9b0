"""Partners prove who they are, tell again until they are heard, and turn strangers away."""

from __future__ import annotations

import json

import pytest

from crossdock.sdk import signatures
from crossdock.simulator.ledger import Ledger
from crossdock.simulator.service_desk import ServiceDesk
from crossdock.simulator.wire import Door, bearer, hmac_hex, standard_webhook

SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="


def test_a_standard_webhook_is_accepted_by_the_hubs_own_check(timeline):
    """The simulator's signature and the hub's verification were written apart and agree."""
    now = timeline.clock.now()
    headers = standard_webhook(SECRET)(b"{}", "hbr-1", now)

    assert "hbr-1" == signatures.verify_standard(headers, b"{}", [SECRET], now=now).id


def test_an_hmac_is_accepted_by_the_hubs_own_check(timeline):
    """The carrier's header is what the hub's plain HMAC check expects."""
    now = timeline.clock.now()
    headers = hmac_hex("s3cret", "X-Cargoline-Signature", "X-Event")(b"{}", "e-1", now)

    signatures.verify_hmac(headers, b"{}", ["s3cret"], header="x-cargoline-signature", now=now)


async def test_a_telling_that_fails_is_repeated_with_the_same_identity(timeline, session, door):
    """After a 503 the partner tells the same bytes under the same id again, one minute later."""
    ledger = Ledger("erp")
    door.answers = [503]
    way = Door(session, timeline, ledger, door.url, bearer("key"))

    await way.tell({"a": 1}, "m-1")
    (_, _, _, again), *_ = timeline._heap
    await again()

    assert 2 == len(door.told)
    assert door.told[0][1] == door.told[1][1]
    assert {"m-1"} == {headers["Idempotency-Key"] for headers, _ in door.told}
    assert {"told": 1} == ledger.counts()


async def test_a_refusal_is_booked_and_not_repeated(timeline, session, door):
    """A 422 is the hub's last word; the partner writes it down."""
    ledger = Ledger("erp")
    door.answers = [422]

    await Door(session, timeline, ledger, door.url, bearer("key")).tell({}, "m-1")

    assert {"refused": 1} == ledger.counts()
    assert [] == timeline._heap


@pytest.mark.parametrize(
    "headers,body,status",
    [({}, b"{}", 401), ({"Authorization": "Bearer good"}, b"{", 400), ({"Authorization": "Bearer good"}, b"[]", 400)],
)
async def test_a_service_turns_strangers_and_rubbish_away(timeline, session, headers, body, status):
    """Without the token there is no talk, and what is no JSON object is refused."""
    desk = ServiceDesk(timeline, "good")
    await desk.service.start()
    try:
        async with session.post(f"{desk.service.url}/api/cases", data=body, headers=headers) as response:
            assert status == response.status
    finally:
        await desk.service.stop()


async def test_the_desk_knows_a_case_by_order_and_cause(timeline, session):
    """Open, update and close find the same case; the same key twice is booked once; an unknown case is 404."""
    desk = ServiceDesk(timeline, "good")
    await desk.service.start()

    async def ask(key: str, action: str, order: str = "SO-1") -> tuple[int, str]:
        headers = {"Authorization": "Bearer good", "Idempotency-Key": key}
        body = json.dumps({"action": action, "order": order, "cause": "ship_by"})
        async with session.post(f"{desk.service.url}/api/cases", data=body, headers=headers) as response:
            return response.status, (await response.json()).get("case", "")

    try:
        answers = [
            await ask("k1", "open"),
            await ask("k1", "open"),
            await ask("k2", "update"),
            await ask("k3", "close"),
        ]
        missing = await ask("k4", "close", "SO-2")
    finally:
        await desk.service.stop()

    assert {"CS-7001"} == {case for _, case in answers}
    assert (404, "") == missing
    assert {"case_close": 1, "case_open": 1, "case_update": 1} == desk.ledger.counts()
