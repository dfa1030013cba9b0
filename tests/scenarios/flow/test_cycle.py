"""The commit cycle when something in it fails: only the culprit suffers, and nobody waits for a record that is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import apsw
import msgspec
import pytest

from crossdock.flow import pipeline as pipeline_module
from crossdock.flow import stages as stages_module
from crossdock.flow.ingest import InboundOffer
from crossdock.sdk import PushResult
from crossdock.store.engine import CommitUnknown, StoreUnavailable
from crossdock.store.payloads import digest_of
from tests.scenarios.flow.world import World, order


def an_order(number: str, connection_id: str = "erp") -> InboundOffer:
    return InboundOffer("acme", connection_id, json.dumps(order(number)).encode())


async def answer_of(world: World, offer: InboundOffer) -> str:
    """Return what a sender is told, or the class of the error."""
    try:
        return (await asyncio.wait_for(world.hub.ingest(offer), 5)).state
    except Exception as error:
        return type(error).__name__


def losing_commits(world: World, lost: Callable[[int], bool], *, after: bool) -> None:
    """Have the answers of some cycles' commits lost: the transaction is (or is not) durable, nobody is told."""
    store, count = world.hub.store, 0
    write = store.write_here

    async def loses(function: Any) -> Any:
        nonlocal count
        if "_step" not in function.__qualname__:
            return await write(function)
        count += 1
        if not lost(count):
            return await write(function)
        if after:
            await write(function)
        else:
            with pytest.raises(KeyError):
                await write(lambda connection: (function(connection), {}["rolled back"]))
        raise CommitUnknown("the connection broke during the commit")

    store.write_here = loses  # type: ignore[method-assign]


HOSTILE = [
    PushResult(
        "failed", error_class="partner", code="X\x00", detail="half a pair \ud800 and\x00NUL", reference="a\x00b"
    ),
    PushResult("done", reference="r\x00\ud800" * 500, response=b"\x00" * 20_000, http_status=10**30),
    PushResult("failed", code="X", detail="later", retry_after_seconds=float("inf")),
    PushResult("failed", code="X", detail="later", retry_after_seconds=1e300),
    PushResult("perhaps", error_class="nobody", detail=None, code=7),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("answer", HOSTILE, ids=["text", "size", "infinite", "huge", "types"])
async def test_nothing_a_partner_says_stops_the_hub(world: World, answer: PushResult) -> None:
    """Control characters, half surrogate pairs, absurd numbers: booked as well as can be, everybody else goes on."""
    world.partner("reno").answer(answer)
    await asyncio.wait_for(world.hand_in("erp", order("SO-1")), 5)

    assert "received" == await answer_of(world, an_order("SO-2"))
    await world.hub.settle()
    assert 1 == world.column("select count(*) from attempts a join outbound_messages m on m.message_id = a.message_id"
                             " where m.lane like '%SO-1%' and m.connection_id = 'reno'")[0]  # fmt: skip


async def test_an_outcome_that_cannot_be_booked_is_booked_as_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the record refuses of one outcome, the others of its cycle are booked; this one is asked for."""
    book = pipeline_module.book_outcomes

    def refuses(connection: Any, outcomes: Any, **more: Any) -> None:
        if any(one.result.detail == "cursed" for one in outcomes):
            raise ValueError("the record refuses it")
        book(connection, outcomes, **more)

    monkeypatch.setattr(pipeline_module, "book_outcomes", refuses)
    world.partner("kc").answer(PushResult("done", detail="cursed"))
    offers = [an_order("SO-1"), InboundOffer("acme", "erp", json.dumps(order("SO-2", ("DRILL", 1))).encode())]
    await asyncio.wait_for(asyncio.gather(*map(world.hub.ingest, offers)), 5)
    await asyncio.wait_for(world.hub.settle(), 5)

    assert [("fulfillment_request", "sent")] == world.outbound("reno")
    assert [("fulfillment_request", "unknown")] == world.outbound("kc")
    assert ["XD-SYS-050"] == world.issues()

    world.partner("kc").effects[world.partner("kc").pushed[0].identity] = [b""]
    await world.later(minutes=1)
    await world.later(minutes=1)
    assert [("fulfillment_request", "sent")] == world.outbound("kc")
    assert 1 == len(world.partner("kc").pushed)


async def test_an_offer_that_cannot_be_stored_fails_only_its_own_sender(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its neighbours in the cycle are stored and answered."""
    store = pipeline_module.store_offers

    def refuses(connection: Any, offers: Any, **more: Any) -> Any:
        if any(offer.name == "cursed" for offer in offers):
            raise ValueError("the record refuses it")
        return store(connection, offers, **more)

    monkeypatch.setattr(pipeline_module, "store_offers", refuses)
    offers = [msgspec.structs.replace(an_order(f"SO-{n}"), name="cursed" if n == 3 else "") for n in range(8)]
    answers = await asyncio.gather(*(answer_of(world, offer) for offer in offers))

    assert ["ValueError" if n == 3 else "received" for n in range(8)] == answers


@pytest.mark.parametrize("after", [True, False], ids=["durable", "lost"])
@pytest.mark.parametrize("cycle", [1, 2, 3])
async def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_done_twice(
    world: World, cycle: int, after: bool
) -> None:
    """Storing, deciding, booking: the record is asked what became of it, and the work goes on from there."""
    if cycle == 3 and world.hub.store.under_way is not None:
        pytest.skip("what is stored and decided in one transaction is booked by the second")
    losing_commits(world, lambda count: count == cycle, after=after)
    told = await answer_of(world, InboundOffer("acme", "erp", json.dumps(order("SO-1")).encode(), receipt_key="k1"))
    await world.hub.settle()
    again = await answer_of(world, InboundOffer("acme", "erp", json.dumps(order("SO-1")).encode(), receipt_key="k1"))
    await world.hub.settle()

    assert ("CommitUnknown" if cycle == 1 else "received") == told
    assert ("received" if cycle == 1 and not after else "duplicate") == again
    assert [("fulfillment_request", "sent")] == world.outbound("reno")
    assert 1 == len(world.partner("reno").pushed)
    assert ["applied"] == world.column("select state from documents")
    assert [1] == world.column("select count(*) from inbound_messages where state = 'processed'")


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)


def _booked(world: World) -> int:
    """Return how many attempts to send to the site are in the ledger."""
    (count,) = world.column(
        "select count(*) from attempts a join outbound_messages m on m.message_id = a.message_id"
        " where m.connection_id = 'reno'"
    )
    return int(count)


async def _sent_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one order sent to a site while no outcome gets a cycle by the passing of time."""
    monkeypatch.setattr(pipeline_module, "BOOKED_WITHIN_SECONDS", 3600.0)
    await world.hub.ingest(an_order("SO-1"))
    await _until(
        lambda: _booked(world) == 1 or any(one.ready.connection_id == "reno" for one in world.hub.pipeline._outcomes)
    )


async def test_an_outcome_that_may_wait_joins_the_next_cycle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is booked with the next message, not before, and by whoever wants everything to have ended."""
    await _sent_alone(world, monkeypatch)
    assert 0 == _booked(world)
    assert not world.hub.pipeline.idle()
    await world.hub.ingest(an_order("SO-2"))
    assert 1 == _booked(world)
    await world.hub.settle()
    assert 2 == _booked(world)


async def test_an_outcome_has_a_cycle_of_its_own_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no other comes."""
    monkeypatch.setattr(pipeline_module, "BOOKED_WITHIN_SECONDS", 0.001)
    await world.hub.ingest(an_order("SO-1"))
    await _until(lambda: _booked(world) == 1)


@pytest.mark.parametrize("trouble", ["failed", "may act twice"])
async def test_an_outcome_that_matters_is_booked_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """One that failed, and any of a partner that may act twice: were it lost, somebody would have to ask."""
    if trouble == "failed":
        world.partner("reno").answer(PushResult("failed", error_class="partner", detail="later"))
    else:
        partner = await world.hub.sender.partner("acme", "reno")
        world.hub.sender.remember("acme", "reno", msgspec.structs.replace(partner, idempotent=False))
    await _sent_alone(world, monkeypatch)
    await _until(lambda: _booked(world) == 1)


async def test_an_outcome_that_was_not_booked_does_nothing_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends between the answer and its booking: the same identity again, one effect, one attempt done."""
    await _sent_alone(world, monkeypatch)
    hub = await world.restart()
    await hub.settle()

    assert 1 == len(set(world.partner("reno").identities()))
    assert [("fulfillment_request", "sent")] == world.outbound("reno")


async def test_what_was_under_way_when_a_process_ended_is_stored_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the record before anything looks at it; its neighbours in a later cycle are not suspected."""
    under_way = world.hub.store.under_way
    if under_way is None:
        pytest.skip("everything is stored by itself here")
    seen: list[list[Any]] = []
    work = stages_module.Stages.work

    def looks(self: Any, connection: Any, stored: Any, *more: Any) -> Any:
        # Readers see what is durable.
        seen.extend([one.name, world.column("select count(*) from inbound_messages")[0]] for one in stored)
        return work(self, connection, stored, *more)

    monkeypatch.setattr(stages_module.Stages, "work", looks)
    first, second = (msgspec.structs.replace(an_order(f"SO-{n}"), name=f"SO-{n}") for n in (1, 2))
    under_way.began([digest_of(first.content)])
    # What was read at the start of the next process.
    world.hub.store.under_way = type(under_way)(under_way._memory)
    for offer in (first, second):
        await world.hub.ingest(offer)
        await world.hub.settle()

    assert [["SO-1", 1], ["SO-2", 1]] == seen


async def test_what_is_in_the_record_and_in_nobodys_memory_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost between commit and memory, whoever lost it: taken up within fifteen seconds, without a restart."""
    pipeline = world.hub.pipeline
    # Stored by one transaction and run by the next, as a large message is.
    monkeypatch.setattr(pipeline_module, "AT_ONCE_BYTES_MAX", 0)
    dispatch, after_commit = pipeline._dispatch, pipeline._after_commit
    pipeline._dispatch = lambda ready: None
    await world.hand_in("erp", order("SO-1"))

    def forgets(cycle: Any) -> None:
        after_commit(cycle)
        pipeline._work.clear()

    pipeline._dispatch, pipeline._after_commit = dispatch, forgets  # type: ignore[method-assign]
    second = await world.hand_in("erp", order("SO-2"))
    assert "received" == world.message_state(second.message_id)
    pipeline._after_commit = after_commit  # type: ignore[method-assign]
    assert [] == world.partner("reno").pushed
    await world.later(seconds=16)

    assert "processed" == world.message_state(second.message_id)
    assert {"sent"} == set(world.column("select state from outbound_messages"))
    assert 2 == len(world.partner("reno").pushed)


async def test_a_sweep_takes_nothing_that_is_in_memory(world: World) -> None:
    """What waits for its retry, its turn or an open circuit is not taken a second time."""
    partner = world.partner("reno")
    partner.gate = asyncio.Event()
    for number in range(4):
        await world.hand_in("erp", order(f"SO-{number}"), settle=False)
    while len(partner.pushed) < 4:
        await asyncio.sleep(0.001)
    world.clock.move_to(world.clock.now() + timedelta(minutes=5))
    await world.hub.tick()
    while world.hub.pipeline._sweep_due or not world.hub.pipeline.idle():
        await asyncio.sleep(0.001)
    partner.gate.set()
    await world.hub.settle()

    assert 4 == len(partner.pushed)
    assert {"done"} == set(world.column("select outcome from attempts"))
    assert {1} == set(world.column("select attempts from outbound_messages"))


async def test_while_the_record_is_away_every_sender_is_told_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No offer hangs: all that wait are refused, and taken when the record is back."""

    async def away(function: Any) -> Any:
        raise StoreUnavailable("PostgreSQL cannot be reached")

    monkeypatch.setattr(world.hub.store, "write_here", away)
    answers = await asyncio.gather(*(answer_of(world, an_order(f"SO-{n}")) for n in range(5)))
    monkeypatch.undo()
    assert ["StoreUnavailable"] * 5 == answers

    assert "received" == await answer_of(world, an_order("SO-9"))


async def test_a_broken_record_ends_the_hub_in_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an I/O error nothing is written any more: doors refuse, nothing loops, the hub stops."""
    hub = world.hub
    monkeypatch.setattr(hub.store, "broken", lambda: apsw.IOError("disk I/O error"))
    assert "StoreUnavailable" == await answer_of(world, an_order("SO-1"))
    hub.pipeline.resume([])
    hub.pipeline._sweep_due = True
    await asyncio.wait_for(hub.pipeline.drained(), 5)
    assert not hub.health().ready
    await asyncio.wait_for(world.stop(), 5)


async def test_a_cancelled_writer_keeps_its_turn_until_it_has_ended(world: World) -> None:
    """Two transactions never decide side by side, not even when the first one's caller is gone."""
    import threading

    running, release, overlapped = threading.Event(), threading.Event(), []

    def slow(connection: Any) -> None:
        running.set()
        release.wait(5)
        running.clear()

    caller = asyncio.ensure_future(world.hub.pipeline.write(slow))
    while not running.is_set():
        await asyncio.sleep(0.001)
    caller.cancel()
    other = asyncio.ensure_future(world.hub.pipeline.write(lambda _: overlapped.append(running.is_set())))
    await asyncio.sleep(0.05)
    release.set()
    await other

    assert [False] == overlapped


@pytest.mark.parametrize("state", ["53100", "40P01", "57014"], ids=["disk full", "deadlock", "cancelled"])
async def test_a_fault_of_the_record_sets_no_message_aside(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """What the server or the disk refuses while messages are worked on is no fault of theirs: they are worked on
    again; one that was not durable yet is refused, and worked on when its sender offers it again.
    """
    from crossdock.flow import batch

    append, failures = batch.journal.append, [state] * 2

    def stumbles(connection: Any, *rows: Any) -> Any:
        if failures:
            code = failures.pop()
            if connection.engine == "sqlite":
                raise StoreUnavailable("the disk is full") from apsw.FullError("database or disk is full")
            connection.execute(f"do $$ begin raise exception using errcode = '{code}'; end $$")
        return append(connection, *rows)

    monkeypatch.setattr(batch.journal, "append", stumbles)
    offer, told = an_order("SO-1"), ["StoreFull"]
    while told[-1] == "StoreFull":
        told.append(await answer_of(world, offer))
    await world.hub.settle()
    answer = await world.hub.ingest(offer)

    # A full disk is not tried again for every offer: many may be refused until the hub looks again.
    assert {"StoreFull"} == set(told[:-1])
    assert "received" == told[-1]
    assert (len(told) > 2) == (world.hub.store.under_way is not None)
    assert [] == failures
    assert ("processed", []) == (world.message_state(answer.message_id), world.issues())
    assert 1 == len(world.partner("reno").pushed)
