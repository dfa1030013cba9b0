"""One machine that runs the real hub on the disk in memory: started, killed, cut from power, stopped, paused.

What ends with a life can do nothing any more: its tasks are cancelled, its disk handles are dead, its connectors never
arrive. The supervisor is an operating system's: a hub whose record broke is ended and started anew.
"""

from __future__ import annotations

import asyncio
import base64
import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import apsw
import structlog

from crossdock.bootstrap import Hub
from crossdock.bootstrap import hub as hub_module
from crossdock.config import Settings, load_settings
from crossdock.connectors import registry
from crossdock.sdk import ConnectorContext
from crossdock.store.engine import StoreUnavailable

from .clockwork import SimulatedClock, VirtualLoop, in_life
from .disk import Disk
from .partners import SimulatedConnector
from .record import InlineStore

if TYPE_CHECKING:
    from .world import World

TICK_SECONDS = 1.0
RESTART_SECONDS = 2.0


class NoAnswer(ConnectionError):
    """The machine did not answer: it is down, it went down, or the answer was lost."""


class Died(BaseException):
    """The process ends at this very instant."""


@functools.cache
def settings() -> Settings:
    return load_settings(
        environment={},
        overrides={
            "store.url": "sqlite:////hub.db",
            "security.root_key": base64.b64encode(bytes(32)).decode(),
        },
    )


class Machine:
    """See above. `disk` outlives every life."""

    def __init__(self, world: World, disk: Disk) -> None:
        self._world = world
        self.disk = disk
        self.clock = SimulatedClock(world.loop)
        self.hub: Hub | None = None
        self.store: InlineStore | None = None
        self._ended: asyncio.Event = asyncio.Event()
        self._up: asyncio.Event = asyncio.Event()
        self._power = False
        self.starts = 0

    # -- life and death

    async def run(self) -> None:
        """Keep a hub running for ever."""
        while True:
            await self._start()
            await self._ended.wait()
            await asyncio.sleep(RESTART_SECONDS)

    async def _start(self) -> None:
        world = self._world
        world.life += 1
        self.starts += 1
        self._ended = asyncio.Event()
        mine = world.life
        context = in_life(mine)
        self.disk.on_write = world.at_write
        self.disk.on_sync = world.at_sync
        try:
            self.store = context.run(InlineStore, self.disk)
        except apsw.Error as error:
            world.note("no start", type(error).__name__)
            self.end("kill")
            return
        self.store._connection.raw.execute(f"pragma wal_autocheckpoint={world.checkpoint_pages}").fetchall()
        self.store.before_commit = functools.partial(world.at_commit, "before")
        self.store.after_commit = functools.partial(world.at_commit, "after")
        global _building
        _building = (world, self.store)
        start = Hub.start(settings(), clock=self.clock, ids_seed=world.plan.seed * 4096 + mine * 2)
        task = world.loop.create_task(start, context=context)
        await asyncio.wait([task, world.outside(self._ended.wait())], return_when=asyncio.FIRST_COMPLETED)
        if world.life != mine or not task.done():
            return
        if task.cancelled() or task.exception() is not None:
            world.note("no start", repr(task.exception()) if not task.cancelled() else "cancelled")
            if world.life == mine:
                self.end("kill")
            return
        self.hub = task.result()
        world.log_in_doubt = False
        context.run(self.hub._ticker.start, TICK_SECONDS)
        world.note("up", mine)
        self._up.set()

    def end(self, how: str) -> None:
        """End this life now: `kill` keeps what was written, `power` only what was synced and some more."""
        world = self._world
        self._up.clear()
        self.disk.cut()
        ended, world.life = world.life, world.life + 1
        world.loop.end_life(ended)
        self.disk.on_write = self.disk.on_sync = None
        stopped = self.hub is None or self.store is None or self.store.broken() is not None
        if self.store is not None:
            self.store.before_commit = self.store.after_commit = None
            self.store.close()
        self.hub = self.store = None
        # A process that stops at a failed fsync is promised its log until the next start has settled it.
        self.disk.restart(world.chance, power=how == "power" and not (world.log_in_doubt and stopped))
        world.note("down", how)
        self._ended.set()

    def die_soon(self, how: str) -> None:
        """End inside a call of the hub: what is written from now on never reaches the disk."""
        self.disk.cut()
        self._world.loop.call_soon(self._end_if, self._world.life, how, context=in_life(0))

    def _end_if(self, life: int, how: str) -> None:
        if self._world.life == life:
            self.end(how)

    async def stop(self) -> None:
        """Ask for an orderly end, as a service manager does."""
        if self.hub is None:
            return
        mine, hub = self._world.life, self.hub
        self._up.clear()
        task = self._world.loop.create_task(hub.stop(), context=in_life(mine))
        await asyncio.wait([task], timeout=60.0)
        if self._world.life == mine:
            self.end("kill")

    def watch(self) -> None:
        """End a hub whose record takes nothing more."""
        if self.store is not None and self.store.broken() is not None:
            self.end("kill")

    # -- what others ask of it

    async def call(self, work: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
        """Run something in the hub, as a request over the network would. Raises NoAnswer when it went down."""
        hub, mine = self.hub, self._world.life
        if hub is None or not self._up.is_set():
            raise NoAnswer
        task = self._world.loop.create_task(work(hub), context=in_life(mine))
        await asyncio.wait([task, self._world.outside(self._ended.wait())], return_when=asyncio.FIRST_COMPLETED)
        if self._world.life != mine or not task.done() or task.cancelled():
            raise NoAnswer
        return task.result()

    async def up(self) -> None:
        await self._up.wait()

    @property
    def is_up(self) -> bool:
        return self._up.is_set()


_building: tuple[World, InlineStore] | None = None


def _open_store(url: str, *, readers: int = 3) -> InlineStore:
    assert _building is not None
    return _building[1]


def _create(kind: str, context: ConnectorContext) -> SimulatedConnector:
    assert _building is not None
    world = _building[0]
    return SimulatedConnector(world, context.tenant_id, context.connection_id, world.life)


@functools.cache
def install() -> None:
    """Put the simulated edges in place: the record's disk and the partners. Everything between them is the product."""
    hub_module.open_store = _open_store  # type: ignore[assignment]
    hub_module.logs.configure = lambda settings: None  # type: ignore[assignment]
    registry.create = _create  # type: ignore[assignment]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


__all__ = ["Died", "Machine", "NoAnswer", "StoreUnavailable", "VirtualLoop", "install", "settings"]
