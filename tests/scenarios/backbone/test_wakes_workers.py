"""Two processes on one PostgreSQL record, woken over NATS: work goes to its owner, also while NATS is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossdock.backbone.postgres_notify import PostgresNotify
from crossdock.backbone.wake import NatsWakeUp
from crossdock.bootstrap import Hub
from crossdock.bootstrap.backbone import wake_up_of
from crossdock.config import load_settings
from crossdock.errors import ConfigurationError
from tests.crash.pack import files
from tests.scenarios.backbone.test_hub import hand_in
from tests.scenarios.backbone.world import Consumer, until
from tests.support.nats import NatsServers
from tests.support.processes import free_port


async def test_a_door_wakes_a_worker(
    postgres_database: str, tmp_path: Path, servers: NatsServers, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a web process stored is run by a worker that was told so over NATS; without NATS the sweep finds it."""
    heard: list[int] = []
    woken = NatsWakeUp._heard

    async def counted(self: NatsWakeUp, message: object) -> None:
        heard.append(1)
        await woken(self, message)  # type: ignore[arg-type]

    monkeypatch.setattr(NatsWakeUp, "_heard", counted)
    settings = load_settings(
        environment={},
        overrides={
            "store.url": postgres_database,
            "security.root_key_file": str(tmp_path / "root.key"),
            "backbone.url": servers.url,
            "backbone.wake_workers": "nats",
            "backbone.sweep_seconds": "0.3",
        },
    )
    alone = await Hub.start(settings)
    await alone.apply_pack("acme", files(free_port()), "tester")
    await alone.stop()
    door, worker = await Hub.start(settings, role="web"), await Hub.start(settings, role="worker")
    consumer.start()
    try:
        assert worker.cluster is not None
        assert isinstance(worker.cluster._wake, NatsWakeUp)
        await until(lambda: bool(worker.cluster and worker.cluster.ownership.slots), "the worker's share")
        await until(lambda: worker.cluster is not None and worker.cluster._wake.connected, "its connection")  # type: ignore[attr-defined]
        heard.clear()
        await hand_in(door, "SO-1")
        await until(lambda: consumer.ledger.done_of("crossdock.order.created.v1") == 1, "the order")
        assert heard
        servers.kill(0)
        await hand_in(door, "SO-2")
        servers.start()
        await until(lambda: consumer.ledger.done_of("crossdock.order.created.v1") == 2, "the second order", 60)
    finally:
        await door.stop()
        await worker.stop()


def test_the_database_wakes_unless_told_otherwise() -> None:
    """Over NATS only by a setting, and only where there is a NATS."""
    assert isinstance(wake_up_of(load_settings(environment={}), lambda: None), PostgresNotify)
    with pytest.raises(ConfigurationError, match="needs servers"):
        load_settings(environment={"CROSSDOCK_BACKBONE_WAKE_WORKERS": "nats"})
