"""Listen: uvicorn with the application of a hub, in the hub's own event loop."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Protocol

import uvicorn

from ..errors import ConfigurationError
from .app import create_app


class ServedHub(Protocol):
    """A hub that can be given doors."""

    url: str

    @property
    def settings(self) -> Any: ...

    def on_stop(self, close: Any) -> None: ...


class _Server(uvicorn.Server):
    """A server that leaves the signals to whoever runs the process."""

    def install_signal_handlers(self) -> None:
        return

    def capture_signals(self) -> Any:
        import contextlib

        return contextlib.nullcontext()


async def open_doors(hub: Any) -> str:
    """Open the web door of a hub and return its address; it is closed when the hub stops.

    Raises ConfigurationError when the address is taken.
    """
    settings = hub.settings.web
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}",
            code="XD-CFG-006",
            hint="Another process has the port; choose another with --port or web.port",
        ) from error
    config = uvicorn.Config(
        create_app(hub),
        log_config=None,
        access_log=False,
        lifespan="off",
        http="httptools",
        ws="none",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
        backlog=2048,
    )
    server = _Server(config)
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.005)
    host, port = listener.getsockname()[:2]
    hub.url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"

    async def close() -> None:
        server.should_exit = True
        await task

    hub.on_stop(close)
    return str(hub.url)
