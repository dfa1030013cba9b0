"""The turn: one transaction decides at a time, on every engine. Two that load the same order would lose one decision.

Where several processes share the record each transaction is fenced: it fails if this process is no worker any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from ..store.engine import Connection, Contention, Fenced, Store
from .handover import Handover

log = structlog.get_logger()
T = TypeVar("T")

# How often a transaction that came second is run again at once, before it is treated as a fault.
CONTENTIONS_MAX = 8


class Turn:
    """The order in which a worker writes. Lives on one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._handover: Handover | None = None
        self._fenced_out: Callable[[], None] = lambda: None
        self._lock = asyncio.Lock()

    def share(self, handover: Handover, fenced_out: Callable[[], None]) -> None:
        """Fence every transaction from now on; `fenced_out` is called when this process is found to be no worker."""
        self._handover, self._fenced_out = handover, fenced_out

    async def write(self, function: Callable[[Connection], T], then: Callable[[T], None] | None = None) -> T:
        """Run something in the record, and again when it came second. Raises Contention when it always did.

        `then` is called after the commit and before the next turn. Whoever is cancelled while it runs leaves the turn
        only when it has ended.
        """
        for _ in range(CONTENTIONS_MAX):
            try:
                return await self.exclusively(lambda: function, then)
            except Contention as error:
                log.info("write.again", error=str(error))
        return await self.exclusively(lambda: function, then)

    async def exclusively(
        self, make: Callable[[], Callable[[Connection], T]], then: Callable[[T], None] | None = None
    ) -> T:
        """Like `write`, but run once, with a function that is made when the turn has come."""
        await self._lock.acquire()
        task = asyncio.get_running_loop().create_task(self._run(make, then, self._store.write))
        task.add_done_callback(self._end)
        return await asyncio.shield(task)

    async def write_cycle(self, function: Callable[[Connection], T], then: Callable[[T], None] | None = None) -> T:
        """Like `write`, for the cycle itself: nobody cancels it, its work is bounded, and it is run once."""
        async with self._lock:
            return await self._run(lambda: function, then, self._store.write_here)

    async def _run(
        self,
        make: Callable[[], Callable[[Connection], T]],
        then: Callable[[T], None] | None,
        write: Callable[[Callable[[Connection], T]], Awaitable[T]],
    ) -> T:
        function = make()
        if self._handover is None:
            result = await write(function)
        else:
            try:
                result = await write(self._handover.fenced(function))
            except Fenced:
                self._fenced_out()
                raise
        if then is not None:
            then(result)
        return result

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._lock.release()
        if not task.cancelled():
            # Nobody may be waiting for it any more: say that its error was seen.
            task.exception()
