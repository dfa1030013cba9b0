"""The contract between the hub and a connector: check, pull, push, find.

A connector moves bytes and tells honestly what happened. It never parses business content, never retries by itself
(the flow retries under the connection's policy), never opens a socket except through `context.egress`,
and never reads a clock except `context.clock`.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from ..durable.identity import Clock
from ..durable.retry import ErrorClass


class SettingField(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One setting of a connection; form, lint and reference page come from it."""

    name: str
    summary: str
    type: Literal["text", "number", "boolean", "secret", "choice", "list", "map"] = "text"
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a connector says of itself in `manifest.toml`. `id` is the name of its folder.

    `documents` lists the document types it knows; empty means any. `auth` lists how it proves who it is.
    `promises` maps each promise of the conformance suite to done, todo or exempt (with the reason after a colon).
    """

    id: str
    name: str
    kind: str
    summary: str
    directions: tuple[Literal["in", "out"], ...]
    documents: tuple[str, ...] = ()
    auth: tuple[str, ...] = ()
    settings: tuple[SettingField, ...] = ()
    promises: dict[str, str] = {}
    idempotent_push: bool = False


class Outbound(msgspec.Struct, frozen=True):
    """What is to be sent: one effect with one stable identity over all attempts.

    `identity` is unique for the effect and goes to the partner
    (Idempotency-Key, webhook-id, file name, control number).
    """

    message_id: str
    identity: str
    document_type: str
    content: bytes
    content_type: str
    headers: Mapping[str, str] = {}
    name: str = ""
    attempt: int = 1


class PushResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened: done, failed or unknown, never guessed.

    `permanent` says the partner will never take this content. `error_class` chooses the queue a person looks at.
    `response` keeps the first bytes of the partner's answer (`ConnectorContext.answer_bytes_max`), for people.
    `reference` is the partner's own id of the effect.
    """

    outcome: Literal["done", "failed", "unknown"]
    permanent: bool = False
    error_class: ErrorClass = ""
    code: str = ""
    detail: str = ""
    http_status: int | None = None
    retry_after_seconds: float | None = None
    response: bytes = b""
    reference: str = ""
    duration_ms: float = 0.0


class FindResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The partner's answer to "do you have this?": found, absent, or cannot_tell."""

    answer: Literal["found", "absent", "cannot_tell"]
    reference: str = ""
    detail: str = ""


class CheckResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the connection works now, in words a person can act on."""

    ok: bool
    detail: str
    hint: str = ""


class Pulled(msgspec.Struct, frozen=True):
    """One thing fetched from a partner. `acknowledge` is called only after the bytes are durable in the hub.

    `receipt_key` is the partner's own identity of it, if there is one; else the hub derives a key.
    """

    content: bytes
    name: str
    content_type: str
    acknowledge: Callable[[], Awaitable[None]]
    receipt_key: str = ""
    headers: Mapping[str, str] = {}


class Egress(Protocol):
    """The one function that opens outbound sockets, with its address policy."""

    async def connect(self, host: str, port: int, *, encrypted: bool = True) -> socket.socket: ...


class ConnectorContext(msgspec.Struct, frozen=True):
    """What the hub hands to a connector. `secrets` are already resolved; they never enter a log or an error.

    `folder_root` is the directory below which local files may be worked with: None is nowhere, `/` anywhere.
    `answer_bytes_max` bounds what is kept of a partner's answer for people to read.
    """

    connection_id: str
    tenant_id: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    egress: Any
    clock: Clock
    timeout_seconds: float = 30.0
    folder_root: str | None = None
    answer_bytes_max: int = 8_192


class Connector(Protocol):
    """One configured connection. Made by the module's `create(context)`; `close` frees what it holds."""

    async def check(self) -> CheckResult: ...

    def pull(self) -> AsyncIterator[Pulled]: ...

    async def push(self, outbound: Outbound) -> PushResult: ...

    async def find(self, outbound: Outbound) -> FindResult: ...

    async def close(self) -> None: ...
