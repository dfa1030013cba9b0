"""The clockwork of a hub: runs every step of a tick by itself and remembers what fails, and since when.

Which steps there are is the hub's business. One that fails never keeps the others from running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from ..durable.identity import Clock

log = structlog.get_logger()

FAILING_SECONDS_MAX = 60.0


class Ticker:
    """Lives on one event loop. `start` makes it run by itself, `stop` ends it; `tick` runs every step once."""

    def __init__(self, clock: Clock, steps: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        self._clock = clock
        self._steps = steps
        self._failing: dict[str, tuple[float, str]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self, interval_seconds: float) -> None:
        """Tick from now on, with this pause between."""
        self._task = asyncio.get_running_loop().create_task(self._for_ever(interval_seconds))

    async def stop(self) -> None:
        """End it, however it is. Never raises what ended it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def tick(self) -> None:
        """Run every step; raise the first error after all of them have run."""
        first: Exception | None = None
        for name, step in self._steps.items():
            try:
                await step()
            except Exception as error:  # noqa: BLE001 - the worker: what fails is logged, kept in mind and raised below
                since, _ = self._failing.get(name, (self._clock.monotonic(), ""))
                self._failing[name] = (since, f"{type(error).__name__}: {error}")
                log.error("tick.failed", step=name, error=repr(error))
                first = first or error
            else:
                self._failing.pop(name, None)
        if first is not None:
            raise first

    async def _for_ever(self, interval_seconds: float) -> None:
        while True:
            try:
                await self.tick()
            except Exception as error:  # noqa: BLE001 - the worker: logged by `tick`; the next one comes all the same
                log.debug("tick.goes_on", error=repr(error))
            await asyncio.sleep(interval_seconds)

    def dead(self) -> bool:
        """Tell whether it was started and has ended by itself."""
        return self._task is not None and self._task.done()

    def trouble(self) -> str:
        """Return what has been failing for longer than a minute, or an empty text."""
        now = self._clock.monotonic()
        lasting = [
            f"{name} fails: {what}"
            for name, (since, what) in self._failing.items()
            if now - since >= FAILING_SECONDS_MAX
        ]
        return "; ".join(lasting)
