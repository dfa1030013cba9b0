"""`/v1/messages`: what came in and what went out, with bytes, documents, attempts and replay."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ...durable.states import MessageState, OutboundState
from ...errors import CrossdockError, NotFound
from ...flow.replay import ReplayReport
from ...views import messages as messages_view
from ...views.messages import AttemptView, InboundView, OutboundView
from .. import message_list
from ..console.messages import message_exists
from ..context import api_principal, web_of
from ..hub_port import ReplayRequest
from ..idempotency import once
from ..problems import refuse_unknown
from .issues import IdempotencyKey


class MessageList(msgspec.Struct, frozen=True):
    """One page. `next_cursor` is empty on the last one."""

    items: tuple[message_list.MessageRow, ...]
    next_cursor: str


class Message(msgspec.Struct, frozen=True):
    """One message: `inbound` or `outbound` is set. `raw.content` is empty here; the bytes are at `/raw`."""

    direction: Literal["in", "out"]
    inbound: InboundView | None = None
    outbound: OutboundView | None = None


class AttemptList(msgspec.Struct, frozen=True):
    """Every try to send one outbound message, the first one first."""

    items: tuple[AttemptView, ...]


class MessageReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Run one stored message again, under the release it came under or the active one."""

    dry_run: bool = False
    under: Literal["original", "current"] = "current"
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Damaged(CrossdockError):
    """The stored bytes are not those that came or went."""

    code = "XD-SYS-020"


@get("/v1/messages", operation_id="listMessages", summary="List messages", tags=["messages"])
async def list_messages(
    request: Request[Any, Any, Any],
    direction: FromQuery[Literal["in", "out"]] = "in",
    message_state: Annotated[str, QueryParameter(name="state")] = "",
    partner: FromQuery[str] = "",
    subject: Annotated[str, QueryParameter(description="all about one subject, such as order/SO-1001")] = "",
    cursor: Annotated[str, QueryParameter(description="next_cursor of the page before")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> MessageList:
    """Return messages of one direction, newest first; with a subject, those of both about it."""
    principal = await api_principal(request)
    principal.require("message.read")
    tenant_id = principal.tenant_id
    refuse_unknown(message_state, get_args(MessageState if direction == "in" else OutboundState), "/query/state")
    load = message_list.inbound if direction == "in" else message_list.outbound

    def read(connection: Any) -> message_list.MessagesPage:
        if subject:
            return message_list.of_subject(connection, tenant_id, subject, limit=limit)
        return load(connection, tenant_id, state=message_state, partner=partner, cursor=cursor, limit=limit)

    page = await web_of(request).hub.store.read(read)
    return MessageList(page.rows, page.next_cursor)


@get("/v1/messages/{message_id:str}", operation_id="getMessage", summary="Get a message", tags=["messages"])
async def get_message(request: Request[Any, Any, Any], message_id: FromPath[str]) -> Message:
    """Return envelope, documents with findings and canonical form, attempts, and what led here or followed."""
    view = await _view(request, message_id, "message.read")
    blank = msgspec.structs.replace(view, raw=msgspec.structs.replace(view.raw, content=b""))
    return Message("in", inbound=blank) if isinstance(blank, InboundView) else Message("out", outbound=blank)


@get(
    "/v1/messages/{message_id:str}/raw",
    operation_id="getMessageBytes",
    summary="Get a message's bytes",
    tags=["messages"],
    responses={
        200: ResponseSpec(
            bytes,
            generate_examples=False,
            description="the bytes as they came or went",
            media_type="application/octet-stream",
        )
    },
)
async def get_bytes(request: Request[Any, Any, Any], message_id: FromPath[str]) -> Response[bytes]:
    """Return the bytes, checked against their digest, always as a download."""
    view = await _view(request, message_id, "message.raw")
    if view.raw.damage is not None:
        raise Damaged(view.raw.damage.message, code=view.raw.damage.code, hint=view.raw.damage.hint or "")
    return Response(
        view.raw.content,
        media_type="application/octet-stream",
        headers={
            "content-disposition": f'attachment; filename="{view.message_id}"',
            "digest": f"sha-256={view.raw.digest}",
            "x-original-content-type": view.raw.content_type.encode("ascii", "replace").decode()[:200],
        },
    )


@get(
    "/v1/messages/{message_id:str}/attempts",
    operation_id="listMessageAttempts",
    summary="List the attempts of an outbound message",
    tags=["messages"],
)
async def list_attempts(request: Request[Any, Any, Any], message_id: FromPath[str]) -> AttemptList:
    """Return every try with the partner's answer; an inbound message has none."""
    view = await _view(request, message_id, "message.read")
    return AttemptList(view.attempts if isinstance(view, OutboundView) else ())


@post(
    "/v1/messages/{message_id:str}/replay",
    operation_id="replayMessage",
    summary="Replay a message",
    tags=["messages"],
    status_code=200,
    responses={200: ResponseSpec(ReplayReport, generate_examples=False, description="what was done, or would be")},
)
async def replay(
    request: Request[Any, Any, Any],
    message_id: FromPath[str],
    data: JSONBody[MessageReplayRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Run a message again, or with `dry_run` say what that would do."""
    principal = await api_principal(request)
    principal.require("message.replay")
    hub = web_of(request).hub
    await hub.store.read(lambda connection: message_exists(connection, principal.tenant_id, message_id))
    wanted = ReplayRequest(
        message_ids=(message_id,), under=data.under, dry_run=data.dry_run, actor=principal.actor, reason=data.reason
    )
    return await once(request, principal, "message.replay", data, lambda: hub.replay(principal.tenant_id, wanted))


async def _view(request: Request[Any, Any, Any], message_id: str, action: str) -> InboundView | OutboundView:
    principal = await api_principal(request)
    principal.require(action)

    def read(connection: Any) -> InboundView | OutboundView:
        try:
            return messages_view.load_inbound(connection, principal.tenant_id, message_id)
        except NotFound:
            return messages_view.load_outbound(connection, principal.tenant_id, message_id)

    return await web_of(request).hub.store.read(read)
