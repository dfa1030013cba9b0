"""A TCP proxy that stands for the network between two real processes, and can fail as one does.

A paused peer is not a partition: what the kernel holds for it still arrives. Here a partition is real, because what the
proxy has not passed on is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

CHUNK_BYTES = 65_536


class FaultProxy:
    """Forwards every connection to `target` (a port of this machine), until told otherwise.

    `latency_seconds` delays each chunk, in each direction, by up to that long.
    """

    def __init__(self, target: int, *, latency_seconds: float = 0.0, chance: random.Random | None = None) -> None:
        self.target = target
        self.latency_seconds = latency_seconds
        self.port = 0
        self._chance = chance or random.Random(0)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._refusing = False
        # Chunks pass while this is set; a half-open link swallows them instead.
        self._swallowing = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut everything and listen no more."""
        if self._server is not None:
            self._server.close()
        self._abort()
        await asyncio.gather(*self._tasks)

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._refusing = True
        self._abort()

    def half_open(self) -> None:
        """Keep every connection open and accept new ones, but let nothing through, in either direction."""
        self._swallowing = True

    def heal(self, target: int = 0) -> None:
        """Let connections through again, to another port if given. Those of before are reset: nobody knows them."""
        self._abort()
        self.target = target or self.target
        self._refusing = self._swallowing = False

    def _abort(self) -> None:
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._refusing:
                return
            if self._swallowing:
                while await reader.read(CHUNK_BYTES):
                    """Nobody hears it."""
                return
            await self._forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            """One of the two ends is gone, or the link is; who is left is told by the end of the connection."""
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.add(far_writer)
        directions = [
            asyncio.create_task(self._pass_on(reader, far_writer)),
            asyncio.create_task(self._pass_on(far_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in directions:
                one.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            self._writers.discard(far_writer)
            far_writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if self.latency_seconds:
                    await asyncio.sleep(self._chance.uniform(0.0, self.latency_seconds))
                if not self._swallowing:
                    writer.write(chunk)
                    await writer.drain()
            if self._swallowing:
                # An end of a half-open link does not learn that the other is gone.
                await asyncio.Event().wait()
