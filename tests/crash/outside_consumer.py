"""A consumer outside the hub, with a ledger of its own, that crashes now and then: the oracle of the broker's tests.

It does what docs/how-to/run-with-nats.md asks of a consumer: a durable pull consumer, act and remember the event's id
in one commit, then acknowledge; make the durable again when the stream was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from datetime import datetime

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from crossdock.backbone.connection import ended
from crossdock.backbone.publishing import CURSOR, EVENT, REPETITION
from crossdock.backbone.subjects import filter_of, stream_of
from crossdock.store.journal import Cursor
from tests.support.nats import NatsServers

STREAM = stream_of("crossdock")
CRASHES = 0.01
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
        self.taken_late = 0
        self.delays: list[float] = []
        self._last: dict[str, Cursor] = {}
        self._places: dict[tuple[str, str], dict[int, Cursor]] = {}
        self.contradictions: list[str] = []

    def take(self, message: Msg, life: str) -> None:
        """Act on an event, once. `life` names the stream it came from: one that was made again is another."""
        event = msgspec.json.decode(message.data)
        cursor = self._placed(message, life)
        if event["id"] in self.acts:
            self.redeliveries += 1
            return
        self.acts[event["id"]] += 1
        self.delays.append(time.time() - datetime.fromisoformat(event["recordedtime"]).timestamp())
        if cursor < self._last.get(event["subject"], Cursor()):
            self.taken_late += 1
        self._last[event["subject"]] = max(cursor, self._last.get(event["subject"], Cursor()))
        number = event["data"].get("number", "")
        if event["type"] == "crossdock.order.released.v1":
            self.released.add(number)
        elif event["type"] == "crossdock.shipment.departed.v1":
            self.departed.add(number)
        elif event["type"] == "crossdock.order.created.v1":
            self.created.setdefault(event["subject"], set()).add(event["id"])

    def _placed(self, message: Msg, life: str) -> Cursor:
        """Remember where in the stream an event stood."""
        headers = message.headers or {}
        cursor = Cursor.parse(headers.get(CURSOR, ""))
        stretch = self._places.setdefault((life, headers.get(REPETITION, "0")), {})
        if stretch.setdefault(message.metadata.sequence.stream, cursor) != cursor:
            self.contradictions.append(f"{life} {message.metadata.sequence.stream} held two events")
        return cursor

    def out_of_order(self) -> list[str]:
        """Return where a stretch of a stream was not in the order of the journal: what the publisher promises.

        A consumer that crashes with several events in hand gets them again later; that is counted in `taken_late`.
        """
        found = list(self.contradictions)
        for (life, repetition), stretch in self._places.items():
            cursors = [stretch[sequence] for sequence in sorted(stretch)]
            found += [
                f"{life} repetition {repetition}: {later} behind {earlier}"
                for earlier, later in itertools.pairwise(cursors)
                if later <= earlier
            ]
        return found

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
        life = str((await self._servers.api(client, f"STREAM.INFO.{STREAM}"))["created"])
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
                await self._work(message, life)

    async def _work(self, message: Msg, life: str) -> None:
        crash = self._drawn(message)
        if self._acks_first:
            await message.ack_sync(timeout=3)
        if crash == "before the act":
            raise Crash
        self.ledger.take(message, life)
        if crash == "after the act":
            raise Crash
        if not self._acks_first:
            await message.ack()

    def _drawn(self, message: Msg) -> str:
        """Draw whether to die over an event. After a wipe everything comes again, and has been died over before."""
        if not self.troubles or (message.headers or {}).get(EVENT, "") in self.ledger.acts:
            return ""
        if self._chance.random() >= (CRASHES_OF_CONTROL if self._acks_first else CRASHES):
            return ""
        return self._chance.choice(("before the act", "after the act"))
