"""Two workers decide at the same time on one record: no decision is lost, no paper and its order miss each other.

Each invariant has its control: the same race with the one line taken out that holds it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from crossdock.bootstrap import Hub
from crossdock.config import load_settings
from crossdock.errors import ConfigurationError
from crossdock.flow.ingest import InboundOffer, Stored
from crossdock.flow.recovery import load_stored
from crossdock.store import messages, workers
from crossdock.store.engine import Connection, Contention, Fenced, StoreUnavailable
from tests.crash.pack import files

WAIT_SECONDS_MAX = 20.0


async def started(url: str, directory: Path, role: Any) -> Hub:
    settings = load_settings(
        environment={},
        overrides={
            "store.url": url,
            "security.root_key_file": str(directory / "root.key"),
            "flow.poll_interval_seconds": "0.2",
            "security.allow_private_networks": "127.0.0.0/8",
        },
    )
    return await Hub.start(settings, role=role)


@pytest.fixture
async def hubs(database: str, tmp_path: Path) -> AsyncIterator[tuple[Hub, Hub]]:
    """Two processes that only take in: whatever they store waits for a worker, and there is none."""
    first = await started(database, tmp_path, "web")
    await first.apply_pack("acme", files(9, lanes=True), "tester")
    second = await started(database, tmp_path, "web")
    yield first, second
    await second.stop()
    await first.stop()


async def eventually(true: Callable[[], Any]) -> None:
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS_MAX
    while not true():
        assert asyncio.get_running_loop().time() < deadline, "it does not come"
        await asyncio.sleep(0.02)


def order(number: str, quantity: int = 1) -> dict[str, Any]:
    line = {"no": "1", "sku": "A", "qty": quantity}
    return {"type": "order", "number": number, "name": "Blue Fern Cafe", "lines": [line]}


def shipment(number: str, ticket: str) -> dict[str, Any]:
    return {"type": "shipment", "number": number, "ticket": ticket, "lines": [{"no": "1", "sku": "A", "qty": 1}]}


def stock(quantity: int) -> dict[str, Any]:
    lines = [{"sku": "A", "qty": quantity}]
    return {"type": "stock", "number": "reno", "site": "RENO", "as_of": "2026-01-01T00:00:00Z", "lines": lines}


async def stored(hub: Hub, connection_id: str, paper: dict[str, Any]) -> Stored:
    answer = await hub.ingest(InboundOffer("acme", connection_id, json.dumps(paper).encode()))

    def load(connection: Connection) -> Stored:
        row = messages.load_inbound(connection, "acme", answer.message_id)
        assert row is not None
        (one,) = load_stored(connection, [row])
        one.runs = 0
        return one

    return await hub.store.read(load)


class Race:
    """Two transactions on one record: the first holds before its commit until the second is at work, or blocked."""

    def __init__(self, first: Hub, second: Hub) -> None:
        self._hubs = first, second
        self.blocked = False

    def work(self, hub: Hub, stored: Stored) -> Callable[[Connection], Any]:
        return lambda connection: hub.stages.work(connection, [stored], hub.clock.now())

    async def run(self, one: Stored, other: Stored) -> list[BaseException | Any]:
        first, second = self._hubs
        done, go = threading.Event(), threading.Event()

        def held(connection: Connection) -> Any:
            result = self.work(first, one)(connection)
            done.set()
            assert go.wait(WAIT_SECONDS_MAX)
            return result

        ahead = asyncio.create_task(first.pipeline.write(held))
        assert await asyncio.to_thread(done.wait, WAIT_SECONDS_MAX)
        behind = asyncio.create_task(second.pipeline.write(self.work(second, other)))
        for _ in range(100):
            if behind.done() or (waiting := await self._waiting()):
                self.blocked = not behind.done() and bool(waiting)
                break
            await asyncio.sleep(0.02)
        go.set()
        return await asyncio.gather(ahead, behind, return_exceptions=True)

    async def _waiting(self) -> int:
        def ask(connection: Connection) -> int:
            row = connection.one("select count(*) from pg_locks where not granted")
            return int(row[0]) if row else 0

        return await self._hubs[0].store.read(ask)


def column(hub: Hub, sql: str) -> list[Any]:
    return [row[0] for row in hub.store.read_now(lambda connection: connection.query(sql))]


async def a_paper_races_its_order(hubs: tuple[Hub, Hub]) -> tuple[bool, list[str]]:
    """Have one worker park a confirmation of SO-1-1 while the other one creates SO-1-1."""
    first, second = hubs
    await first.pipeline.write(Race(first, second).work(first, await stored(first, "reno", stock(10))))
    early = await stored(first, "reno", shipment("S-1", "SO-1-1"))
    race = Race(first, second)
    results = await race.run(early, await stored(second, "erp", order("SO-1")))
    assert not any(isinstance(result, BaseException) for result in results), results
    return race.blocked, column(first, "select state from documents where object = 'shipment'")


async def test_a_paper_and_its_order_that_come_at_the_same_time_find_each_other(hubs: tuple[Hub, Hub]) -> None:
    """The order waits for the one who parks, then sees what is parked and sets it free."""
    assert (True, ["applied"]) == await a_paper_races_its_order(hubs)


async def test_without_the_lock_the_paper_would_wait_for_ever(
    hubs: tuple[Hub, Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positive control: each commits without having seen the other, and nobody looks again."""
    monkeypatch.setattr(workers, "lock_names", lambda connection, shared, alone: None)

    assert (False, ["parked"]) == await a_paper_races_its_order(hubs)


async def two_orders_of_the_last_piece(hubs: tuple[Hub, Hub]) -> tuple[list[Any], list[Any]]:
    """Have two workers promise at the same time what is there once; return reserved quantities and order states."""
    first, second = hubs
    await first.pipeline.write(Race(first, second).work(first, await stored(first, "reno", stock(1))))
    results = await Race(first, second).run(
        await stored(first, "erp", order("SO-1")), await stored(second, "erp", order("SO-2"))
    )
    assert not any(isinstance(result, BaseException) for result in results), results
    return (
        column(first, "select reserved from inventory where sku = 'A'"),
        column(first, "select status from aggregates order by key"),
    )


async def test_the_last_piece_is_promised_once(hubs: tuple[Hub, Hub]) -> None:
    """Who decides second sees what the first one reserved."""
    reserved, states = await two_orders_of_the_last_piece(hubs)

    assert ["1"] == reserved
    assert "backordered" in states


async def test_without_row_locks_the_last_piece_is_promised_twice(
    hubs: tuple[Hub, Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positive control: both read the position before either writes it, and one reservation is lost."""
    monkeypatch.setattr("crossdock.store.stock.locked", lambda connection, order: "")
    reserved, states = await two_orders_of_the_last_piece(hubs)

    assert ["1"] == reserved
    assert "backordered" not in states


async def test_one_order_that_comes_by_two_doors_is_created_once(hubs: tuple[Hub, Hub]) -> None:
    """The second creation collides, is run again by itself, and finds that it tells nothing new."""
    first, second = hubs
    await first.pipeline.write(Race(first, second).work(first, await stored(first, "reno", stock(10))))
    one = await stored(first, "erp", order("SO-1"))
    other = await stored(second, "erp", {**order("SO-1"), "note": "once more"})
    results = await Race(first, second).run(one, other)

    assert not any(isinstance(result, BaseException) for result in results), results
    assert [1] == column(first, "select count(*) from aggregates")
    assert [1] == column(first, "select count(*) from outbound_messages where document_type = 'fulfillment_request'")
    assert [1] == column(first, "select count(*) from events where type = 'crossdock.document.duplicate.v1'")


async def test_what_collides_again_and_again_is_told(hubs: tuple[Hub, Hub]) -> None:
    """Running again is bounded."""
    first, _ = hubs
    runs = 0

    def collides(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        raise Contention("somebody else is always first")

    with pytest.raises(Contention):
        await first.pipeline.write(collides)
    assert 2 < runs < 20


async def test_the_same_message_at_two_doors_is_taken_once(hubs: tuple[Hub, Hub]) -> None:
    """Two processes store one receipt key at the same moment: one of them answers duplicate, nobody is refused."""
    first, second = hubs
    for n in range(20):
        offer = InboundOffer("acme", "erp", json.dumps(order(f"SO-{n}")).encode(), receipt_key=f"k-{n}")
        answers = await asyncio.gather(first.ingest(offer), second.ingest(offer))
        assert ["duplicate", "received"] == sorted(answer.state for answer in answers)
        assert answers[0].message_id == answers[1].message_id


async def test_a_worker_takes_what_waits_and_hands_it_on_when_it_leaves(
    database: str, tmp_path: Path, hubs: tuple[Hub, Hub]
) -> None:
    """What was stored while nobody worked is done by whoever comes; slots go to the next one at once."""
    first, _ = hubs
    await first.ingest(InboundOffer("acme", "reno", json.dumps(stock(100)).encode()))
    await first.ingest(InboundOffer("acme", "erp", json.dumps(order("SO-1")).encode()))
    one = await started(database, tmp_path, "worker")
    assert one.cluster is not None
    await eventually(lambda: not column(first, "select 1 from inbound_messages where state = 'received'"))
    other = await started(database, tmp_path, "worker")
    assert other.cluster is not None
    await eventually(lambda: 32 == len(other.cluster.ownership.slots))
    assert not one.cluster.ownership.slots & other.cluster.ownership.slots
    began = asyncio.get_running_loop().time()
    await one.stop()
    await eventually(lambda: 64 == len(other.cluster.ownership.slots))
    assert asyncio.get_running_loop().time() - began < 6
    await first.ingest(InboundOffer("acme", "erp", json.dumps(order("SO-2")).encode()))
    await eventually(lambda: 2 == column(first, "select count(*) from aggregates")[0])
    await other.stop()


class _Deaf:
    """The known bad wake-up: nothing that is said arrives."""

    def within(self, connection: Any, slots: Any) -> None:
        """Say nothing."""

    after = within


@pytest.mark.parametrize("looks", [True, False], ids=["looks by itself", "control: does not"])
async def test_a_lost_wake_up_costs_a_moment_and_no_message(
    database: str, tmp_path: Path, hubs: tuple[Hub, Hub], monkeypatch: pytest.MonkeyPatch, looks: bool
) -> None:
    """A worker looks into the record by itself. The control does not: it never learns of the message."""
    first, _ = hubs
    worker = await started(database, tmp_path, "worker")
    assert worker.cluster is not None and first.cluster is not None
    await eventually(lambda: 64 == len(worker.cluster.ownership.slots))
    monkeypatch.setattr(first.cluster.handover.wake, "within", _Deaf().within)
    if not looks:
        monkeypatch.setattr(worker.pipeline, "take", lambda: None)
        monkeypatch.setattr(worker.pipeline, "sweep", lambda: None)
    await first.ingest(InboundOffer("acme", "reno", json.dumps(stock(5)).encode()))
    if looks:
        await eventually(lambda: column(first, "select 1 from inventory"))
    else:
        monkeypatch.setattr("tests.scenarios.workers.test_two_workers.WAIT_SECONDS_MAX", 4.0)
        with pytest.raises(AssertionError, match="does not come"):
            await eventually(lambda: column(first, "select 1 from inventory"))
    await worker.stop()


def expire(hub: Hub) -> None:
    """End the lease of a hub on the database's own time, as a long pause does."""
    assert hub.cluster is not None
    number = hub.cluster.ownership.number
    hub.store.write_now(
        lambda connection: connection.execute("update workers set expires_at = 0 where worker = ?", (number,))
    )


async def test_a_worker_whose_lease_ended_writes_nothing_and_registers_anew(hubs: tuple[Hub, Hub]) -> None:
    """Every write asks first; the process drops its memory and goes on under a higher number."""
    first, _ = hubs
    assert first.cluster is not None
    number = first.cluster.ownership.number
    expire(first)
    with pytest.raises(Fenced):
        await first.pipeline.write(lambda connection: connection.execute("delete from workers"))
    await eventually(lambda: first.cluster.ownership.number > number)
    assert 2 == column(first, "select count(*) from workers")[0]
    answer = await first.ingest(InboundOffer("acme", "erp", json.dumps(order("SO-1")).encode()))
    assert "received" == answer.state


async def test_nobody_takes_over_in_the_middle_of_a_transaction(hubs: tuple[Hub, Hub]) -> None:
    """A worker that asked in time keeps its right until its commit: the other one's beat passes it by."""
    first, second = hubs
    assert first.cluster is not None and second.cluster is not None
    number, other = first.cluster.ownership.number, second.cluster.ownership.number
    inside, go = threading.Event(), threading.Event()

    def slow(connection: Connection) -> str:
        inside.set()
        assert go.wait(WAIT_SECONDS_MAX)
        connection.execute("insert into timers (tenant_id, subject, name, due_at) values ('acme', 'x', 'late', 1)")
        return "written"

    task = asyncio.create_task(first.pipeline.write(slow))
    assert await asyncio.to_thread(inside.wait, WAIT_SECONDS_MAX)
    rows = second.store.write_now(
        lambda connection: connection.query(
            "select worker from workers where worker in (?, ?) order by worker for update skip locked", (number, other)
        )
    )
    assert number not in [row[0] for row in rows]
    go.set()
    assert "written" == await task


async def test_sqlite_is_refused_as_a_shared_record_with_the_reason(tmp_path: Path) -> None:
    """One writer, one memory: a second process would do everything twice."""
    with pytest.raises(ConfigurationError) as refused:
        await started(f"sqlite:///{tmp_path / 'x.db'}", tmp_path, "worker")

    assert "XD-SYS-015" == refused.value.code
    assert refused.value.hint


async def test_a_process_that_has_the_record_for_itself_lets_nobody_join(database: str, tmp_path: Path) -> None:
    """Alone and together exclude each other, on both sides."""
    alone = await started(database, tmp_path, "alone")
    with pytest.raises(ConfigurationError) as refused:
        await started(database, tmp_path, "worker")
    assert "XD-SYS-009" == refused.value.code
    await alone.stop()
    together = await started(database, tmp_path, "worker")
    with pytest.raises(ConfigurationError):
        await started(database, tmp_path, "alone")
    await together.stop()


@pytest.mark.parametrize("inside", ["a cycle", "its heartbeat"])
async def test_a_worker_that_is_stopped_inside_a_transaction_holds_nothing_up(
    hubs: tuple[Hub, Hub], inside: str
) -> None:
    """Its lease is over and its row is locked by itself: whoever finds that ends its session, and then takes over."""
    first, second = hubs
    assert first.cluster is not None and second.cluster is not None
    number = first.store.write_now(lambda connection: workers.register(connection, "stopped:1", "worker", 300_000))
    stopped = first.store.open_connection()
    stopped.raw.execute("begin")
    if inside == "a cycle":
        workers.fence(stopped, number)
    else:
        workers.beat(stopped, number, 300_000, takes_slots=True)

    def beat(connection: Connection) -> tuple[int, ...]:
        assert second.cluster is not None
        return workers.beat(connection, second.cluster.ownership.number, 8_000_000, takes_slots=False).dead

    await eventually(lambda: number in second.store.write_now(beat) or not column(first, LISTED.format(number)))
    assert stopped.raw.info.transaction_status.name in ("INTRANS", "UNKNOWN")
    with pytest.raises(StoreUnavailable):
        stopped.query("select 1")
    stopped.raw.close()


LISTED = "select 1 from workers where worker = {}"
