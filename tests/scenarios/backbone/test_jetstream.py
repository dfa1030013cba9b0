"""What is committed reaches consumers once in effect, whatever happens to the stream."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import msgspec
import pytest

from crossdock.backbone.subjects import subject_of
from crossdock.canonical.events import Event
from crossdock.durable.stream_proof import Judgement, Place, Seen
from crossdock.store import journal
from tests.scenarios.backbone.world import STREAM, Consumer, World, database, in_order, until
from tests.support.nats import NatsServers


async def test_events_are_published_in_order_under_their_tenant(world: World, servers: NatsServers) -> None:
    """Each event is a CloudEvent on the subject of its tenant and type, under its own id, in the journal's order."""
    world.start()
    await world.write(40)
    await world.write(1, tenant="globex.*.>")
    await world.caught_up()

    client = await servers.client()
    stream = client.jetstream()
    stored = [await stream.get_msg(STREAM, sequence) for sequence in range(1, len(world.written) + 1)]
    first = msgspec.json.decode(stored[0].data or b"")

    assert [event.id for event in world.written] == [message.headers["Nats-Msg-Id"] for message in stored]
    assert "crossdock.events.acme.order.created.v1" == stored[0].subject
    assert "crossdock.events.globex=2E=2A=2E=3E.order.completed.v1" == stored[-1].subject
    assert ("1.0", "evt_000001_0", "order/SO-1") == (first["specversion"], first["id"], first["subject"])
    assert subject_of("crossdock", "acme", "crossdock.order.created.v1") == stored[0].subject


async def test_a_killed_publisher_repeats_and_nothing_is_doubled(world: World, consumer: Consumer) -> None:
    """What was acknowledged and not yet written down is found in the stream by the next process."""
    world.start()
    consumer.start()
    for _ in range(5):
        await world.write(60)
        await until(lambda: world.backbone.counts.published > 0, "a first window")
        await world.kill()
        world.backbone = world.made()
        # The one that died holds the place for a while; the test does not wait for it.
        await world.store.write(lambda connection: connection.execute("update backbone_places set held_until = 0"))
        world.start()
    await world.caught_up()
    await world.consumed(consumer)

    assert len(world.written) == (await world.info())["state"]["messages"]
    assert in_order(consumer.ledger)


@pytest.mark.parametrize("damage", ["delete", "purge", "purge_part", "remove_one", "remove_last"])
async def test_a_damaged_stream_is_made_whole(
    world: World, consumer: Consumer, servers: NatsServers, damage: str
) -> None:
    """Streams that are deleted or emptied while nobody has consumed them are filled again from the record."""
    world.start()
    await world.write(50)
    await world.caught_up()
    client = await servers.client()
    calls = {
        "delete": ("STREAM.DELETE", {}),
        "purge": ("STREAM.PURGE", {}),
        "purge_part": ("STREAM.PURGE", {"keep": 20}),
        "remove_one": ("STREAM.MSG.DELETE", {"seq": 70}),
        "remove_last": ("STREAM.MSG.DELETE", {"seq": 150}),
    }
    call, body = calls[damage]
    answer = await servers.api(client, f"{call}.{STREAM}", body)
    assert answer["success"]

    await world.write(10)
    consumer.start()
    await world.consumed(consumer)

    assert world.backbone.counts.refills >= 2
    looks = world.backbone.counts.looks
    await until(lambda: world.backbone.counts.looks > looks + 2, "two more looks")
    assert 2 == world.backbone.counts.refills


async def test_a_purged_stream_still_knows_the_ids_of_what_it_lost(
    world: World, consumer: Consumer, servers: NatsServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: publishing again under the same ids is taken for a repetition, and what was purged stays lost.

    With such ids the proof is never complete, and the backbone says so instead of moving its place.
    """
    monkeypatch.setattr("crossdock.backbone.publishing.message_id", lambda event_id, place: event_id)
    monkeypatch.setattr("crossdock.backbone.jetstream.message_id", lambda event_id, place: event_id)
    world.start()
    await world.write(20)
    await world.caught_up()
    client = await servers.client()
    await servers.api(client, f"STREAM.PURGE.{STREAM}")
    looks = world.backbone.counts.looks
    await until(lambda: world.backbone.counts.looks > looks + 4, "some looks")

    assert 0 == (await world.info())["state"]["messages"]
    assert world.backbone._place.event_id == ""


async def test_an_unproven_place_is_found_out(
    world: World, consumer: Consumer, servers: NatsServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: a publisher that never looks back loses what a deleted stream held."""

    def blind(place: Place, seen: Seen, window: tuple[int, int]) -> Judgement:
        return Judgement("follow", msgspec.structs.replace(place, stream=seen.stream, sequence=seen.last))

    world.start()
    await world.write(20)
    await world.caught_up()
    monkeypatch.setattr("crossdock.backbone.jetstream.judge", blind)
    client = await servers.client()
    await servers.api(client, f"STREAM.DELETE.{STREAM}")
    later = await world.write(5)
    consumer.start()
    await until(lambda: {event.id for event in later} <= consumer.ledger.done.keys(), "what came later")

    assert not world.ids() <= consumer.ledger.done.keys()


async def test_whole_wipe_and_an_older_copy(world: World, consumer: Consumer, servers: NatsServers) -> None:
    """A store that is wiped, or set back to what an earlier disk held, is brought up to the record."""
    world.start()
    consumer.start()
    await world.write(30)
    await world.caught_up()
    servers.kill(0)
    servers.keep_copy("early")
    servers.start()
    await world.write(30)
    await world.caught_up()
    servers.kill(0)
    servers.set_back("early")
    await world.write(5)
    servers.start()
    await world.caught_up()
    servers.kill(0)
    servers.wipe()
    await world.write(5)
    servers.start()
    await world.caught_up()
    await world.consumed(consumer)

    assert in_order(consumer.ledger)
    assert world.backbone.counts.rewinds >= 1
    assert len(world.written) == (await world.info())["state"]["messages"]


async def test_the_hub_goes_on_while_nats_is_away(world: World, servers: NatsServers) -> None:
    """Events wait in the journal; the lag is told in events and seconds, and nothing is kept in memory."""
    world.start()
    await world.write(1)
    await world.caught_up()
    servers.kill(0)
    await world.write(200)
    await until(lambda: world.backbone.lag().events == 600, "the lag")
    lag = world.backbone.lag()
    assert lag.trouble
    assert lag.seconds > 0
    servers.start()
    await world.caught_up()

    await until(lambda: world.backbone.lag() == type(lag)(), "no lag")


async def test_a_lost_acknowledgment_costs_a_repetition(world: World, consumer: Consumer) -> None:
    """A consumer whose acks are lost gets the event again and does nothing twice."""
    consumer.lose_acks = 25
    world.start()
    consumer.start()
    await world.write(20)
    await world.consumed(consumer)
    await until(lambda: consumer.ledger.repeats >= 25, "the repetitions")

    assert world.ids() == consumer.ledger.done.keys()


async def test_two_publishers_take_turns(world: World, servers: NatsServers) -> None:
    """While one process publishes another waits; when the first one is gone the other takes over where it was."""
    second = world.made()
    world.start()
    await world.write(5)
    await world.caught_up()
    second.start()
    await until(lambda: "another process" in second.lag().trouble, "the refusal")
    await world.backbone.stop()
    world.backbone = second
    await world.write(5)
    await world.caught_up()

    assert 30 == (await world.info())["state"]["messages"]


async def test_a_late_publisher_cannot_spoil_a_refill(world: World, servers: NatsServers, consumer: Consumer) -> None:
    """A paused publisher that wakes up behind another one's back proves nothing and moves nothing."""
    world.start()
    await world.write(5)
    await world.caught_up()
    paused = world.backbone
    await world.kill()
    await world.store.write(lambda connection: connection.execute("update backbone_places set held_until = 0"))
    world.backbone = world.made()
    world.start()
    await world.write(5)
    await world.caught_up()

    # The paused one still believes in its epoch and its place.
    paused._place = msgspec.structs.replace(paused._place, sequence=999)
    with pytest.raises(Exception, match="another process moves the place"):
        await paused._save()
    consumer.start()
    await world.consumed(consumer)


async def test_an_event_too_large_goes_without_its_data(world: World, servers: NatsServers) -> None:
    """What is larger than a message may be is announced with the address where the record hands it out."""
    now = world.clock.now()
    big = Event(
        "evt_big", "acme", "crossdock.inventory.snapshot.v1", "inventory/RENO", {"x": "y" * 2_000_000}, now, now
    )
    await world.store.write(lambda connection: journal.append(connection, [big]))
    world.written.append(big)
    world.start()
    await world.caught_up()
    client = await servers.client()
    stored = msgspec.json.decode((await client.jetstream().get_msg(STREAM, 1)).data or b"")

    assert "data" not in stored
    assert "https://hub.example.com/v1/events/stream?after=0.0" == stored["dataref"]


async def test_a_restored_record_goes_on_behind_its_own_past(
    servers: NatsServers, consumer: Consumer, tmp_path: Path
) -> None:
    """The record is set back to a copy: what it decides from now on is published behind what it no longer knows."""
    record, copy = tmp_path / "crossdock.db", tmp_path / "copy.db"
    first = World(database(tmp_path), servers)
    first.start()
    await first.write(10)
    await first.caught_up()
    await first.stop()
    shutil.copy(record, copy)
    before = World(database(tmp_path), servers)
    before._numbers = itertools.count(100)
    before.start()
    forgotten = {event.id for event in await before.write(10)}
    await before.caught_up()
    await before.stop()
    for suffix in ("-wal", "-shm"):
        record.with_name(record.name + suffix).unlink(missing_ok=True)
    copy.rename(record)

    after = World(database(tmp_path), servers)
    after._numbers = itertools.count(1_000)
    after.start()
    consumer.start()
    try:
        await after.write(15)
        await after.caught_up()
        await until(lambda: first.ids() | after.ids() <= consumer.ledger.done.keys(), "past and present")
    finally:
        await after.stop()

    # What was published before the restore is not taken back; who reconciles finds it at the consumer.
    assert forgotten <= consumer.ledger.done.keys()
    assert after.backbone.counts.refills == 0
