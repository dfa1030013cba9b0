"""The whole hub over NATS: it starts without a broker, goes on without one, and says how far it lags."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossdock.backbone.jetstream import JetStreamBackbone
from crossdock.bootstrap import Hub
from crossdock.config import load_settings
from crossdock.flow.ingest import InboundOffer
from tests.crash.pack import files
from tests.scenarios.backbone.world import Consumer, until
from tests.support.nats import NatsServers
from tests.support.processes import free_port


async def started(tmp_path: Path, url: str, servers: str) -> Hub:
    return await Hub.start(
        load_settings(
            environment={},
            overrides={
                "store.url": url,
                "security.root_key_file": str(tmp_path / "root.key"),
                "backbone.url": servers,
                "backbone.sweep_seconds": "0.3",
            },
        )
    )


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_what_the_hub_commits_reaches_a_consumer(
    request: pytest.FixtureRequest, tmp_path: Path, servers: NatsServers, consumer: Consumer, engine: str
) -> None:
    """On both engines: events of a paper that came in are taken outside; a stop writes the place down."""
    url = f"sqlite:///{tmp_path / 'x.db'}" if engine == "sqlite" else str(request.getfixturevalue("postgres_database"))
    hub = await started(tmp_path, url, servers.url)
    consumer.start()
    try:
        await hub.apply_pack("acme", files(free_port()), "tester")
        await hand_in(hub, "SO-1")
        await until(lambda: consumer.ledger.done_of("crossdock.order.created.v1") == 1, "the order")
        servers.kill(0)
        await hand_in(hub, "SO-2")
        await until(lambda: "lags" in hub.health().reason, "the lag in words", 60)
        assert hub.health().ready
        servers.start()
        await until(lambda: consumer.ledger.done_of("crossdock.order.created.v1") == 2, "the second order")
        await until(lambda: hub.health().reason == "", "a hub without trouble")
    finally:
        await hub.stop()
    assert isinstance(hub.backbone, JetStreamBackbone)
    assert hub.backbone._saved == hub.backbone._place


async def test_it_starts_without_a_broker(tmp_path: Path) -> None:
    """A broker that is not there keeps nobody from starting, or from stopping."""
    hub = await started(tmp_path, f"sqlite:///{tmp_path / 'x.db'}", f"nats://127.0.0.1:{free_port()}")
    await until(lambda: "no NATS server answers" in hub.health().reason, "the reason")
    assert hub.health().ready

    await hub.stop()


async def hand_in(hub: Hub, number: str) -> None:
    """Hand in one order."""
    line = {"no": "1", "sku": "A", "qty": 1}
    paper = {"type": "order", "number": number, "name": "Blue Fern Cafe", "lines": [line]}
    answer = await hub.ingest(InboundOffer("acme", "erp", json.dumps(paper).encode()))
    assert answer.state == "received"
