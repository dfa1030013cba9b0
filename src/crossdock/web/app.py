"""The ASGI application: ingest door, static files, and the framework with API, console and portal.

/v1/ingest/…   raw callable, so that taking a message costs no framework
/static/…      raw callable, from memory
everything     Litestar: api/, console/, portal/
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from .. import __version__
from ..durable.identity import Clock
from .access import Gate
from .api import openapi
from .api import routes as api_routes
from .console import routes as console_routes
from .context import Web
from .errors_handling import on_error
from .hub_port import Hub
from .ingest import PATH_PREFIX as INGEST_PREFIX
from .ingest import IngestDoor
from .limits import SlidingWindow
from .portal import routes as portal_routes
from .security_headers import with_security_headers
from .senders import Senders
from .static_files import PATH_PREFIX as STATIC_PREFIX
from .static_files import StaticFiles

# An endless answer: its head is not asked for.
EVENTS_PATH = "/v1/events/stream"
# What API and forms take; documents come through the ingest door, which has a limit of its own.
BODY_BYTES_MAX = 1_000_000


def create_app(hub: Hub, *, session_clock: Clock | None = None, closing: asyncio.Event | None = None) -> Any:
    """Return the ASGI app of one hub. Sessions and rate limits live on `session_clock`, by default the machine's own.

    Setting `closing` ends the open event streams, so that their clients come back to the next process.
    """
    gate = Gate(hub, session_clock)
    lookups = SlidingWindow(gate.clock, hub.settings.limits.portal_lookups_per_minute)
    web = Web(hub, gate, lookups, hub.signing_key("portal order link"), closing or asyncio.Event())
    # Only pages and API ask where a request came from; documents do not pay for it.
    framework: Any = ProxyHeadersMiddleware(
        with_security_headers(create_litestar(web)), os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
    )
    ingest = IngestDoor(hub, Senders(hub, gate))
    static = with_security_headers(StaticFiles())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if path.startswith(INGEST_PREFIX):
                await ingest(scope, receive, send)
                return
            if path.startswith(STATIC_PREFIX):
                await static(scope, receive, send)
                return
            if scope["method"] == "HEAD" and path != EVENTS_PATH:
                await framework({**scope, "method": "GET"}, receive, _without_body(send))
                return
        await framework(scope, receive, send)

    return app


def _without_body(send: Any) -> Any:
    """Return a `send` that passes the head on and leaves the body out: the answer to HEAD is that of GET without it."""

    async def bodiless(message: Any) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return bodiless


def create_litestar(web: Web) -> Litestar:
    """Return the framework's part of the app."""

    def on_init(config: AppConfig) -> AppConfig:
        config.state = State({"web": web})
        return config

    return Litestar(
        route_handlers=[*api_routes.HANDLERS, *console_routes.HANDLERS, *portal_routes.HANDLERS],
        on_app_init=[on_init],
        exception_handlers={Exception: on_error, HTTPException: on_error},
        openapi_config=OpenAPIConfig(
            title="Crossdock API",
            version=__version__,
            description=openapi.DESCRIPTION,
            use_handler_docstrings=True,
            path="/docs/openapi",
            render_plugins=[JsonRenderPlugin()],
        ),
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        debug=False,
    )
