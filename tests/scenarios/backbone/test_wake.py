"""Workers wake each other over NATS; a wake-up that is lost costs nothing but time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from crossdock.backbone.wake import SLOTS_MAX, LocalWakeUp, NatsWakeUp, WakeUp
from crossdock.config import BackboneSettings
from tests.scenarios.backbone.world import until
from tests.support.nats import NatsServers


class Worker:
    """Remembers what it was told."""

    def __init__(self, wake: WakeUp) -> None:
        self.told: list[frozenset[int]] = []
        self._wake = wake
        self.task = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        async for slots in self._wake.listen():
            self.told.append(slots)

    def slots(self) -> set[int]:
        return {slot for told in self.told for slot in told}


@pytest.fixture
async def pair(servers: NatsServers) -> AsyncIterator[tuple[NatsWakeUp, NatsWakeUp]]:
    """Two processes on one NATS."""
    settings = BackboneSettings(url=servers.url)
    pair = NatsWakeUp(settings, holder="a"), NatsWakeUp(settings, holder="b")
    for one in pair:
        one.start()
    await until(lambda: all(one.connected for one in pair), "the connections")
    yield pair
    for one in pair:
        await one.stop()


async def test_slots_reach_every_process(pair: tuple[NatsWakeUp, NatsWakeUp]) -> None:
    """Whoever notifies wakes the others and itself."""
    workers = [Worker(one) for one in pair]
    await asyncio.sleep(0)
    pair[0].notify([3, 7])
    await until(lambda: all({3, 7} <= worker.slots() for worker in workers), "the slots")
    pair[1].notify(range(SLOTS_MAX + 1))
    await until(lambda: all(frozenset() in worker.told for worker in workers), "everything")
    for worker in workers:
        worker.task.cancel()


async def test_a_worker_looks_at_all_after_nats_was_away(
    pair: tuple[NatsWakeUp, NatsWakeUp], servers: NatsServers
) -> None:
    """While NATS is away a process still wakes itself; when it is back everybody looks at everything."""
    worker = Worker(pair[0])
    await asyncio.sleep(0)
    servers.kill(0)
    await until(lambda: not pair[0].connected, "the loss")
    pair[0].notify([5])
    await until(lambda: 5 in worker.slots(), "its own wake-up")
    worker.told.clear()
    servers.start()
    await until(lambda: frozenset() in worker.told, "a look at all")
    worker.task.cancel()


async def test_slots_are_put_together_while_nobody_looks() -> None:
    """A slow worker is told once, about everything that was named meanwhile; a lost one keeps nothing."""
    wake = LocalWakeUp()
    wake.notify([1])
    worker = Worker(wake)
    await asyncio.sleep(0)
    for slot in range(5):
        wake.notify([slot])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    worker.task.cancel()
    await asyncio.gather(worker.task, return_exceptions=True)
    wake.notify([9])

    assert [frozenset(range(5))] == worker.told
    assert {} == wake._waiting
