"""Serve the app of a hub from its own event loop: one process, one port, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

import uvicorn

from ..durable.identity import Clock
from ..errors import ConfigurationError
from .app import create_app
from .hub_port import Hub
from .joined_writes import JoinedWrites

GRACE_SECONDS = 2


class StoppableHub(Hub, Protocol):
    """A hub that closes its doors when it stops, and is told where they are."""

    url: str

    def on_stop(self, close: Callable[[], Awaitable[None]]) -> None: ...


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: who started the hub decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def open_doors(hub: StoppableHub, *, session_clock: Clock | None = None) -> str:
    """Start listening and return the address; the hub closes the doors when it stops. Port 0 takes a free one."""
    web = hub.settings.web
    listener = _bind(web.host, web.port)
    closing = asyncio.Event()
    config = uvicorn.Config(
        create_app(hub, session_clock=session_clock, closing=closing),
        loop="none",
        http=JoinedWrites,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.002)
    port = listener.getsockname()[1]
    host = f"[{web.host}]" if ":" in web.host else web.host
    hub.url = f"http://{host}:{port}"

    async def close() -> None:
        closing.set()
        server.should_exit = True
        await task

    hub.on_stop(close)
    return hub.url


def _bind(host: str, port: int) -> Any:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Cannot listen on {host}:{port}: {error.strerror}",
            hint="Stop the other program, or set CROSSDOCK_WEB_PORT to another port (0 takes a free one)",
            pointer="web.port",
        ) from error
    return listener
