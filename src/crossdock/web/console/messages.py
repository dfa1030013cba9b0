"""The message list and the inspector: what exactly came in, what we made of it, what went out."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter

from ...errors import Finding, NotFound
from ...governance import releases
from ...views import messages as messages_view
from ...views.messages import DocumentView, InboundView, LinkedPanes, OutboundView
from .. import message_list
from ..access import refuse_foreign_pages
from ..hub_port import ReplayRequest
from ..rendering import page, redirect
from . import panes
from .frame import Visit, show, twin, visit

OUTBOUND_PANES_MAX = 6
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@get(["/console/messages", "/console/messages.json", "/console/messages.csv"], include_in_schema=False)
async def messages(
    request: Request[Any, Any, Any],
    direction: FromQuery[Literal["in", "out"]] = "in",
    message_state: Annotated[str, QueryParameter(name="state")] = "",
    partner: FromQuery[str] = "",
    subject: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """Show messages, newest first; with a subject, all about it."""
    here = await visit(request, "message.read")
    tenant_id = here.tenant_id
    if subject:
        view = await here.read(lambda connection: message_list.of_subject(connection, tenant_id, subject))
    else:
        load = message_list.inbound if direction == "in" else message_list.outbound
        view = await here.read(
            lambda connection: load(connection, tenant_id, state=message_state, partner=partner, cursor=after)
        )
    chosen = {"direction": direction, "state": message_state, "partner": partner}

    def link(**changes: str) -> str:
        query = {name: value for name, value in {**chosen, **changes}.items() if value}
        return "/console/messages?" + urlencode(query)

    states = ("received", "processed", "failed", "duplicate", "ignored")
    if direction == "out":
        states = ("pending", "sending", "sent", "unknown", "dead")
    return await show(
        here,
        "console/messages.html",
        view,
        section="messages",
        crumbs=(("Overview", "/console"), ("Messages", "")),
        chosen=chosen,
        subject=subject,
        link=link,
        states=states,
        partners=sorted(here.configuration.partners),
        next_href=link(after=view.next_cursor) if view.next_cursor else "",
        copies=(("JSON", twin(here, "json")), ("CSV, this page", twin(here, "csv"))),
    )


@get("/console/messages/{message_id:str}", include_in_schema=False)
async def message(
    request: Request[Any, Any, Any],
    message_id: FromPath[str],
    document: FromQuery[str] = "",
    tab: FromQuery[Literal["panes", "raw"]] = "panes",
) -> Response[bytes]:
    """Inspect one message, inbound or outbound. The name of a file leads to the newest message that bore it."""
    here = await visit(request, "message.read")
    wanted = message_id.removesuffix(".json")
    if not wanted.startswith("msg_"):
        newest = await here.read(lambda connection: message_list.newest_named(connection, here.tenant_id, message_id))
        return redirect(f"/console/messages/{newest}")
    try:
        inbound = await here.read(lambda connection: messages_view.load_inbound(connection, here.tenant_id, wanted))
    except NotFound:
        outbound = await here.read(lambda connection: messages_view.load_outbound(connection, here.tenant_id, wanted))
        return await _outbound(here, outbound)
    return await _inbound(here, inbound, document)


@post("/console/messages/{message_id:str}/preview", include_in_schema=False, status_code=200)
async def preview(request: Request[Any, Any, Any], message_id: FromPath[str], data: Form) -> Response[bytes]:
    """Say what a replay would do; nothing is changed."""
    return await _replay(request, message_id, data, dry_run=True)


@post("/console/messages/{message_id:str}/replay", include_in_schema=False, status_code=200)
async def replay(request: Request[Any, Any, Any], message_id: FromPath[str], data: Form) -> Response[bytes]:
    """Run the message again."""
    return await _replay(request, message_id, data, dry_run=False)


async def _replay(
    request: Request[Any, Any, Any], message_id: str, data: dict[str, str], *, dry_run: bool
) -> Response[bytes]:
    here = await visit(request, "message.replay")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    await here.read(lambda connection: message_exists(connection, here.tenant_id, message_id))
    under: Literal["original", "current"] = "original" if data.get("under") == "original" else "current"
    wanted = ReplayRequest(message_ids=(message_id,), under=under, dry_run=dry_run, actor=here.principal.actor)
    report = await here.hub.replay(here.tenant_id, wanted)
    return page("console/replay_report.html", {"report": report, "dry": dry_run})


def message_exists(connection: Any, tenant_id: str, message_id: str) -> None:
    """Raise `NotFound` unless the tenant has this message."""
    for table in ("inbound_messages", "outbound_messages"):
        if connection.one(f"select 1 from {table} where tenant_id = ? and message_id = ?", (tenant_id, message_id)):  # noqa: S608
            return
    raise NotFound(f"There is no message {message_id}")


async def _inbound(here: Visit, view: InboundView, wanted: str) -> Response[bytes]:
    chosen = next((one for one in view.documents if one.document_id == wanted), None) or next(
        iter(view.documents), None
    )
    sees_raw = here.principal.may("message.raw")
    explained, caused = await here.read(lambda connection: _explain(connection, here, view, chosen))
    findings = [msgspec.convert(one, Finding) for one in chosen.findings] if chosen else []
    raw = panes.raw_pane(
        "Raw",
        view.raw.content if sees_raw else b"",
        [one.offset for one in findings if one.offset is not None],
        [one.value for one in findings if one.offset is None and one.value],
    )
    canonical = panes.value_pane("Canonical", chosen.canonical if chosen else None)
    outbound = [panes.raw_pane(f"{one.document_type} to {one.partner}", one.raw.content) for one in caused]
    panes.link(raw, canonical, outbound, explained.links if explained else (), explained.source if explained else None)
    return await show(
        here,
        "console/message.html",
        _without_bytes(view),
        section="messages",
        crumbs=_crumbs(view.message_id),
        direction="in",
        chosen=chosen,
        explained=explained,
        findings=findings,
        raw=raw,
        canonical=canonical,
        outbound=list(zip(caused, outbound, strict=True)),
        sees_raw=sees_raw,
        damage=view.raw.damage,
        copies=_copies(here, view.message_id),
    )


async def _outbound(here: Visit, view: OutboundView) -> Response[bytes]:
    sees_raw = here.principal.may("message.raw")
    canonical = panes.value_pane("Canonical", view.canonical)
    sent = panes.raw_pane("Outbound", view.raw.content if sees_raw else b"")
    source = await here.read(lambda connection: _cause(connection, here.tenant_id, view))
    raw = panes.raw_pane("Raw, the message that led here", source.raw.content if source and sees_raw else b"")
    panes.link(raw, canonical, [sent], (), None)
    return await show(
        here,
        "console/message.html",
        _without_bytes(view),
        section="messages",
        crumbs=_crumbs(view.message_id),
        direction="out",
        chosen=None,
        explained=None,
        findings=[],
        raw=raw,
        canonical=canonical,
        outbound=[(view, sent)],
        sees_raw=sees_raw,
        damage=view.raw.damage,
        copies=_copies(here, view.message_id),
    )


def _explain(
    connection: Any, here: Visit, view: InboundView, chosen: DocumentView | None
) -> tuple[LinkedPanes | None, list[OutboundView]]:
    tenant_id = here.tenant_id
    related = [one for one in view.related if one.direction == "out"][:OUTBOUND_PANES_MAX]
    caused = [messages_view.load_outbound(connection, tenant_id, one.message_id) for one in related]
    if chosen is None or not chosen.map:
        return None, caused
    try:
        configuration = releases.load(connection, tenant_id, chosen.release_id or view.release_id)
    except NotFound:
        configuration = here.configuration
    return messages_view.linked(view, chosen, configuration), caused


def _cause(connection: Any, tenant_id: str, view: OutboundView) -> InboundView | None:
    for one in view.related:
        if one.direction == "in":
            return messages_view.load_inbound(connection, tenant_id, one.message_id)
    return None


def _without_bytes(view: Any) -> Any:
    # The JSON twin says where the bytes are instead of repeating them.
    return msgspec.structs.replace(view, raw=msgspec.structs.replace(view.raw, content=b""))


def _crumbs(message_id: str) -> tuple[tuple[str, str], ...]:
    return (("Overview", "/console"), ("Messages", "/console/messages"), (message_id, ""))


def _copies(here: Visit, message_id: str) -> tuple[tuple[str, str], ...]:
    public = here.public_url
    return (
        ("CLI", f"crossdock trace {message_id} --tenant {here.tenant_id}"),
        ("curl, the bytes", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {public}/v1/messages/{message_id}/raw"),
        ("JSON", f"{public}/console/messages/{message_id}.json"),
    )
