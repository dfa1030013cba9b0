"""`crossdock outage`: declare that a partner is away, see what waits for it, end it.

Speaks to the hub that runs here (or `--url`, `--key`): an outage is about what a running hub sends.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from crossdock.cli.running_hub import (
    Door,
    JsonOption,
    KeyOption,
    TenantOption,
    UrlOption,
    ask,
    doors,
    each,
    no_hub,
    one_of,
)
from crossdock.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Declare, end and list outages of partners.")

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]


@app.command("start")
def start(
    connection: Annotated[str, typer.Argument(help="The connection whose partner is away.")],
    action: Annotated[
        Literal["hold", "reroute", "file"] | None, typer.Option("--action", help="Otherwise what the pack says.")
    ] = None,
    reason: ReasonOption = "",
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Declare an outage: the connection is held, or goes another way, until it is ended."""
    door = _door(url, key, tenant)
    body = {"connection": connection, "reason": reason, "action": action}
    _show(json.loads(ask(door, "/outages", method="POST", body=body)), as_json=as_json)


@app.command("end")
def end(
    outage: Annotated[str, typer.Argument(help="The outage (out_…) or its connection.")],
    reason: ReasonOption = "",
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """End an outage: stale updates are discarded, then what waits goes out at the partner's pace."""
    reached = {door.tenant_id: door for door in _doors(url, key, tenant)}
    found = each(list(reached), lambda tenant_id: _lasting(reached[tenant_id], outage))
    tenant_id, outage_id = one_of(found, outage, "outage end")
    answer = ask(reached[tenant_id], f"/outages/{outage_id}/end", method="POST", body={"reason": reason})
    _show(json.loads(answer), as_json=as_json)


@app.command("list")
def list_(tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False) -> None:
    """List outages: those that last first, then the newest."""
    items = [item for door in _doors(url, key, tenant) for item in json.loads(ask(door, "/outages"))["items"]]
    if as_json:
        typer.echo(json.dumps(items, ensure_ascii=False, indent=2))
        return
    for item in items:
        _show(item, as_json=False)
    if not items:
        typer.echo("No outage has been declared or detected")


def _doors(url: str, key: str, tenant: str) -> list[Door]:
    found = doors(url, key, tenant)
    if not found:
        raise no_hub()
    return found


def _door(url: str, key: str, tenant: str) -> Door:
    found = _doors(url, key, tenant)
    if len(found) > 1:
        raise typer.BadParameter("say which tenant: " + ", or ".join(f"--tenant {door.tenant_id}" for door in found))
    return found[0]


def _lasting(door: Door, name: str) -> str:
    """Return the outage meant by its id or by its connection."""
    for item in json.loads(ask(door, "/outages"))["items"]:
        if item["outage_id"] == name or (item["connection"] == name and not item.get("ended_at")):
            return str(item["outage_id"])
    raise NotFound(f"There is no outage {name}")


def _show(item: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(item, ensure_ascii=False, indent=2))
        return
    span = f"since {item['began_at']}" if not item.get("ended_at") else f"{item['began_at']} to {item['ended_at']}"
    action = "ended" if item.get("ended_at") else item["action"]
    typer.echo(f"{item['outage_id']}  {item['connection']}  {item['cause']}, {action}  {span}")
    if item["reason"]:
        typer.echo(f"    {item['reason']}")
    typer.echo(
        f"    {item.get('waiting', 0)} waiting, {item.get('diverted', 0)} sent through"
        f" {item.get('fallback_connection') or 'no other connection'}, {item.get('superseded', 0)} superseded"
    )
