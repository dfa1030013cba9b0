"""A consumer outside the hub, with a ledger of its own, that crashes now and then: the oracle of the broker's tests.

It does what docs/how-to/run-with-nats.md asks of a consumer: a durable pull consumer, act and remember the event's id
in one commit, then acknowledge; make the durable again when the stream was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from datetime import datetime
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from crossdock.backbone.connection import ended
from crossdock.backbone.publishing import CURSOR, REPETITION
from crossdock.backbone.subjects import filter_of, stream_of
from crossdock.store.journal import Cursor
from tests.support.nats import NatsServers

STREAM = stream_of("crossdock")
CRASHES = 0.004
# A control has to fail within a short run.
CRASHES_OF_CONTROL = 0.05


class Crash(Exception):
    """The consumer dies here; what it had committed stays."""


class OutsideLedger:
    """What the consumer did. Nothing is ever taken out: it is the truth."""

    def __init__(self) -> None:
        self.acts: Counter[str] = Counter()
        self.released: set[str] = set()
        self.departed: set[str] = set()
        self.created: dict[str, set[str]] = {}
        self.redeliveries = 0
        self.out_of_order: list[str] = []
        self.out_of_order_by_purge: list[str] = []
        self.purged_at: list[float] = []
        self.delays: list[float] = []
        self._last: dict[str, Cursor] = {}

    def take(self, message: Msg) -> None:
        """Act on an event, once."""
        event = msgspec.json.decode(message.data)
        if event["id"] in self.acts:
            self.redeliveries += 1
            return
        self.acts[event["id"]] += 1
        self.delays.append(time.time() - datetime.fromisoformat(event["recordedtime"]).timestamp())
        self._in_order(event, message.headers or {})
        number = event["data"].get("number", "")
        if event["type"] == "crossdock.order.released.v1":
            self.released.add(number)
        elif event["type"] == "crossdock.shipment.departed.v1":
            self.departed.add(number)
        elif event["type"] == "crossdock.order.created.v1":
            self.created.setdefault(event["subject"], set()).add(event["id"])

    def _in_order(self, event: dict[str, Any], headers: dict[str, str]) -> None:
        cursor = Cursor.parse(headers.get(CURSOR, ""))
        if cursor < self._last.get(event["subject"], Cursor()):
            recorded_at = datetime.fromisoformat(event["recordedtime"]).timestamp()
            # What a purge took comes again behind what was newer: nothing on this side can help that.
            purged = any(recorded_at <= at for at in self.purged_at)
            disorder = self.out_of_order_by_purge if purged else self.out_of_order
            disorder.append(f"{event['subject']} {event['type']} repetition {headers.get(REPETITION, '0')}")
        self._last[event["subject"]] = max(cursor, self._last.get(event["subject"], Cursor()))

    def doubled(self) -> list[str]:
        twice = [f"consumer acted twice on {event}" for event, times in self.acts.items() if times > 1]
        return twice + [f"created twice: {subject}" for subject, ids in self.created.items() if len(ids) > 1]


class OutsideConsumer:
    """Runs until stopped. `acks_first` is the known-bad variant: it acknowledges, and acts afterwards."""

    def __init__(self, servers: NatsServers, chance: random.Random, *, acks_first: bool = False) -> None:
        self.ledger = OutsideLedger()
        self.crashes = 0
        self.made = 0
        self.troubles = True
        self._servers = servers
        self._chance = chance
        self._acks_first = acks_first
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._for_ever())

    async def stop(self) -> None:
        if self._task is not None:
            await ended(self._task)
        await self._leave()

    async def _leave(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 3)

    async def _for_ever(self) -> None:
        while True:
            try:
                self._client = await asyncio.wait_for(self._servers.client(), 5)
                await self._consume(self._client)
            except Crash:
                self.crashes += 1
            except Exception:
                await asyncio.sleep(0.2)
            await self._leave()

    async def _consume(self, client: Client) -> None:
        stream = client.jetstream(timeout=3)
        config = ConsumerConfig(
            durable_name="outside",
            filter_subject=filter_of("crossdock", "acme"),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=5,
            max_ack_pending=1_000,
        )
        await stream.add_consumer(STREAM, config)
        self.made += 1
        pull = await stream.pull_subscribe_bind("outside", STREAM)
        while True:
            try:
                messages = await pull.fetch(200, timeout=1)
            except TimeoutError:
                # A consumer that is gone looks like one with nothing to do.
                await stream.consumer_info(STREAM, "outside")
                continue
            for message in messages:
                await self._work(message)

    async def _work(self, message: Msg) -> None:
        if self._acks_first:
            await message.ack_sync(timeout=3)
            self._crash_perhaps()
            self.ledger.take(message)
            return
        self._crash_perhaps()
        self.ledger.take(message)
        self._crash_perhaps()
        await message.ack()

    def _crash_perhaps(self) -> None:
        if self.troubles and self._chance.random() < (CRASHES_OF_CONTROL if self._acks_first else CRASHES):
            raise Crash
