"""`/v1/replays`: run many messages again. First the plan; its digest starts the job; the job can be held and ended."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from ...flow.replay_jobs import Filter, Job, Plan
from ..access import Principal
from ..context import api_principal, web_of
from ..idempotency import once
from .issues import IdempotencyKey


class PlanRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be run again and under what: as it came, as now, or a candidate (a release, or files of a pack)."""

    filter: Filter
    under: Literal["original", "current", "candidate"] = "current"
    release_id: Annotated[str, msgspec.Meta(max_length=100)] = ""
    files: dict[str, str] | None = None


class StartRequest(PlanRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same, with the digest of its plan. `per_second` 0 takes the setting."""

    digest: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    per_second: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 0.0


class MoveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, for the audit."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class ReplayItem(msgspec.Struct, frozen=True):
    """A message that failed again, or went another way than planned."""

    message_id: str
    planned: str
    detail: str


class ReplayJob(msgspec.Struct, frozen=True):
    """A replay with its first failed messages."""

    job: Job
    failed: tuple[ReplayItem, ...]


class ReplayList(msgspec.Struct, frozen=True):
    """One page. `next_cursor` is empty on the last one."""

    items: tuple[Job, ...]
    next_cursor: str


@post(
    "/v1/replays/plan",
    operation_id="planReplay",
    summary="Say what a replay would do",
    tags=["replays"],
    status_code=200,
    responses={200: ResponseSpec(Plan, generate_examples=False, description="everything it would do")},
)
async def plan_replay(request: Request[Any, Any, Any], data: JSONBody[PlanRequest]) -> Response[bytes]:
    """Go through translate and decide for every message; nothing is written and nothing is sent."""
    principal = await _allowed(request, data)
    repair = web_of(request).hub.repair
    found = await repair.plan(
        principal.tenant_id, data.filter, data.under, release_id=data.release_id, files=data.files
    )
    return Response(_encode(found), media_type="application/json")


@post(
    "/v1/replays",
    operation_id="startReplay",
    summary="Start a replay",
    tags=["replays"],
    status_code=202,
    responses={202: ResponseSpec(Job, generate_examples=False, description="the job")},
)
async def start_replay(
    request: Request[Any, Any, Any], data: JSONBody[StartRequest], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Run what a plan showed; refused when it would do anything else by now."""
    principal = await _allowed(request, data)
    repair = web_of(request).hub.repair

    async def act() -> Any:
        return await repair.start(
            principal.tenant_id,
            data.filter,
            data.under,
            data.digest,
            actor=principal.actor,
            reason=data.reason,
            per_second=data.per_second,
            release_id=data.release_id,
            files=data.files,
        )

    return await once(request, principal, "replay.start", data, act, status=202)


@get("/v1/replays", operation_id="listReplays", summary="List replays", tags=["replays"])
async def list_replays(
    request: Request[Any, Any, Any],
    cursor: Annotated[str, QueryParameter(description="next_cursor of the page before")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> ReplayList:
    """Return bulk replays, newest first."""
    principal = await api_principal(request)
    principal.require("job.read")
    found = await web_of(request).hub.repair.jobs(principal.tenant_id, cursor, limit)
    return ReplayList(tuple(found), found[-1].job_id if len(found) == limit else "")


@get("/v1/replays/{job_id:str}", operation_id="getReplay", summary="Get a replay", tags=["replays"])
async def get_replay(request: Request[Any, Any, Any], job_id: FromPath[str]) -> ReplayJob:
    """Return how far it is, and what failed."""
    principal = await api_principal(request)
    principal.require("job.read")
    job, failed = await web_of(request).hub.repair.job(principal.tenant_id, job_id)
    return ReplayJob(job, tuple(ReplayItem(row[1], row[2], row[4]) for row in failed))


@post(
    "/v1/replays/{job_id:str}/{verb:str}",
    operation_id="moveReplay",
    summary="Pause, resume or cancel a replay",
    tags=["replays"],
    status_code=200,
    responses={200: ResponseSpec(Job, generate_examples=False, description="the job afterwards")},
)
async def move_replay(
    request: Request[Any, Any, Any],
    job_id: FromPath[str],
    verb: FromPath[Literal["pause", "resume", "cancel"]],
    data: JSONBody[MoveRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """What ran stays as it is. Doing it twice changes nothing."""
    principal = await api_principal(request)
    principal.require("replay.run")
    repair = web_of(request).hub.repair
    return await once(
        request,
        principal,
        "replay.move",
        data,
        lambda: repair.move(principal.tenant_id, job_id, verb, actor=principal.actor, reason=data.reason),
    )


async def _allowed(request: Any, data: PlanRequest) -> Principal:
    principal = await api_principal(request)
    principal.require("replay.run")
    if data.under == "candidate":
        principal.require("release.plan")
    return principal


_encode = msgspec.json.Encoder(decimal_format="string").encode
