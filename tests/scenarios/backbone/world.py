"""A record, a real NATS and the backbone between them: events are written, a consumer keeps a ledger.

Never decides what is right: the scenarios do. The ledger is the consumer's own; the record is asked by nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from crossdock.backbone.connection import ended
from crossdock.backbone.jetstream import JetStreamBackbone
from crossdock.backbone.subjects import filter_of, stream_of
from crossdock.canonical.events import Event
from crossdock.config import BackboneSettings
from crossdock.durable.identity import SystemClock
from crossdock.store import journal
from crossdock.store.engine import open_store
from tests.support.nats import NatsServers

SECONDS_MAX = 30.0
STREAM = stream_of("crossdock")
TYPES = ("crossdock.order.created.v1", "crossdock.order.sourced.v1", "crossdock.order.completed.v1")


async def until(true: Callable[[], bool], what: str, seconds_max: float = SECONDS_MAX) -> None:
    """Wait for something of another process. Raises AssertionError when it does not come."""
    deadline = time.monotonic() + seconds_max
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds_max} s"
        await asyncio.sleep(0.02)


class Ledger:
    """What a consumer did, by event id, and every order's events as they were first taken."""

    def __init__(self) -> None:
        self.done: dict[str, str] = {}
        self.by_subject: dict[str, list[str]] = {}
        self.repeats = 0

    def take(self, content: bytes) -> bool:
        """Act on one event; a known id is a repetition and does nothing."""
        event = msgspec.json.decode(content)
        if event["id"] in self.done:
            self.repeats += 1
            return False
        self.done[event["id"]] = event["type"]
        self.by_subject.setdefault(f"{event['source']}|{event['subject']}", []).append(event["id"])
        return True

    def done_of(self, event_type: str) -> int:
        """Return how many events of a type were acted on."""
        return list(self.done.values()).count(event_type)


class Consumer:
    """A durable pull consumer: acts, then acknowledges. It makes its durable again when the stream was lost."""

    def __init__(self, servers: NatsServers, tenant: str = "acme", name: str = "test") -> None:
        self.ledger = Ledger()
        self._servers = servers
        self._filter = filter_of("crossdock", tenant)
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self.lose_acks = 0

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await ended(self._task)
        if self._client is not None:
            with contextlib.suppress(Exception):
                await self._client.close()

    async def _run(self) -> None:
        while True:
            try:
                if self._client is None or self._client.is_closed:
                    self._client = await self._servers.client()
                await self._consume(self._client)
            except Exception:
                await asyncio.sleep(0.1)

    async def _consume(self, client: Client) -> None:
        stream = client.jetstream(timeout=2)
        config = ConsumerConfig(
            durable_name=self._name,
            filter_subject=self._filter,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=1,
        )
        await stream.add_consumer(STREAM, config)
        pull = await stream.pull_subscribe_bind(self._name, STREAM)
        silent = 0
        while True:
            try:
                messages = await pull.fetch(50, timeout=0.5)
                silent = 0
            except TimeoutError:
                silent += 1
                if silent % 2 == 0:
                    # A consumer that is gone looks like one with nothing to do.
                    await stream.consumer_info(STREAM, self._name)
                continue
            for message in messages:
                self.ledger.take(message.data)
                if self.lose_acks:
                    self.lose_acks -= 1
                    continue
                await message.ack_sync(timeout=2)


class World:
    """One record and one backbone on it."""

    def __init__(self, url: str, servers: NatsServers, **settings: Any) -> None:
        self.servers = servers
        self.store = open_store(url, readers=2)
        self.clock = SystemClock()
        defaults = {"sweep_seconds": 0.3, "replicas": servers.count, "url": servers.url}
        self.settings = BackboneSettings(**{**defaults, **settings})
        self._numbers = itertools.count(1)
        self._holders = itertools.count(1)
        self.written: list[Event] = []
        self.backbone = self.made()

    def made(self) -> JetStreamBackbone:
        """Return the backbone of another process on the same record."""
        holder = f"worker-{next(self._holders)}"
        return JetStreamBackbone(
            self.settings, self.store, self.clock, holder=holder, root=lambda: "https://hub.example.com"
        )

    def start(self) -> None:
        self.backbone.start()

    async def kill(self) -> None:
        """End the backbone as a killed process ends: nothing more is written."""
        task = self.backbone._task
        assert task is not None
        await ended(task)
        await self.backbone._server.close()

    async def stop(self) -> None:
        await self.backbone.stop()
        await asyncio.to_thread(self.store.close)

    async def write(self, orders: int, tenant: str = "acme", at: datetime | None = None) -> list[Event]:
        """Commit three events for each of some orders, and announce them as the pipeline does."""
        now = at or datetime.now(UTC)
        events = []
        for number in itertools.islice(self._numbers, orders):
            events += [
                Event(f"evt_{number:06}_{step}", tenant, kind, f"order/SO-{number}", {"number": number}, now, now)
                for step, kind in enumerate(TYPES)
            ]
        await self.store.write(lambda connection: journal.append(connection, events))
        self.written += events
        self.backbone.announce(events)
        return events

    async def caught_up(self) -> None:
        """Wait until everything written is proven to be in the stream, and the record says so."""
        await until(self._proven, "the stream")

    def _proven(self) -> bool:
        place = self.backbone._place
        proven = bool(self.written) and place.event_id == self.written[-1].id
        return proven and self.backbone._saved == place and not self.backbone.lag().trouble

    def ids(self, tenant: str = "acme") -> set[str]:
        return {event.id for event in self.written if event.tenant_id == tenant}

    async def consumed(self, consumer: Consumer, tenant: str = "acme") -> None:
        """Wait until a consumer has taken everything that was written for its tenant."""
        await until(lambda: self.ids(tenant) <= consumer.ledger.done.keys(), "everything")

    async def info(self) -> dict[str, Any]:
        client = await self.servers.client()
        return await self.servers.api(client, f"STREAM.INFO.{STREAM}")


def in_order(ledger: Ledger) -> bool:
    """Tell whether the events of every order were first taken in the order they were written."""
    return all(ids == sorted(ids) for ids in ledger.by_subject.values())


def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'crossdock.db'}"
