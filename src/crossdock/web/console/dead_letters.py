"""Dead letters: what did not go through, why, and the ways out: amend, requeue, discard; single and in bulk."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter

from ...errors import CrossdockError, DocumentRejected
from ...flow.amend import Change
from ...store.dead_letters import Wanted
from ...views import dead_letters as view
from ..access import refuse_foreign_pages
from ..rendering import page
from .frame import Visit, show, twin, visit

Form = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]
KINDS = (("", "All"), ("document", "Documents in"), ("message", "Messages in"), ("outbound", "Messages out"))


@get(["/console/dead-letters", "/console/dead-letters.json", "/console/dead-letters.csv"], include_in_schema=False)
async def dead_letters(
    request: Request[Any, Any, Any],
    kind: FromQuery[Literal["", "document", "message", "outbound"]] = "",
    partner: FromQuery[str] = "",
    error_class: Annotated[Literal["", "partner", "data", "system", "unknown"], QueryParameter(name="class")] = "",
    issue: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """List dead letters, newest first."""
    here = await visit(request, "message.read")
    wanted = Wanted(kind, partner, "", "", error_class, issue, (), after)
    found = await here.read(lambda connection: view.page(connection, here.tenant_id, wanted))
    chosen = {"kind": kind, "partner": partner, "class": error_class, "issue": issue}
    return await show(
        here,
        "console/dead_letters.html",
        found,
        section="dead",
        crumbs=(("Overview", "/console"), ("Dead letters", "")),
        kinds=KINDS,
        chosen=chosen,
        partners=sorted(here.configuration.partners),
        next_href=_address(chosen, found.next_cursor) if found.next_cursor else "",
        link=lambda **more: _address({**chosen, **more}),
        copies=(
            ("CLI", f"crossdock dead list --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {here.public_url}/v1/dead-letters"),
            ("JSON", twin(here, "json")),
            ("CSV, this page", twin(here, "csv")),
        ),
    )


def _address(chosen: dict[str, str], after: str = "") -> str:
    from urllib.parse import urlencode

    query = urlencode({name: value for name, value in {**chosen, "after": after}.items() if value})
    return "/console/dead-letters" + (f"?{query}" if query else "")


@get("/console/dead-letters/{object_id:str}", include_in_schema=False)
async def dead_letter(request: Request[Any, Any, Any], object_id: FromPath[str]) -> Response[bytes]:
    """Show one dead letter with its bytes, findings, attempts and amended versions."""
    here = await visit(request, "message.read")
    object_id = object_id.removesuffix(".json")
    found = await here.read(lambda connection: view.load(connection, here.tenant_id, object_id))
    if not here.principal.may("message.raw"):
        found = msgspec.structs.replace(found, content="", canonical=None)
    canonical = msgspec.json.format(bytes(found.canonical), indent=2).decode() if found.canonical else ""
    return await show(
        here,
        "console/dead_letter.html",
        found,
        section="dead",
        crumbs=(("Overview", "/console"), ("Dead letters", "/console/dead-letters"), (object_id, "")),
        canonical=canonical,
        copies=(
            ("CLI", f"crossdock dead show {object_id} --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {here.public_url}/v1/dead-letters/{object_id}"),
            ("JSON", f"{here.public_url}/console/dead-letters/{object_id}.json"),
        ),
    )


@post("/console/dead-letters/act", include_in_schema=False, status_code=200)
async def act(request: Request[Any, Any, Any], data: Form) -> Response[bytes]:
    """Requeue or discard the chosen ones."""
    here = await visit(request, "message.read")
    refuse_foreign_pages(request, here.principal.csrf_token, str(data.get("csrf_token", "")))
    given = data.get("ids", [])
    ids = [given] if isinstance(given, str) else [str(one) for one in given]
    verb, reason = str(data.get("verb", "")), str(data.get("reason", "")).strip()[:500]
    actor, repair = here.principal.actor, here.hub.repair
    here.principal.require("message.discard" if verb == "discard" else "message.replay")
    if not ids:
        return _outcome(here, verb, (), "Choose at least one")
    try:
        if verb == "discard":
            found = await repair.discard(here.tenant_id, ids, actor=actor, reason=reason)
        else:
            found = await repair.requeue(here.tenant_id, ids, actor=actor, reason=reason)
    except CrossdockError as error:
        return _outcome(here, verb, (), f"{error.code} {error}")
    return _outcome(here, verb, found)


@post("/console/dead-letters/{object_id:str}/amend", include_in_schema=False, status_code=200)
async def amend(request: Request[Any, Any, Any], object_id: FromPath[str], data: Form) -> Response[bytes]:
    """Make an amended version, or say what it would be."""
    here = await visit(request, "message.amend")
    refuse_foreign_pages(request, here.principal.csrf_token, str(data.get("csrf_token", "")))
    part: Literal["raw", "canonical"] = "canonical" if data.get("part") == "canonical" else "raw"
    content = str(data.get("content", ""))
    # A form sends CRLF for every line end: what the original had is kept.
    if data.get("newline") == "lf":
        content = content.replace("\r\n", "\n")
    dry = data.get("verb") != "amend"
    try:
        found = await here.hub.repair.amend(
            here.tenant_id,
            [object_id],
            Change(part, content.encode()),
            actor=here.principal.actor,
            reason=str(data.get("reason", "")).strip()[:500],
            dry_run=dry,
        )
    except DocumentRejected as error:
        return _outcome(here, "amend", (), f"{error.code} {error}", findings=error.findings)
    except CrossdockError as error:
        return _outcome(here, "amend", (), f"{error.code} {error}")
    return _outcome(here, "amend", found)


def _outcome(here: Visit, verb: str, found: Any, trouble: str = "", findings: Any = ()) -> Response[bytes]:
    context = {"verb": verb, "found": found, "trouble": trouble, "findings": findings, "now": here.now}
    return page("console/dead_letter_outcome.html", context)
