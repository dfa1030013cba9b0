"""Outage mode: held, sourced elsewhere or sent another way; ended with stale updates collapsed, nothing sent twice."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from crossdock.errors import Conflict, NotFound
from crossdock.flow.replay import ReplayReport
from crossdock.store.engine import CommitUnknown, StoreUnavailable
from tests.scenarios.flow.test_sends import drive
from tests.scenarios.flow.world import BUSY, LOST_ANSWER, World, order, pack_files, shipment, with_line

FALLBACK = """
connection: spare
partner: reno
connector: http_json
settings: {url: "https://spare.example/tickets", idempotent: true}
"""


def with_outage(connection: str, policy: str, **more: str) -> dict[str, str]:
    """Return the pack with an outage policy of one connection, and a spare connection."""
    file = f"connections/{connection}.yaml"
    files = with_line(pack_files(connections__spare=FALLBACK), "connections/reno.yaml", "_max: 5", "_max: 50")
    files[file] += f"outage: {policy}\n" + "".join(f"{name}: {value}\n" for name, value in more.items())
    return files


def wheres(world: World, number: str = "") -> list[tuple[str, str]]:
    """Return (connection, state) of every fulfillment request, in the order they were made."""
    return world.query(
        "select connection_id, state from outbound_messages where document_type = 'fulfillment_request'"
        " order by message_id"
    )


async def declare(world: World, connection: str, action: Any = None) -> str:
    outage = await world.hub.declare_outage("acme", connection, "alice", "their data centre floods", action)
    await world.hub.settle()
    return outage.outage_id


async def end(world: World, outage_id: str) -> Any:
    ended = await world.hub.end_outage("acme", outage_id, "alice", "dry again")
    await world.hub.settle()
    return ended


def audited(world: World) -> list[str]:
    return world.column("select action from audit where action like 'outage.%' order by audit_id")


async def test_a_declared_outage_holds_and_then_everything_goes_in_order(world: World) -> None:
    """Nothing is sent while it lasts, across a restart too; afterwards each goes once, in the order it was made."""
    outage_id = await declare(world, "reno")
    for number in ("SO-1", "SO-2", "SO-3"):
        await world.hand_in("erp", order(number))
    await world.restart()
    await drive(world, 600)
    assert [] == world.partner("reno").pushed
    (shown,) = await world.hub.outages("acme")
    assert (3, "declared", "hold", "alice") == (shown.waiting, shown.cause, shown.action, shown.began_by)

    await end(world, outage_id)

    assert ["SO-1-1", "SO-2-1", "SO-3-1"] == [one["ticket"] for one in world.partner("reno").documents()]
    assert 3 == len(set(world.partner("reno").identities()))
    assert ["outage.begin", "outage.end"] == audited(world)


async def test_what_cannot_be_is_refused(world: World) -> None:
    """Two at once, an end of what has ended, a file without a fallback, a connection that does not exist."""
    outage_id = await declare(world, "reno")
    with pytest.raises(Conflict, match="lasts already"):
        await declare(world, "reno")
    await end(world, outage_id)
    with pytest.raises(Conflict, match="has ended"):
        await end(world, outage_id)
    with pytest.raises(Conflict, match="no fallback"):
        await declare(world, "reno", "file")
    with pytest.raises(NotFound):
        await declare(world, "nowhere")
    with pytest.raises(NotFound):
        await world.hub.end_outage("acme", "out_none", "alice")


async def test_an_open_circuit_becomes_an_outage_and_a_probe_ends_it(world: World) -> None:
    """Ten minutes after the circuit opened it is an outage; the circuit goes on probing; its success ends it."""
    await world.apply(files=with_outage("reno", "{detect_after_minutes: 10}"))
    world.partner("reno").always = BUSY
    for number in ("SO-1", "SO-2", "SO-3", "SO-4"):
        await world.hand_in("erp", order(number))
    await drive(world, 5)
    assert [] == await world.hub.outages("acme")
    await drive(world, 6)
    (lasting,) = await world.hub.outages("acme")
    assert ("detected", "hub", None) == (lasting.cause, lasting.began_by, lasting.ended_at)

    world.partner("reno").always = None
    await drive(world, 20)

    (over,) = await world.hub.outages("acme")
    assert "hub" == over.ended_by
    assert 4 == len(world.partner("reno").effects)
    assert {1} == {len(effects) for effects in world.partner("reno").effects.values()}
    assert ["outage.begin", "outage.end"] == audited(world)


async def test_silence_is_detected_and_ends_when_the_partner_speaks(world: World) -> None:
    """A warehouse that reports by itself and has gone quiet is held; its next report ends that."""
    await world.apply(files=with_outage("reno", "{silence_minutes: 60}"))
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("reno", shipment("S-1", "SO-1"))
    await world.later(minutes=61)
    await world.later(minutes=1)
    (lasting,) = await world.hub.outages("acme")
    assert "nothing was heard" in lasting.reason
    await world.hand_in("erp", order("SO-2"))
    assert 1 == len(world.partner("reno").pushed)

    await world.hand_in("reno", shipment("S-2", "SO-2"))
    await world.later(minutes=2)

    assert 2 == len(world.partner("reno").pushed)
    assert (await world.hub.outages("acme"))[0].ended_at is not None


async def test_an_outage_that_reroutes_sources_elsewhere_and_one_that_holds_does_not(world: World) -> None:
    """The health the sourcing rules see: down for reroute, degraded for hold, healthy at the end."""
    for action, expected in (("reroute", "down"), ("hold", "degraded")):
        outage_id = await declare(world, "reno", action)
        assert expected == world.hub.tenancy.health("acme")["RENO"]
        await end(world, outage_id)
        assert "healthy" == world.hub.tenancy.health("acme")["RENO"]


async def test_new_orders_avoid_a_site_whose_partner_is_away(world: World) -> None:
    """With a rule for the partner's health the order goes to the other site; without the outage it would not."""
    files = with_line(
        pack_files(), "rules/sourcing.yaml", "rules:\n", "rules:\n  - {rule: who-is-up, kind: partner_health}\n"
    )
    await world.apply(files=files)
    await world.stock(RENO={"H-100": 1000}, KC={"H-100": 1000})
    await world.hand_in("erp", order("SO-1"))
    await declare(world, "reno", "reroute")
    await world.hand_in("erp", order("SO-2"))

    assert [("reno", "sent"), ("kc", "sent")] == wheres(world)


async def test_a_fallback_takes_what_waits_under_the_same_key_and_never_both(world: World) -> None:
    """What waited and what comes later goes through the spare connection; after the end nothing of it comes again."""
    await world.apply(files=with_outage("reno", "{action: file, fallback_connection: spare}"))
    world.partner("reno").answer(BUSY)
    await world.hand_in("erp", order("SO-1"))
    outage_id = await declare(world, "reno")
    await world.hand_in("erp", order("SO-2"))
    await world.hub.settle()

    assert [("spare", "sent"), ("spare", "sent")] == wheres(world)
    assert ["SO-1-1", "SO-2-1"] == [one["ticket"] for one in world.partner("spare").documents()]
    assert world.partner("reno").identities()[0] == world.partner("spare").identities()[0]
    ended = await end(world, outage_id)
    await drive(world, 600)
    assert 1 == len(world.partner("reno").pushed)
    assert 2 == ended.diverted
    await world.hand_in("erp", order("SO-3"))
    assert ("reno", "sent") == wheres(world)[-1]
    assert ["outage.begin", "outage.divert", "outage.divert", "outage.end"] == audited(world)


async def test_a_replay_does_not_make_again_what_went_through_the_fallback(world: World) -> None:
    """The effect exists for the connection it was made for, whatever way it went."""
    await world.apply(files=with_outage("reno", "{action: file, fallback_connection: spare}"))
    outage_id = await declare(world, "reno")
    answer = await world.hand_in("erp", order("SO-1"))
    await world.hub.settle()
    await end(world, outage_id)
    assert [("spare", "sent")] == wheres(world)

    report = await world.hub.replay("acme", _Request(answer.message_id))
    await world.hub.settle()
    await drive(world, 60)

    assert isinstance(report, ReplayReport)
    assert [("spare", "sent")] == wheres(world)
    assert [] == world.partner("reno").pushed


class _Request:
    def __init__(self, message_id: str) -> None:
        self.message_ids, self.issue_id, self.under = (message_id,), "", "current"
        self.dry_run, self.actor, self.reason = False, "alice", ""


async def test_what_may_have_reached_the_partner_never_takes_the_other_way(world: World) -> None:
    """A send of unknown outcome stays where it was sent, and so does what stands behind it in its lane."""
    await world.apply(files=with_outage("reno", "{action: file, fallback_connection: spare}"))
    world.partner("reno").answer(LOST_ANSWER)
    await world.hand_in("erp", order("SO-1"))
    outage_id = await declare(world, "reno")
    await world.hand_in("erp", order("SO-2"))
    await world.hub.settle()
    assert [("reno", "unknown"), ("spare", "sent")] == wheres(world)

    await end(world, outage_id)
    await drive(world, 5)

    assert [("reno", "sent"), ("spare", "sent")] == wheres(world)
    assert {1} == {len(effects) for effects in world.partner("reno").effects.values()}


async def test_a_detected_outage_with_nothing_left_to_send_asks_whether_the_partner_is_back(world: World) -> None:
    """Everything goes through the fallback, so a check of the connection is the probe that ends it."""
    policy = "{detect_after_minutes: 10, action: file, fallback_connection: spare}"
    await world.apply(files=with_outage("reno", policy))
    world.partner("reno").always = BUSY
    for number in ("SO-1", "SO-2", "SO-3"):
        await world.hand_in("erp", order(number))
    await drive(world, 30)

    assert [("spare", "sent")] * 3 == wheres(world)
    assert (await world.hub.outages("acme"))[0].ended_at is not None


async def tell(world: World) -> None:
    """Make three orders and let Reno ship two of them: each tells the ERP of its status several times."""
    for number in ("SO-1", "SO-2"):
        await world.hand_in("erp", order(number))
        await world.hand_in("reno", shipment(f"S-{number}", number))


async def test_of_stale_updates_only_the_newest_is_sent(world: World) -> None:
    """Of the declared type one per order goes out, the newest; the others are discarded with reason and link."""
    await world.apply(files=with_outage("erp", "{collapse: [order_status]}"))
    outage_id = await declare(world, "erp")
    await tell(world)
    before = world.query(
        "select lane, document_type, message_id from outbound_messages where connection_id = 'erp' order by message_id"
    )
    newest = {(lane, kind): message_id for lane, kind, message_id in before}
    assert len([row for row in before if row[1] == "order_status"]) > 2

    ended = await end(world, outage_id)

    sent = [one.message_id for one in world.partner("erp").pushed]
    wanted = [row[2] for row in before if row[1] != "order_status" or newest[row[0], row[1]] == row[2]]
    assert sorted(wanted) == sorted(sent)
    gone = world.query(
        "select message_id, lane, state, error_code, superseded_by, error from outbound_messages"
        " where connection_id = 'erp' and superseded_by <> ''"
    )
    assert len(gone) == ended.superseded == len(before) - len(sent) > 0
    for _, lane, state, code, by, error in gone:
        assert ("discarded", "XD-PTR-025", newest[lane, "order_status"]) == (state, code, by)
        assert by in error


async def test_what_is_not_declared_collapsible_is_all_sent(world: World) -> None:
    """Without the declaration every update goes out."""
    outage_id = await declare(world, "erp")
    await tell(world)
    (count,) = world.column("select count(*) from outbound_messages where connection_id = 'erp'")
    ended = await end(world, outage_id)

    assert (0, count) == (ended.superseded, len(world.partner("erp").pushed))


async def test_after_an_outage_the_partner_is_not_flooded(world: World) -> None:
    """Two a second are declared: ten waiting take their time, and none is in a hurry because it waited."""
    await world.apply(files=with_outage("reno", "{action: hold}", drain_per_second="2"))
    outage_id = await declare(world, "reno")
    for number in range(10):
        await world.hand_in("erp", order(f"SO-{number}"))
    began = world.clock.now()
    await end(world, outage_id)
    await drive(world, 1)

    times = [(moment - began).total_seconds() for moment in world.partner("reno").times]
    assert 10 == len(times)
    assert all(later - earlier >= 0.49 for earlier, later in itertools.pairwise(times))


async def test_without_a_declared_drain_it_begins_with_one_and_speeds_up(world: World) -> None:
    """The first goes alone; only when it went through do more go at once."""
    outage_id = await declare(world, "reno")
    for number in range(10):
        await world.hand_in("erp", order(f"SO-{number}"))
    partner = world.partner("reno")
    partner.gate = asyncio.Event()
    await world.hub.end_outage("acme", outage_id, "alice")
    while not partner.pushed:
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert 1 == len(partner.pushed)

    partner.gate.set()
    await world.hub.settle()
    assert 10 == len(partner.pushed)


async def test_a_crash_between_the_record_and_memory_loses_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends right after the record gave the messages to the fallback: they go out there, once."""
    await world.apply(files=with_outage("reno", "{action: file, fallback_connection: spare}"))
    await declare(world, "reno", "hold")
    for number in ("SO-1", "SO-2"):
        await world.hand_in("erp", order(number))
    (lasting,) = await world.hub.outages("acme")
    await world.hub.store.write(
        lambda connection: connection.execute(
            "update outages set action = 'file', fallback_connection = 'spare' where outage_id = ?",
            (lasting.outage_id,),
        )
    )
    monkeypatch.setattr(world.hub.sender.__class__, "diverted", lambda *_: None)
    await world.restart()
    await asyncio.sleep(0.05)
    monkeypatch.undo()
    monkeypatch.setattr("crossdock.connectors.registry.create", world._create)
    await world.restart()
    await world.hub.settle()

    assert [("spare", "sent"), ("spare", "sent")] == wheres(world)
    assert [] == world.partner("reno").pushed
    assert {1} == {len(effects) for effects in world.partner("spare").effects.values()}


def lose_the_answer(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Break the record's connection during the first commit of one function, and once more when it is asked about."""
    outages, failures = world.hub.sending.outages, ["during the commit", "again"]
    write = outages._write

    async def lossy(function: Any) -> Any:
        if len(failures) == 1:
            failures.pop()
            raise StoreUnavailable("the record is away")
        result = await write(function)
        if failures and getattr(function, "func", function).__qualname__.endswith(name):
            failures.pop()
            raise CommitUnknown("the connection broke during the commit")
        return result

    monkeypatch.setattr(outages, "_write", lossy)


async def test_a_diversion_in_doubt_sends_nothing_both_ways(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record has given the message to the fallback, but its answer is lost: it is asked before anything starts."""
    await world.apply(files=with_outage("reno", "{action: file, fallback_connection: spare}"))
    world.partner("reno").answer(BUSY)
    await world.hand_in("erp", order("SO-1"))
    before = len(world.partner("reno").pushed)
    lose_the_answer(world, monkeypatch, "_diverted.<locals>.run")
    outage_id = await declare(world, "reno")
    assert [("spare", "sent")] == wheres(world)
    await end(world, outage_id)
    await drive(world, 60)

    assert [] == world.partner("reno").pushed[before:]
    assert [1] == [len(effects) for effects in world.partner("spare").effects.values()]


async def test_what_the_record_gave_away_is_not_reserved_here(world: World) -> None:
    """Memory still holds it for its old connection; the ledger does not take that reservation, so nothing leaves."""
    await world.apply(files=with_outage("reno", "{action: hold}"))
    world.partner("reno").answer(BUSY)
    await world.hand_in("erp", order("SO-1"))
    before = len(world.partner("reno").pushed)
    await world.hub.store.write(
        lambda connection: connection.execute(
            "update outbound_messages set connection_id = 'spare', diverted_from = 'reno' where connection_id = 'reno'"
        )
    )
    await drive(world, 60)

    assert before == len(world.partner("reno").pushed)
    assert not world.hub.sender.states()["acme", "reno"][1]


async def test_an_end_in_doubt_sends_nothing_that_was_discarded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stale updates are discarded in the record, but its answer is lost: they are left out all the same."""
    await world.apply(files=with_outage("erp", "{collapse: [order_status]}"))
    outage_id = await declare(world, "erp")
    await tell(world)
    lose_the_answer(world, monkeypatch, "_ended")
    with pytest.raises(CommitUnknown):
        await end(world, outage_id)
    await world.hub.sending.outages.refresh()
    await world.hub.settle()

    gone = set(world.column("select message_id from outbound_messages where state = 'discarded'"))
    sent = [one.message_id for one in world.partner("erp").pushed]
    assert gone and sent
    assert not gone & set(sent)
    assert [] == world.column("select message_id from outbound_messages where state not in ('discarded', 'sent')")
    assert ["outage.begin", "outage.end"] == audited(world)


async def test_what_is_left_out_on_its_way_takes_no_other_from_its_lane(world: World) -> None:
    """A send is dropped from memory while it is out; its end lets the next of the lane go, and removes none."""
    outage_id = await declare(world, "erp")
    await tell(world)
    partner = world.partner("erp")
    partner.gate = asyncio.Event()
    await world.hub.end_outage("acme", outage_id, "alice")
    async with asyncio.timeout(10):
        while not partner.pushed:
            await asyncio.sleep(0)
    world.hub.sender.leave_out("acme", "erp", [partner.pushed[0].message_id])
    partner.gate.set()
    await world.hub.settle()

    made = world.column("select message_id from outbound_messages where connection_id = 'erp' order by message_id")
    assert made == sorted(one.message_id for one in partner.pushed)
