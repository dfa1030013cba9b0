"""An HTTP proxy before a real server that misbehaves on request, exactly at the request that changes something.

A real server cannot be asked to cut a connection right after it has acted; the wire before it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import unquote

import aiohttp
from aiohttp import web

from crossdock.sdk.conformance import RETRY_AFTER_SECONDS, Fault

_PASSED_ON = ("authorization", "content-type", "x-tryton-context", "vendure-token", "accept")
_PASSED_BACK = ("content-type", "vendure-auth-token")


class HttpFaultProxy:
    """Passes requests on to one server. `is_effect(method, path, body)` names the requests that faults are for."""

    def __init__(self, upstream: str, is_effect: Callable[[str, str, bytes], bool]) -> None:
        self.fault: Fault = "none"
        self.redirect_to = ""
        self.effects: list[tuple[str, str, bytes]] = []
        self.writes: list[tuple[str, str, bytes]] = []
        self.upstream = upstream
        self._is_effect = is_effect
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._never = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> HttpFaultProxy:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=8_388_608)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        self._never.set()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        path = request.raw_path
        if self.fault == "escape":
            return web.Response(status=302, headers={"location": self.redirect_to})
        if request.method != "GET":
            self.writes.append((request.method, path, body))
        effect = self._is_effect(request.method, unquote(path), body)
        if effect:
            self.effects.append((request.method, path, body))
            if self.fault == "throttle":
                return web.Response(status=429, headers={"retry-after": f"{RETRY_AFTER_SECONDS:g}"})
            if self.fault == "cut_before_effect":
                return self._cut(request)
        answer = await self._ask(request, path, body)
        if effect and self.fault == "cut_after_effect":
            return self._cut(request)
        if effect and self.fault == "stall_after_effect":
            await self._never.wait()
        return answer

    async def _ask(self, request: web.Request, path: str, body: bytes) -> web.Response:
        assert self._session is not None
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        async with self._session.request(
            request.method, self.upstream + path, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            content = await answer.read()
            back = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
            return web.Response(status=answer.status, body=content, headers=back)

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
