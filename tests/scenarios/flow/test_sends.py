"""Sends: retry, refusal, unknown outcome, the circuit, and the order within a lane."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from crossdock.errors import ConfigurationError, PermanentError, TransientError
from crossdock.flow import recovery
from crossdock.flow.send import Partner
from crossdock.sdk import FindResult, Outbound
from crossdock.views import partner_health
from tests.scenarios.flow.world import (
    BUSY,
    LOST_ANSWER,
    REFUSED,
    START,
    World,
    busy_for,
    order,
    pack_files,
    shipment,
    with_line,
)


def delays(world: World, connection_id: str) -> list[float]:
    return [(moment - START).total_seconds() for moment in world.partner(connection_id).times]


async def drive(world: World, minutes: int) -> None:
    """Move the clock in steps of whatever is due next."""
    end = world.clock.now() + timedelta(minutes=minutes)
    while (due := world.hub.next_due_at()) is not None and due <= end:
        world.clock.move_to(due)
        await world.hub.advance()
    world.clock.move_to(end)


async def test_a_transient_failure_is_tried_again_at_the_times_of_the_policy(world: World) -> None:
    """30, 60 seconds later, under the same identity; success closes the issue that told of it."""
    world.partner("kc").answer(BUSY, BUSY)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    assert ["XD-PTR-001"] == world.issues()
    await drive(world, 10)

    assert [0, 30, 90] == delays(world, "kc")
    assert 1 == len(set(world.partner("kc").identities()))
    assert [("fulfillment_request", "sent")] == world.outbound("kc")
    assert [] == world.issues()
    assert ["failed", "failed", "done"] == world.column(
        "select outcome from attempts a join outbound_messages m on m.message_id = a.message_id"
        " where m.connection_id = 'kc' order by number"
    )


async def test_an_error_a_connector_raises_is_an_outcome(world: World) -> None:
    """A connector that raises instead of answering is booked by the class of its error."""
    world.partner("kc").answer(TransientError("connection refused"))
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 1)

    assert [0, 30] == delays(world, "kc")


async def test_the_partners_retry_after_wins_when_it_is_longer(world: World) -> None:
    """A partner that names a time is not called before it."""
    world.partner("reno").answer(busy_for(600))
    await world.hand_in("erp", order("SO-1"))
    await drive(world, 15)

    assert [0, 600] == delays(world, "reno")


async def test_a_shorter_retry_after_does_not_hurry(world: World) -> None:
    """The policy's own delay is the least."""
    world.partner("kc").answer(busy_for(1))
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 5)

    assert 2 == len(delays(world, "kc")) and delays(world, "kc")[1] >= 30


async def test_attempts_end_in_a_dead_letter_with_an_issue(world: World) -> None:
    """Three attempts are allowed here; then the message is dead, and a person is told."""
    world.partner("kc").always = BUSY
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 60)

    assert [0, 30, 90] == delays(world, "kc")[:3]
    assert [("fulfillment_request", "dead")] == world.outbound("kc")
    assert "XD-PTR-001" in world.issues()


async def test_a_refusal_is_a_dead_letter_at_once_and_does_not_hold_the_lane(world: World) -> None:
    """422 is final: no second try; what comes behind it in the lane goes on, the circuit stays closed."""
    world.partner("reno").answer(REFUSED)
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("erp", order("SO-2"))

    assert [("fulfillment_request", "dead"), ("fulfillment_request", "sent")] == world.outbound("reno")
    assert ["XD-PTR-002"] == world.issues()
    assert "healthy" == world.hub.sender.health("acme", "reno")


@pytest.mark.parametrize("took_effect", [True, False], ids=["found", "absent"])
async def test_an_unknown_outcome_is_asked_for_before_anything_is_sent_again(world: World, took_effect: bool) -> None:
    """Found: done without a second send. Absent: sent again under the same identity. One effect either way."""
    partner = world.partner("kc")
    partner.takes_effect = took_effect
    partner.answer(LOST_ANSWER)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    assert [("fulfillment_request", "unknown")] == world.outbound("kc")
    assert ["XD-PTR-003"] == world.issues()
    await drive(world, 5)

    assert ["000000001"] == partner.asked
    assert (1 if took_effect else 2) == len(partner.pushed)
    assert {"000000001": 1} == {identity: len(times) for identity, times in partner.effects.items()}
    assert [("fulfillment_request", "sent")] == world.outbound("kc")
    assert [] == world.issues()


async def test_a_partner_that_cannot_tell_and_acts_twice_is_not_sent_again(world: World) -> None:
    """Nobody knows, nobody can be asked, a second send could be a second effect: a person must look."""
    partner = world.partner("kc")
    partner.answer(LOST_ANSWER)
    partner.find_answers.extend([FindResult("cannot_tell")] * 5)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 60)

    assert 1 == len(partner.pushed)
    assert [("fulfillment_request", "dead")] == world.outbound("kc")
    assert world.issues()


async def test_a_partner_that_acts_once_is_sent_the_same_identity_again(world: World) -> None:
    """It cannot tell, but it promised to act once for one identity."""
    partner = world.partner("reno")
    partner.answer(LOST_ANSWER)
    partner.find_answers.append(FindResult("cannot_tell"))
    await world.hand_in("erp", order("SO-1"))
    await drive(world, 5)

    assert 2 == len(partner.pushed) and 1 == len(set(partner.identities()))


async def test_a_connector_that_stumbles_is_of_unknown_outcome(world: World) -> None:
    """An exception nobody foresaw in a connector holds only its own message, and is asked for."""
    partner = world.partner("kc")
    partner.answer(ZeroDivisionError("a bug in the connector"))
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await world.hand_in("erp", order("SO-2", ("DRILL", 1)))

    assert [("fulfillment_request", "unknown"), ("fulfillment_request", "sent")] == world.outbound("kc")


async def test_the_circuit_opens_buffers_probes_and_drains_in_order(world: World) -> None:
    """Three failures open it; orders wait; after a minute one probe; then the rest goes in the order made."""
    partner = world.partner("reno")
    partner.always = BUSY
    for n in range(1, 4):
        await world.hand_in("erp", order(f"SO-{n}"))
    assert "down" == world.hub.sender.health("acme", "reno")
    assert [("open",)] == world.query("select circuit from connection_states where connection_id = 'reno'")
    for n in range(4, 8):
        await world.hand_in("erp", order(f"SO-{n}"))
    assert 3 == len(partner.pushed)

    await drive(world, 1)
    probes = len(partner.pushed) - 3
    assert 1 == probes and "down" == world.hub.sender.health("acme", "reno")

    partner.always = None
    partner.pushed.clear()
    await drive(world, 2)
    assert [f"SO-{n}-1" for n in range(1, 8)] == [one["ticket"] for one in partner.documents()]
    assert "healthy" == world.hub.sender.health("acme", "reno")
    assert [("closed",)] == world.query("select circuit from connection_states where connection_id = 'reno'")
    assert [] == world.issues()


async def test_an_open_circuit_whose_heads_wait_longer_does_not_spin(world: World) -> None:
    """The next thing due is never in the past: a probe waits for something that may be sent."""
    files = with_line(pack_files(), "connections/reno.yaml", "first_delay_seconds: 30", "first_delay_seconds: 600")
    await world.apply(files=files)
    world.partner("reno").always = BUSY
    for n in range(1, 4):
        await world.hand_in("erp", order(f"SO-{n}"))
    await asyncio.wait_for(world.later(seconds=70), 10)

    due = world.hub.next_due_at()
    assert due is not None and due > world.clock.now()


async def test_a_lane_keeps_its_order_while_another_goes_on(world: World) -> None:
    """Two papers of one order: the second waits for the first. Another order's go at once."""
    partner = world.partner("erp")
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("erp", order("SO-2"))
    partner.pushed.clear()
    partner.answer(BUSY)
    await world.hand_in("reno", shipment("S1", "SO-1"))
    await world.hand_in("reno", shipment("S2", "SO-2"))

    lanes = [(one["order"], one["type"]) for one in partner.documents()]
    assert 1 == len([1 for number, _ in lanes if number == "SO-1"])
    assert 2 <= len([1 for number, _ in lanes if number == "SO-2"])
    first = lanes[0]
    await drive(world, 5)
    again = [(one["order"], one["type"]) for one in partner.documents() if one["order"] == "SO-1"]
    assert [first, first] == again[:2] and len(set(again)) == len(again) - 1


async def test_a_paused_connection_keeps_everything_and_goes_on(world: World) -> None:
    """Nothing is sent and nothing is lost while a connection is paused by a release."""
    await world.apply(
        files=with_line(pack_files(), "connections/reno.yaml", "partner: reno", "partner: reno\npaused: true")
    )
    await world.hand_in("erp", order("SO-1"))
    assert [] == world.partner("reno").pushed

    await world.apply()
    await world.later(seconds=1)

    assert [("fulfillment_request", "sent")] == world.outbound("reno")


async def test_a_connection_that_a_release_removed_stops_nothing(world: World) -> None:
    """Messages for a connection that is gone stay in the record; the release is applied and the hub starts again."""
    world.partner("reno").always = BUSY
    await world.hand_in("erp", order("SO-1"))
    files = pack_files()
    del files["connections/reno.yaml"], files["maps/reno-ticket.yaml"], files["maps/reno-shipment.yaml"]
    files["routes.yaml"] = "".join(
        line for line in files["routes.yaml"].splitlines(True) if "connection: reno," not in line
    )
    await world.apply(files=files)
    await drive(world, 30)
    hub = await world.restart()
    await world.hand_in("erp", order("SO-2", ("DRILL", 1)))

    assert hub.health().ready
    assert [("fulfillment_request", "pending")] == world.outbound("reno")
    assert [("fulfillment_request", "sent")] == world.outbound("kc")

    world.partner("reno").always = None
    await world.apply()
    await world.restart()
    await drive(world, 60)
    assert [("fulfillment_request", "sent")] == world.outbound("reno")


async def test_a_question_that_fails_leaves_the_outcome_unknown(world: World) -> None:
    """The partner took it, the answer was lost, and so was the first question: asked again, never sent again."""
    partner = world.partner("kc")
    partner.answer(LOST_ANSWER)
    find, failures = partner.find, [TransientError("cannot connect"), TimeoutError(), PermanentError("404")]

    async def fails_first(outbound: Outbound) -> FindResult:
        if failures:
            raise failures.pop()
        return await find(outbound)

    await world.apply(files=with_line(pack_files(), "connections/kc.yaml", "attempts_max: 3", "attempts_max: 9"))
    partner.find = fails_first  # type: ignore[method-assign]
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 2)
    assert [("fulfillment_request", "unknown")] == world.outbound("kc")
    await drive(world, 60)

    assert 1 == len(partner.pushed)
    assert [("fulfillment_request", "sent")] == world.outbound("kc")


async def test_a_connector_that_cannot_be_made_leaves_the_outcome_unknown(world: World) -> None:
    """A secret is missing when the question is due: nothing was learned, so nothing is sent unasked."""
    partner = world.partner("kc")
    partner.answer(LOST_ANSWER)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    sender = world.hub.sender
    make = sender._partner_of

    async def cannot(*place: str) -> Partner:
        raise ConfigurationError("the secret is missing")

    del sender._partners[("acme", "kc")]
    sender._partner_of = cannot
    await drive(world, 1)
    assert [("fulfillment_request", "unknown")] == world.outbound("kc")
    sender._partner_of = make
    await drive(world, 60)

    assert 1 == len(partner.pushed) and 1 == len(partner.asked)
    assert [("fulfillment_request", "sent")] == world.outbound("kc")


async def test_what_was_given_up_as_unknown_is_asked_for_when_it_is_taken_up_again(world: World) -> None:
    """A connector that stumbles to the end leaves a dead letter of unknown outcome: a replay asks before it sends."""
    partner = world.partner("kc")
    partner.answer(lambda outbound: (partner.effects.update({outbound.identity: [b""]}), 1 / 0)[0])  # type: ignore[arg-type]

    async def stumbles(outbound: Outbound) -> FindResult:
        raise ZeroDivisionError

    find, partner.find = partner.find, stumbles  # type: ignore[method-assign]
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 60)
    assert [("dead", "unknown")] == world.query(
        "select state, error_class from outbound_messages where connection_id = 'kc'"
    )
    partner.find = find  # type: ignore[method-assign]
    (message_id,) = world.column("select message_id from outbound_messages where connection_id = 'kc'")
    await world.hub.again._replay("acme", (message_id,), "", "current", "anna", "repaired")
    await world.hub.settle()

    assert 1 == len(partner.pushed) and 1 == len(partner.asked)
    assert [("fulfillment_request", "sent")] == world.outbound("kc")


async def test_not_now_to_the_second_send_says_nothing_about_the_first(world: World) -> None:
    """It cannot tell and acts once: sent again, answered 503. What became of the first is as unknown as before."""
    partner = world.partner("reno")
    partner.answer(LOST_ANSWER, BUSY)
    partner.find_answers.append(FindResult("cannot_tell"))
    await world.hand_in("erp", order("SO-1"))
    await world.later(seconds=31)

    assert 2 == len(partner.pushed)
    assert [("fulfillment_request", "unknown")] == world.outbound("reno")


async def test_a_partner_that_is_away_refuses_nobody(world: World) -> None:
    """More waits for a paused connection than may wait for sending: every door goes on accepting."""
    pipeline = world.hub.pipeline
    pipeline._limits = msgspec.structs.replace(pipeline._limits, outbound_max=5)
    world.hub.sender.pause("acme", "reno", True)
    for number in range(8):
        assert "received" == (await world.hand_in("erp", order(f"SO-{number}"))).state
    assert 8 <= world.hub.sender.states()[("acme", "reno")][1]

    world.hub.sender.pause("acme", "reno", False)
    await world.hub.settle()
    assert 8 == len(world.partner("reno").pushed)


async def test_when_sending_lags_accepting_slows(world: World) -> None:
    """What could go out now and does not is the measure."""
    pipeline = world.hub.pipeline
    pipeline._limits = msgspec.structs.replace(pipeline._limits, outbound_max=3)
    world.partner("reno").gate = asyncio.Event()

    async def hand_in_many() -> None:
        for number in range(8):
            await world.hand_in("erp", order(f"SO-{number}"), settle=False)
            while not pipeline.idle():
                await asyncio.sleep(0.001)

    with pytest.raises(TransientError):
        await hand_in_many()


async def test_a_long_queue_keeps_its_bytes_in_the_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit only the order of things is in memory; everything goes out whole, in order, or is dead if it
    was damaged meanwhile.
    """
    from crossdock.flow import send

    monkeypatch.setattr(send, "LOADED_MAX", 3)
    world.hub.sender.pause("acme", "reno", True)
    for number in range(10):
        await world.hand_in("erp", order(f"SO-{number}"))
    (queue,) = [one for place, one in world.hub.sender._queues.items() if place == ("acme", "reno")]
    held = [ready for lane in queue.lanes.values() for ready in lane]
    assert [True] * 3 + [False] * 7 == [bool(ready.content) for ready in held]
    await world.hub.store.write(
        lambda connection: connection.execute(
            "update payloads set content = ? where message_id = ?", (b"{}", held[7].message_id)
        )
    )
    world.hub.sender.pause("acme", "reno", False)
    await world.hub.settle()

    assert [f"SO-{n}-1" for n in range(10) if n != 7] == [one["ticket"] for one in world.partner("reno").documents()]
    assert ["dead" if n == 7 else "sent" for n in range(10)] == [state for _, state in world.outbound("reno")]
    assert (0, 0) == (queue.waiting, queue.loaded)
    assert ["XD-SYS-020"] == world.issues()


async def test_a_send_begun_before_the_lease_was_lost_does_not_go_out_beside_the_new_one(world: World) -> None:
    """It asks its partner while the lease goes and comes back: the send taken up anew is the only one that leaves."""
    sender, partner = world.hub.sender, world.partner("reno")
    sender._may_start = lambda *_: True
    partner.takes_effect = False
    partner.answer(LOST_ANSWER)
    await world.hand_in("erp", order("SO-1"))
    before = len(partner.pushed)
    gate, asked = asyncio.Event(), asyncio.Event()

    async def find(_: Outbound) -> FindResult:
        if not asked.is_set():
            asked.set()
            await gate.wait()
        return FindResult("absent")

    partner.find = find  # type: ignore[method-assign]
    world.clock.move_to(world.clock.now() + timedelta(minutes=10))
    sender.tick()
    await asyncio.wait_for(asked.wait(), 10)

    sender.drop()
    now = world.clock.now()
    sender.dispatch(
        await world.hub.store.read(lambda connection: recovery.open_sends(connection, ids=world.hub.ids, now=now))
    )
    async with asyncio.timeout(10):
        while len(partner.pushed) == before:
            await asyncio.sleep(0)
    gate.set()
    await world.hub.settle()

    assert 1 == len(partner.pushed) - before
    assert ("fulfillment_request", "sent") in world.outbound("reno")


async def test_a_partner_that_took_something_long_ago_is_not_called_unseen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest message may lie far behind the newest of all: that it works stands in the record."""
    monkeypatch.setattr(partner_health, "NEWEST_MAX", 0)
    await world.hand_in("erp", order("SO-1"))
    configuration = world.hub.configuration("acme")
    assert configuration is not None
    found = world.hub.store.read_now(
        lambda connection: partner_health.load(connection, "acme", configuration=configuration, now=world.clock.now())
    )
    health = {one.connection_id: one.health for partner in found for one in partner.connections}

    assert ("good", "unknown") == (health["reno"], health["kc"])
