"""`crossdock contracts`: what partners owe and by when, and what the record suggests to expect."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from crossdock.cli.issues import door_of
from crossdock.cli.running_hub import JsonOption, KeyOption, TenantOption, UrlOption, ask
from crossdock.cli.tables import as_table

app = typer.Typer(no_args_is_help=True, help="List what partners owe, and propose contracts from history.")


@app.command("list")
def listed(tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False) -> None:
    """List contracts, the worst first, and what is late."""
    page = json.loads(ask(door_of(url, key, tenant), "/contracts"))
    if as_json:
        typer.echo(json.dumps(page, ensure_ascii=False, indent=2))
        return
    as_table(
        ("CONTRACT", "STANDING", "WAITING", "WARNED", "LATE", "RULE"),
        [
            (row["contract"], row["standing"], row["waiting"], row["warned"], row["breached"], row["rule"])
            for row in page["rows"]
        ],
        ids=("CONTRACT",),
    )
    if page["late"]:
        typer.echo("")
        as_table(
            ("ABOUT", "ASKED", "STATE", "DUE", "TOLD"),
            [(row["subject"], row["key"], row["state"], row["due_at"], row["escalated_to"]) for row in page["late"]],
        )


@app.command("propose")
def propose(
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How far back to look.")] = 30,
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Print contracts that partners have kept so far, as YAML for `contracts/` of the pack."""
    found = json.loads(ask(door_of(url, key, tenant), "/contracts/proposals", days=days))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for one in found:
        typer.echo(f"{one['contract']}: {one['evidence']}", err=True)
    for one in found:
        first, *rest = [line for line in one["yaml"].splitlines() if not line.startswith("#")]
        typer.echo("\n".join([f"# {one['evidence']}", f"- {first}", *(f"  {line}" for line in rest)]))
    if not found:
        typer.echo("Nothing was regular enough, or often enough, to propose", err=True)
