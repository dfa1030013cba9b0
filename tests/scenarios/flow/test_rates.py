"""The pace of sends: a budget of cost per connection, shared where there are several workers, and Retry-After."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from crossdock.bootstrap.sending import Sending
from crossdock.durable.rates import RateLimit
from crossdock.durable.retry import Circuit
from crossdock.flow.batch import Ready
from crossdock.flow.send import Partner, Sender
from crossdock.governance.pack import ConnectionSpec
from crossdock.sdk import PushResult
from crossdock.store.engine import open_store
from tests.scenarios.flow.test_sends import drive
from tests.scenarios.flow.world import START, ScriptedPartner, World, busy_for, order, pack_files

LIMIT = "rate: {cost_per_second: 2, burst: 4, costs: {fulfillment_request: 2}}\n"


def times(world: World) -> list[float]:
    return [(moment - START).total_seconds() for moment in world.partner("reno").times]


async def test_sends_keep_within_the_budget(world: World) -> None:
    """Each costs 2 of 2 a second: after a start without a burst, one a second, in order, none lost."""
    files = pack_files()
    files["connections/reno.yaml"] += LIMIT
    await world.apply(files=files)
    for number in range(8):
        await world.hand_in("erp", order(f"SO-{number}"))
    await drive(world, 1)

    sent = times(world)
    assert 8 == len(sent)
    assert all(sum(2 for at in sent if began <= at < began + 3) <= 4 + 2 * 3 + 1e-6 for began in sent), (
        "more than the burst and three seconds' worth in three seconds"
    )
    assert sent[-1] - sent[0] >= 5
    assert [f"SO-{number}-1" for number in range(8)] == [one["ticket"] for one in world.partner("reno").documents()]


async def test_without_a_rate_they_go_at_once(world: World) -> None:
    """The control: the same orders without a budget take no time."""
    for number in range(8):
        await world.hand_in("erp", order(f"SO-{number}"))

    assert [0.0] * 8 == times(world)


async def test_a_retry_after_survives_a_restart(world: World) -> None:
    """The partner asked for ten minutes; a new process, whose circuits are closed, keeps to it for every message."""
    world.partner("reno").answer(busy_for(600))
    await world.hand_in("erp", order("SO-1"))
    await world.restart()
    await world.hand_in("erp", order("SO-2"))
    await drive(world, 9)
    assert [0.0] == times(world)
    await drive(world, 2)

    assert [0.0, 600.0, 600.0] == times(world)


class Workers:
    """Several senders on one record, as several processes have them; each with its own memory."""

    def __init__(self, url: str, count: int, limit: RateLimit, *, shared: bool) -> None:
        self.stores = [open_store(url, readers=1) for _ in range(count)]
        self.partner = ScriptedPartner()
        self.spec = ConnectionSpec("reno", "reno", "http_json", rate=limit, in_flight_max=50)
        self.senders = [self._sender(store, shared=shared) for store in self.stores]
        self.pushed: list[float] = []

    def _sender(self, store: object, *, shared: bool) -> Sender:
        from crossdock.durable.identity import SystemClock

        clock = SystemClock()
        sending = Sending.__new__(Sending)
        sending._store, sending._clock = store, clock  # type: ignore[assignment]
        loop = asyncio.get_running_loop()

        class Partnered(ScriptedPartner):
            async def push(self_inner, outbound: object) -> PushResult:
                self.pushed.append(loop.time())
                return PushResult("done")

        async def partner_of(*_: str) -> Partner:
            return Partner(self.spec, Partnered(), True)

        return Sender(
            clock=clock,
            partner_of=partner_of,
            spec_of=lambda *_: self.spec,
            booked=lambda _: None,
            reserve=lambda _: None,
            circuit_changed=lambda *_: None,
            draw=sending._draw if shared else None,
        )

    def give(self, each: int) -> None:
        for worker, sender in enumerate(self.senders):
            sender.dispatch(
                [
                    Ready(
                        "acme",
                        f"msg_{worker}_{n:03}",
                        "reno",
                        f"l{worker}/{n}",
                        f"k{worker}/{n}",
                        "t",
                        b"x",
                        "",
                        {},
                        "",
                    )
                    for n in range(each)
                ]
            )

    async def close(self) -> None:
        for sender in self.senders:
            await sender.stop()
        for store in self.stores:
            await asyncio.to_thread(store.close)


@pytest.fixture
def workers_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgres_database"))


async def most_in_a_second(url: str, *, shared: bool) -> tuple[int, int]:
    """Let three workers send for a while; return the most sends in any second, and all."""
    workers = Workers(url, 3, RateLimit(20.0, burst=5.0), shared=shared)
    try:
        workers.give(100)
        async with asyncio.timeout(30):
            while len(workers.pushed) < 40:
                await asyncio.sleep(0.02)
        return max(sum(1 for at in workers.pushed if began <= at < began + 1) for began in workers.pushed), len(
            workers.pushed
        )
    finally:
        await workers.close()


async def test_three_workers_share_one_budget(workers_url: str) -> None:
    """Twenty a second and a burst of five are the partner's, not each worker's: at most 25 in any second."""
    most, _ = await most_in_a_second(workers_url, shared=True)

    assert most <= 25 + 2


async def test_workers_that_do_not_share_are_caught(workers_url: str) -> None:
    """The control: with a budget each, three workers send up to three times as much."""
    most, _ = await most_in_a_second(workers_url, shared=False)

    assert most > 27


async def test_drawing_costs_no_round_trip_for_each_message(workers_url: str) -> None:
    """A draw is for half a second of the limit: forty sends of twenty a second take a handful."""
    workers = Workers(workers_url, 1, RateLimit(200.0, burst=100.0), shared=True)
    draws = itertools.count()
    (sender,) = workers.senders
    draw = sender._draw
    assert draw is not None

    async def counted(*asked: object) -> tuple[float, float]:
        next(draws)
        return await draw(*asked)  # type: ignore[arg-type]

    sender._draw = counted
    try:
        workers.give(100)
        async with asyncio.timeout(30):
            while len(workers.pushed) < 100:
                await asyncio.sleep(0.02)
    finally:
        await workers.close()

    assert next(draws) <= 20


async def test_a_pause_seen_by_one_worker_stops_the_others(world: World) -> None:
    """What one worker writes into the record, another reads with its next tick."""
    from crossdock.durable.identity import to_micros
    from crossdock.store import rates

    until = to_micros(world.clock.now()) + 300_000_000
    await world.hub.store.write(lambda connection: rates.pause(connection, "acme", "reno", until))
    await world.hub.tick()
    await world.hand_in("erp", order("SO-1"))
    assert [] == times(world)
    assert Circuit() == world.hub.sender._queues["acme", "reno"].circuit
    await drive(world, 6)

    assert [300.0] == times(world)
