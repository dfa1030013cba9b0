"""Wake-ups between the workers of one record: over NATS, or within one process.

A wake-up says only "look": what there is to do stands in the record. One that is lost costs the interval of the sweep.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

import msgspec
import structlog

from ..config import BackboneSettings
from .connection import BackboneAway, BackboneRefused, Message, Server, ended
from .subjects import wake_of

log = structlog.get_logger()

PAUSE_SECONDS_MAX = 5.0
# One message says no more than this; whoever has more to say says "all".
SLOTS_MAX = 1_024

_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(list[int]).decode


class WakeUp(Protocol):
    """How workers tell each other that slots have work. Nothing is kept for who does not listen."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...

    def notify(self, slots: Iterable[int]) -> None:
        """Tell every listener, this process included, that these slots have work. Returns at once; may be lost."""
        ...

    def listen(self) -> AsyncIterator[frozenset[int]]:
        """Yield sets of slots that may have work. An empty set means: look at all."""
        ...


class LocalWakeUp:
    """Wake-ups within one process. Slots that are named while nobody looks are put together."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[set[int], asyncio.Event]] = {}
        self._listeners = 0

    def start(self) -> None:
        """Listeners bring their own tasks."""

    async def stop(self) -> None:
        """Listeners end by themselves."""

    def notify(self, slots: Iterable[int]) -> None:
        named = set(slots)
        for waiting, event in self._waiting.values():
            waiting |= named
            if not named or len(waiting) > SLOTS_MAX:
                waiting.clear()
                waiting.add(-1)
            event.set()

    async def listen(self) -> AsyncIterator[frozenset[int]]:
        self._listeners += 1
        mine, waiting, event = self._listeners, set[int](), asyncio.Event()
        self._waiting[mine] = (waiting, event)
        try:
            while True:
                await event.wait()
                event.clear()
                named = frozenset() if -1 in waiting else frozenset(waiting)
                waiting.clear()
                yield named
        finally:
            del self._waiting[mine]


class NatsWakeUp:
    """Wake-ups over a core NATS subject: at most once, to every process that listens.

    After a connection was lost every listener is told to look at all: nobody knows what was missed.
    """

    def __init__(self, settings: BackboneSettings, *, holder: str) -> None:
        self._server = Server(settings, name=f"crossdock wake-ups {holder}")
        self._subject = wake_of(settings.prefix)
        self._local = LocalWakeUp()
        self._unsaid: set[int] = set()
        self._say = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._for_ever())

    async def stop(self) -> None:
        if self._task is not None:
            await ended(self._task)
        await self._server.close()

    @property
    def connected(self) -> bool:
        return self._server.connected

    def notify(self, slots: Iterable[int]) -> None:
        named = set(slots)
        if not self._server.connected:
            # The others sweep; our own workers need no broker.
            self._local.notify(named)
            return
        self._unsaid |= named or {-1}
        self._say.set()

    def listen(self) -> AsyncIterator[frozenset[int]]:
        return self._local.listen()

    async def _for_ever(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._server.connect()
                await self._server.subscribe(self._subject, self._heard)
                self._local.notify(())
                pause = 0.1
                await self._speak()
            except (BackboneAway, BackboneRefused) as error:
                log.debug("wake.away", error=str(error))
            unsaid, self._unsaid = self._unsaid, set()
            await self._server.close()
            self._local.notify(unsaid - {-1})
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _speak(self) -> None:
        while self._server.connected:
            try:
                async with asyncio.timeout(1.0):
                    await self._say.wait()
            except TimeoutError:
                continue
            self._say.clear()
            named, self._unsaid = self._unsaid, set()
            everything = -1 in named or len(named) > SLOTS_MAX
            await self._server.publish(self._subject, _ENCODE([] if everything else sorted(named)))

    async def _heard(self, message: Message) -> None:
        try:
            self._local.notify(_DECODE(message.data))
        except msgspec.DecodeError:
            log.warning("wake.unreadable", size=len(message.data))
