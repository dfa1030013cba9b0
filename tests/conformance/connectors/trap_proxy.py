"""A TCP proxy that cuts or stalls a connection at the moment the server has acted.

It looks before it passes on each piece of the server's answer: a server that has renamed a file answers only then,
so a trap that looks for the file catches the answer to the rename, and no earlier one, encrypted or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal


class TrapProxy:
    """Passes bytes between a client and one server until `trap()` is true."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.trap: Callable[[], bool] = lambda: False
        self.then: Literal["cut", "stall"] = "cut"
        self.port = 0

    async def start(self) -> TrapProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(client, to_server, guarded=False))
                group.create_task(self._pass(server, to_client, guarded=True))
        except* (ConnectionError, OSError):
            pass
        finally:
            self._tasks.discard(task)
            for writer in (to_client, to_server):
                writer.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, guarded: bool) -> None:
        while data := await source.read(65536):
            if guarded and self.trap():
                if self.then == "stall":
                    continue
                raise ConnectionResetError("trapped")
            target.write(data)
            await target.drain()
        raise ConnectionResetError("ended")
