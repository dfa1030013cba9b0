"""`crossdock issues`: what is broken, in whose queue it is, and who has taken it on. Speaks to the running hub."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from crossdock.cli.running_hub import Door, JsonOption, KeyOption, TenantOption, UrlOption, ask, no_hub, one_door
from crossdock.cli.tables import as_table

app = typer.Typer(no_args_is_help=True, help="List, show, assign and give back issues.")

Class = Annotated[
    Literal["partner", "data", "system", "unknown"] | None,
    typer.Option("--class", help="Only of this class."),
]
IssueId = Annotated[str, typer.Argument(help="The issue (iss_…), from the list.")]


def door_of(url: str, key: str, tenant: str) -> Door:
    """Return the door of the running hub, or say how to start one."""
    door = one_door(url, key, tenant)
    if door is None:
        raise no_hub()
    return door


@app.command("list")
def listed(
    tenant: TenantOption = "",
    issue_class: Class = None,
    owner: Annotated[str, typer.Option("--owner", help="Only what this person has.")] = "",
    unassigned: Annotated[bool, typer.Option("--unassigned", help="Only what nobody has.")] = False,
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """List open issues, the most urgent first, with the queues they stand in."""
    query: dict[str, Any] = {"limit": 200, "class": issue_class or ""}
    if owner or unassigned:
        query["owner"] = owner
    page = json.loads(ask(door_of(url, key, tenant), "/issues", **query))
    if as_json:
        typer.echo(json.dumps(page, ensure_ascii=False, indent=2))
        return
    for queue in page["queues"]:
        if queue["open_count"]:
            target = f", respond within {queue['respond_within']}" if queue["respond_within"] else ""
            late = f", {queue['breached']} late" if queue["breached"] else ""
            team = f" ({queue['team']}{target})" if queue["team"] else ""
            typer.echo(
                f"{queue['issue_class']}{team}: {queue['open_count']} open, {queue['unassigned']} unassigned{late}",
                err=True,
            )
    as_table(
        ("ISSUE", "CLASS", "CODE", "TITLE", "MEMBERS", "OWNER", "RESPOND BY"),
        [
            (
                *(row["issue_id"], row["issue_class"], row["code"], row["title"]),
                *(row["impact"].get("members") or "", row["owner"] or row["team"]),
                ("LATE " if row["breached"] else "") + (row["respond_by_at"] or ""),
            )
            for row in page["items"]
        ],
        ids=("ISSUE", "CODE"),
    )


@app.command("show")
def show(
    issue_id: IssueId, tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False
) -> None:
    """Show one issue: why, how to fix it, and its members."""
    found = json.loads(ask(door_of(url, key, tenant), f"/issues/{issue_id}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    issue = found["issue"]
    typer.echo(f"{issue['code']}  {issue['title']}  ({issue['issue_class']}, {issue['state']})")
    typer.echo(f"Why    {found['why']}")
    for number, text in enumerate(found["fix"]["steps"], 1):
        typer.echo(f"Fix {number}  {text}")
    as_table(
        ("RECORD", "KIND", "ABOUT", "STATE", "DETAIL"),
        [
            (one["object_id"], one["object_kind"], one["subject"], one["state"], one["detail"])
            for one in found["members"]
        ],
    )
    typer.echo(f"Next: crossdock dead list --issue {issue_id}", err=True)


@app.command("assign")
def assign(
    issue_id: IssueId,
    owner: Annotated[str, typer.Argument(help="Who takes it on.")],
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Give an open issue to somebody: its clock stops."""
    ask(door_of(url, key, tenant), f"/issues/{issue_id}/assign", method="POST", body={"owner": owner})
    typer.echo(f"{issue_id} is {owner}'s", err=True)


@app.command("unassign")
def unassign(issue_id: IssueId, tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = "") -> None:
    """Give an issue back to its queue: its clock runs on."""
    ask(door_of(url, key, tenant), f"/issues/{issue_id}/assign", method="POST", body={"owner": ""})
    typer.echo(f"{issue_id} is nobody's", err=True)
