"""One process among several on a PostgreSQL record: it registers, beats, takes slots over and gives them back.

The heartbeat has a thread and a connection of its own, so that neither a busy event loop nor a long query costs the
lease. What it finds is told to the event loop, where everything else lives. A lost lease drops all memory and registers
anew, under a higher number. `--role web` registers and takes no slots.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, Literal

import structlog

from ..durable.identity import Clock, Ids
from ..durable.lanes import HEARTBEAT_SECONDS, LEASE_SECONDS, SLOTS, Ownership, poll_lane, slot_of
from ..durable.wake import SLOTS_ARE_FREE, WakeUp
from ..flow.collect import Collector
from ..flow.handover import Handover, Taken
from ..flow.pipeline import Pipeline
from ..flow.send import Sender
from ..store import connections, workers
from ..store.engine import Connection, Fenced, Store, StoreUnavailable

log = structlog.get_logger()

Role = Literal["alone", "all", "web", "worker"]

AGAIN_SECONDS = 0.25
YIELD_POLL_SECONDS = 0.02
LEASE_MICROS = int(LEASE_SECONDS * 1e6)
# The slot whose owner does what only one process does: deadlines, old sessions.
CHORES_SLOT = 0


class _NotYet(Exception):
    """Something of the slots to be given back is still on its way."""


class Cluster:
    """The membership of one process. `start` registers, `stop` leaves in order."""

    def __init__(
        self,
        store: Store,
        *,
        role: Role,
        clock: Clock,
        ids: Ids,
        wake: WakeUp,
        connect: Callable[[], Any],
        ownership: Ownership,
        pipeline: Pipeline,
        sender: Sender,
        collector: Collector,
        tenants: Callable[[], Sequence[str]],
        weight_of: Callable[[str], float],
        on_chores: Callable[[], Awaitable[None]],
    ) -> None:
        self.ownership = ownership
        self._store = store
        self._role = role
        self._wake = wake
        self._connect = connect
        self._pipeline = pipeline
        self._sender = sender
        self._collector = collector
        self._on_chores = on_chores
        self.handover = Handover(ownership, wake, clock=clock, ids=ids, tenants=tenants, weight_of=weight_of)
        pipeline.share(self.handover, self._fenced_out)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._poke = threading.Event()
        self._stopping = threading.Event()
        self._registered = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.live: tuple[int, ...] = ()
        self.taken_over = 0

    # -- life

    async def start(self) -> None:
        """Join the others; return when this process is registered."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._store.write_now, workers.resettle_sends)
        await self._wake.start(self._woken)
        self._thread = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)
        self._thread.start()
        await self._registered.wait()

    async def stop(self) -> None:
        """Give every slot back and leave; the others hear of it at once. To be called when nothing is in flight."""
        self._stopping.set()
        self._poke.set()
        for task in list(self._tasks):
            task.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        await self._wake.stop()
        number, self.ownership.slots = self.ownership.number, frozenset()
        if number:
            with contextlib.suppress(StoreUnavailable):
                await self._store.write(partial(self._leave, number))
            self._wake.after([SLOTS_ARE_FREE])
        self.ownership.lose()

    def let_go(self) -> None:
        """Take nothing more and drop what was not begun: it is in the record, and others may do it."""
        self._stopping.set()
        self.ownership.leaving = self.ownership.slots
        self._pipeline.drop(self.ownership.slots)

    def _leave(self, number: int, connection: Connection) -> None:
        workers.fence(connection, number)
        workers.leave(connection, number)
        self._wake.within(connection, [SLOTS_ARE_FREE])

    def does_chores(self) -> bool:
        """Tell whether this process does what only one of all does."""
        return self.ownership.holds(CHORES_SLOT) and self.ownership.sure()

    async def tick(self) -> None:
        """Look for what was handed over although nobody was woken for it; run what may have killed a worker."""
        if self.ownership.slots and not self._stopping.is_set():
            self._pipeline.take()
            await self._pipeline.run_suspects()

    def trouble(self) -> str:
        """Say in words what keeps this process from working; empty when all is well."""
        if not self.ownership.number:
            return "this process lost its lease and is not registered again yet"
        if not self.ownership.sure():
            return "the lease of this worker is in doubt: the record does not answer"
        deaf = self._wake.trouble()
        return f"workers do not hear of each other's work at once and look every second instead: {deaf}" if deaf else ""

    # -- the heartbeat's thread

    def _beat_for_ever(self) -> None:
        connection: Any = None
        while not self._stopping.is_set():
            self._poke.clear()
            try:
                connection = connection or self._connect()
                if not self.ownership.number:
                    self._register(connection)
                self._beat(connection)
            except Fenced as error:
                log.warning("worker.lease_lost", error=str(error))
                self._on_loop(partial(self._lose, self.ownership.number))
                self._poke.wait(AGAIN_SECONDS)
                continue
            except Exception as error:  # noqa: BLE001 - the heartbeat: it goes on whatever the record answers
                log.warning("worker.beat_failed", error=repr(error))
                with contextlib.suppress(Exception):
                    connection.raw.close()
                connection = None
                self._stopping.wait(AGAIN_SECONDS)
                continue
            self._poke.wait(HEARTBEAT_SECONDS)
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.raw.close()

    def _register(self, connection: Any) -> None:
        began = time.monotonic()
        with connection.raw.transaction():
            number = workers.register(connection, self._name, self._role, LEASE_MICROS)
        self.ownership.lease_until = began + LEASE_SECONDS
        self.ownership.number = number
        log.info("worker.registered", worker=number, role=self._role)

    def _beat(self, connection: Any) -> None:
        number, began = self.ownership.number, time.monotonic()
        if not number:
            return
        with connection.raw.transaction():
            found = workers.beat(connection, number, LEASE_MICROS, takes_slots=self._role != "web")
            if found.dead:
                # The others take their share now, not at their next beat.
                self._wake.within(connection, [SLOTS_ARE_FREE])
        self._on_loop(partial(self._beaten, number, began + LEASE_SECONDS, found))

    def _on_loop(self, function: Callable[[], None]) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    # -- on the event loop

    def _woken(self, slots: Collection[int]) -> None:
        if SLOTS_ARE_FREE in slots:
            self._poke.set()
        if not self.ownership.number or self._stopping.is_set():
            return
        if not slots or any(self.ownership.holds(slot) for slot in slots):
            self._pipeline.take()

    def _beaten(self, number: int, lease_until: float, found: workers.Beat) -> None:
        if number != self.ownership.number or self._stopping.is_set():
            return
        self.ownership.lease_until = lease_until
        self.live = found.live
        self._registered.set()
        if found.dead:
            log.warning("worker.dead", workers=list(found.dead))
            self._wake.after([SLOTS_ARE_FREE])
        if found.taken:
            self.taken_over += len(found.taken)
            log.info("slots.taken", worker=number, slots=len(found.taken), of_dead=sum(found.taken.values()))
            self._task(self._take_over(number, found.taken))
        surplus = frozenset(found.surplus) & self.ownership.slots - self.ownership.leaving
        if surplus and not self.ownership.leaving:
            self._task(self._give_up(number, surplus))

    def _task(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("cluster.failed", exc_info=task.exception())

    def _fenced_out(self) -> None:
        """The pipeline found that this process is no worker any more."""
        self._lose(self.ownership.number)

    def _lose(self, number: int) -> None:
        """Drop everything: others may have taken over. What is in flight ends, and its outcome counts for nothing."""
        if number and number == self.ownership.number:
            self.ownership.lose()
            self._sender.drop()
            self._pipeline.drop()
        self._poke.set()

    async def _take_over(self, number: int, slots: dict[int, bool]) -> None:
        """Load everything open of new slots, then work them: what is in the record comes before what is made now."""

        def loaded(taken: Taken) -> None:
            if number == self.ownership.number:
                self.ownership.slots |= frozenset(slots)
                self._pipeline.taken(taken)
                log.info(
                    "slots.loaded",
                    slots=len(slots),
                    messages=len(taken.fresh),
                    suspects=sum(map(len, taken.suspects)),
                    sends=len(taken.sends),
                )

        while number == self.ownership.number:
            try:
                await self._pipeline.write(partial(self._load, slots), then=loaded)
                if CHORES_SLOT in slots:
                    await self._on_chores()
            except Fenced:
                return
            except StoreUnavailable as error:
                log.warning("slots.not_loaded", error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    def _load(self, slots: dict[int, bool], connection: Connection) -> Taken:
        if len(slots) == SLOTS:
            # Nobody else works: what the last ones knew of partners is old.
            connections.reset_circuits(connection)
        return self.handover.load_slots(connection, slots)

    async def _give_up(self, number: int, slots: frozenset[int]) -> None:
        """Give slots to a worker that joined: begin nothing more of them, let end what is on its way, hand back."""
        self.ownership.leaving = slots

        def gone(tenant_id: str, lane: str) -> bool:
            return slot_of(tenant_id, lane) in slots

        def polled(tenant_id: str, connection_id: str) -> bool:
            return gone(tenant_id, poll_lane(connection_id))

        def make() -> Callable[[Connection], None]:
            held = self._pipeline.in_doubt() or self._pipeline.holds(gone)
            if held or self._sender.busy(gone) or self._collector.polls(polled):
                raise _NotYet
            reserved = [one for one in self._sender.unstarted() if gone(one.tenant_id, one.lane)]
            return lambda connection: self.handover.give_back(connection, slots, reserved)

        def given(_: None) -> None:
            if number == self.ownership.number:
                self.ownership.slots -= slots
                self._sender.drop(gone)
                self._pipeline.drop(slots)
                log.info("slots.given_back", slots=len(slots))

        try:
            while number == self.ownership.number:
                try:
                    await self._pipeline.exclusively(make, given)
                except Fenced:
                    return
                except (_NotYet, StoreUnavailable):
                    await asyncio.sleep(YIELD_POLL_SECONDS)
                else:
                    self._wake.after([SLOTS_ARE_FREE])
                    return
        finally:
            if number == self.ownership.number:
                self.ownership.leaving = frozenset()
