"""`crossdock impact`: which orders, customers, promises and money hang on something that has failed."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

import typer

from crossdock.cli.issues import door_of
from crossdock.cli.running_hub import JsonOption, KeyOption, TenantOption, UrlOption, ask
from crossdock.cli.tables import as_table
from crossdock.views.impact import KINDS


def command(
    kind: Annotated[str, typer.Argument(help="partner, connection, map, certificate or contract.")],
    name: Annotated[str, typer.Argument(help="Its name in the pack; of a certificate the secret that holds it.")],
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what hangs on a partner, connection, map, certificate or contract."""
    if kind not in KINDS:
        raise typer.BadParameter(f"{kind} is none of {', '.join(KINDS)}")
    found = json.loads(ask(door_of(url, key, tenant), f"/impact/{kind}/{quote(name, safe='')}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    typer.echo(found["notice"])
    typer.echo(
        f"{found['orders']} orders, {found['customers']} customers, {found['value_cents'] / 100:,.2f} in value,"
        f" {found['promises_within_day']} promised within a day, {found['open_cases']} open cases,"
        f" {found['documents_waiting']} documents and {found['sends_waiting']} messages wait"
    )
    as_table(
        ("ORDER", "STATUS", "CUSTOMER", "PROMISED", "VALUE", "CASES", "WHY"),
        [
            (
                *(row["number"], row["status"], row["customer"], row["promise_at"] or ""),
                *(f"{row['value_cents'] / 100:,.2f}", ",".join(row["open_cases"]), row["why"]),
            )
            for row in found["rows"]
        ],
        ids=("ORDER",),
    )
