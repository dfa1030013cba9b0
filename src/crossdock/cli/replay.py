"""`crossdock replay`: run a stored message, or everything open of an issue, again.

Speaks to the hub that runs here (or `--url`, `--key`); where none runs, it opens the record itself.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

import msgspec
import typer

from crossdock.bootstrap import Hub
from crossdock.cli.find import nothing_here, tenants_of
from crossdock.cli.plan import with_store
from crossdock.cli.running_hub import Door, JsonOption, KeyOption, TenantOption, UrlOption, ask, doors, each, one_of
from crossdock.config import load_settings
from crossdock.errors import NotFound
from crossdock.flow.replay import ReplayReport
from crossdock.store.engine import Store
from crossdock.views import search

EXIT_PARTLY = 6


class _Order(msgspec.Struct, kw_only=True):
    """What is to be run again; the shape the hub takes."""

    message_ids: tuple[str, ...]
    issue_id: str
    under: str
    dry_run: bool
    actor: str
    reason: str


def command(
    target: Annotated[str, typer.Argument(help="A message (msg_…) or an issue (iss_…).")],
    tenant: TenantOption = "",
    under: Annotated[
        Literal["current", "original"], typer.Option("--under", help="The release: of now, or as it came.")
    ] = "current",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do; change nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")] = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run a message or an issue's members again. A replay links to what was there and is applied at most once."""
    if not target.startswith(("msg_", "iss_")):
        raise typer.BadParameter("a message (msg_…) or an issue (iss_…) is run again")
    reached = {door.tenant_id: door for door in doors(url, key, tenant)}
    if reached:
        found = each(
            list(reached),
            lambda tenant_id: _ask(reached[tenant_id], target, under, dry_run=dry_run, reason=reason),
        )
        _, report = one_of(found, target, "replay")
    else:
        owner = with_store(lambda store: _owner(store, tenant, target), missing=nothing_here)
        report = msgspec.to_builtins(asyncio.run(_here(str(owner), target, under, dry_run=dry_run, reason=reason)))
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2, default=str))
    else:
        _show(report)
    if any(document["after"] in ("rejected", "held") for document in report.get("documents", ())):
        raise typer.Exit(EXIT_PARTLY)


def _ask(door: Door, target: str, under: str, *, dry_run: bool, reason: str) -> dict[str, Any]:
    kind = "issues" if target.startswith("iss_") else "messages"
    body = {"under": under, "dry_run": dry_run, "reason": reason}
    report: dict[str, Any] = json.loads(ask(door, f"/{kind}/{target}/replay", method="POST", body=body))
    return report


def _owner(store: Store, tenant: str, target: str) -> str:
    """Return the tenant whose message or issue this is."""

    def look(tenant_id: str) -> bool:
        if store.read_now(lambda connection: search.find(connection, tenant_id, target, limit=1)).hits:
            return True
        raise NotFound(f"There is nothing called {target}")

    return one_of(each(tenants_of(store, tenant), look), target, "replay")[0]


async def _here(tenant_id: str, target: str, under: str, *, dry_run: bool, reason: str) -> ReplayReport:
    hub = await Hub.start(load_settings())
    try:
        issue_id, message_ids = (target, ()) if target.startswith("iss_") else ("", (target,))
        order = _Order(
            message_ids=message_ids,
            issue_id=issue_id,
            under=under,
            dry_run=dry_run,
            actor="command line",
            reason=reason,
        )
        report = await hub.replay(tenant_id, order)
        if not report.messages and not report.sends:
            raise NotFound(f"There is nothing to run again under {target}")
        await hub.settle()
        return report
    finally:
        await hub.stop()


def _show(report: dict[str, Any]) -> None:
    verb = "Would run" if report["dry_run"] else "Running"
    typer.echo(f"{verb} {report['messages']} messages and {len(report.get('sends', ()))} dead letters again")
    for document in report.get("documents", ()):
        change = f"{document['before'] or 'new'} → {document['after']}"
        typer.echo(f"  {document['document_id']}  {document['type']}  {change}  {document['reason']}")
        for difference in document.get("differences", ()):
            typer.echo(f"      {difference['pointer']}: {difference['before']!r} → {difference['after']!r}")
    for effect in report.get("effects", ()):
        note = "exists, not sent again" if effect["exists"] else "would be sent" if report["dry_run"] else "sent"
        typer.echo(f"  {effect['kind']} {effect['key']} to {', '.join(effect['connections'])}: {note}")
