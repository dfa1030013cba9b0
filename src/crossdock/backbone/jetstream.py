"""The backbone over NATS JetStream: the journal, published in its own order, for consumers outside.

The record is the truth; the stream is a copy that may be lost at any time. Publishing follows the journal by its
commit-safe cursor and keeps its place in the record: publish a window, wait for every acknowledgment, then move the
place. A crash repeats a window. On start, after every fault and every few seconds the stream is looked at and judged
(`durable/stream_proof.py`): what it no longer holds is published again from the record.

Nothing waits in memory but one window. While NATS is away the hub goes on, and events wait where they are: in the
journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import msgspec
import structlog

from ..canonical.events import Event
from ..config import BackboneSettings
from ..durable.identity import Clock, to_micros
from ..durable.stream_proof import Judgement, Place, Seen, judge
from ..errors import CrossdockError
from ..store import backbone as places
from ..store import journal
from ..store.engine import Connection, Store, StoreUnavailable
from ..store.journal import Cursor
from .connection import BackboneAway, BackboneRefused, Server, StreamInfo, ended
from .local import LocalBackbone
from .port import Lag
from .publishing import CURSOR, EVENT, ID, REPETITION, OutOfStep, Publisher, message_id, parcel
from .subjects import all_of, stream_of

log = structlog.get_logger()

ACK_SECONDS_MAX = 8.0
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0
# Another process that moves the place is waited for; after this long without a sign it is gone.
HOLD_SECONDS = 15.0
# The stream itself says how far it goes, so the place needs no commit for every window.
PLACE_SECONDS = 0.5
PLACE_EVENTS = 2_000
DUPLICATE_WINDOW_SECONDS = 120
_MICROS = 1_000_000
_NANOS = 1_000_000_000


class Counts(msgspec.Struct):
    """What happened since the start."""

    published: int = 0
    repeated: int = 0
    looks: int = 0
    rewinds: int = 0
    refills: int = 0


class JetStreamBackbone:
    """Publishes the journal of every tenant into one stream. Lives on one event loop.

    `root` returns the installation's public address; `holder` names this process among others on the same record.
    """

    def __init__(
        self,
        settings: BackboneSettings,
        store: Store,
        clock: Clock,
        *,
        holder: str,
        root: Callable[[], str],
    ) -> None:
        self.counts = Counts()
        self._settings = settings
        self._store = store
        self._clock = clock
        self._holder = holder
        self._root = root
        self._name = stream_of(settings.prefix)
        self._local = LocalBackbone(store)
        self._server = Server(settings, name=f"crossdock {holder}")
        self._publisher = Publisher(self._server, settings.prefix)
        self._task: asyncio.Task[None] | None = None
        self._grew = asyncio.Event()
        self._place = Place()
        self._saved = Place()
        self._epoch = 0
        self._saved_at = 0.0
        self._held_until = 0.0
        self._look_at = 0.0
        self._configured = False
        self._lag = Lag(trouble="the first look at NATS is not done")

    # -- the port

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._for_ever())

    async def stop(self) -> None:
        """Let the window in flight go, write the place, leave."""
        if self._task is not None:
            await ended(self._task)
        try:
            if self._epoch and self._store.broken() is None:
                await self._save()
                await self._store.write(lambda connection: places.release(connection, self._name, self._holder))
        except (CrossdockError, OutOfStep) as error:
            log.warning("backbone.stop", error=repr(error))
        await self._server.close()

    def announce(self, events: list[Event]) -> None:
        self._local.announce(events)
        self._grew.set()

    def follow(self, tenant_id: str, after: str | None) -> AsyncIterator[tuple[str, Event]]:
        return self._local.follow(tenant_id, after)

    def lag(self) -> Lag:
        return self._lag

    # -- the loop

    async def _for_ever(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                if not self._server.connected:
                    await self._server.close()
                    await self._server.connect()
                    await self._publisher.open()
                await self._hold()
                await self._look()
                pause = PAUSE_SECONDS_MIN
                await self._carry()
            except OutOfStep as error:
                log.info("backbone.out_of_step", error=str(error))
            except Exception as error:  # noqa: BLE001 - the worker: whatever fails, events wait and it is tried again
                # Who does not answer is left: a paused server holds its sockets open.
                await self._server.close()
                await self._troubled(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _troubled(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if text != self._lag.trouble:
            log.warning("backbone.troubled", error=text, code=getattr(error, "code", ""))
        self._lag = msgspec.structs.replace(self._lag, trouble=text)
        if not isinstance(error, StoreUnavailable):
            await self._measure(text)

    async def _measure(self, trouble: str) -> None:
        """Take down how far the stream lies behind the record."""
        cursor = Cursor(*self._place.cursor)
        try:
            if not self._epoch:
                place = await self._store.read(lambda connection: places.load_place(connection, self._name))
                cursor = Cursor(*place.cursor)
            events, since = await self._store.read(lambda connection: places.lag(connection, cursor))
        except CrossdockError as error:
            log.debug("backbone.lag", error=repr(error))
            return
        seconds = max(0.0, self._clock.now().timestamp() - since / _MICROS) if events else 0.0
        self._lag = Lag(events, seconds, trouble)

    async def _hold(self) -> None:
        """Be the one who moves the place. Two at once would only refuse each other, so time need not be exact."""
        now = to_micros(self._clock.now())
        epoch = await self._store.write(
            lambda connection: places.claim(
                connection, self._name, self._holder, now, now + int(HOLD_SECONDS * _MICROS)
            )
        )
        if epoch is None:
            self._epoch = 0
            raise BackboneAway("another process publishes the journal", code="XD-SYS-041")
        self._epoch = epoch
        self._held_until = self._clock.monotonic() + HOLD_SECONDS / 3

    # -- looking

    async def _look(self) -> None:
        """Compare the stream with the place, and go on from where both agree."""
        self.counts.looks += 1
        self._place = self._saved = await self._store.read(lambda found: places.load_place(found, self._name))
        info = await self._server.stream(self._name)
        if info is None or not self._configured:
            info = await self._configure(info)
        judgement = await self._judged(info)
        if judgement.action != "follow":
            log.warning("backbone.judged", action=judgement.action, why=judgement.why, stream=self._name)
            self.counts.rewinds += judgement.action == "rewind"
            self.counts.refills += judgement.action == "refill"
        self._place = judgement.place
        await self._save()
        self._look_at = self._clock.monotonic() + self._settings.sweep_seconds
        await self._measure("")

    async def _configure(self, info: StreamInfo | None) -> StreamInfo:
        wanted = stream_config(self._settings)
        if info is None:
            info = await self._server.create_stream(wanted)
        elif any(info.config.get(key) != value for key, value in wanted.items()):
            try:
                await self._server.update_stream({**info.config, **wanted})
            except BackboneRefused as error:
                # A stream with other bounds carries all the same.
                log.warning("backbone.other_bounds", error=str(error))
        self._configured = True
        return info

    async def _judged(self, info: StreamInfo) -> Judgement:
        """Put together what the stream shows and what the record says to it."""
        state, place = info.state, self._place
        last = await self._server.message(self._name, state.last_seq) if state.messages else None
        # Where this life was filled from the start of the retention, only what left it since can be missing.
        unsure = state.messages > 0 and (info.created != place.stream or state.first_seq > max(place.head, 1))
        full = state.bytes + 2 * self._server.payload_bytes_max >= self._settings.retention_bytes_max
        first = await self._server.message(self._name, state.first_seq) if unsure and not full else None
        since = to_micros(self._clock.now()) - self._settings.retention_hours * 3_600 * _MICROS
        headers = last.headers if last is not None else {}

        def ask(connection: Connection) -> tuple[Cursor | None, bool, Cursor]:
            tail = _known(connection, headers)
            missing = False
            head = _known(connection, first.headers) if first is not None else None
            if head is not None:
                recorded = places.recorded_before(connection, head)
                missing = recorded is not None and recorded >= since
            return tail, missing, places.before(connection, since)

        tail, missing, window = await self._store.read(ask)
        seen = Seen(
            stream=info.created,
            first=state.first_seq,
            last=state.last_seq,
            messages=state.messages,
            gaps=state.num_deleted,
            tail=None if tail is None else (tail.transaction, tail.position),
            tail_event_id=headers.get(EVENT, ""),
            tail_generation=int(headers.get(REPETITION, "0")),
            head_missing=missing,
        )
        return judge(place, seen, (window.transaction, window.position))

    # -- carrying

    async def _carry(self) -> None:
        """Publish what the journal holds behind the place, window by window, until it is time to look again."""
        while True:
            self._grew.clear()
            now = self._clock.monotonic()
            if now >= self._held_until:
                await self._hold()
            if now >= self._look_at:
                await self._save()
                await self._look()
            cursor = Cursor(*self._place.cursor)
            pairs = await self._store.read(
                partial(journal.follow, tenant_id="", cursor=cursor, limit=self._settings.publish_window)
            )
            if pairs:
                await self._publish(pairs)
            await self._save_sometimes(idle=not pairs)
            if not pairs:
                await _set_within(self._grew, min(max(self._look_at - now, 0.05), 1.0))

    async def _publish(self, pairs: list[tuple[Event, Cursor]]) -> None:
        place, root, limit = self._place, self._root(), self._server.payload_bytes_max
        parcels = [
            parcel(event, cursor, place, prefix=self._settings.prefix, root=root, content_bytes_max=limit)
            for event, cursor in pairs
        ]
        fresh = await self._publisher.publish(parcels, place.sequence, ACK_SECONDS_MAX)
        event, cursor = pairs[-1]
        sequence = place.sequence + len(pairs)
        if not fresh:
            # The server knew an id. Whether it also has the message is for the stream to show.
            self.counts.repeated += 1
            stored = await self._server.message(self._name, sequence)
            if stored is None or stored.headers.get(ID) != message_id(event.id, place):
                raise OutOfStep("an event was taken for a repetition and is not in the stream")
        self._place = msgspec.structs.replace(
            place, cursor=(cursor.transaction, cursor.position), sequence=sequence, event_id=event.id
        )
        self.counts.published += len(pairs)
        if self._lag.events or self._lag.trouble:
            self._lag = Lag(max(0, self._lag.events - len(pairs)), _age(self._clock, event))

    async def _save_sometimes(self, *, idle: bool) -> None:
        waited = self._clock.monotonic() - self._saved_at
        if self._place.sequence - self._saved.sequence >= PLACE_EVENTS or (
            self._place != self._saved and waited >= PLACE_SECONDS
        ):
            await self._save()
        if idle and self._lag.events:
            self._lag = Lag()

    async def _save(self) -> None:
        """Move the place in the record, under our epoch. Raises OutOfStep when another process has taken over."""
        place, epoch, now = self._place, self._epoch, to_micros(self._clock.now())
        if place == self._saved:
            return
        moved = await self._store.write(lambda connection: places.move(connection, self._name, epoch, place, now))
        if not moved:
            raise OutOfStep("another process moves the place")
        self._saved, self._saved_at = place, self._clock.monotonic()


def stream_config(settings: BackboneSettings) -> dict[str, Any]:
    """Return the stream as the settings want it."""
    return {
        "name": stream_of(settings.prefix),
        "subjects": [all_of(settings.prefix)],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": settings.replicas,
        "max_age": settings.retention_hours * 3_600 * _NANOS,
        "max_bytes": settings.retention_bytes_max,
        "duplicate_window": DUPLICATE_WINDOW_SECONDS * _NANOS,
    }


def _known(connection: Connection, headers: dict[str, str]) -> Cursor | None:
    return places.cursor_of(connection, headers.get(EVENT, ""), Cursor.parse(headers.get(CURSOR, "")))


def _age(clock: Clock, event: Event) -> float:
    return max(0.0, (clock.now() - event.recorded_at).total_seconds())


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
