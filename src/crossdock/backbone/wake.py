"""Wake-ups between the workers of one record over NATS: one core subject, at most once, to every process that listens.

A wake-up says only "look": what there is to do stands in the record. One that is lost costs the interval of the sweep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import msgspec
import structlog

from ..config import BackboneSettings
from ..durable.wake import Woken
from .connection import Message, Server, ended
from .subjects import wake_of

log = structlog.get_logger()

PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0
# More slots than any record has: whatever is named beyond them is not said.
SLOTS_MAX = 65_536

_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(list[int]).decode


class NatsWakeUp:
    """The port `durable.wake.WakeUp` over NATS. Slots named while a message is on its way go together with the next.

    While NATS is away nothing is kept: the others sweep. `start` does not wait for a server.
    """

    def __init__(self, settings: BackboneSettings, *, holder: str) -> None:
        self._server = Server(settings, name=f"crossdock wake-ups {holder}")
        self._subject = wake_of(settings.prefix)
        self._woken: Woken = _nobody
        self._unsaid: set[int] = set()
        self._say = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""

    def within(self, connection: Any, slots: Collection[int]) -> None:
        """A broker takes no part in the transaction: who is woken before the commit would find nothing."""

    def after(self, slots: Collection[int]) -> None:
        """Tell every process that listens, this one included. Returns at once; may be lost."""
        if self._server.connected and len(self._unsaid) < SLOTS_MAX:
            self._unsaid.update(slots)
            self._say.set()

    async def start(self, woken: Woken) -> None:
        """Listen from now on, and again whenever NATS was away."""
        self._woken = woken
        self._task = asyncio.get_running_loop().create_task(self._for_ever())

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            await ended(self._task)
        await self._server.close()

    def trouble(self) -> str:
        """Say in words why wake-ups are not heard; empty when all is well."""
        return self._trouble

    @property
    def connected(self) -> bool:
        """Whether wake-ups are heard now."""
        return self._server.connected

    async def _for_ever(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                await self._server.connect()
                await self._server.subscribe(self._subject, self._heard)
                pause = PAUSE_SECONDS_MIN
                self._note(None)
                # Nobody knows what was announced before: no slot means all of them.
                self._woken([])
                await self._speak()
            except Exception as error:  # noqa: BLE001 - the listener: whatever breaks it, it begins anew
                self._note(error)
            self._unsaid.clear()
            await self._server.close()
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def _note(self, error: Exception | None) -> None:
        """Keep why nothing is heard for `trouble`; log it when it changes, not at each try."""
        trouble = "" if error is None else str(error) or type(error).__name__
        if trouble and trouble != self._trouble:
            log.warning("wake.not_heard", error=trouble, code=getattr(error, "code", ""))
        elif self._trouble and not trouble:
            log.info("wake.heard_again")
        self._trouble = trouble

    async def _speak(self) -> None:
        while self._server.connected:
            try:
                async with asyncio.timeout(1.0):
                    await self._say.wait()
            except TimeoutError:
                continue
            self._say.clear()
            named, self._unsaid = self._unsaid, set()
            await self._server.publish(self._subject, _ENCODE(sorted(named)))

    async def _heard(self, message: Message) -> None:
        try:
            self._woken(_DECODE(message.data))
        except msgspec.DecodeError:
            log.warning("wake.unreadable", size=len(message.data))


def _nobody(slots: Collection[int]) -> None:
    """Before `start` there is nobody to wake."""
