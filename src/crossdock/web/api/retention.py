"""`/v1/retention`: what the pack no longer keeps, and its removal."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, post
from litestar.params import JSONBody

from ..context import api_principal, web_of


class RetentionOrder(msgspec.Struct, frozen=True):
    """Whether only to look."""

    dry_run: bool = True


class Gone(msgspec.Struct, frozen=True):
    """What one kind lost, or would lose. `kept_open`: old enough, but open work, which is never removed."""

    kind: str
    removed: int
    removed_bytes: int
    kept_open: int


class RetentionAnswer(msgspec.Struct, frozen=True):
    """What was removed, or (dry run) would be."""

    dry_run: bool
    removed: tuple[Gone, ...]


@post(
    "/v1/retention/run",
    operation_id="runRetention",
    summary="Remove what the pack no longer keeps",
    tags=["retention"],
    status_code=200,
)
async def run_retention(request: Request[Any, Any, Any], data: JSONBody[RetentionOrder]) -> RetentionAnswer:
    """Remove bytes first, then rows; with `dry_run` say what would go. Open work always stays."""
    principal = await api_principal(request)
    principal.require("retention.read" if data.dry_run else "retention.run")
    hub = web_of(request).hub
    report = await hub.retention.run(principal.tenant_id, dry_run=data.dry_run, actor=principal.actor)
    gone = tuple(Gone(one.kind, one.removed, one.removed_bytes, one.kept_open) for one in report.removed)
    return RetentionAnswer(report.dry_run, gone)
