"""Worker processes of one parent: started, started again when they die, ended with it however it ends.

A child ends in order when its standard input is closed: the parent closes it when it stops, the kernel does when the
parent is killed. So there is never a worker whose parent is gone.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence

import structlog

log = structlog.get_logger()

AGAIN_SECONDS = 1.0
STOP_SECONDS_MAX = 45.0
FOLLOW = "--follow-parent"


class Supervisor:
    """Keeps some children alive. `start` begins, `stop` ends all of them."""

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = [*command, FOLLOW]
        self._count = count
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Start the children; each is started again when it ends by itself."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(place)) for place in range(self._count)]

    def pids(self) -> list[int]:
        """Return the process ids of the children that run."""
        return [child.pid for child in self._children.values() if child.returncode is None]

    async def _keep(self, place: int) -> None:
        while not self._stops():
            child = await asyncio.create_subprocess_exec(*self._command, stdin=asyncio.subprocess.PIPE)
            self._children[place] = child
            if self._stops() and child.stdin is not None:
                child.stdin.close()
            code = await child.wait()
            if not self._stops():
                log.error("worker.ended", pid=child.pid, code=code)
                await asyncio.sleep(AGAIN_SECONDS)

    def _stops(self) -> bool:
        return self._stopping

    async def stop(self) -> None:
        """End every child in order; whoever does not end in time is killed: nothing is lost by that."""
        self._stopping = True
        for child in self._children.values():
            if child.stdin is not None:
                child.stdin.close()
        for task in self._tasks:
            if not self._children:
                task.cancel()
        _, hanging = await asyncio.wait(self._tasks, timeout=STOP_SECONDS_MAX) if self._tasks else ((), ())
        for child in self._children.values():
            if child.returncode is None:
                log.error("worker.killed", pid=child.pid)
                child.kill()
        for task in hanging:
            task.cancel()


def command_of_worker() -> list[str]:
    """Return the command that runs one worker with this process's settings."""
    return [sys.executable, "-m", "crossdock", "up", "--role", "worker", "--no-links"]


def follow_parent(ended: Callable[[], None]) -> None:
    """Call `ended` on the running event loop when standard input is closed: the parent stopped, or is gone."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 4096):
            """Nobody writes; only the end counts."""
        loop.call_soon_threadsafe(ended)

    threading.Thread(target=wait, name="follow-parent", daemon=True).start()
