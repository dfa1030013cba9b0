"""The one place that opens outbound sockets.

    parse once → resolve once → check all addresses → connect to a checked address, host name kept for TLS and Host

A name is resolved exactly once and the socket is opened to the address that was checked, so an answer that changes
between check and use (rebinding) has nothing to bite on. One bad address among several refuses them all.
Redirects are never followed. Which addresses are allowed stands in `addresses.py`.
HTTP (`http_client.py`), SFTP and aiohttp all come through `Egress.connect` or its check.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from ..errors import ConfigurationError, PermanentError, TransientError
from .addresses import AddressPolicy, Verdict

if TYPE_CHECKING:
    import aiohttp

Resolve = Callable[[str, int], Awaitable[list[str]]]
ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)

URL_LENGTH_MAX = 2048
ADDRESSES_MAX = 16
RESOLVER_THREADS = 16
DEFAULT_PORTS = ("22", "80", "443", "1024-65535")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_DOTTED = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
_VISIBLE = re.compile(r"[!-~]+")


class EgressDenied(PermanentError):
    """This address may not be reached from here."""

    code = "XD-SEC-020"


class MalformedAddress(EgressDenied):
    """This is not an address that can be read in one way only."""

    code = "XD-SEC-021"


class Target(msgspec.Struct, frozen=True):
    """A URL taken apart once. `path` holds path and query and starts with a slash; a fragment is dropped."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def parse_url(url: str) -> Target:
    """Take a URL apart, or raise MalformedAddress for every form that two readers could understand differently.

    Refused: user and password, backslashes, blanks, control and non-ASCII characters, percent signs in the host,
    numbers as hosts (2130706433, 0x7f.1, 0177.0.0.1), zones in IPv6 addresses, port 0.
    """
    if len(url) > URL_LENGTH_MAX or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise MalformedAddress(
            f"the URL {url[:80]!r} is too long or has blanks, backslashes or characters beyond ASCII"
        )
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("http", "https"):
        raise MalformedAddress(f"the URL {url[:80]!r} does not start with https:// or http://")
    end = min((i for i in (rest.find(c) for c in "/?#") if i >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:].partition("#")[0]
    if "@" in authority:
        raise MalformedAddress("a URL must not carry a user or password", hint="Use the secrets of the connection.")
    if authority.startswith("["):
        host, bracket, port_text = authority[1:].partition("]")
        if not bracket or (port_text and not port_text.startswith(":")):
            raise MalformedAddress(f"the host in {url[:80]!r} cannot be read")
        port_text, host = port_text[1:] if port_text else "", f"[{host}]"
    else:
        host, colon, port_text = authority.partition(":")
        if colon and not port_text:
            raise MalformedAddress(f"the port in {url[:80]!r} is missing")
    port = 443 if scheme == "https" else 80
    if port_text:
        if not port_text.isascii() or not port_text.isdigit() or not 0 < int(port_text[:6]) < 65536:
            raise MalformedAddress(f"the port in {url[:80]!r} is not a number from 1 to 65535")
        port = int(port_text)
    return Target(
        scheme="https" if scheme == "https" else "http",
        host=parse_host(host),
        port=port,
        path=tail if tail.startswith("/") else f"/{tail}",
    )


def parse_host(host: str) -> str:
    """Return the host in its one canonical spelling, or raise MalformedAddress.

    >>> parse_host("Partner.Example."), parse_host("[2600:0::1]")
    ('partner.example', '2600::1')
    """
    text = host.lower()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if ":" in text:
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError as error:
            raise MalformedAddress(f"{host[:80]!r} is not an IPv6 address") from error
        if address.scope_id is not None:
            raise MalformedAddress(f"{host[:80]!r} has a zone")
        return str(address)
    text = text.removesuffix(".")
    labels = text.split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise MalformedAddress(
            f"{host[:80]!r} is not a host name", hint="Write an international name in its xn-- form."
        )
    # A last label that is a number makes the C library read the whole as an IPv4 address, in decimal, octal or hex.
    if _NUMERIC.fullmatch(labels[-1]):
        if not _DOTTED.fullmatch(text):
            raise MalformedAddress(f"{host[:80]!r} is a number in place of a host", hint="Write it as 192.0.2.1.")
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError as error:
            raise MalformedAddress(f"{host[:80]!r} is not an IPv4 address") from error
    return text


class Egress:
    """Opens outbound connections under one address policy.

    `allow_networks` opens parts of private networks or of loopback (CIDR); `allow_ports` lists ports and ranges
    (`443`, `"8000-8099"`). Unencrypted traffic to a public address is refused unless `allow_unencrypted` is set.
    `resolve(host, port)` may be handed in; it returns addresses as text.
    """

    def __init__(
        self,
        *,
        allow_networks: Iterable[str] = (),
        allow_ports: Iterable[int | str] = DEFAULT_PORTS,
        allow_unencrypted: bool = False,
        resolve: Resolve | None = None,
        connect_timeout_seconds: float = 10.0,
    ) -> None:
        self.policy = AddressPolicy(allow_networks)
        self._ports = tuple(_port_range(item) for item in allow_ports)
        self._allow_unencrypted = allow_unencrypted
        self._resolve = resolve or _SystemResolver().resolve
        self._connect_timeout_seconds = connect_timeout_seconds

    def check_address(self, address: str, port: int) -> Verdict:
        """Return the verdict on one literal address and port, or raise EgressDenied."""
        self.check_port(port)
        verdict = self.policy.judge(address)
        if not verdict.allowed:
            raise EgressDenied(
                f"{address} may not be reached: {verdict.reason}",
                hint="A private network is opened by the operator with security.allow_private_networks."
                if verdict.tier in ("private", "loopback")
                else "This network can never be opened.",
            )
        return verdict

    async def resolve(self, host: str, port: int) -> tuple[Verdict, ...]:
        """Resolve a host once and return its addresses, all of them checked.

        Raises EgressDenied when any one is out of bounds, TransientError when the name does not resolve.
        """
        host = parse_host(host)
        literal = ":" in host or _DOTTED.fullmatch(host) is not None
        if literal:
            answers = [host]
        else:
            self.check_port(port)
            try:
                async with asyncio.timeout(self._connect_timeout_seconds):
                    answers = await self._resolve(host, port)
            except (OSError, TimeoutError) as error:
                raise TransientError(f"the name {host} does not resolve: {error}", code="XD-PTR-010") from error
        if not answers:
            raise TransientError(f"the name {host} has no address", code="XD-PTR-010")
        return tuple(self.check_address(answer, port) for answer in answers[:ADDRESSES_MAX])

    async def check_unencrypted(self, host: str, port: int) -> tuple[Verdict, ...]:
        """Resolve and check like `resolve`, and refuse a public address: nothing secret may cross in the clear."""
        verdicts = await self.resolve(host, port)
        if not self._allow_unencrypted and any(verdict.tier == "public" for verdict in verdicts):
            raise EgressDenied(
                f"{host} is public and the connection would not be encrypted", code="XD-SEC-023", hint="Use https://."
            )
        return verdicts

    def check_port(self, port: int) -> None:
        """Raise EgressDenied when the port is not open for outbound traffic."""
        if not any(low <= port <= high for low, high in self._ports):
            raise EgressDenied(
                f"port {port} is not open for outbound traffic", code="XD-SEC-022", hint="Ask the operator to open it."
            )

    async def connect(self, host: str, port: int, *, encrypted: bool = True) -> socket.socket:
        """Return a connected non-blocking TCP socket. This is the only call in the product that opens one outwards.

        `encrypted` says whether the caller will speak TLS or SSH on it.
        Raises EgressDenied (policy) or TransientError (nobody answers).
        """
        verdicts = await (self.resolve(host, port) if encrypted else self.check_unencrypted(host, port))
        failure: OSError | TimeoutError | None = None
        for verdict in verdicts:
            try:
                return await self._open(verdict.address, port)
            except (OSError, TimeoutError) as error:
                failure = error
        detail = "no answer in time" if isinstance(failure, TimeoutError) and not failure.args else str(failure)
        raise TransientError(f"cannot connect to {host} port {port}: {detail}", code="XD-PTR-010") from failure

    async def _open(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(self._connect_timeout_seconds):
                await asyncio.get_running_loop().sock_connect(opened, (address, port))
        except BaseException:
            opened.close()
            raise
        return opened

    async def open_connection(
        self, factory: Callable[[], ProtocolT], host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.Transport, ProtocolT]:
        """Connect, speak TLS when a context is given (SNI and certificate are checked against `host`), return both."""
        host = parse_host(host)
        opened = await self.connect(host, port, encrypted=tls is not None)
        try:
            return await asyncio.get_running_loop().create_connection(
                factory,
                sock=opened,
                ssl=tls,
                server_hostname=host if tls is not None else None,
                ssl_handshake_timeout=self._connect_timeout_seconds if tls is not None else None,
            )
        except ssl.SSLCertVerificationError as error:
            opened.close()
            raise TransientError(
                f"the certificate of {host} is not trusted: {error.verify_message}",
                code="XD-PTR-018",
                hint="The partner has to renew it, or its authority has to stand in ca_certificates.",
            ) from error
        except (OSError, TimeoutError, ConnectionError) as error:
            opened.close()
            raise TransientError(f"no TLS with {host} port {port}: {error}", code="XD-PTR-010") from error
        except BaseException:
            opened.close()
            raise

    def aiohttp_session(self, **options: Any) -> aiohttp.ClientSession:
        """Return an aiohttp session that obeys this policy and refuses redirects, proxies and cookies."""
        from .egress_aiohttp import session

        return session(self, **options)


class _SystemResolver:
    """Asks the system for addresses, in threads of its own.

    The system's question cannot be taken back: it keeps its thread after whoever asked has given up. So the same name
    is asked once at a time, and a name that hangs holds one thread, however often it is asked for.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolver")
        self._asked: dict[tuple[str, int], Future[list[str]]] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        key = (host, port)
        asked = self._asked.get(key)
        if asked is None or asked.done():
            asked = self._asked[key] = self._threads.submit(_look_up, host, port)
        try:
            # Shielded: one who gives up does not take the answer from the others who wait for it.
            return await asyncio.shield(asyncio.wrap_future(asked))
        finally:
            if asked.done() and self._asked.get(key) is asked:
                del self._asked[key]


def _look_up(host: str, port: int) -> list[str]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _port_range(item: int | str) -> tuple[int, int]:
    low, _, high = str(item).partition("-")
    try:
        bounds = (int(low), int(high or low))
    except ValueError as error:
        raise ConfigurationError(f"{item!r} is neither a port nor a range such as 8000-8099") from error
    if not 0 < bounds[0] <= bounds[1] < 65536:
        raise ConfigurationError(f"{item!r} is not a range of ports from 1 to 65535")
    return bounds
