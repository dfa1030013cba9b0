"""`crossdock shapes`: which partner changed its documents without notice; approve or refuse a change."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from crossdock.cli.issues import door_of
from crossdock.cli.running_hub import JsonOption, KeyOption, TenantOption, UrlOption, ask
from crossdock.cli.tables import as_table

app = typer.Typer(no_args_is_help=True, help="List, approve and refuse changed shapes of documents.")

Place = Annotated[str, typer.Argument(help="The change: its digest, from the list.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]


@app.command("list")
def listed(tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False) -> None:
    """List changes, those that wait for a word first."""
    page = json.loads(ask(door_of(url, key, tenant), "/shapes"))
    if as_json:
        typer.echo(json.dumps(page, ensure_ascii=False, indent=2))
        return
    as_table(
        ("CHANGE", "STATE", "CONNECTION", "DOCUMENT", "WAITING", "WHAT"),
        [
            (
                *(row["digest"], row["state"], row["connection"], row["document_type"], row["waiting"]),
                "; ".join(change["words"] for change in row["changes"]),
            )
            for row in page["rows"]
        ],
        ids=("CHANGE",),
    )


@app.command("approve")
def approve(
    digest: Place, reason: ReasonOption = "", tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = ""
) -> None:
    """Approve a change: documents held for it are released by themselves."""
    _decide("approve", digest, reason, tenant, url, key)


@app.command("refuse")
def refuse(
    digest: Place, reason: ReasonOption = "", tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = ""
) -> None:
    """Refuse a change: documents held for it are rejected, and so are those to come."""
    _decide("refuse", digest, reason, tenant, url, key)


def _decide(decision: str, digest: str, reason: str, tenant: str, url: str, key: str) -> None:
    door = door_of(url, key, tenant)
    rows = [row for row in json.loads(ask(door, "/shapes"))["rows"] if row["digest"] == digest]
    if not rows:
        raise typer.BadParameter(f"there is no change {digest}; crossdock shapes list names them")
    for row in rows:
        body = {name: row[name] for name in ("connection", "document_type", "digest")}
        said = json.loads(
            ask(door, "/shapes/decide", method="POST", body={**body, "decision": decision, "reason": reason})
        )
        typer.echo(f"{decision}d; {said['messages']} messages are run again", err=True)
