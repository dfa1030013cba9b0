"""An HTTP partner on a real loopback socket that keeps a ledger and misbehaves on request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

import httptools

from crossdock.sdk.conformance import REFUSED, RETRY_AFTER_SECONDS, Effect, Fault

TOKEN = "good-token-123"


class HttpPeer:
    """Takes orders once per Idempotency-Key, tells what it has, and lists documents for polling."""

    def __init__(self) -> None:
        self.fault: Fault = "none"
        self.effects: dict[str, Effect] = {}
        self.attempts: list[Effect] = []
        self.feed: list[tuple[str, bytes]] = []
        self.feed_is_cut = False
        self.redirect_to = ""
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[str, str, dict[str, str], bytes], bytes | None] | None = None
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()
        self.port = 0

    async def start(self, port: int = 0) -> HttpPeer:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut_all(self) -> None:
        """Close every open connection, as a partner's restart does."""
        for transport in list(self._transports):
            transport.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for transport in list(self._transports):
                transport.abort()
            await self._server.wait_closed()

    def serve(self, method: str, url: str, headers: dict[str, str], body: bytes) -> bytes | None:
        """Return the bytes of the answer, or None to cut the connection. Empty bytes: say nothing."""
        self.requests.append((method, url, headers, body))
        if self.answer is not None:
            return self.answer(method, url, headers, body)
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return answer(401, b'{"error":"who are you"}')
        if self.fault == "escape":
            return answer(302, b"", {"location": self.redirect_to})
        path = urlsplit(url).path
        if method == "POST":
            return self._take(headers, body)
        if path == "/feed":
            return self._list(parse_qs(urlsplit(url).query).get("since", [""])[0])
        if path.startswith("/orders/"):
            found = self.effects.get(unquote(path.removeprefix("/orders/")))
            return answer(404, b"{}") if found is None else answer(200, b'{"id":"P-1"}')
        return answer(200, b"{}")

    def _take(self, headers: dict[str, str], body: bytes) -> bytes | None:
        identity = headers.get("idempotency-key", "")
        self.attempts.append(Effect(identity, body))
        if self.fault == "throttle":
            return answer(429, b"{}", {"retry-after": f"{RETRY_AFTER_SECONDS:g}"})
        if self.fault == "refuse" and body == REFUSED:
            return answer(422, b'{"error":"no such order"}')
        if self.fault == "cut_before_effect":
            return None
        self.effects.setdefault(identity, Effect(identity, body))
        if self.fault == "cut_after_effect":
            return None
        if self.fault == "stall_after_effect":
            return b""
        return answer(201, b'{"id":"P-1"}')

    def _list(self, since: str) -> bytes | None:
        items = [content for key, content in sorted(self.feed) if key > since]
        whole = answer(200, b"[" + b",".join(items) + b"]")
        return whole[:-5] if self.feed_is_cut else whole


class _Connection(asyncio.Protocol):
    def __init__(self, peer: HttpPeer) -> None:
        self._peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer.connections += 1
        self._peer._transports.add(self._transport)
        self._parser = httptools.HttpRequestParser(self)
        self._reset()

    def _reset(self) -> None:
        self._url, self._headers, self._body = b"", dict[str, str](), b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer._transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        reply = self._peer.serve(method, self._url.decode(), self._headers, self._body)
        self._reset()
        if reply is None:
            self._transport.abort()
            return
        self._transport.write(reply)
        if reply and not is_whole(reply):
            self._transport.close()


def is_whole(reply: bytes) -> bool:
    """Tell whether an answer has as many bytes as its head says, if it says."""
    head, _, body = reply.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return True


def answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """Return the bytes of an HTTP answer."""
    lines = [f"HTTP/1.1 {status} Whatever", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer_json(status: int, document: object) -> bytes:
    """Return the bytes of a JSON answer."""
    return answer(status, json.dumps(document).encode())
