"""`crossdock replays`: run many messages again by a filter. `plan` says everything it would do and gives a digest;
`start` takes it, so that what was shown is what happens. Speaks to the running hub.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from crossdock.cli.issues import door_of
from crossdock.cli.running_hub import JsonOption, KeyOption, TenantOption, UrlOption, ask
from crossdock.cli.tables import as_table

app = typer.Typer(no_args_is_help=True, help="Plan, start and steer a replay of many messages.")

EXIT_PARTLY = 6
SHOWN_MAX = 40

JobId = Annotated[str, typer.Argument(help="The replay (job_…), from the list.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
Partner = Annotated[str, typer.Option("--partner", help="Messages of this partner.")]
Connection = Annotated[str, typer.Option("--connection", help="Messages on this connection.")]
Type = Annotated[str, typer.Option("--type", help="Messages with a document of this type, such as x12:945.")]
State = Annotated[
    Literal["processed", "failed", "ignored", "discarded"] | None,
    typer.Option("--state", help="Messages in this state."),
]
DocumentState = Annotated[
    Literal["applied", "held", "parked", "rejected", "superseded", "discarded"] | None,
    typer.Option("--document-state", help="Messages with a document in this state."),
]
Issue = Annotated[str, typer.Option("--issue", help="Members of this issue.")]
Code = Annotated[str, typer.Option("--code", help="Messages with an open fault of this code.")]
From = Annotated[str, typer.Option("--from", help="Received at or after, such as 2026-11-23T00:00:00Z.")]
Until = Annotated[str, typer.Option("--until", help="Received before.")]
Under = Annotated[
    Literal["original", "current", "candidate"],
    typer.Option("--under", help="As it came, as it would be now, or under a candidate."),
]
Release = Annotated[str, typer.Option("--release", help="The candidate: a release (rel_…).")]
Pack = Annotated[Path | None, typer.Option("--pack", help="The candidate: the directory of a pack.", exists=True)]


def _wanted(under: str, release: str, pack: Path | None, chosen: dict[str, str | None]) -> dict[str, Any]:
    body: dict[str, Any] = {"under": under, "filter": {name: value for name, value in chosen.items() if value}}
    if release:
        body["release_id"] = release
    if pack is not None:
        from crossdock.governance.pack_files import read_directory

        body["files"] = read_directory(pack)
    return body


def _chosen(*values: str | None) -> dict[str, str | None]:
    names = (
        *("partner", "connection_id", "document_type", "state", "document_state", "issue_id", "code"),
        *("received_from", "received_until"),
    )
    return dict(zip(names, values, strict=True))


@app.command("plan")
def plan(
    partner: Partner = "",
    connection: Connection = "",
    document_type: Type = "",
    state: State = None,
    document_state: DocumentState = None,
    issue: Issue = "",
    code: Code = "",
    received_from: From = "",
    received_until: Until = "",
    under: Under = "current",
    release: Release = "",
    pack: Pack = None,
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say everything a replay would do: documents, fields, effects, renderings. Changes nothing."""
    chosen = _chosen(
        partner, connection, document_type, state, document_state, issue, code, received_from, received_until
    )
    body = _wanted(under, release, pack, chosen)
    found = json.loads(ask(door_of(url, key, tenant), "/replays/plan", method="POST", body=body))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    counts = ", ".join(f"{count} {name}" for name, count in sorted(found["counts"].items()))
    typer.echo(f"{found['messages']} messages; documents: {counts or 'none'}; {found['duplicates']} tell nothing new")
    for document in found["documents"][:SHOWN_MAX]:
        if document["differences"] or document["before"] != document["after"]:
            typer.echo(f"  {document['document_id']}  {document['before'] or 'new'} -> {document['after']}")
            _fields(document["differences"])
    for effect in found["effects"][:SHOWN_MAX]:
        note = "exists, not sent again" if effect["exists"] else "would be sent"
        typer.echo(f"  {effect['kind']} {effect['key']} to {', '.join(effect['connections'])}: {note}")
    for rendering in found["renderings"][:SHOWN_MAX]:
        typer.echo(f"  {rendering['key']} was sent, would be rendered otherwise {rendering['trouble']}")
        _fields(rendering["differences"])
    typer.echo(f"digest {found['digest']}")
    typer.echo("Next: crossdock replays start --digest … with the same filter", err=True)


@app.command("start")
def start(
    digest: Annotated[str, typer.Option("--digest", help="What the plan gave: what was shown is what happens.")],
    partner: Partner = "",
    connection: Connection = "",
    document_type: Type = "",
    state: State = None,
    document_state: DocumentState = None,
    issue: Issue = "",
    code: Code = "",
    received_from: From = "",
    received_until: Until = "",
    under: Under = "current",
    release: Release = "",
    pack: Pack = None,
    per_second: Annotated[float, typer.Option("--per-second", help="Messages in a second; 0 takes the setting.")] = 0.0,
    reason: Reason = "",
    follow: Annotated[bool, typer.Option("--follow", help="Show the progress until it ends.")] = False,
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Start a planned replay as a job of the hub."""
    chosen = _chosen(
        partner, connection, document_type, state, document_state, issue, code, received_from, received_until
    )
    body = _wanted(under, release, pack, chosen) | {"digest": digest, "reason": reason, "per_second": per_second}
    door = door_of(url, key, tenant)
    job = json.loads(ask(door, "/replays", method="POST", body=body))
    typer.echo(job["job_id"])
    told = -1
    while follow and job["state"] in ("running", "paused"):
        tenth = 10 * job["done"] // max(job["total"], 1)
        if tenth != told:
            told = tenth
            typer.echo(f"{job['done']} of {job['total']}, {job['failed']} failed", err=True)
        time.sleep(0.5)
        job = json.loads(ask(door, f"/replays/{job['job_id']}"))["job"]
    if follow:
        _show(job)
        if job["failed"]:
            raise typer.Exit(EXIT_PARTLY)


@app.command("list")
def listed(tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False) -> None:
    """List replays, newest first."""
    page = json.loads(ask(door_of(url, key, tenant), "/replays"))
    if as_json:
        typer.echo(json.dumps(page, ensure_ascii=False, indent=2))
        return
    as_table(
        ("REPLAY", "STATE", "DONE", "FAILED", "UNDER", "BY", "REASON"),
        [
            (
                *(job["job_id"], job["state"], f"{job['done']}/{job['total']}", job["failed"] or ""),
                *(job["under"], job["actor"], job["reason"]),
            )
            for job in page["items"]
        ],
    )


@app.command("show")
def show(
    job_id: JobId, tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False
) -> None:
    """Show how far a replay is, and what failed."""
    found = json.loads(ask(door_of(url, key, tenant), f"/replays/{job_id}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    _show(found["job"])
    for item in found["failed"]:
        typer.echo(f"  {item['message_id']} {item['detail']}")


@app.command("pause")
def pause(
    job_id: JobId, reason: Reason = "", tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = ""
) -> None:
    """Hold a replay; what ran stays."""
    _move(job_id, "pause", reason, url, key, tenant)


@app.command("resume")
def resume(
    job_id: JobId, reason: Reason = "", tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = ""
) -> None:
    """Let a held replay go on, at its rate."""
    _move(job_id, "resume", reason, url, key, tenant)


@app.command("cancel")
def cancel(
    job_id: JobId, reason: Reason = "", tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = ""
) -> None:
    """End a replay; what ran stays."""
    _move(job_id, "cancel", reason, url, key, tenant)


def _move(job_id: str, verb: str, reason: str, url: str, key: str, tenant: str) -> None:
    path = f"/replays/{job_id}/{verb}"
    _show(json.loads(ask(door_of(url, key, tenant), path, method="POST", body={"reason": reason})))


def _show(job: dict[str, Any]) -> None:
    eta = f", {job['eta_seconds']:.0f} s left" if job["eta_seconds"] else ""
    typer.echo(
        f"{job['job_id']}  {job['state']}  {job['done']} of {job['total']}, {job['failed']} failed,"
        f" {job['deviated']} went another way{eta}"
    )


def _fields(differences: list[dict[str, Any]]) -> None:
    for one in differences[:SHOWN_MAX]:
        typer.echo(f"      {one['pointer']}: {one['before']!r} -> {one['after']!r}")
