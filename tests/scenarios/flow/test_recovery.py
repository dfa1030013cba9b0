"""After a kill: everything accepted is taken up again from the record, and no effect happens twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from crossdock.flow import stages as stages_module
from crossdock.flow.ingest import InboundOffer
from crossdock.mapping import CompiledMap
from tests.scenarios.flow.world import BUSY, World, order, shipment


class _Nothing(list[Any]):
    """A queue that forgets: what it is given is only in the record."""

    def extend(self, items: Any) -> None:
        del items

    def popleft(self) -> Any:
        raise IndexError

    def __len__(self) -> int:
        # Something older waits, so nothing is worked on by the transaction that stores it.
        return 1

    def __bool__(self) -> bool:
        return False


async def test_messages_stored_but_not_looked_at_are_taken_up(world: World) -> None:
    """Accepted is durable: a hub that dies right after its answer does the work at the next start."""
    world.hub.pipeline._work = _Nothing()  # type: ignore[assignment]
    answers = [await world.hand_in("erp", order(f"SO-{n}"), settle=False) for n in range(3)]
    assert ["received"] * 3 == [world.message_state(answer.message_id) for answer in answers]
    hub = await world.restart()
    await hub.settle()

    assert ["processed"] * 3 == [world.message_state(answer.message_id) for answer in answers]
    assert ["SO-0-1", "SO-1-1", "SO-2-1"] == [one["ticket"] for one in world.partner("reno").documents()]


async def test_more_messages_than_a_page_are_all_taken_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery does not end with its first page."""
    from crossdock.flow import recovery

    monkeypatch.setattr(recovery, "PAGE", 4)
    world.hub.pipeline._work = _Nothing()  # type: ignore[assignment]
    for n in range(11):
        await world.hand_in("erp", order(f"SO-{n}"), settle=False)
    hub = await world.restart()
    await hub.settle()

    assert 11 == len(world.partner("reno").pushed)


async def test_more_open_sends_than_a_page_are_all_taken_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for what was to be sent."""
    from crossdock.flow import recovery

    monkeypatch.setattr(recovery, "PAGE", 4)
    world.hub.pipeline._dispatch = lambda ready: None
    for n in range(11):
        await world.hand_in("erp", order(f"SO-{n}"))
    assert [] == world.partner("reno").pushed
    hub = await world.restart()
    await hub.settle()

    assert 11 == len(world.partner("reno").effects)
    assert {"sent"} == set(world.column("select state from outbound_messages"))


@pytest.mark.parametrize(
    ("item", "connection_id"), [("HAMMER", "reno"), ("DRILL", "kc")], ids=["acts once", "must be asked"]
)
async def test_a_send_cut_off_is_asked_for_and_never_doubled(world: World, item: str, connection_id: str) -> None:
    """The process died between the partner's effect and its answer: asked, found, booked; one effect, one identity."""
    partner = world.partner(connection_id)
    partner.gate = asyncio.Event()
    await world.hand_in("erp", order("SO-1", (item, 1)), settle=False)
    while not partner.pushed:
        await asyncio.sleep(0.001)
    partner.effects[partner.pushed[0].identity] = [partner.pushed[0].content]
    await world.kill()
    partner.gate = None
    hub = await world.start()
    await hub.settle()

    assert 1 == len(partner.asked)
    assert 1 == len(partner.pushed) and 1 == len(partner.effects)
    assert [("fulfillment_request", "sent")] == world.outbound(connection_id)
    assert ["unknown", "done"] == world.column(
        "select outcome from attempts a join outbound_messages m on m.message_id = a.message_id"
        " where m.connection_id = ? order by number",
        (connection_id,),
    )


async def test_a_send_cut_off_before_the_partner_saw_it_goes_out_under_its_old_identity(world: World) -> None:
    """The partner does not have it: sent again, same identity, same bytes."""
    partner = world.partner("kc")
    partner.gate = asyncio.Event()
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)), settle=False)
    while not partner.pushed:
        await asyncio.sleep(0.001)
    await world.kill()
    partner.gate = None
    hub = await world.start()
    await hub.settle()

    first, second = partner.pushed
    assert (first.identity, first.content, first.message_id) == (second.identity, second.content, second.message_id)
    assert 1 == len(partner.effects)


async def test_what_waited_for_its_retry_waits_on(world: World) -> None:
    """A restart is no excuse to call a partner early."""
    world.partner("kc").answer(BUSY)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    hub = await world.restart()
    await hub.settle()
    assert 1 == len(world.partner("kc").pushed)

    await world.later(seconds=31)

    assert [("fulfillment_request", "sent")] == world.outbound("kc")


async def test_killed_at_every_commit_the_story_ends_the_same(
    url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill after commit 1, after commit 2, and so on: the partners' ledgers hold the same effects, each once."""

    async def story(kill_after: int) -> dict[str, int]:
        directory = tmp_path / str(kill_after)
        directory.mkdir()
        world = World(
            url if url.startswith("postgresql") else f"sqlite:///{directory / 'a.db'}", directory, monkeypatch
        )
        tenant = f"t{kill_after}"
        await world.start()
        await world.apply(tenant)
        await world.stock(tenant, RENO={"H-100": 1000}, KC={"D-200": 1000})
        papers = [("reno", shipment("S1", "SO-1", quantity=1)), ("erp", order("SO-1", ("HAMMER", 1), ("DRILL", 1)))]
        for connection_id, paper in papers:
            await world.hand_in(connection_id, paper, tenant=tenant, settle=False)
        base = world.hub.store.commits()
        while world.hub.store.commits() - base < kill_after and not world.hub.pipeline.idle():
            await asyncio.sleep(0)
        await world.restart()
        await world.hub.settle()
        for connection_id, paper in papers:
            answer = await world.hand_in(connection_id, paper, tenant=tenant)
            assert "duplicate" == answer.state
        await world.later(minutes=20)
        ledger = {
            f"{connection_id} {identity}": len(contents)
            for (_, connection_id), partner in world.partners.items()
            for identity, contents in partner.effects.items()
        }
        await world.stop()
        return ledger

    ledgers = [await story(kill_after) for kill_after in range(1, 6)]

    assert [ledgers[0]] * 5 == ledgers
    assert {1} == set(ledgers[0].values())
    assert 5 <= len(ledgers[0])


async def test_a_poison_message_is_set_aside_and_delays_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map run that raises what nobody foresaw: it fails with an issue, all others of its batch are applied."""
    run = CompiledMap.run

    def stumbles(self: CompiledMap, document: Any, context: Any) -> Any:
        if isinstance(document, dict) and document.get("number") == "SO-3":
            raise ZeroDivisionError("a bug in a map function")
        return run(self, document, context)

    monkeypatch.setattr(CompiledMap, "run", stumbles)
    offers = [InboundOffer("acme", "erp", json.dumps(order(f"SO-{n}")).encode()) for n in range(8)]
    answers = await world.hub.ingest_many(offers)
    await world.hub.settle()

    assert ["failed" if n == 3 else "processed" for n in range(8)] == [
        world.message_state(one.message_id) for one in answers
    ]
    assert ["XD-SYS-050"] == world.issues()
    assert 7 == len(world.partner("reno").pushed)

    monkeypatch.undo()


async def test_a_poison_message_goes_through_once_the_fault_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set aside is not lost: a replay after the repair applies it and closes the issue."""

    broken = True
    translate = stages_module.translate

    def stumbles(message: Any, configuration: Any, *more: Any) -> Any:
        if broken:
            raise ZeroDivisionError
        return translate(message, configuration, *more)

    monkeypatch.setattr(stages_module, "translate", stumbles)
    answer = await world.hand_in("erp", order("SO-1"))
    assert "failed" == world.message_state(answer.message_id)
    broken = False
    await world.hub.again._replay("acme", (), world.issue_id("XD-SYS-050"), "current", "anna", "repaired")
    await world.hub.settle()

    assert ("processed", []) == (world.message_state(answer.message_id), world.issues())
    assert 1 == len(world.partner("reno").pushed)


async def test_only_the_message_that_kills_is_set_aside(world: World) -> None:
    """A process that dies on one message of a backlog finds out which; the others are not blamed for it."""
    world.hub.pipeline._work = _Nothing()  # type: ignore[assignment]
    answers = [await world.hand_in("erp", order(f"SO-{n}"), settle=False) for n in range(6)]
    killer = answers[2].message_id

    class Died(BaseException):
        """The process is gone."""

    for _ in range(12):
        if world._hub is not None:
            await world.kill()
        work = stages_module.Stages.work

        def dies(self: Any, connection: Any, stored: Any, *more: Any, work: Any = work) -> Any:
            if any(message.message_id == killer for message in stored):
                raise Died
            return work(self, connection, stored, *more)

        stages_module.Stages.work = dies  # type: ignore[method-assign]
        try:
            try:
                await asyncio.wait_for(world.start(), 5)
                await asyncio.wait_for(world.hub.settle(), 0.3)
            except (TimeoutError, Died):
                pass
        finally:
            stages_module.Stages.work = work  # type: ignore[method-assign]
        if world._hub is not None and "failed" == world.message_state(killer):
            break

    assert ["failed" if n == 2 else "processed" for n in range(6)] == [
        world.message_state(one.message_id) for one in answers
    ]
    assert ["XD-SYS-051"] == world.issues()


async def test_a_damaged_payload_stops_nobody_else(world: World) -> None:
    """A byte that changed at rest is reported on its message; the hub starts and everything else goes on."""
    world.hub.pipeline._work = _Nothing()  # type: ignore[assignment]
    answers = [await world.hand_in("erp", order(f"SO-{n}"), settle=False) for n in range(3)]
    await world.hub.store.write(
        lambda connection: connection.execute(
            "update payloads set content = ? where tenant_id = 'acme' and message_id = ?",
            (b'{"type": "order"}', answers[1].message_id),
        )
    )
    hub = await world.restart()
    await hub.settle()

    assert ["processed", "failed", "processed"] == [world.message_state(answer.message_id) for answer in answers]
    assert ["XD-SYS-020"] == world.issues()


async def test_a_damaged_outbound_payload_is_never_sent(world: World) -> None:
    """Bytes that are not what was rendered do not leave; the message is dead with an issue, the others go out."""
    world.hub.pipeline._dispatch = lambda ready: None
    for n in range(3):
        await world.hand_in("erp", order(f"SO-{n}"))
    (message_id,) = world.column(
        "select message_id from outbound_messages where request_key = 'fulfillment_request:SO-1-1'"
    )
    await world.hub.store.write(
        lambda connection: connection.execute(
            "update payloads set content = ? where tenant_id = 'acme' and message_id = ?", (b"{}", message_id)
        )
    )
    hub = await world.restart()
    await hub.settle()

    assert ["SO-0-1", "SO-2-1"] == [one["ticket"] for one in world.partner("reno").documents()]
    assert [
        ("fulfillment_request", "sent"),
        ("fulfillment_request", "dead"),
        ("fulfillment_request", "sent"),
    ] == world.outbound("reno")
    assert ["XD-SYS-020"] == world.issues()


async def test_work_and_deadlines_never_run_at_the_same_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two transactions that both decide about one order would lose one decision: they take turns on every engine."""
    import time

    running: list[str] = []
    overlaps: list[list[str]] = []

    def watched(name: str) -> None:
        method = getattr(stages_module.Stages, name)

        def run(self: Any, *arguments: Any) -> Any:
            running.append(name)
            if len(running) > 1:
                overlaps.append(list(running))
            time.sleep(0.05)
            try:
                return method(self, *arguments)
            finally:
                running.remove(name)

        monkeypatch.setattr(stages_module.Stages, name, run)

    watched("work")
    watched("deadlines")
    await world.hand_in("erp", order("SO-1"))
    due = world.hub.next_due_at()
    assert due is not None
    world.clock.move_to(due)
    await asyncio.gather(world.hand_in("reno", shipment("S1", "SO-1"), settle=False), world.hub.tick())
    await world.hub.settle()

    assert [] == overlaps


async def test_what_was_reserved_and_never_begun_waits_its_turn_after_a_stop(world: World) -> None:
    """A hub that stops in order leaves no untrue attempts: what was not begun is pending and is not asked for."""
    partner = world.partner("reno")
    partner.gate = asyncio.Event()
    for number in range(40):
        await world.hand_in("erp", order(f"SO-{number}"), settle=False)
    while len(partner.pushed) < 16 or not world.hub.pipeline.idle():
        await asyncio.sleep(0.001)
    begun = len(partner.pushed)
    assert begun < 40
    await world.stop()
    partner.gate = None
    hub = await world.start()
    assert [] == world.column("select outcome from attempts where outcome = 'unknown'")
    await hub.settle()

    assert [] == partner.asked
    assert 40 == len(partner.pushed)
