"""Workers wake each other over NATS; a wake-up that is lost costs nothing but time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from crossdock.backbone.wake import NatsWakeUp
from crossdock.config import BackboneSettings
from crossdock.durable.wake import SLOTS_ARE_FREE, WakeUp
from tests.scenarios.backbone.test_server_check import USER, Identity
from tests.scenarios.backbone.world import until
from tests.support.nats import NatsServers


class Worker:
    """A process on one NATS: its wake-ups, and what it was told."""

    def __init__(self, servers: NatsServers, holder: str) -> None:
        self.over_nats = NatsWakeUp(BackboneSettings(url=servers.url), holder=holder)
        self.wake: WakeUp = self.over_nats
        self.told: list[Collection[int]] = []

    def slots(self) -> set[int]:
        return {slot for told in self.told for slot in told}


@pytest.fixture
async def workers(servers: NatsServers) -> AsyncIterator[list[Worker]]:
    """Two processes that listen."""
    workers = [Worker(servers, holder) for holder in "ab"]
    for worker in workers:
        await worker.wake.start(worker.told.append)
    await until(lambda: all(worker.over_nats.connected for worker in workers), "the connections")
    # A subscription counts from the moment the server has seen it.
    await until(lambda: _rung(workers), "the subscriptions")
    for worker in workers:
        worker.told.clear()
    yield workers
    for worker in workers:
        await worker.wake.stop()


def _rung(workers: list[Worker]) -> bool:
    for worker in workers:
        worker.wake.after([99])
    return all(99 in worker.slots() for worker in workers)


async def test_slots_reach_every_process(workers: list[Worker]) -> None:
    """Whoever announces wakes the others and itself; slots named together are told together."""
    first, second = workers
    first.wake.within(None, [1])
    for slot in (3, 7, SLOTS_ARE_FREE):
        first.wake.after([slot])
    await until(lambda: {3, 7, SLOTS_ARE_FREE} <= first.slots() & second.slots(), "the slots")

    assert 1 not in second.slots()
    assert [SLOTS_ARE_FREE, 3, 7] in list(second.told)


async def test_nothing_is_kept_while_nats_is_away(workers: list[Worker], servers: NatsServers) -> None:
    """What is announced meanwhile is lost, never raises, and never waits; afterwards everybody hears again."""
    servers.kill(0)
    await until(lambda: not workers[0].over_nats.connected, "the loss")
    workers[0].wake.after(range(10_000))
    assert set() == workers[0].over_nats._unsaid
    servers.start()
    await until(lambda: all(worker.over_nats.connected for worker in workers), "the connections")
    for worker in workers:
        worker.told.clear()
    await until(lambda: _rung(workers), "a wake-up")

    assert {99} == workers[1].slots()


async def test_noise_on_the_subject_is_ignored(workers: list[Worker], servers: NatsServers) -> None:
    """What is no list of slots wakes nobody, and the next wake-up is heard."""
    client = await servers.client()
    await client.publish("crossdock.wake", b'{"a": 1}')
    await client.flush()
    workers[1].wake.after([4])
    await until(lambda: 4 in workers[0].slots(), "the slot")


async def test_unreadable_credentials_are_said_and_tried_again(servers: NatsServers, tmp_path: Path) -> None:
    """A credentials file that is not there, or holds something else, ends nothing: it is said, and once it can be read
    wake-ups are heard.
    """
    file = tmp_path / "hub.creds"
    wake = NatsWakeUp(BackboneSettings(url=servers.url, credentials_file=str(file)), holder="c")
    heard: list[Collection[int]] = []
    await wake.start(heard.append)
    await until(lambda: "credentials_file" in wake.trouble(), "the trouble")
    file.write_text("no credentials")
    wake.after([1])
    await until(lambda: "credentials_file" in wake.trouble(), "the trouble still")
    user = Identity(USER, USER)
    token = user.token(user.name, {"type": "user"})
    file.write_text(
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )
    await until(lambda: wake.connected and wake.trouble() == "", "the connection", 20)
    await until(lambda: heard != [], "being told to look everywhere")
    await wake.stop()

    assert [[]] == [list(one) for one in heard]
