"""A small HTTP/1.1 client for deliveries: keep-alive, one pool per origin, and the truth about what happened.

    nothing was written            → TransientError     the partner cannot have seen it
    written, no complete answer    → UnknownOutcome     the partner may have acted on it
    a complete answer              → Response

It never retries, never follows a redirect, never decompresses and never reads proxy settings.
A kept connection that the partner closes at the very moment of reuse counts as unknown (`SentOnDeadConnection`):
only the caller knows whether the same request may be sent again.
Sockets come from `egress.py`.
"""

from __future__ import annotations

import asyncio
import collections
import ssl
from collections.abc import Iterable
from typing import Any, cast

import httptools
import msgspec

from ..errors import PermanentError, TransientError, UnknownOutcome
from .egress import Egress, Target

HEADER_BYTES_MAX = 65_536


class SentOnDeadConnection(UnknownOutcome):
    """A kept connection was closed by the partner without an answer; most likely it never saw the request."""


class Response(msgspec.Struct, frozen=True):
    """A complete answer. Header names are in small letters. `truncated` says the body was longer than allowed."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    truncated: bool = False

    def header(self, name: bytes) -> str:
        """Return the first value of a header, or an empty text."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1").strip()
        return ""


class HttpClient:
    """Sends requests over kept connections, at most `connections_max` per origin.

    `read_timeout_seconds` bounds the silence, `total_timeout_seconds` the whole exchange including the wait for a
    free connection. `response_bytes_max` bounds what is kept of a body.
    """

    def __init__(
        self,
        egress: Egress,
        *,
        connections_max: int = 16,
        read_timeout_seconds: float = 30.0,
        total_timeout_seconds: float = 30.0,
        idle_seconds_max: float = 15.0,
        response_bytes_max: int = 1_048_576,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._egress = egress
        self._connections_max = connections_max
        self.read_timeout_seconds = read_timeout_seconds
        self.total_timeout_seconds = total_timeout_seconds
        self.idle_seconds_max = idle_seconds_max
        self.response_bytes_max = response_bytes_max
        self._tls = tls
        self._pools: dict[tuple[str, str, int], _Pool] = {}
        self.silent = _Silent()

    async def request(self, method: str, target: Target, headers: Iterable[tuple[str, str]], body: bytes) -> Response:
        """Send one request and return the complete answer; raises as the module says."""
        head = render_head(method, target, headers)
        return await self.exchange(target, head + b"content-length: %d\r\n\r\n" % len(body) + body)

    async def exchange(self, target: Target, request: bytes) -> Response:
        """Send rendered bytes: a head from `render_head`, its length line and the body."""
        key = (target.scheme, target.host, target.port)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = _Pool(self, target)
        deadline = pool.loop.time() + self.total_timeout_seconds
        connection = pool.take()
        if connection is None:
            connection = await pool.obtain(deadline)
        try:
            return await connection.send(request, deadline)
        finally:
            pool.give_back(connection)

    async def connect(self, target: Target) -> None:
        """Open a connection (TCP and TLS) to the origin and close it again: the least a check can do."""
        tls = self.tls_context() if target.scheme == "https" else None
        try:
            async with asyncio.timeout(self.total_timeout_seconds):
                transport, _ = await self._egress.open_connection(asyncio.Protocol, target.host, target.port, tls=tls)
        except TimeoutError as error:
            raise TransientError("no connection in time", code="XD-PTR-011") from error
        transport.close()

    def tls_context(self) -> ssl.SSLContext:
        """Return the context that certificates are checked with, made once."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    async def open(self, target: Target) -> _Connection:
        """Open one connection to the origin."""
        tls = self.tls_context() if target.scheme == "https" else None
        _, connection = await self._egress.open_connection(lambda: _Connection(self), target.host, target.port, tls=tls)
        return connection

    async def close(self) -> None:
        """Close every connection; exchanges under way end as unknown."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self.silent.close()


def render_head(method: str, target: Target, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return request line and headers as bytes, up to and without the length line.

    Raises PermanentError for a header that would break out of its line.
    """
    lines = [f"{method} {target.path} HTTP/1.1", f"host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return encode_lines(lines)


def encode_lines(lines: list[str]) -> bytes:
    """Return header lines as bytes, each ended; refuses line breaks and NUL inside of a line."""
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise PermanentError(
            "a header holds a line break", code="XD-PTR-019", hint="Look at the identity and the name."
        )
    try:
        return text.encode("latin-1") + b"\r\n"
    except UnicodeEncodeError as error:
        raise PermanentError("a header holds a character beyond Latin-1", code="XD-PTR-019") from error


class _Silent:
    """The exchanges under way, of which one that takes too long is ended; one timer stands for all of them."""

    def __init__(self) -> None:
        self._waiting: set[_Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: _Connection) -> None:
        self._waiting.add(connection)
        timer = self._timer
        if timer is None or timer.when() > connection.due():
            self._watch(connection.due())

    def discard(self, connection: _Connection) -> None:
        self._waiting.discard(connection)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, due: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in [one for one in self._waiting if one.due() <= now]:
            self._waiting.discard(connection)
            connection.expire()
        if self._waiting:
            self._watch(min(one.due() for one in self._waiting))


class _Pool:
    """The connections of one origin: the idle ones (last used first) and the queue for them."""

    def __init__(self, client: HttpClient, target: Target) -> None:
        self._client = client
        self._target = target
        self.loop = asyncio.get_running_loop()
        self._idle: list[_Connection] = []
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._open: set[_Connection] = set()
        self._opening = 0

    def take(self) -> _Connection | None:
        """Return an idle connection that is still good."""
        while self._idle:
            connection = self._idle.pop()
            if connection.alive and self.loop.time() - connection.idle_since < self._client.idle_seconds_max:
                return connection
            self._drop(connection)
        return None

    async def obtain(self, deadline: float) -> _Connection:
        """Open a connection, or wait for one; raises TransientError at the deadline, nothing having been written."""
        try:
            async with asyncio.timeout_at(deadline):
                while len(self._open) + self._opening >= self._client._connections_max:
                    turn: asyncio.Future[None] = self.loop.create_future()
                    self._waiting.append(turn)
                    try:
                        await turn
                    except asyncio.CancelledError:
                        if turn.done() and not turn.cancelled():
                            self._wake()  # the turn was given to someone who is gone: pass it on
                        raise
                    connection = self.take()
                    if connection is not None:
                        return connection
                self._opening += 1
                try:
                    connection = await self._client.open(self._target)
                    self._open.add(connection)
                    return connection
                except BaseException:
                    self._wake()
                    raise
                finally:
                    self._opening -= 1
        except TimeoutError as error:
            raise TransientError("no connection in time", code="XD-PTR-011") from error

    def give_back(self, connection: _Connection) -> None:
        """Take a connection back after an exchange; a spent one is closed."""
        if connection.alive and connection.reusable:
            connection.idle_since = self.loop.time()
            self._idle.append(connection)
        else:
            self._drop(connection)
        self._wake()

    def _drop(self, connection: _Connection) -> None:
        self._open.discard(connection)
        connection.abort()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            self._drop(connection)
        self._idle.clear()


class _Connection(asyncio.Protocol):
    """One connection and at most one exchange on it."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Response] | None = None
        self.alive = False
        self.reusable = False
        self.idle_since = 0.0
        self._exchanges = 0
        self._heard_at = self._deadline = 0.0
        self._clear()

    def _clear(self) -> None:
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._heard = False
        self._framed = False
        self._in_body = False

    async def send(self, request: bytes, deadline: float) -> Response:
        """Write the request and wait for its complete answer."""
        transport = self._transport
        if transport is None or not self.alive:
            raise TransientError("the connection was closed before anything was written", code="XD-PTR-010")
        loop = self._loop
        self._clear()
        self.reusable = False
        self._exchanges += 1
        waiter: asyncio.Future[Response] = loop.create_future()
        self._waiter = waiter
        self._heard_at = loop.time()
        self._deadline = deadline
        silent = self._client.silent
        silent.add(self)
        transport.write(request)
        try:
            return await waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            silent.discard(self)
            self._waiter = None

    def due(self) -> float:
        """Return until when, by the loop's clock, the answer may be waited for."""
        return min(self._deadline, self._heard_at + self._client.read_timeout_seconds)

    def expire(self) -> None:
        """Wait for the answer no longer."""
        self._fail(UnknownOutcome("the request was written and no complete answer came in time", code="XD-PTR-011"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass
        self.alive = True

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.abort()  # bytes that nobody asked for: whatever follows cannot be matched to a request
            return
        self._heard = True
        self._heard_at = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(UnknownOutcome(f"the answer is not HTTP: {error}", code="XD-PTR-008"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX:
            self._fail(UnknownOutcome("the headers of the answer have no end", code="XD-PTR-008"))
            return
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._framed = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._in_body = True

    def on_body(self, data: bytes) -> None:
        room = self._client.response_bytes_max - self._body_bytes
        self._body_bytes += len(data)
        if len(data) <= room:
            self._body.append(data)
            return
        # The head of the answer is here, so the outcome is known; only the rest of the body is not worth having.
        self._body.append(data[:room])
        self._finish(truncated=True)
        self.abort()

    def on_message_complete(self) -> None:
        if 100 <= self._status < 200:
            self._clear()
            return
        self.reusable = self._parser.should_keep_alive()
        self._finish()

    def _finish(self, *, truncated: bool = False) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            self.abort()  # a second answer to one request
            return
        waiter.set_result(Response(self._status, self._headers, b"".join(self._body), truncated))

    def eof_received(self) -> None:
        self.alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self._in_body and not self._framed and exc is None:
            self._finish()  # an answer without a length ends with the connection
        elif not self._heard and self._exchanges > 1:
            waiter.set_exception(SentOnDeadConnection("the partner closed a kept connection without an answer"))
        else:
            reason = f": {exc}" if exc else ""
            waiter.set_exception(
                UnknownOutcome(f"the connection ended before the answer was complete{reason}", code="XD-PTR-003")
            )

    def _fail(self, error: UnknownOutcome) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        self.alive = False
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()
