"""`/v1/issues`: what is broken, grouped by cause; acknowledge, fix, replay with a dry run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from ...flow.replay import ReplayReport
from ...flow.source_again import SourcedOrder
from ...views import issues as issues_view
from ...views.issues import IssueDetail, IssueRow, QueueRow
from ..console.issues import acknowledge_issue, assign_issue, owners_of, take_on
from ..context import api_principal, web_of
from ..hub_port import Hub, ReplayRequest
from ..idempotency import once

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(name="idempotency-key", description="the same key does the same work once", max_length=255),
]


class IssueList(msgspec.Struct, frozen=True):
    """One page of issues. `next_cursor` is empty on the last one; `queues` sums up what is open by class."""

    items: tuple[IssueRow, ...]
    next_cursor: str
    queues: tuple[QueueRow, ...] = ()


class AssignRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes the issue on; empty gives it back to its queue, where the clock runs on."""

    owner: Annotated[str, msgspec.Meta(max_length=200)] = ""


class FixRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row for a lookup table: afterwards what waits for it is replayed."""

    table: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    value: Annotated[str, msgspec.Meta(max_length=500)]


class IssueReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Run the open members again. A dry run changes no row and says what would happen."""

    dry_run: bool = False
    under: Literal["original", "current"] = "current"
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class SourcedIssue(msgspec.Struct, frozen=True):
    """What became of each order that waited."""

    orders: tuple[SourcedOrder, ...]


_REPORT = {200: ResponseSpec(ReplayReport, generate_examples=False, description="what was done, or would be")}


@get("/v1/issues", operation_id="listIssues", summary="List issues", tags=["issues"])
async def list_issues(
    request: Request[Any, Any, Any],
    issue_state: Annotated[
        Literal["open", "resolved"], QueryParameter(name="state", description="open includes acknowledged")
    ] = "open",
    cursor: Annotated[str, QueryParameter(description="next_cursor of the page before, for resolved issues")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    issue_class: Annotated[
        Literal["", "partner", "data", "system", "unknown"],
        QueryParameter(name="class", description="one queue of the open issues"),
    ] = "",
    owner: Annotated[str | None, QueryParameter(description="who took it on; empty: nobody yet")] = None,
) -> IssueList:
    """Return open issues, the most urgent first, or resolved ones, the newest first."""
    principal = await api_principal(request)
    principal.require("issue.read")
    hub = web_of(request).hub
    now, tenant_id = hub.clock.now(), principal.tenant_id
    if issue_state == "open":
        page = await hub.store.read(
            lambda connection: issues_view.open_issues(
                connection,
                tenant_id,
                now=now,
                limit=limit,
                owners=owners_of(hub, tenant_id),
                issue_class=issue_class,
                owner=owner,
            )
        )
        return IssueList(page.rows, "", page.queues)
    rows = await hub.store.read(
        lambda connection: issues_view.closed_issues(
            connection, tenant_id, now=now, before=cursor, limit=limit, owners=owners_of(hub, tenant_id)
        )
    )
    return IssueList(rows, rows[-1].issue_id if len(rows) == limit else "")


@get("/v1/issues/{issue_id:str}", operation_id="getIssue", summary="Get an issue", tags=["issues"])
async def get_issue(request: Request[Any, Any, Any], issue_id: FromPath[str]) -> IssueDetail:
    """Return one issue with its newest members, its impact and how to fix it."""
    principal = await api_principal(request)
    principal.require("issue.read")
    hub = web_of(request).hub
    return await _load(hub, principal.tenant_id, issue_id)


@post(
    "/v1/issues/{issue_id:str}/acknowledge",
    operation_id="acknowledgeIssue",
    summary="Take an issue on",
    tags=["issues"],
    status_code=200,
    responses={200: ResponseSpec(IssueDetail, generate_examples=False, description="the issue afterwards")},
)
async def acknowledge(
    request: Request[Any, Any, Any], issue_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Mark an open issue as taken on by the caller. Doing it twice changes nothing."""
    principal = await api_principal(request)
    principal.require("issue.acknowledge")
    hub = web_of(request).hub

    async def act() -> IssueDetail:
        await acknowledge_issue(hub, principal.tenant_id, issue_id, principal.actor)
        return await _load(hub, principal.tenant_id, issue_id)

    return await once(request, principal, "issue.acknowledge", None, act)


@post(
    "/v1/issues/{issue_id:str}/assign",
    operation_id="assignIssue",
    summary="Give an issue to somebody",
    tags=["issues"],
    status_code=200,
    responses={200: ResponseSpec(IssueDetail, generate_examples=False, description="the issue afterwards")},
)
async def assign(
    request: Request[Any, Any, Any],
    issue_id: FromPath[str],
    data: JSONBody[AssignRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Give an open issue to somebody, or back to its queue."""
    principal = await api_principal(request)
    principal.require("issue.acknowledge")
    hub = web_of(request).hub

    async def act() -> IssueDetail:
        await assign_issue(hub, principal.tenant_id, issue_id, data.owner.strip(), principal.actor)
        return await _load(hub, principal.tenant_id, issue_id)

    return await once(request, principal, "issue.assign", data, act)


@post(
    "/v1/issues/{issue_id:str}/fix",
    operation_id="fixIssue",
    summary="Add the missing row and replay",
    tags=["issues"],
    status_code=200,
    responses=_REPORT,
)
async def fix(
    request: Request[Any, Any, Any],
    issue_id: FromPath[str],
    data: JSONBody[FixRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Make a release with one more row in a lookup table, then replay what waits for it."""
    principal = await api_principal(request)
    principal.require("issue.fix")
    principal.require("lookup.set")
    hub = web_of(request).hub
    await _exists(hub, principal.tenant_id, issue_id)

    async def act() -> ReplayReport:
        await take_on(hub, principal.tenant_id, issue_id, principal.actor)
        report: ReplayReport = await hub.fix_issue(
            principal.tenant_id, issue_id, data.table, data.key, data.value, principal.actor
        )
        return report

    return await once(request, principal, "issue.fix", data, act)


@post(
    "/v1/issues/{issue_id:str}/replay",
    operation_id="replayIssue",
    summary="Replay an issue's open members",
    tags=["issues"],
    status_code=200,
    responses=_REPORT,
)
async def replay(
    request: Request[Any, Any, Any],
    issue_id: FromPath[str],
    data: JSONBody[IssueReplayRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Run the members again, or with `dry_run` say what that would do."""
    principal = await api_principal(request)
    principal.require("message.replay")
    hub = web_of(request).hub
    await _exists(hub, principal.tenant_id, issue_id)
    wanted = ReplayRequest(
        issue_id=issue_id, under=data.under, dry_run=data.dry_run, actor=principal.actor, reason=data.reason
    )
    return await once(request, principal, "issue.replay", data, lambda: hub.replay(principal.tenant_id, wanted))


@post(
    "/v1/issues/{issue_id:str}/source",
    operation_id="sourceIssue",
    summary="Source an issue's waiting orders again",
    tags=["issues"],
    status_code=200,
    responses={200: ResponseSpec(SourcedIssue, generate_examples=False, description="what became of the orders")},
)
async def source(
    request: Request[Any, Any, Any], issue_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Look for sites now for every order behind the issue that waits, past its hold."""
    principal = await api_principal(request)
    principal.require("order.source")
    hub = web_of(request).hub
    await _exists(hub, principal.tenant_id, issue_id)

    async def act() -> SourcedIssue:
        return SourcedIssue(await hub.source_issue_again(principal.tenant_id, issue_id, principal.actor))

    return await once(request, principal, "issue.source", None, act)


async def _exists(hub: Hub, tenant_id: str, issue_id: str) -> None:
    await hub.store.read(
        lambda connection: issues_view.load(connection, tenant_id, issue_id, now=hub.clock.now(), members_max=1)
    )


async def _load(hub: Hub, tenant_id: str, issue_id: str) -> IssueDetail:
    return await hub.store.read(
        lambda connection: issues_view.load(
            connection, tenant_id, issue_id, now=hub.clock.now(), owners=owners_of(hub, tenant_id)
        )
    )
