"""The ingest door: `POST /v1/ingest/{tenant}/{connection}`, a raw ASGI callable mounted beside the framework.

Bytes are read under a limit, the sender is authenticated before anything looks inside them, and the answer is given
after
the hub says they are durable. One document, a JSON array (where the connection says `batch_arrays: true`) or NDJSON.
A duplicate is answered exactly as the first was. Unknown and foreign addresses answer alike.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from ..errors import Conflict, CrossdockError
from ..flow.ingest import InboundOffer, IngestAnswer
from .context import request_id_of, trace_id_in
from .hub_port import Hub
from .problems import MEDIA_TYPE, BadRequest, Problem, TooLarge, problem_of
from .senders import Senders

PATH_PREFIX = "/v1/ingest/"
# How long, and how much of, a refused body is still read, so that its sender gets to read the answer.
DRAIN_SECONDS_MAX = 5.0
DRAIN_BYTES_FACTOR = 2
ITEMS_MAX_HINT = "Send at most {count} documents at once"
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")

# Kept of a message is what may matter later; this is the transport's own.
_TRANSPORT = frozenset(
    b"host accept accept-encoding accept-language connection content-length content-type transfer-encoding expect te"
    b" upgrade via forwarded x-forwarded-for".split()
)
# Never kept: what proves who the sender is.
_CREDENTIALS = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"))
_JSON = [(b"content-type", b"application/json")]
_DECODE_ARRAY = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ENCODE = msgspec.json.Encoder().encode


class Accepted(msgspec.Struct, omit_defaults=True):
    """What the sender is told of one document. `duplicate_of` is set when the same paper came before.

    In a batch a document whose identity was used for other bytes has the state `conflict` and its code.
    """

    message_id: str
    state: str
    duplicate_of: str = ""
    code: str = ""


class AcceptedBatch(msgspec.Struct):
    """What the sender is told of a batch, item by item, in the order of the body."""

    items: list[Accepted]


class IdentityConflict(Conflict):
    """This identity was used before for other bytes; both are kept, the new ones are not applied."""

    code = "XD-ING-005"


class _BodyTooLarge(TooLarge):
    """The body itself is larger than this door takes; `more` of it may still be on its way."""

    def __init__(self, message: str, *, more: bool = True) -> None:
        super().__init__(message)
        self.more = more


class IngestDoor:
    """The ASGI callable. `senders` proves who hands something in."""

    def __init__(self, hub: Hub, senders: Senders) -> None:
        self._hub = hub
        self._senders = senders
        self._bytes_max = hub.settings.web.ingest_body_bytes_max
        self._items_max = hub.settings.limits.documents_per_message_max

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            status, body = await self._take(scope, receive)
        except CrossdockError as error:
            problem = problem_of(
                error,
                instance=scope["path"],
                request_id=request_id_of(scope),
                trace_id=trace_id_in(_traceparent(scope)),
            )
            await _refuse(send, problem)
            if isinstance(error, _BodyTooLarge):
                await self._drain(receive, more=error.more)
            await send({"type": "http.response.body", "body": b""})
            return
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [*_JSON, length]})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Any, receive: Any) -> tuple[int, bytes]:
        if scope["method"] != "POST":
            raise BadRequest("Documents are handed in with POST", code="XD-API-405")
        tenant_id, _, connection_id = scope["path"][len(PATH_PREFIX) :].partition("/")
        headers: dict[str, str] = {}
        credentials: dict[str, str] = {}
        content_type = content_length = ""
        for name, value in scope["headers"]:
            if name not in _TRANSPORT:
                (credentials if name in _CREDENTIALS else headers)[name.decode("latin-1")] = value.decode("latin-1")
            elif name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"content-length":
                content_length = value.decode("latin-1")
        content = await self._read(receive, content_length)
        sender = await self._senders.prove(tenant_id, connection_id, headers, credentials, content)
        parts = self._parts(content, content_type, arrays=sender.batch_arrays)
        name = headers.get("x-file-name", "")
        traceparent = headers.get("traceparent", "")
        if parts is None:
            offer = InboundOffer(
                tenant_id, connection_id, content, content_type, name, headers, sender.receipt_key, traceparent
            )
            answer = await self._hub.ingest(offer)
            if answer.state == "conflict":
                raise IdentityConflict(pointer=answer.message_id)
            return 202, _ENCODE(_accepted(answer))
        kind = "application/json"
        offers = [
            InboundOffer(tenant_id, connection_id, part, kind, name, headers, "", traceparent, of_batch=True)
            for part in parts
        ]
        answers = await self._hub.ingest_many(offers)
        return 202, _ENCODE(AcceptedBatch([_accepted(answer) for answer in answers]))

    async def _read(self, receive: Any, content_length: str) -> bytes:
        """Return the body, or refuse as soon as it is known to be too large."""
        limit = self._bytes_max
        if content_length.isdigit() and int(content_length) > limit:
            raise _BodyTooLarge(f"The body has {content_length} bytes; this door takes {limit}")
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if message["type"] == "http.disconnect":
                raise BadRequest("The connection closed before the body was complete")
            if len(body) > limit:
                raise _BodyTooLarge(f"The body has more than the {limit} bytes this door takes", more=False)
            return body
        chunks, size = [body], len(body)
        while message.get("more_body", False):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("The connection closed before the body was complete")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                more = message.get("more_body", False)
                raise _BodyTooLarge(f"The body has more than the {limit} bytes this door takes", more=more)
            chunks.append(chunk)
        return b"".join(chunks)

    async def _drain(self, receive: Any, *, more: bool) -> None:
        """Read on for a while: closing on a sender that still writes would reset the answer away."""
        left = self._bytes_max * DRAIN_BYTES_FACTOR
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                while more and left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    more = bool(message.get("more_body", False))

    def _parts(self, content: bytes, content_type: str, *, arrays: bool) -> list[bytes] | None:
        """Return the documents of a batch, or None when the body is one document.

        What cannot be taken apart goes in as it came: translation names the defect, and the bytes are kept.
        """
        parts: list[bytes] | None = None
        if content_type.partition(";")[0].strip().lower() in NDJSON:
            parts = [line for line in content.splitlines() if line.strip()]
        elif arrays and content[:64].lstrip()[:1] == b"[":
            try:
                parts = [bytes(item) for item in _DECODE_ARRAY(content)]
            except (msgspec.DecodeError, UnicodeDecodeError):
                return None
        if parts is not None and len(parts) > self._items_max:
            raise TooLarge(
                f"The body holds {len(parts)} documents; this door takes {self._items_max} at once",
                code="XD-DOC-017",
                hint=ITEMS_MAX_HINT.format(count=self._items_max),
            )
        return parts or None


def _accepted(answer: IngestAnswer) -> Accepted:
    if answer.state == "duplicate":
        return Accepted(answer.message_id, answer.state, answer.message_id)
    return Accepted(answer.message_id, answer.state, "", "XD-ING-005" if answer.state == "conflict" else "")


async def _refuse(send: Any, problem: Problem) -> None:
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    if problem.retry_after is not None:
        headers.append((b"retry-after", str(problem.retry_after).encode()))
    if problem.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if problem.status == 405:
        headers.append((b"allow", b"POST"))
    if problem.status == 413:
        # The rest of the body may never be read; the connection cannot be used again.
        headers.append((b"connection", b"close"))
    body = problem.body()
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _traceparent(scope: Any) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), "")
