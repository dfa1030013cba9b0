"""`/v1/dead-letters`: what did not go through, and the three ways out: amend, requeue, discard; one or many."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ...flow.amend import BULK_MAX, Change, Outcome
from ...flow.edits import Edit
from ...store.dead_letters import Wanted
from ...views import dead_letters as view
from ...views.dead_letters import DeadLetter, DeadLetterDetail
from ..access import Principal
from ..context import api_principal, web_of
from ..idempotency import once
from ..problems import BadRequest
from .issues import IdempotencyKey

Kind = Literal["", "document", "message", "outbound"]
Class = Literal["", "partner", "data", "system", "unknown"]
Reason = Annotated[str, msgspec.Meta(max_length=500)]


class DeadLetterList(msgspec.Struct, frozen=True):
    """One page. `next_cursor` is empty on the last one."""

    items: tuple[DeadLetter, ...]
    next_cursor: str


class DeadLetterFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters; every field that is set must fit."""

    kind: Kind = ""
    partner: str = ""
    connection: str = ""
    code: str = ""
    error_class: Class = ""
    issue_id: str = ""


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Dead letters by id, or (`ids` empty) all that fit the filter: at most 1,000. `dry_run` changes no row."""

    ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=BULK_MAX)] = ()
    filter: DeadLetterFilter | None = None
    reason: Reason = ""
    dry_run: bool = False


class AmendRequest(Selection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The correction: edits of single fields, or the whole new content as text or base64."""

    part: Literal["raw", "canonical"] = "raw"
    edits: Annotated[tuple[Edit, ...], msgspec.Meta(max_length=200)] = ()
    content: str = ""
    content_base64: str = ""


class Outcomes(msgspec.Struct, frozen=True):
    """What became of each."""

    items: tuple[Outcome, ...]
    done: int
    refused: int


_DONE = {200: ResponseSpec(Outcomes, generate_examples=False, description="what became of each, or would")}


@get("/v1/dead-letters", operation_id="listDeadLetters", summary="List dead letters", tags=["dead letters"])
async def list_dead_letters(
    request: Request[Any, Any, Any],
    kind: FromQuery[Kind] = "",
    partner: FromQuery[str] = "",
    connection: FromQuery[str] = "",
    code: FromQuery[str] = "",
    error_class: Annotated[Class, QueryParameter(name="class")] = "",
    issue_id: FromQuery[str] = "",
    cursor: Annotated[str, QueryParameter(description="next_cursor of the page before")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> DeadLetterList:
    """Return rejected documents, failed messages and sends that were given up, newest first."""
    principal = await api_principal(request)
    principal.require("message.read")
    wanted = Wanted(kind, partner, connection, code, error_class, issue_id, (), cursor)
    found = await web_of(request).hub.store.read(
        lambda record: view.page(record, principal.tenant_id, wanted, limit=limit)
    )
    return DeadLetterList(found.rows, found.next_cursor)


@get(
    "/v1/dead-letters/{dead_letter_id:str}",
    operation_id="getDeadLetter",
    summary="Inspect a dead letter",
    tags=["dead letters"],
)
async def get_dead_letter(request: Request[Any, Any, Any], dead_letter_id: FromPath[str]) -> DeadLetterDetail:
    """Return why it failed, its attempts, bytes, canonical document and amended versions."""
    principal = await api_principal(request)
    principal.require("message.read")
    found = await web_of(request).hub.store.read(lambda record: view.load(record, principal.tenant_id, dead_letter_id))
    return found if principal.may("message.raw") else msgspec.structs.replace(found, content="", canonical=None)


@post(
    "/v1/dead-letters/amend",
    operation_id="amendDeadLetters",
    summary="Amend dead letters as new versions",
    tags=["dead letters"],
    status_code=200,
    responses=_DONE,
)
async def amend(
    request: Request[Any, Any, Any], data: JSONBody[AmendRequest], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Make a corrected version of each, linked to the original, which is never edited. A reason is required."""
    principal = await api_principal(request)
    principal.require("message.amend")
    change = Change(data.part, _content(data), data.edits)
    act = functools.partial(web_of(request).hub.repair.amend, change=change)
    return await _each(request, principal, "deadletter.amend", data, act)


@post(
    "/v1/dead-letters/requeue",
    operation_id="requeueDeadLetters",
    summary="Requeue dead letters",
    tags=["dead letters"],
    status_code=200,
    responses=_DONE,
)
async def requeue(
    request: Request[Any, Any, Any], data: JSONBody[Selection], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Run or send each again under the identity it has; of unknown outcome, the partner is asked first."""
    principal = await api_principal(request)
    principal.require("message.replay")
    return await _each(request, principal, "deadletter.requeue", data, web_of(request).hub.repair.requeue)


@post(
    "/v1/dead-letters/discard",
    operation_id="discardDeadLetters",
    summary="Discard dead letters",
    tags=["dead letters"],
    status_code=200,
    responses=_DONE,
)
async def discard(
    request: Request[Any, Any, Any], data: JSONBody[Selection], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Set each aside for good; bytes and history stay. A reason is required."""
    principal = await api_principal(request)
    principal.require("message.discard")
    return await _each(request, principal, "deadletter.discard", data, web_of(request).hub.repair.discard)


async def _each(
    request: Any,
    principal: Principal,
    route: str,
    data: Selection,
    act: Callable[..., Awaitable[list[Outcome]]],
) -> Response[bytes]:
    if bool(data.ids) == (data.filter is not None):
        raise BadRequest("Name dead letters by ids, or by a filter")
    repair = web_of(request).hub.repair

    async def run() -> Outcomes:
        ids = list(dict.fromkeys(data.ids))
        if data.filter is not None:
            chosen = data.filter
            ids = await repair.dead_ids(
                principal.tenant_id,
                Wanted(
                    chosen.kind, chosen.partner, chosen.connection, chosen.code, chosen.error_class, chosen.issue_id
                ),
            )
        settled = {"actor": principal.actor, "reason": data.reason, "dry_run": data.dry_run}
        found = await act(principal.tenant_id, ids, **settled) if ids else []
        refused = sum(1 for one in found if one.outcome == "refused")
        return Outcomes(tuple(found), len(found) - refused, refused)

    return await once(request, principal, route, data, run)


def _content(data: AmendRequest) -> bytes:
    given = [bool(data.edits), bool(data.content), bool(data.content_base64)]
    if sum(given) != 1:
        raise BadRequest("An amendment is edits, or content, or content_base64: one of them")
    if not data.content_base64:
        return data.content.encode()
    try:
        return base64.b64decode(data.content_base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("content_base64 is not base64") from error
