"""What partners owe, and by when: warned, late, escalated, closed by itself when it comes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from crossdock.bootstrap import Hub
from crossdock.bootstrap.contracts import Contracts
from crossdock.store import contracts as store
from tests.scenarios.flow.world import START, World, order, pack_files, shipment, x12_997

SHIPS = """
contract: reno-ships-the-same-day
title: Reno confirms what it was asked to ship
after: {connection: reno, request: fulfillment_request}
expect: {event: crossdock.shipment.departed.v1, same: fulfillment_number}
by: "12:00"
site: RENO
warn_before: 30m
escalate: [{owner: floor}, {owner: manager, after: 1h}]
"""
ACKNOWLEDGES = """
contract: kc-acknowledges
title: Kansas City acknowledges in time
after: {connection: kc}
expect: {acknowledgment: true}
within: 40m
"""
STOCK = """
contract: reno-reports-by-nine
title: The report of Reno by nine
expect: {connection: reno-files, object: shipment}
every_day_by: "09:00"
site: RENO
warn_before: 1h
"""
FEED = """
contract: reno-tells
title: News from Reno
expect: {connection: reno}
every: 45m
while: parcels_move
warn_before: 15m
"""


async def watched(world: World, *contracts: str) -> None:
    """Apply the pack with contracts and let the watch begin."""
    files = pack_files()
    for number, text in enumerate(contracts):
        files[f"contracts/{number}.yaml"] = text
    await world.apply(files=files)
    await world.later(minutes=1)


def members(world: World, code: str) -> list[tuple[str, str]]:
    """Return (order, detail) of the open members of an issue."""
    return [
        (subject.partition("/")[2], detail)
        for subject, detail in world.query(
            "select subject, detail from exceptions where code = ? and state = 'open' order by subject", (code,)
        )
    ]


def told(world: World, word: str) -> list[Mapping[str, Any]]:
    """Return the data of the events that tell of a contract."""
    rows = world.column("select data from events where type = ? order by position", (f"crossdock.contract.{word}.v1",))
    return [msgspec.json.decode(row) for row in rows]


async def to(world: World, hours: int, minutes: int) -> None:
    """Move to a wall-clock time of the day in UTC."""
    wanted = START.replace(hour=hours, minute=minutes)
    while world.clock.now() < wanted:
        await world.later(seconds=min((wanted - world.clock.now()).total_seconds(), 900))


async def test_a_945_that_does_not_come_is_warned_of_late_escalated_and_closes_itself(world: World) -> None:
    """Due at noon in Reno (20:00 UTC): a warning half an hour before, the breach, two steps, and the end by itself."""
    await watched(world, SHIPS)
    for number in ("SO-1", "SO-2", "SO-3"):
        await world.hand_in("erp", order(number))
    await world.hand_in("reno", shipment("S-1", "SO-1"))

    await to(world, 19, 29)
    assert [] == world.issues()
    await to(world, 19, 30)
    assert ["SO-2", "SO-3"] == [number for number, _ in members(world, "XD-PTR-061")]
    assert "is due 2026-11-23 12:00 (America/Los_Angeles)" in members(world, "XD-PTR-061")[0][1]
    await to(world, 20, 0)
    assert ["XD-PTR-062"] == world.issues()
    assert ["SO-2", "SO-3"] == [number for number, _ in members(world, "XD-PTR-062")]
    assert [("floor", ["SO-2", "SO-3"])] == [(one["owner"], one["orders"]) for one in told(world, "escalated")]
    await to(world, 21, 0)
    assert ["floor", "manager"] == [one["owner"] for one in told(world, "escalated")]

    await world.hand_in("reno", shipment("S-2", "SO-2"))
    await world.later(minutes=1)
    assert ["SO-3"] == [number for number, _ in members(world, "XD-PTR-062")]
    await world.hand_in("reno", shipment("S-3", "SO-3"))
    await world.later(minutes=1)

    assert [] == world.issues()
    assert (1, 1) == (len(told(world, "warned")), len(told(world, "breached")))
    assert [] == world.query("select * from expectations")


async def test_a_945_of_another_request_is_no_answer(world: World) -> None:
    """Control: the match is by the request's own number, so the ship confirmation of one never settles another."""
    await watched(world, SHIPS.replace("same: fulfillment_number", "same: order_number"))
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("reno", shipment("S-1", "SO-1"))
    await to(world, 20, 0)

    assert ["XD-PTR-062"] == world.issues()


async def test_a_997_that_does_not_come_in_forty_minutes_is_late(world: World) -> None:
    """The clock of an acknowledgment starts when the 940 leaves; the 997 settles it."""
    await watched(world, ACKNOWLEDGES)
    await world.hand_in("erp", order("SO-1", ("DRILL", 5)))
    await world.later(minutes=38)
    assert [] == world.issues()
    await world.later(minutes=3)
    assert ["XD-PTR-062"] == world.issues()

    await world.hand_in("kc", x12_997(1))
    await world.later(minutes=1)
    assert [] == world.issues()


async def test_a_request_the_site_gives_back_is_not_waited_for(world: World) -> None:
    """What is cancelled at the site needs no ship confirmation."""
    await watched(world, SHIPS)
    await world.hand_in("erp", order("SO-1"))
    cancelled = {"number": "SO-1-1", "site": "RENO", "lines": []}
    await world.hub.store.write(
        lambda connection: connection.execute(
            "insert into events (tenant_id, event_id, type, subject, data, occurred_at, recorded_at)"
            " values ('acme', 'evt_x', 'crossdock.fulfillment.cancelled.v1', 'order/SO-1', ?, 1, ?)",
            (msgspec.json.encode(cancelled), int(world.clock.now().timestamp() * 1e6)),
        )
    )
    await to(world, 20, 5)

    assert [] == world.issues()


async def test_a_report_that_is_not_here_by_nine_is_missed_on_working_days_only(world: World) -> None:
    """Nine in Reno is 17:00 UTC; the breach of a day ends when the report comes, and Saturday expects none."""
    await watched(world, STOCK)
    await world.hand_in("erp", order("SO-1"))
    await to(world, 16, 0)
    assert ["XD-PTR-061"] == world.issues()
    await to(world, 17, 0)
    assert ["XD-PTR-063"] == world.issues()
    assert ["", "SO-1"] == [number for number, _ in members(world, "XD-PTR-063")]

    await world.hand_in("reno-files", b"nothing of use", name="REPORT_1.csv")
    await world.later(minutes=1)
    assert "XD-PTR-063" in world.issues()  # what cannot be used is no report
    await world.hand_in("reno-files", b"SHIPMENT,TICKET,LINE,SKU,QTY\nS-1,SO-1-1,1,H-100,5\n", name="REPORT_2.csv")
    await world.later(minutes=1)
    assert "XD-PTR-063" not in world.issues()

    await world.later(days=1)
    assert "XD-PTR-063" in world.issues()  # Tuesday
    await world.later(days=3)
    await world.hand_in("reno-files", b"SHIPMENT,TICKET,LINE,SKU,QTY\nS-2,SO-1-1,1,H-100,5\n", name="REPORT_3.csv")
    await world.later(days=1, hours=3)
    assert "Saturday" == f"{world.clock.now():%A}"
    assert "XD-PTR-063" not in world.issues()


async def test_a_silent_feed_is_no_update_and_names_whom_it_concerns(world: World) -> None:
    """Silence is told as silence, with the orders under way, their customers and money; it ends with the next word."""
    await watched(world, FEED)
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("erp", order("SO-2"))
    await world.later(minutes=50)
    assert [] == world.issues()  # nothing is under way: nobody waits for news

    await world.hand_in("reno", shipment("S-1", "SO-1"))
    await world.later(minutes=31)
    assert ["XD-PTR-061"] == world.issues()
    await world.later(minutes=15)
    assert ["XD-PTR-063"] == world.issues()
    assert ["", "SO-1"] == [number for number, _ in members(world, "XD-PTR-063")]
    assert ["News from Reno: no update"] == world.column("select title from issues where code = 'XD-PTR-063'")
    assert [["SO-1"]] == [one["orders"] for one in told(world, "silent")]

    await world.hand_in("reno", shipment("S-2", "SO-2"))
    await world.later(minutes=1)
    assert [] == world.issues()


async def test_a_contract_taken_out_of_the_pack_takes_its_issues_with_it(world: World) -> None:
    """Nobody waits any more for what nobody expects."""
    await watched(world, SHIPS)
    await world.hand_in("erp", order("SO-1"))
    await to(world, 20, 0)
    assert ["XD-PTR-062"] == world.issues()

    await world.apply(files=pack_files())
    await world.later(minutes=1)

    assert ([], []) == (world.issues(), world.query("select * from expectations"))


async def test_a_dropped_contract_goes_with_all_it_waited_for_however_much_others_wait_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for three rows a look, and five of a contract that stays: the five of the dropped one go, in turn."""
    kept = SHIPS.replace("contract: reno-", "contract: a-reno-")
    await watched(world, kept, SHIPS)
    for number in range(5):
        await world.hand_in("erp", order(f"SO-{number}"))
    await world.later(minutes=1)
    assert 10 == len(world.query("select * from expectations"))

    monkeypatch.setattr(store, "ROWS_MAX", 3)
    files = {**pack_files(), "contracts/0.yaml": kept}
    await world.apply(files=files)
    await world.later(minutes=1)
    assert 5 + 2 == len(world.query("select * from expectations"))
    assert 2 == len(world.query("select * from contract_states"))
    await world.later(minutes=1)

    for table in ("expectations", "contract_states"):
        assert {"a-reno-ships-the-same-day"} == set(world.column(f"select contract from {table}"))


async def test_the_watch_goes_on_behind_a_restart(world: World) -> None:
    """Killed between the request and its time: what is waited for is in the record."""
    await watched(world, SHIPS)
    await world.hand_in("erp", order("SO-1"))
    await world.restart()
    await to(world, 20, 0)

    assert ["SO-1"] == [number for number, _ in members(world, "XD-PTR-062")]


async def test_without_the_watch_nobody_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: a hub whose watch does not look stays silent through the breach."""

    async def nothing(self: Contracts) -> None:
        return None

    monkeypatch.setattr(Contracts, "tick", nothing)
    monkeypatch.setattr(Contracts, "next_due_at", lambda self: None)
    await watched(world, SHIPS)
    await world.hand_in("erp", order("SO-1"))
    await to(world, 20, 5)

    assert [] == world.issues()


async def test_questions_do_not_grow_with_what_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at sixty expectations asks as often as a look at six."""
    hub: Hub = world.hub
    asked: list[int] = []
    read = hub.store.read

    async def counted(function: Any) -> Any:
        def count(connection: Any) -> Any:
            seen = _Counting(connection)
            result = function(seen)
            asked.append(seen.questions)
            return result

        return await read(count)

    await watched(world, SHIPS)
    counts = []
    for orders in (6, 60):
        for number in range(orders):
            await world.hand_in("erp", order(f"SO-{orders}-{number}", ("HAMMER", 1)))
        world.clock.move_to(world.clock.now() + timedelta(minutes=2))
        await world.hub.advance()
        world.clock.move_to(START.replace(hour=19, minute=31) if orders == 6 else START.replace(hour=19, minute=45))
        monkeypatch.setattr(hub.store, "read", counted)
        asked.clear()
        await hub.contracts.tick()
        counts.append(max(asked))
        monkeypatch.undo()

    assert 6 + 60 == len(members(world, "XD-PTR-061"))
    assert counts[0] == counts[1]


class _Counting:
    """A connection that counts the questions asked through it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.questions = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("query", "one", "many"):
            return found

        def asked(*arguments: Any) -> Any:
            self.questions += 1
            return found(*arguments)

        return asked
