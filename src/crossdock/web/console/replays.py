"""Bulk replays: choose, see everything it would do, start just that, and follow, hold or end it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery

from ...errors import CrossdockError
from ...flow.replay_jobs import Filter, Job
from ...governance import releases
from ..access import refuse_foreign_pages
from ..problems import BadRequest
from ..rendering import page
from .frame import Visit, show, twin, visit

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
_FIELDS = ("partner", "connection_id", "document_type", "state", "document_state", "issue_id", "code")


class ReplaysPage(msgspec.Struct, frozen=True):
    """Replays, newest first."""

    rows: tuple[Job, ...]
    next_cursor: str


class ReplayItem(msgspec.Struct, frozen=True):
    """A message that failed again."""

    message_id: str
    planned: str
    detail: str


class ReplayPage(msgspec.Struct, frozen=True):
    """One replay with what failed in it."""

    job: Job
    failed: tuple[ReplayItem, ...]


@get(["/console/replays", "/console/replays.json", "/console/replays.csv"], include_in_schema=False)
async def replays(
    request: Request[Any, Any, Any], after: FromQuery[str] = "", issue_id: FromQuery[str] = ""
) -> Response[bytes]:
    """List replays; a form plans another one."""
    here = await visit(request, "job.read")
    found = await here.hub.repair.jobs(here.tenant_id, after, 50)
    view = ReplaysPage(tuple(found), found[-1].job_id if len(found) == 50 else "")
    known = await here.read(lambda connection: releases.history(connection, here.tenant_id, limit=20))
    return await show(
        here,
        "console/replays.html",
        view,
        section="replays",
        crumbs=(("Overview", "/console"), ("Replays", "")),
        partners=sorted(here.configuration.partners),
        connections=sorted(here.configuration.connections),
        releases=[release for release in known if not release.active],
        issue_id=issue_id,
        next_href=f"/console/replays?after={view.next_cursor}" if view.next_cursor else "",
        copies=(
            ("CLI", f"crossdock replays list --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {here.public_url}/v1/replays"),
            ("JSON", twin(here, "json")),
            ("CSV, this page", twin(here, "csv")),
        ),
    )


@get("/console/replays/{job_id:str}", include_in_schema=False)
async def replay_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> Response[bytes]:
    """Show how far one replay is."""
    here = await visit(request, "job.read")
    job_id = job_id.removesuffix(".json")
    job, failed = await here.hub.repair.job(here.tenant_id, job_id)
    return await show(
        here,
        "console/replay_job.html",
        ReplayPage(job, tuple(ReplayItem(row[1], row[2], row[4]) for row in failed)),
        section="replays",
        crumbs=(("Overview", "/console"), ("Replays", "/console/replays"), (job_id, "")),
        wanted={name: value for name, value in msgspec.to_builtins(job.filter).items() if value},
        copies=(
            ("CLI", f"crossdock replays show {job_id} --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {here.public_url}/v1/replays/{job_id}"),
            ("JSON", f"{here.public_url}/console/replays/{job_id}.json"),
        ),
    )


@post("/console/replays/plan", include_in_schema=False, status_code=200)
async def plan_replay(request: Request[Any, Any, Any], data: Form) -> Response[bytes]:
    """Say what a replay would do; its digest starts it."""
    here = await _allowed(request, data)
    try:
        plan = await here.hub.repair.plan(
            here.tenant_id, _filter(here, data), _under(data), release_id=data.get("release_id", "")
        )
    except CrossdockError as error:
        return page("console/replay_plan.html", {"trouble": f"{error.code} {error}"})
    limit = here.hub.settings.replay.reason_required_above
    context = {"trouble": "", "plan": plan, "form": data, "csrf_token": here.principal.csrf_token, "limit": limit}
    return page("console/replay_plan.html", context)


@post("/console/replays/start", include_in_schema=False, status_code=200)
async def start_replay(request: Request[Any, Any, Any], data: Form) -> Response[bytes]:
    """Start what was shown."""
    here = await _allowed(request, data)
    try:
        job = await here.hub.repair.start(
            here.tenant_id,
            _filter(here, data),
            _under(data),
            data.get("digest", ""),
            actor=here.principal.actor,
            reason=data.get("reason", "").strip()[:500],
            release_id=data.get("release_id", ""),
        )
    except CrossdockError as error:
        return page("console/replay_plan.html", {"trouble": f"{error.code} {error}"})
    return page("console/replay_plan.html", {"trouble": "", "plan": None, "job": job})


@post("/console/replays/{job_id:str}/{verb:str}", include_in_schema=False, status_code=303)
async def move_replay(
    request: Request[Any, Any, Any],
    job_id: FromPath[str],
    verb: FromPath[Literal["pause", "resume", "cancel"]],
    data: Form,
) -> Response[bytes]:
    """Pause, resume or cancel."""
    here = await _allowed(request, data)
    await here.hub.repair.move(here.tenant_id, job_id, verb, actor=here.principal.actor)
    return Response(b"", status_code=303, headers={"location": f"/console/replays/{job_id}"})


async def _allowed(request: Any, data: dict[str, str]) -> Visit:
    here = await visit(request, "replay.run")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    if data.get("under") == "candidate":
        here.principal.require("release.plan")
    return here


def _under(data: dict[str, str]) -> Literal["original", "current", "candidate"]:
    chosen = data.get("under", "current")
    return "original" if chosen == "original" else "candidate" if chosen == "candidate" else "current"


def _filter(here: Visit, data: dict[str, str]) -> Filter:
    given: dict[str, Any] = {name: data.get(name, "").strip() for name in _FIELDS if data.get(name, "").strip()}
    for name in ("received_from", "received_until"):
        if data.get(name):
            try:
                local = datetime.fromisoformat(data[name])
            except ValueError as error:
                raise BadRequest(f"{data[name]} is no date and time") from error
            given[name] = (local if local.tzinfo else local.replace(tzinfo=ZoneInfo(here.zone))).astimezone(UTC)
    try:
        return msgspec.convert(given, Filter)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from error
