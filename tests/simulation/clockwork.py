"""Time that is only counted: an event loop whose sleeps cost nothing, and the clock of a simulated machine.

One thread, no selector, no socket: what runs next depends on the order in which it was asked for and on virtual time
alone, so one seed gives one run.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)

# Which life of which machine a task belongs to; 0 is the world outside, which is never killed.
life: contextvars.ContextVar[int] = contextvars.ContextVar("life", default=0)


class Stuck(RuntimeError):
    """Nothing is left that could ever happen."""


class _NoSelector:
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("every task waits for another one")
        if timeout > 0:
            self._loop.moment += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop in virtual time (`moment`, seconds). Remembers the tasks of each life so that they can be ended."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 0.0
        self._selector = _NoSelector(self)
        self._clock_resolution = 1e-6
        self.tasks: dict[int, dict[asyncio.Task[Any], None]] = {}
        self.set_task_factory(self._make)
        # What a request raised after its machine went down is nobody's any more.
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        return self.moment

    def _process_events(self, events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...

    def _make(self, loop: Any, coroutine: Any, context: Any = None, **more: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, context=context, **more)
        mine = self.tasks.setdefault(context[life] if context is not None and life in context else life.get(), {})
        mine[task] = None
        task.add_done_callback(lambda done: mine.pop(done, None))
        return task

    def run_in_executor(self, executor: Any, function: Any, *arguments: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run it here and now: there are no threads."""
        future = self.create_future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # handed to whoever waits
            future.set_exception(error)
        return future

    def end_life(self, number: int) -> list[asyncio.Task[Any]]:
        """Cancel every task of a life, in the order they were made."""
        ended = list(self.tasks.pop(number, {}))
        for task in ended:
            task.cancel()
        return ended

    def pause(self, seconds: float) -> None:
        """Let time pass while nothing runs: what a stopped process finds when it goes on."""
        self.moment += seconds


class SimulatedClock:
    """The clock of a machine: virtual time, plus what its wall clock is off by."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.off = timedelta()

    def now(self) -> datetime:
        return START + timedelta(microseconds=round(self._loop.moment * 1e6)) + self.off

    def monotonic(self) -> float:
        return self._loop.moment


def in_life(number: int) -> contextvars.Context:
    """Return a context whose tasks belong to a life."""
    context = contextvars.copy_context()
    context.run(life.set, number)
    return context


def run(loop: VirtualLoop, main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, then end whatever is left."""
    try:
        return loop.run_until_complete(main)
    finally:
        left = [task for number in list(loop.tasks) for task in loop.end_life(number)]
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
