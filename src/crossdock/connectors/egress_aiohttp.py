"""aiohttp under the egress policy: the check sits where aiohttp makes its sockets, so nothing goes around it.

aiohttp skips its resolver for literal addresses; the socket factory sees every address that is to be connected to.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_middlewares import ClientHandlerType

from ..errors import PermanentError

if TYPE_CHECKING:
    from .egress import Egress


class EgressResolver(AbstractResolver):
    """Answers aiohttp's questions with addresses that have been checked, all of them."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=verdict.address,
                port=port,
                family=socket.AF_INET6 if ":" in verdict.address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for verdict in await self._egress.resolve(host, port)
        ]

    async def close(self) -> None:
        """Nothing to free."""


def connector(egress: Egress, **options: Any) -> aiohttp.TCPConnector:
    """Return a connector whose every socket has been checked by the policy, literal addresses included."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        egress.check_address(str(address[0]), int(address[1]))
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(resolver=EgressResolver(egress), use_dns_cache=False, socket_factory=make, **options)


def session(egress: Egress, **options: Any) -> aiohttp.ClientSession:
    """Return a session on `connector` that refuses redirects and reads no proxy settings and keeps no cookies."""

    async def guard(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        if request.url.scheme == "http" and request.url.host and request.url.port:
            await egress.check_unencrypted(request.url.host, request.url.port)
        response = await handler(request)
        if 300 <= response.status < 400 and response.status != 304:
            response.close()
            raise PermanentError(
                f"{request.url.host} redirects; redirects are never followed",
                code="XD-PTR-015",
                hint="Configure the final address.",
            )
        return response

    return aiohttp.ClientSession(
        connector=connector(egress),
        middlewares=(guard,),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        **options,
    )
