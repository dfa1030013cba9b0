"""`/v1/reconciliation` and `/v1/drifts`: compare with partners' books, see what differs, sign off, fetch the report."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ...governance.rule_files import reconciliation_rules
from ...reconcile.report import Report, public_key_of
from ...views import reconciliation as views
from ..context import api_principal, web_of
from ..idempotency import once
from ..problems import Unauthenticated
from .issues import IdempotencyKey

Cursor = Annotated[str, QueryParameter(description="next_cursor of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="rows of a page")]


class RunList(msgspec.Struct, frozen=True):
    """One page of runs, newest first. `next_cursor` is empty on the last one."""

    items: tuple[views.RunRow, ...]
    next_cursor: str


class DifferenceList(msgspec.Struct, frozen=True):
    """One page of differences, newest first."""

    items: tuple[views.DifferenceRow, ...]
    next_cursor: str


class DriftList(msgspec.Struct, frozen=True):
    """One page of drifts, newest first."""

    items: tuple[views.DriftRow, ...]
    next_cursor: str


class SignedReport(msgspec.Struct, frozen=True):
    """The report's exact bytes and their Ed25519 signature, in base64; `public_key` is this installation's own."""

    content: str
    signature: str
    public_key: str


class RunRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which run of the rules to make; empty is the first."""

    run: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is signed off; kept with the name of whoever did it."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Accepted(msgspec.Struct, frozen=True):
    """What was signed off, and by whom."""

    id: str
    by: str


@get("/v1/reconciliation/runs", operation_id="listRuns", summary="List reconciliations", tags=["reconciliation"])
async def list_runs(request: Request[Any, Any, Any], cursor: Cursor = "", limit: Limit = 50) -> RunList:
    """Return the runs of reconciliation, newest first."""
    principal = await api_principal(request)
    principal.require("reconciliation.read")
    hub = web_of(request).hub
    rows = await hub.store.read(lambda found: views.runs(found, principal.tenant_id, cursor=cursor, limit=limit))
    return RunList(rows, rows[-1].run_id if len(rows) == limit else "")


@post(
    "/v1/reconciliation/runs",
    operation_id="runReconciliation",
    summary="Reconcile now",
    tags=["reconciliation"],
    status_code=200,
    responses={200: ResponseSpec(Report, generate_examples=False, description="the report")},
)
async def run(
    request: Request[Any, Any, Any], data: JSONBody[RunRequest], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Compare with the newest statements, sign and keep the report."""
    principal = await api_principal(request)
    principal.require("reconciliation.run")
    hub = web_of(request).hub
    return await once(
        request,
        principal,
        "reconciliation.run",
        data,
        lambda: hub.reconciling.run(principal.tenant_id, data.run, principal.actor),
    )


@get(
    "/v1/reconciliation/runs/{run_id:str}/report",
    operation_id="getReconciliationReport",
    summary="Get a signed report",
    tags=["reconciliation"],
)
async def get_report(request: Request[Any, Any, Any], run_id: FromPath[str]) -> SignedReport:
    """Return the report of a run as it was signed; `latest` is the newest."""
    principal = await api_principal(request)
    principal.require("reconciliation.read")
    hub = web_of(request).hub
    content, signature = await hub.reconciling.report(principal.tenant_id, "" if run_id == "latest" else run_id)
    public_key = public_key_of(hub.reconciling.signing_seed())
    return SignedReport(base64.b64encode(content).decode(), base64.b64encode(signature).decode(), public_key)


@get(
    "/v1/reconciliation/differences",
    operation_id="listDifferences",
    summary="List differences",
    tags=["reconciliation"],
)
async def list_differences(
    request: Request[Any, Any, Any],
    wanted: Annotated[Literal["open", "accepted", "settled"], QueryParameter(name="state")] = "open",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> DifferenceList:
    """Return what does not agree, with its age and what is proposed."""
    principal = await api_principal(request)
    principal.require("reconciliation.read")
    hub = web_of(request).hub
    configuration = hub.configuration(principal.tenant_id)
    if configuration is None:
        raise Unauthenticated()
    rules, now = reconciliation_rules(configuration), hub.clock.now()
    rows = await hub.store.read(
        lambda found: views.differences(
            found, principal.tenant_id, rules, now=now, state=wanted, cursor=cursor, limit=limit
        )
    )
    return DifferenceList(rows, rows[-1].difference_id if len(rows) == limit else "")


@post(
    "/v1/reconciliation/differences/{difference_id:str}/accept",
    operation_id="acceptDifference",
    summary="Sign a difference off",
    tags=["reconciliation"],
    status_code=200,
    responses={200: ResponseSpec(Accepted, generate_examples=False, description="who signed it off")},
)
async def accept(
    request: Request[Any, Any, Any],
    difference_id: FromPath[str],
    data: JSONBody[Reason],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Accept a difference with a reason; it stays in the reports as signed off for as long as it lasts."""
    principal = await api_principal(request)
    principal.require("reconciliation.accept")
    hub = web_of(request).hub

    async def act() -> Accepted:
        await hub.reconciling.accept(principal.tenant_id, difference_id, principal.actor, data.reason)
        return Accepted(difference_id, principal.actor)

    return await once(request, principal, "reconciliation.accept", {"id": difference_id, "reason": data.reason}, act)


@get("/v1/drifts", operation_id="listDrifts", summary="List drifts of stock", tags=["reconciliation"])
async def list_drifts(
    request: Request[Any, Any, Any],
    wanted: Annotated[Literal["", "new", "timing", "open", "settled"], QueryParameter(name="state")] = "",
    site: FromQuery[str] = "",
    sku: FromQuery[str] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> DriftList:
    """Return where snapshots differed from what was expected, each with its suspect."""
    principal = await api_principal(request)
    principal.require("inventory.read")
    hub = web_of(request).hub
    rows = await hub.store.read(
        lambda found: views.drift_rows(
            found, principal.tenant_id, state=wanted, site=site, sku=sku, cursor=cursor, limit=limit
        )
    )
    return DriftList(rows, rows[-1].drift_id if len(rows) == limit else "")


@post(
    "/v1/drifts/{drift_id:str}/settle",
    operation_id="settleDrift",
    summary="Settle a drift",
    tags=["reconciliation"],
    status_code=200,
    responses={200: ResponseSpec(Accepted, generate_examples=False, description="who settled it")},
)
async def settle_drift(
    request: Request[Any, Any, Any],
    drift_id: FromPath[str],
    data: JSONBody[Reason],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Settle a drift with what was found."""
    principal = await api_principal(request)
    principal.require("reconciliation.accept")
    hub = web_of(request).hub

    async def act() -> Accepted:
        await hub.reconciling.settle_drift(principal.tenant_id, drift_id, principal.actor, data.reason)
        return Accepted(drift_id, principal.actor)

    return await once(request, principal, "stock.settle_drift", {"id": drift_id, "reason": data.reason}, act)


RECONCILIATION_HANDLERS = (list_runs, run, get_report, list_differences, accept, list_drifts, settle_drift)
