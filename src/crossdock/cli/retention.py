"""`crossdock retention`: remove what the packs no longer keep, or say what that would be."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import msgspec
import typer

from crossdock.bootstrap import Hub
from crossdock.cli.running_hub import JsonOption, KeyOption, TenantOption, UrlOption, ask, doors
from crossdock.config import load_settings

app = typer.Typer(no_args_is_help=True, help="Remove what the packs no longer keep.")


@app.callback()
def group() -> None:
    """Remove what the packs no longer keep."""


@app.command("run")
def run(
    tenant: TenantOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Remove bytes first, then rows. What is open, held, parked, dead or has an open issue always stays."""
    reached = doors(url, key, tenant)
    if reached:
        body = {"dry_run": dry_run}
        reports = {
            door.tenant_id: json.loads(ask(door, "/retention/run", method="POST", body=body)) for door in reached
        }
    else:
        reports = asyncio.run(_here(tenant, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps(reports, ensure_ascii=False, indent=2))
        return
    verb = "would go" if dry_run else "removed"
    for tenant_id, report in reports.items():
        if not report["removed"]:
            typer.echo(f"{tenant_id}: nothing is older than the pack keeps it")
        for one in report["removed"]:
            size = f", {one['removed_bytes']:,} bytes" if one["removed_bytes"] else ""
            stays = f"; {one['kept_open']:,} stay, being open" if one["kept_open"] else ""
            typer.echo(f"{tenant_id}: {one['removed']:,} {one['kind']} {verb}{size}{stays}")


async def _here(tenant: str, *, dry_run: bool) -> dict[str, Any]:
    hub = await Hub.start(load_settings())
    try:
        wanted = [one for one in hub.tenancy.active() if tenant in ("", one)]
        found = {one: await hub.retention.run(one, dry_run=dry_run, actor="command line") for one in wanted}
    finally:
        await hub.stop()
    return {one: msgspec.to_builtins(report) for one, report in found.items()}
