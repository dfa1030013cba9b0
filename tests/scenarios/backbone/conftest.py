"""Real NATS servers for the scenarios of the backbone: one, or a cluster of three."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.backbone.world import Consumer, World, database
from tests.support.nats import NatsServers, nats_binary


@pytest.fixture
async def servers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NatsServers]:
    """One server; parametrize indirectly with 3 for a cluster."""
    if nats_binary() is None:
        pytest.skip("NOT RUN: no nats-server on this machine")
    servers = NatsServers(tmp_path / "nats", getattr(request, "param", 1))
    servers.start()
    try:
        await servers.ready()
        yield servers
    finally:
        await servers.close_clients()
        servers.stop()


@pytest.fixture
async def world(servers: NatsServers, tmp_path: Path) -> AsyncIterator[World]:
    """A record with a backbone that is not started yet."""
    world = World(database(tmp_path), servers)
    yield world
    await world.stop()


@pytest.fixture
async def consumer(servers: NatsServers) -> AsyncIterator[Consumer]:
    """A consumer of the tenant acme, not started yet."""
    consumer = Consumer(servers)
    yield consumer
    await consumer.stop()
