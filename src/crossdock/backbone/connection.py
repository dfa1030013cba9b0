"""One connection to NATS: sign-in, TLS, and the few calls of JetStream's API that the hub makes, typed.

Every call either answers or raises one of the errors below; nothing waits long.
The servers are named by the operator in the settings of the process, as the database is: no tenant can name one.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..config import BackboneSettings
from ..errors import ConfigurationError, TransientError

log = structlog.get_logger()

CALL_SECONDS_MAX = 5.0
CONNECT_SECONDS_MAX = 2
RECONNECT_WAIT_SECONDS = 0.25
PING_SECONDS = 5
PENDING_BYTES_MAX = 4_000_000

_NOT_FOUND = 404
# JetStream's own numbers. Too few peers: of the cluster, or because there is no cluster.
_STREAM_NOT_FOUND, _MESSAGE_NOT_FOUND = 10059, 10037
_TOO_FEW_PEERS = (10005, 10074)
_NOT_ENABLED = (10039, 10076)


class BackboneAway(TransientError):
    """NATS does not answer; events wait in the journal."""

    code = "XD-SYS-040"


class BackboneRefused(ConfigurationError):
    """NATS answers and will not do what is asked of it."""

    code = "XD-CFG-030"


class ApiError(msgspec.Struct, frozen=True):
    code: int
    description: str = ""
    err_code: int = 0


class StreamState(msgspec.Struct, frozen=True):
    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    num_deleted: int = 0


class Replica(msgspec.Struct, frozen=True):
    name: str
    current: bool = False
    offline: bool = False


class Cluster(msgspec.Struct, frozen=True):
    leader: str = ""
    replicas: list[Replica] = []


class StreamInfo(msgspec.Struct, frozen=True):
    """A stream as the server tells it. `created` names its life: one that was deleted and made again has another."""

    created: str
    state: StreamState
    config: dict[str, Any]
    cluster: Cluster = Cluster()


class StoredMessage(msgspec.Struct, frozen=True):
    """One message of a stream, with its headers."""

    subject: str
    sequence: int
    headers: dict[str, str]


class Message(msgspec.Struct, frozen=True):
    """What a subscription hands on. `status` is set on answers that are no message: 503 where nobody listens."""

    subject: str
    data: bytes
    status: str = ""


class _Answer(msgspec.Struct, frozen=True):
    error: ApiError | None = None


class _Raw(msgspec.Struct, frozen=True):
    subject: str
    seq: int
    hdrs: str = ""


class _RawAnswer(msgspec.Struct, frozen=True):
    message: _Raw


class Server:
    """A connection to the servers of the settings. `connect` before use, `close` at the end, then `connect` again.

    A connection that fails is left and another one is made, by whoever uses it: a server that does not answer may hold
    its sockets open for ever.
    """

    def __init__(self, settings: BackboneSettings, *, name: str) -> None:
        self._settings = settings
        self._name = name
        self._client: Any = None

    async def connect(self) -> None:
        """Connect. Raises BackboneAway when no server answers and BackboneRefused when one turns us away."""
        from nats.aio.client import Client

        options = sign_in(self._settings)
        client = Client()
        told: list[str] = []

        async def heard(error: Exception) -> None:
            told.append(str(error) or type(error).__name__)
            log.debug("backbone.connection", error=repr(error))

        try:
            async with asyncio.timeout(CALL_SECONDS_MAX + CONNECT_SECONDS_MAX * len(self._settings.servers)):
                await client.connect(
                    servers=list(self._settings.servers),
                    name=self._name,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    connect_timeout=CONNECT_SECONDS_MAX,
                    # The client's annotation says int; it sleeps this long, and takes parts of a second.
                    reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]
                    ping_interval=PING_SECONDS,
                    max_outstanding_pings=2,
                    pending_size=PENDING_BYTES_MAX,
                    error_cb=heard,
                    **options,
                )
        except Exception as error:
            await _closed(client)
            words = "; ".join(dict.fromkeys([*told[-3:], str(error) or type(error).__name__]))
            if "authorization" in words.lower() or "authentication" in words.lower():
                raise BackboneRefused(
                    "NATS refused the sign-in",
                    code="XD-CFG-031",
                    hint="Correct backbone.user and backbone.password, or backbone.credentials_file",
                ) from error
            raise BackboneAway(f"no NATS server answers: {words}") from error
        self._client = client

    async def close(self) -> None:
        """Close it. What was not acknowledged is published again later."""
        if self._client is not None:
            client, self._client = self._client, None
            await _closed(client)

    @property
    def connected(self) -> bool:
        return bool(self._client is not None and self._client.is_connected)

    @property
    def version(self) -> tuple[int, int, int]:
        version = self._client.connected_server_version
        return (version.major, version.minor, version.patch)

    @property
    def payload_bytes_max(self) -> int:
        return int(self._client.max_payload)

    # -- plain messages

    async def publish(
        self, subject: str, data: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Hand a message to the connection. Raises BackboneAway while there is none: nothing is kept for later."""
        if not self.connected:
            raise BackboneAway("the connection to NATS is lost")
        try:
            await self._client.publish(subject, data, reply=reply, headers=headers)
        except Exception as error:
            raise _away(error) from error

    async def subscribe(self, subject: str, heard: Callable[[Message], Awaitable[None]]) -> None:
        """Call back for every message of a subject, as long as the connection lasts."""

        async def hand_on(message: Any) -> None:
            status = (message.headers or {}).get("Status", "")
            await heard(Message(message.subject, message.data, status))

        try:
            await self._client.subscribe(subject, cb=hand_on)
        except Exception as error:
            raise _away(error) from error

    def inbox(self) -> str:
        """Return a subject of our own for answers."""
        return str(self._client.new_inbox())

    # -- JetStream

    async def stream(self, name: str) -> StreamInfo | None:
        """Return the stream as it is now, None when there is none."""
        try:
            return msgspec.convert(await self._call(f"STREAM.INFO.{name}"), StreamInfo)
        except _Refusal as refusal:
            if refusal.error.err_code == _STREAM_NOT_FOUND:
                return None
            raise refusal.meaning() from refusal

    async def create_stream(self, config: dict[str, Any]) -> StreamInfo:
        """Make a stream. Raises BackboneRefused when the servers cannot hold it so."""
        try:
            return msgspec.convert(await self._call(f"STREAM.CREATE.{config['name']}", config), StreamInfo)
        except _Refusal as refusal:
            raise refusal.meaning() from refusal

    async def update_stream(self, config: dict[str, Any]) -> None:
        """Give a stream the bounds of the settings."""
        try:
            await self._call(f"STREAM.UPDATE.{config['name']}", config)
        except _Refusal as refusal:
            raise refusal.meaning() from refusal

    async def delete_stream(self, name: str) -> None:
        """Take a stream away."""
        try:
            await self._call(f"STREAM.DELETE.{name}")
        except _Refusal as refusal:
            raise refusal.meaning() from refusal

    async def message(self, stream: str, sequence: int) -> StoredMessage | None:
        """Return one message from the stream's leader, None when it is not there."""
        try:
            answer = await self._call(f"STREAM.MSG.GET.{stream}", {"seq": sequence})
        except _Refusal as refusal:
            if refusal.error.err_code == _MESSAGE_NOT_FOUND or refusal.error.code == _NOT_FOUND:
                return None
            raise refusal.meaning() from refusal
        raw = msgspec.convert(answer, _RawAnswer).message
        return StoredMessage(raw.subject, raw.seq, _headers(raw.hdrs))

    async def account(self) -> dict[str, Any]:
        """Return what JetStream says of our account. Raises BackboneRefused when it is not enabled."""
        try:
            return await self._call("INFO")
        except _Refusal as refusal:
            raise refusal.meaning() from refusal

    async def _call(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        from nats.errors import NoRespondersError

        if not self.connected:
            raise BackboneAway("the connection to NATS is lost")
        payload = msgspec.json.encode(body) if body is not None else b""
        try:
            answer = await self._client.request(f"$JS.API.{call}", payload, timeout=CALL_SECONDS_MAX)
        except NoRespondersError as error:
            # A cluster that elects a leader has no responders either: it is worth another try.
            raise BackboneAway(
                "JetStream does not answer: it is not enabled, or its cluster has no leader now",
                hint="Start every server with JetStream; wait until most of the cluster is up",
            ) from error
        except Exception as error:
            raise _away(error) from error
        decoded: dict[str, Any] = msgspec.json.decode(answer.data)
        refusal = msgspec.convert(decoded, _Answer).error
        if refusal is not None:
            raise _Refusal(refusal)
        return decoded


class _Refusal(Exception):
    def __init__(self, error: ApiError) -> None:
        super().__init__(error.description)
        self.error = error

    def meaning(self) -> BackboneAway | BackboneRefused:
        words = f"JetStream: {self.error.description}"
        if self.error.err_code in _TOO_FEW_PEERS:
            return BackboneRefused(
                words, code="XD-CFG-033", hint="Start the missing servers, or set backbone.replicas to 1"
            )
        if self.error.err_code in _NOT_ENABLED:
            return BackboneRefused(words, code="XD-CFG-032", hint="Start the servers with JetStream (-js)")
        if self.error.code >= 500 or self.error.code == 408:
            return BackboneAway(words)
        return BackboneRefused(words)


async def ended(task: asyncio.Task[None]) -> None:
    """End a task that speaks to NATS. Its client may swallow a cancellation that meets an answer, so it is repeated."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)


async def _closed(client: Any) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            await client.close()
    except Exception as error:  # noqa: BLE001 - it is gone either way
        log.debug("backbone.close", error=repr(error))


def _away(error: Exception) -> BackboneAway:
    return BackboneAway(f"NATS does not answer: {str(error) or type(error).__name__}")


def _headers(encoded: str) -> dict[str, str]:
    lines = base64.b64decode(encoded).decode("utf-8", "replace").split("\r\n")[1:]
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


# -- sign-in


def sign_in(settings: BackboneSettings) -> dict[str, Any]:
    """Return the options of `nats.connect` for TLS and sign-in. Raises ConfigurationError for unusable files."""
    options: dict[str, Any] = {}
    if settings.user:
        options |= {"user": settings.user, "password": settings.password}
    if settings.credentials_file:
        jwt, seed = read_credentials(Path(settings.credentials_file))
        key = Ed25519PrivateKey.from_private_bytes(seed)
        options["user_jwt_cb"] = lambda: bytearray(jwt)
        options["signature_cb"] = lambda nonce: base64.b64encode(key.sign(nonce.encode()))
    if (
        settings.tls_ca_file
        or settings.tls_certificate_file
        or any(one.startswith("tls://") for one in settings.servers)
    ):
        options["tls"] = _tls(settings)
    return options


def read_credentials(path: Path) -> tuple[bytes, bytes]:
    """Return the JWT and the 32-byte seed of a `.creds` file."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
        blocks = {
            name: lines[lines.index(f"-----BEGIN {name}-----") + 1] for name in ("NATS USER JWT", "USER NKEY SEED")
        }
        text = blocks["USER NKEY SEED"]
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
        if len(raw) != 36 or raw[0] & 0xF8 != 0x90:
            raise ValueError("the seed is not that of a user")
    except (OSError, ValueError, IndexError) as error:
        raise ConfigurationError(
            f"backbone.credentials_file cannot be used: {error}",
            code="XD-CFG-034",
            hint="Export it again with: nsc generate creds",
            pointer="backbone.credentials_file",
        ) from error
    return blocks["NATS USER JWT"].encode(), raw[2:34]


def _tls(settings: BackboneSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file or None)
        if settings.tls_certificate_file:
            context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the TLS files of the backbone cannot be used: {error}",
            code="XD-CFG-034",
            hint="Name readable PEM files that belong together",
            pointer="backbone.tls_ca_file",
        ) from error
    return context
