"""Issues: what is broken, how badly, who has it; grouped by cause, with the fix where it can be done from here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter

from ...durable.identity import to_micros
from ...errors import NotFound
from ...governance import audit
from ...governance.queues import Owners
from ...store import issues as issue_store
from ...views import issues as issues_view
from .. import message_list
from ..access import refuse_foreign_pages
from ..hub_port import ReplayRequest
from ..rendering import page, redirect
from .frame import Visit, show, twin, visit

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


class ClosedPage(msgspec.Struct, frozen=True):
    """The Resolved tab."""

    rows: tuple[issues_view.IssueRow, ...]
    next_cursor: str


@get(["/console/issues", "/console/issues.json", "/console/issues.csv"], include_in_schema=False)
async def issues(
    request: Request[Any, Any, Any],
    tab: FromQuery[Literal["open", "resolved", "retries"]] = "open",
    after: FromQuery[str] = "",
    issue_class: Annotated[Literal["", "partner", "data", "system", "unknown"], QueryParameter(name="class")] = "",
) -> Response[bytes]:
    """Show open issues, resolved ones, or the messages that will be tried again."""
    here = await visit(request, "issue.read")
    tenant_id, now = here.tenant_id, here.now
    view: Any
    if tab == "resolved":
        rows = await here.read(
            lambda connection: issues_view.closed_issues(
                connection, tenant_id, now=now, before=after, owners=here.configuration.head.owners
            )
        )
        view = ClosedPage(rows, rows[-1].issue_id if len(rows) == 50 else "")
    elif tab == "retries":
        view = await here.read(lambda connection: message_list.retries(connection, tenant_id))
    else:
        view = await here.read(
            lambda connection: issues_view.open_issues(
                connection, tenant_id, now=now, owners=here.configuration.head.owners, issue_class=issue_class
            )
        )
    public = here.public_url
    return await show(
        here,
        "console/issues.html",
        view,
        section="issues",
        crumbs=(("Overview", "/console"), ("Issues", "")),
        tab=tab,
        issue_class=issue_class,
        next_href=f"/console/issues?tab=resolved&after={view.next_cursor}"
        if tab == "resolved" and view.next_cursor
        else "",
        copies=(
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {public}/v1/issues"),
            ("JSON", twin(here, "json")),
            ("CSV, this page", twin(here, "csv")),
        ),
    )


@get("/console/issues/{issue_id:str}", include_in_schema=False)
async def issue(request: Request[Any, Any, Any], issue_id: FromPath[str]) -> Response[bytes]:
    """Show one issue: what, where, why, how to fix it, whom it hurts; and its members.

    A cause (`lookup:locations:RENO-X`) leads to its newest issue.
    """
    here = await visit(request, "issue.read")
    if not issue_id.startswith("iss_"):
        newest = await here.read(lambda connection: issues_view.newest_of_cause(connection, here.tenant_id, issue_id))
        return redirect(f"/console/issues/{newest}")
    return await _detail(here, issue_id.removesuffix(".json"))


@post("/console/issues/{issue_id:str}/acknowledge", include_in_schema=False, status_code=303)
async def acknowledge(request: Request[Any, Any, Any], issue_id: FromPath[str], data: Form) -> Response[bytes]:
    """Take an issue on, in one's own name."""
    here = await visit(request, "issue.acknowledge")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    await acknowledge_issue(here.hub, here.tenant_id, issue_id, here.principal.actor)
    return Response(b"", status_code=303, headers={"location": f"/console/issues/{issue_id}"})


@post("/console/issues/{issue_id:str}/assign", include_in_schema=False, status_code=303)
async def assign(request: Request[Any, Any, Any], issue_id: FromPath[str], data: Form) -> Response[bytes]:
    """Give an issue to somebody, or back to its queue."""
    here = await visit(request, "issue.acknowledge")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    owner = data.get("owner", "").strip()[:200]
    await assign_issue(here.hub, here.tenant_id, issue_id, owner, here.principal.actor)
    return Response(b"", status_code=303, headers={"location": f"/console/issues/{issue_id}"})


@post("/console/issues/{issue_id:str}/preview", include_in_schema=False, status_code=200)
async def preview(request: Request[Any, Any, Any], issue_id: FromPath[str], data: Form) -> Response[bytes]:
    """Say what a replay of the issue's open members would do; nothing is changed."""
    here = await visit(request, "message.replay")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    await here.read(lambda connection: issues_view.load(connection, here.tenant_id, issue_id, now=here.now))
    report = await here.hub.replay(
        here.tenant_id, ReplayRequest(issue_id=issue_id, dry_run=True, actor=here.principal.actor)
    )
    return page("console/replay_report.html", {"report": report, "dry": True})


@post("/console/issues/{issue_id:str}/replay", include_in_schema=False, status_code=200)
async def replay(request: Request[Any, Any, Any], issue_id: FromPath[str], data: Form) -> Response[bytes]:
    """Run the issue's open members again under the active release."""
    here = await visit(request, "message.replay")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    await here.read(lambda connection: issues_view.load(connection, here.tenant_id, issue_id, now=here.now))
    report = await here.hub.replay(here.tenant_id, ReplayRequest(issue_id=issue_id, actor=here.principal.actor))
    return page("console/replay_report.html", {"report": report, "dry": False})


@post("/console/issues/{issue_id:str}/fix", include_in_schema=False, status_code=200)
async def fix(request: Request[Any, Any, Any], issue_id: FromPath[str], data: Form) -> Response[bytes]:
    """Add the missing row, then replay what waits for it."""
    here = await visit(request, "issue.fix")
    here.principal.require("lookup.set")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    await here.read(lambda connection: issues_view.load(connection, here.tenant_id, issue_id, now=here.now))
    await take_on(here.hub, here.tenant_id, issue_id, here.principal.actor)
    report = await here.hub.fix_issue(
        here.tenant_id,
        issue_id,
        data.get("table", "").strip(),
        data.get("key", "").strip(),
        data.get("value", "").strip(),
        here.principal.actor,
    )
    return page("console/replay_report.html", {"report": report, "dry": False})


async def take_on(hub: Any, tenant_id: str, issue_id: str, actor: str) -> None:
    """Make whoever repairs an open issue its owner, so that it is told who closed it."""
    now = to_micros(hub.clock.now())

    def act(connection: Any) -> None:
        open_row = connection.one(
            "select 1 from issues where tenant_id = ? and issue_id = ? and state in ('open', 'acknowledged')",
            (tenant_id, issue_id),
        )
        if open_row is not None:
            issue_store.set_state(connection, tenant_id, issue_id, "acknowledged", actor, now)

    await hub.store.write(act)


def owners_of(hub: Any, tenant_id: str) -> Owners:
    """Return who answers for which class of issues, as the active release says."""
    configuration = hub.configuration(tenant_id)
    return configuration.head.owners if configuration is not None else {}


async def assign_issue(hub: Any, tenant_id: str, issue_id: str, owner: str, actor: str) -> None:
    """Give an open issue to `owner`, or (empty) back to its queue; the act is audited. `NotFound` without such one."""
    now = hub.clock.now()

    def act(connection: Any) -> None:
        if not issue_store.assign(connection, tenant_id, issue_id, owner, to_micros(now)):
            raise NotFound(f"There is no open issue {issue_id}")
        audit.append(
            connection,
            tenant_id,
            actor=actor,
            action="issue.assign" if owner else "issue.unassign",
            object=f"issue/{issue_id}",
            detail={"owner": owner},
            at=now,
        )

    await hub.store.write(act)


async def acknowledge_issue(hub: Any, tenant_id: str, issue_id: str, actor: str) -> None:
    """Mark an open issue as taken on by `actor`; the act is audited. `NotFound` where the tenant has no such open
    issue.
    """
    now = hub.clock.now()

    def act(connection: Any) -> None:
        row = connection.one(
            "select state from issues where tenant_id = ? and issue_id = ? and state in ('open', 'acknowledged')",
            (tenant_id, issue_id),
        )
        if row is None:
            raise NotFound(f"There is no open issue {issue_id}")
        if row[0] == "open":
            issue_store.set_state(connection, tenant_id, issue_id, "acknowledged", actor, to_micros(now))
            audit.append(
                connection, tenant_id, actor=actor, action="issue.acknowledge", object=f"issue/{issue_id}", at=now
            )

    await hub.store.write(act)


async def _detail(here: Visit, issue_id: str) -> Response[bytes]:
    owners = here.configuration.head.owners
    view = await here.read(
        lambda connection: issues_view.load(connection, here.tenant_id, issue_id, now=here.now, owners=owners)
    )
    public = here.public_url
    return await show(
        here,
        "console/issue.html",
        view,
        section="issues",
        crumbs=(("Overview", "/console"), ("Issues", "/console/issues"), (view.issue.code, "")),
        lookups=here.configuration.lookups,
        copies=(
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {public}/v1/issues/{issue_id}"),
            ("CLI", f"crossdock replay {issue_id} --dry-run --tenant {here.tenant_id}"),
            ("JSON", f"{public}/console/issues/{issue_id}.json"),
        ),
    )
