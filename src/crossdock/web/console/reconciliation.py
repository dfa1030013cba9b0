"""Reconciliation in the console: what each run found, whether its report is as signed, and what still differs."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter

from ...errors import NotFound
from ...governance.rule_files import reconciliation_rules
from ...reconcile.report import Report, public_key_of, verify
from ...views import reconciliation as views
from ..access import refuse_foreign_pages
from ..problems import BadRequest
from ..rendering import redirect
from .frame import Visit, show, twin, visit

RUNS, ROWS = 10, 50

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


class Reconciled(msgspec.Struct, frozen=True):
    """The page. `rows` are the differences, `report` is of the run that is looked at, None before the first one.

    `signed`: the report's bytes bear this installation's signature.
    """

    runs: tuple[views.RunRow, ...]
    rows: tuple[views.DifferenceRow, ...]
    report: Report | None
    signed: bool
    overdue_days: int


@get(
    ["/console/reconciliation", "/console/reconciliation.json", "/console/reconciliation.csv"], include_in_schema=False
)
async def reconciliation(
    request: Request[Any, Any, Any],
    run: FromQuery[str] = "",
    wanted: Annotated[Literal["open", "accepted", "settled"], QueryParameter(name="state")] = "open",
    before: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[bytes]:
    """Show the runs, one of them in full, and the differences in a state."""
    here = await visit(request, "reconciliation.read")
    rules, now = reconciliation_rules(here.configuration), here.now

    def read(connection: Any) -> tuple[tuple[views.RunRow, ...], tuple[views.DifferenceRow, ...]]:
        return (
            views.runs(connection, here.tenant_id, cursor=before, limit=RUNS),
            views.differences(connection, here.tenant_id, rules, now=now, state=wanted, cursor=after, limit=ROWS),
        )

    runs, rows = await here.read(read)
    report, signed = await _report(here, run)
    view = Reconciled(runs, rows, report, signed, rules.sign_off_days)

    def link(**changes: str) -> str:
        chosen = {"run": run, "state": "" if wanted == "open" else wanted}
        query = {name: value for name, value in {**chosen, **changes}.items() if value}
        return "/console/reconciliation" + ("?" + urlencode(query) if query else "")

    shown = report.run_id if report is not None else "latest"
    address = f"{here.public_url}/v1/reconciliation/runs/{shown}/report"
    return await show(
        here,
        "console/reconciliation.html",
        view,
        section="reconciliation",
        crumbs=(("Overview", "/console"), ("Reconciliation", "")),
        state=wanted,
        link=link,
        planned=rules.runs,
        older_runs=link(before=runs[-1].run_id) if len(runs) == RUNS else "",
        next_href=link(after=rows[-1].difference_id) if len(rows) == ROWS else "",
        copies=(
            ("CLI", f"crossdock reconcile report --verify --tenant {here.tenant_id}"),
            ("curl", f"curl -H 'Authorization: Bearer $CROSSDOCK_KEY' {address}"),
            ("JSON", twin(here, "json")),
            ("CSV, differences", twin(here, "csv")),
        ),
    )


@post("/console/reconciliation/run", include_in_schema=False, status_code=303)
async def run_now(request: Request[Any, Any, Any], data: Form) -> Response[bytes]:
    """Reconcile now with the newest statements."""
    here = await visit(request, "reconciliation.run")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    await here.hub.reconciling.run(here.tenant_id, data.get("run", "")[:200], here.principal.actor)
    return redirect("/console/reconciliation")


@post("/console/reconciliation/accept/{difference_id:str}", include_in_schema=False, status_code=303)
async def accept(request: Request[Any, Any, Any], difference_id: FromPath[str], data: Form) -> Response[bytes]:
    """Sign a difference off with a reason, in one's own name."""
    here = await visit(request, "reconciliation.accept")
    refuse_foreign_pages(request, here.principal.csrf_token, data.get("csrf_token", ""))
    reason = data.get("reason", "").strip()[:500]
    if not reason:
        raise BadRequest("Say why it is accepted: it is kept with your name")
    await here.hub.reconciling.accept(here.tenant_id, difference_id, here.principal.actor, reason)
    return redirect("/console/reconciliation")


async def _report(here: Visit, run_id: str) -> tuple[Report | None, bool]:
    try:
        content, signature = await here.hub.reconciling.report(here.tenant_id, run_id)
    except NotFound:
        if run_id:
            raise
        return None, False
    signed = verify(content, signature, public_key_of(here.hub.reconciling.signing_seed()))
    return msgspec.json.decode(content, type=Report), signed


HANDLERS = [reconciliation, run_now, accept]
