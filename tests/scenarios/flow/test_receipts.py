"""Receipt keys: what makes a message the same message, and what the sender of a second one is told."""

from __future__ import annotations

import asyncio

import pytest

from crossdock.errors import NotFound
from crossdock.flow.ingest import InboundOffer
from tests.scenarios.flow.world import World, order


@pytest.mark.parametrize(
    ("connection_id", "content", "offer", "key"),
    [
        ("erp", order("SO-1"), {"receipt_key": "transport-7"}, "id:transport-7"),
        ("erp", order("SO-1"), {"headers": {"idempotency-key": "k-1"}}, "header:k-1"),
        ("erp", order("SO-1", event={"id": 77}), {}, "field:77"),
        ("reno-files", b"SHIPMENT,TICKET,LINE,SKU,QTY\n", {"name": "wave-1.csv"}, "name:wave-1.csv"),
    ],
    ids=["transport", "header", "field", "name"],
)
async def test_a_message_is_the_same_by_the_first_identity_it_has(
    world: World, connection_id: str, content: object, offer: dict, key: str
) -> None:
    """The transport's own identity wins, then the sources the connection names, in their order."""
    answer = await world.hand_in(connection_id, content, **offer)

    assert key == answer.receipt_key


async def test_without_any_identity_the_bytes_are_the_identity(world: World) -> None:
    """A message without a key is the same message when its bytes are the same."""
    first = await world.hand_in("erp", order("SO-1"))
    second = await world.hand_in("erp", order("SO-2"))

    assert first.receipt_key.startswith("digest:") and first.receipt_key != second.receipt_key


async def test_the_same_file_name_with_new_content_is_a_new_message_by_name_and_digest(world: World) -> None:
    """`name+digest` tells a corrected file from a repeated one."""
    first = await world.hand_in("reno", {"number": "S1"}, name="ship.json")
    again = await world.hand_in("reno", {"number": "S1"}, name="ship.json")
    corrected = await world.hand_in("reno", {"number": "S2"}, name="ship.json")

    assert ("received", "duplicate", "received") == (first.state, again.state, corrected.state)


async def test_a_duplicate_is_recorded_linked_answered_as_the_first_and_never_run(world: World) -> None:
    """The second sending of a message changes nothing but the list of what came in."""
    first = await world.hand_in("erp", order("SO-1"), headers={"idempotency-key": "k-1"})
    second = await world.hand_in("erp", order("SO-1"), headers={"idempotency-key": "k-1"})

    assert (first.message_id, "duplicate") == (second.message_id, second.state)
    links = world.query("select state, duplicate_of from inbound_messages where tenant_id = 'acme' order by message_id")
    assert [("processed", ""), ("duplicate", first.message_id)] == links
    assert 1 == len(world.partner("reno").pushed)


async def test_two_in_one_cycle_are_told_apart(world: World) -> None:
    """A message and its duplicate that arrive together are one message and one duplicate."""
    offer = InboundOffer("acme", "erp", b'{"type": "heartbeat"}', headers={"idempotency-key": "k"})
    answers = await world.hub.ingest_many([offer, offer])
    await world.hub.settle()

    assert ["received", "duplicate"] == [answer.state for answer in answers]


async def test_one_identity_with_other_bytes_is_kept_and_reported(world: World) -> None:
    """A contradiction is neither run nor thrown away: it is kept beside the first and opens an issue."""
    first = await world.hand_in("erp", order("SO-1"), headers={"idempotency-key": "k-1"})
    second = await world.hand_in("erp", order("SO-9"), headers={"idempotency-key": "k-1"})

    assert "conflict" == second.state and first.message_id != second.message_id
    assert "failed" == world.message_state(second.message_id)
    assert ["XD-ING-005"] == world.issues()
    assert 2 == len(
        world.column(
            "select digest from payloads p where exists (select 1 from inbound_messages m where m.digest = p.digest)"
        )
    )
    assert [] == world.column("select key from aggregates where key = 'SO-9'")


async def test_long_keys_that_begin_alike_are_not_the_same(world: World) -> None:
    """A key longer than the column is kept as its hash, never cut to a prefix that others share."""
    first = await world.hand_in("erp", order("SO-1"), headers={"idempotency-key": "k" * 300 + "1"})
    second = await world.hand_in("erp", order("SO-2"), headers={"idempotency-key": "k" * 300 + "2"})

    assert ("received", "received") == (first.state, second.state)


async def test_keys_with_control_characters_stay_apart(world: World) -> None:
    """Characters that no database takes do not make two keys one."""
    first = await world.hand_in("erp", order("SO-1"), headers={"idempotency-key": "k\x00"})
    second = await world.hand_in("erp", order("SO-2"), headers={"idempotency-key": "k\x01"})

    assert ("received", "received") == (first.state, second.state)


async def test_a_hostile_envelope_stops_nobody_else(world: World) -> None:
    """Control characters in names and content types are stored without harm to what came in beside them."""
    offers = [
        InboundOffer(
            "acme",
            "erp",
            b'{"type": "heartbeat", "n": 1}',
            content_type="text/\x00plain",
            name="a\x00b\nc",
            traceparent="\x00",
        ),
        InboundOffer("acme", "erp", b'{"type": "heartbeat", "n": 2}'),
    ]
    answers = await world.hub.ingest_many(offers)
    await world.hub.settle()

    assert ["received", "received"] == [answer.state for answer in answers]


async def test_an_unknown_door_fails_alone(world: World) -> None:
    """An offer for a connection that does not exist is refused; what came in with it is taken."""
    bad = world.hub.ingest(InboundOffer("acme", "nobody", b"{}"))
    good = world.hub.ingest(InboundOffer("acme", "erp", b'{"type": "heartbeat"}'))
    refused, taken = await asyncio.gather(bad, good, return_exceptions=True)

    assert isinstance(refused, NotFound)
    assert "received" == getattr(taken, "state", taken)


async def test_a_foreign_door_is_refused_like_an_absent_one(world: World) -> None:
    """Another tenant's connection does not exist."""
    texts = []
    for tenant, connection_id in (("globex", "erp"), ("acme", "nobody")):
        with pytest.raises(NotFound) as caught:
            await world.hub.ingest(InboundOffer(tenant, connection_id, b"{}"))
        texts.append(type(caught.value))

    assert [NotFound, NotFound] == texts
