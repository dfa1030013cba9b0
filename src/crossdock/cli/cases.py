"""`crossdock cases`: the cases at the service desk, and what other rules would have made of history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from crossdock.cli.issues import door_of
from crossdock.cli.running_hub import JsonOption, KeyOption, TenantOption, UrlOption, ask
from crossdock.cli.tables import as_table

app = typer.Typer(no_args_is_help=True, help="List cases, and try rules for them on history.")


@app.command("list")
def listed(
    stale: Annotated[bool, typer.Option("--stale", help="Only what is based on stale tracking data.")] = False,
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """List cases, those with stale tracking data first."""
    page = json.loads(ask(door_of(url, key, tenant), "/cases", stale="true" if stale else "false"))
    if as_json:
        typer.echo(json.dumps(page, ensure_ascii=False, indent=2))
        return
    typer.echo(f"{page['open_count']} open, {page['stale_count']} on stale tracking data", err=True)
    as_table(
        ("ORDER", "CAUSE", "CASE", "STATE", "OWNER", "TRACKING AS OF", "STALE", "DETAIL"),
        [
            (
                *(row["order_number"], row["cause"], row["case_ref"], row["state"], row["owner"]),
                *(row["tracking_as_of"] or "", "STALE" if row["stale"] else "", row["detail"]),
            )
            for row in page["rows"]
        ],
        ids=("ORDER",),
    )


@app.command("simulate")
def simulate(
    rules: Annotated[Path, typer.Option("--rules", help="A rules/case.yaml to try.", exists=True, dir_okay=False)],
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How many days of history.")] = 30,
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say how many cases rules would have opened on history, and how many of them were useful. Changes nothing."""
    body = {"rules": rules.read_text(encoding="utf-8"), "days": days}
    found = json.loads(ask(door_of(url, key, tenant), "/cases/simulate", method="POST", body=body))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    typer.echo(f"would have opened {found['opened']:,} cases, {found['useful']:,} useful")
    typer.echo(f"useful: {found['definition']}")
    typer.echo(
        f"{found['risks']:,} risks in {found['days']} days; {found['missed']:,} useful ones without a case,"
        f" {found['passed_in_grace']:,} passed within their grace, {found['suppressed']:,} beyond the budget"
    )
    for why, count in found["because"].items():
        typer.echo(f"  no case for {count:,}: {why}")
