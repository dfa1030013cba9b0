"""`crossdock dead`: what did not go through, and the three ways out of it. Speaks to the running hub.

Amend, requeue and discard take ids, or a filter with `--all`; `--dry-run` says what would happen and changes nothing.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from crossdock.cli.issues import Class, door_of
from crossdock.cli.running_hub import JsonOption, KeyOption, TenantOption, UrlOption, ask
from crossdock.cli.tables import as_table

app = typer.Typer(no_args_is_help=True, help="List, show, amend, requeue and discard dead letters.")

EXIT_PARTLY = 6

Ids = Annotated[list[str] | None, typer.Argument(help="Dead letters (doc_… or msg_…), from the list.")]
All = Annotated[bool, typer.Option("--all", help="Everything that fits the filter, at most 1,000.")]
Kind = Annotated[
    Literal["document", "message", "outbound"] | None, typer.Option("--kind", help="Only dead letters of this kind.")
]
Partner = Annotated[str, typer.Option("--partner", help="Only of this partner.")]
Connection = Annotated[str, typer.Option("--connection", help="Only on this connection.")]
Code = Annotated[str, typer.Option("--code", help="Only with this error code.")]
Issue = Annotated[str, typer.Option("--issue", help="Only members of this issue.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would do; change nothing.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]


def _filter(
    kind: str | None, partner: str, connection: str, code: str, error_class: str | None, issue: str
) -> dict[str, str]:
    given = {
        "kind": kind,
        "partner": partner,
        "connection": connection,
        "code": code,
        "error_class": error_class,
        "issue_id": issue,
    }
    return {name: value for name, value in given.items() if value}


@app.command("list")
def listed(
    tenant: TenantOption = "",
    kind: Kind = None,
    partner: Partner = "",
    connection: Connection = "",
    code: Code = "",
    error_class: Class = None,
    issue: Issue = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str, typer.Option("--cursor", help="next_cursor of the page before.")] = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """List rejected documents, failed messages and sends that were given up, newest first."""
    query = _filter(kind, partner, connection, code, error_class, issue)
    if "error_class" in query:
        query["class"] = query.pop("error_class")
    page = json.loads(ask(door_of(url, key, tenant), "/dead-letters", limit=limit, cursor=cursor, **query))
    if as_json:
        typer.echo(json.dumps(page, ensure_ascii=False, indent=2))
        return
    as_table(
        ("DEAD LETTER", "KIND", "PARTNER", "TYPE", "CODE", "WHY", "TRIES", "ABOUT"),
        [
            (
                *(row["id"], row["kind"], row["partner"], row["type"], row["code"], row["detail"]),
                *(row["attempts"] or "", row["subject"]),
            )
            for row in page["items"]
        ],
        ids=("DEAD LETTER", "CODE"),
    )
    if page["next_cursor"]:
        typer.echo(f"More: --cursor {page['next_cursor']}", err=True)


@app.command("show")
def show(
    dead_letter: Annotated[str, typer.Argument(help="The dead letter (doc_… or msg_…).")],
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show why it failed, its attempts, content, canonical document and amended versions."""
    found = json.loads(ask(door_of(url, key, tenant), f"/dead-letters/{dead_letter}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    typer.echo(f"{found['id']}  {found['kind']}  {found['state']}  message {found['message_id']}")
    letter = found["letter"]
    if letter:
        typer.echo(f"Why       {letter['code']} {letter['detail']}")
        typer.echo(f"Issue     {letter['issue_id']} ({letter['error_class']})")
    for finding in found["findings"]:
        typer.echo(f"Finding   {finding.get('pointer', '')} {finding['code']} {finding['message']}")
    for attempt in found["attempts"]:
        typer.echo(f"Attempt {attempt['number']} {attempt['outcome']} {attempt['code']} {attempt['detail']}")
    for version in found["amendments"]:
        typer.echo(
            f"Amended   {version['original_id']} -> {version['new_id']} by {version['author']}: {version['reason']}"
        )
        _show_differences(version["differences"])
    if found["content"]:
        typer.echo("\n" + found["content"])


@app.command("amend")
def amend(
    ids: Ids = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="POINTER=VALUE, such as /lines/0/qty=4; the value is JSON or text."),
    ] = None,
    removes: Annotated[list[str] | None, typer.Option("--remove", help="A pointer whose field is taken out.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="The whole corrected content.", exists=True)] = None,
    canonical: Annotated[
        bool, typer.Option("--canonical", help="Amend the canonical document, not the bytes.")
    ] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    everything: All = False,
    kind: Kind = None,
    partner: Partner = "",
    connection: Connection = "",
    code: Code = "",
    error_class: Class = None,
    issue: Issue = "",
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a corrected version of each, linked to the original, which is never edited."""
    edits: list[dict[str, Any]] = [{"pointer": pointer, "remove": True} for pointer in removes or ()]
    for text in sets or ():
        pointer, sign, value = text.partition("=")
        if not sign:
            raise typer.BadParameter(f"--set {text} is not POINTER=VALUE")
        edits.append({"pointer": pointer, "value": _value(value)})
    if bool(edits) == (file is not None):
        raise typer.BadParameter("an amendment is --set and --remove, or --file")
    body: dict[str, Any] = {"part": "canonical" if canonical else "raw", "edits": edits}
    if file is not None:
        body["content_base64"] = base64.b64encode(file.read_bytes()).decode()
    chosen = _filter(kind, partner, connection, code, error_class, issue)
    body |= _selection(ids, everything, chosen, reason, dry_run)
    _act(json.loads(ask(door_of(url, key, tenant), "/dead-letters/amend", method="POST", body=body)), as_json)


@app.command("requeue")
def requeue(
    ids: Ids = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    everything: All = False,
    kind: Kind = None,
    partner: Partner = "",
    connection: Connection = "",
    code: Code = "",
    error_class: Class = None,
    issue: Issue = "",
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run or send each again under the identity it has."""
    chosen = _filter(kind, partner, connection, code, error_class, issue)
    body = _selection(ids, everything, chosen, reason, dry_run)
    _act(json.loads(ask(door_of(url, key, tenant), "/dead-letters/requeue", method="POST", body=body)), as_json)


@app.command("discard")
def discard(
    ids: Ids = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    everything: All = False,
    kind: Kind = None,
    partner: Partner = "",
    connection: Connection = "",
    code: Code = "",
    error_class: Class = None,
    issue: Issue = "",
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set each aside for good, with a reason; bytes and history stay."""
    chosen = _filter(kind, partner, connection, code, error_class, issue)
    body = _selection(ids, everything, chosen, reason, dry_run)
    _act(json.loads(ask(door_of(url, key, tenant), "/dead-letters/discard", method="POST", body=body)), as_json)


def _selection(
    ids: list[str] | None, everything: bool, chosen: dict[str, str], reason: str, dry_run: bool
) -> dict[str, Any]:
    if bool(ids) == everything:
        raise typer.BadParameter("name dead letters, or take what fits a filter with --all")
    if chosen and not everything:
        raise typer.BadParameter("a filter goes with --all")
    body: dict[str, Any] = {"reason": reason, "dry_run": dry_run}
    return {**body, "ids": ids} if ids else {**body, "filter": chosen}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _act(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        for one in answer["items"]:
            new = f" -> {one['new_id']}" if one.get("new_id") else ""
            typer.echo(f"{one['id']}{new}  {one['outcome']}  {one.get('code', '')} {one.get('detail', '')}".rstrip())
            amended = one.get("amended") or {}
            _show_differences(amended.get("differences", ()))
            for effect in amended.get("effects", ()):
                typer.echo(f"      {effect['kind']} {effect['key']} to {', '.join(effect['connections'])}")
        typer.echo(f"{answer['done']} of {len(answer['items'])}", err=True)
    if answer["refused"]:
        raise typer.Exit(EXIT_PARTLY)


def _show_differences(differences: Any) -> None:
    for one in differences:
        typer.echo(f"      {one['pointer']}: {one['before']!r} -> {one['after']!r}")
