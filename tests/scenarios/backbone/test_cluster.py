"""Three servers: what is committed outlasts the loss of one, two and all of them. A short share of the long run."""

from __future__ import annotations

import pytest

from tests.scenarios.backbone.world import STREAM, Consumer, World, in_order
from tests.support.nats import NatsServers

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("servers", [3], indirect=True, ids=["3 nodes"])]


async def test_kills_of_one_two_and_three_nodes(world: World, consumer: Consumer, servers: NatsServers) -> None:
    """Kill -9 of one, two and all servers while events are written: none is lost, the order of each order holds."""
    world.start()
    consumer.start()
    for count in (1, 2, 3):
        await world.write(30)
        leader = await servers.leader(STREAM)
        nodes = sorted(range(3), key=lambda node, leader=leader: node != leader)[:count]  # type: ignore[misc]
        for node in nodes:
            servers.kill(node)
        await world.write(30)
        servers.start()
        await world.caught_up()
    await world.consumed(consumer)

    assert in_order(consumer.ledger)
    assert 3 == (await world.info())["config"]["num_replicas"]


async def test_a_paused_leader_and_older_copies(world: World, consumer: Consumer, servers: NatsServers) -> None:
    """The leader stops answering; later all stores are set back to what the disks held before, and then wiped."""
    world.start()
    consumer.start()
    await world.write(20)
    await world.caught_up()
    for node in range(3):
        servers.kill(node)
    servers.keep_copy("early")
    servers.start()
    await world.write(20)
    await world.caught_up()
    leader = await servers.leader(STREAM)
    assert leader is not None
    servers.pause(leader)
    await world.write(20)
    await world.caught_up()
    servers.resume(leader)
    for node in range(3):
        servers.kill(node)
    servers.set_back("early")
    await world.write(20)
    servers.start()
    await world.caught_up()
    for node in range(3):
        servers.kill(node)
    servers.wipe()
    servers.start()
    await world.write(20)
    await world.caught_up()
    await world.consumed(consumer)

    assert in_order(consumer.ledger)
    assert world.backbone.counts.rewinds >= 1
