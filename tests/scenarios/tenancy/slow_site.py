"""A warehouse's HTTP door on loopback that answers only when the scenario lets it.

Counts what it was sent. Never decides what is right: the scenarios do.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class SlowSite:
    """Takes every POST; its answers wait for `gate`."""

    def __init__(self) -> None:
        self.received = 0
        self.gate = asyncio.Event()
        self._arrived = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> SlowSite:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self.gate.set()
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def received_at_least(self, count: int) -> None:
        """Return when so many requests are here."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: self.received >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                async with self._arrived:
                    self.received += 1
                    self._arrived.notify_all()
                await self.gate.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
