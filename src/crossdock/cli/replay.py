"""`crossdock replay`: run a stored message, or everything open of an issue, again.

Speaks to the running hub (`--url`, `--key`); where none runs, it opens the record itself.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Annotated, Any

import msgspec
import typer

from crossdock.bootstrap import Hub
from crossdock.config import load_settings
from crossdock.errors import AccessDenied, CrossdockError, NotFound, TransientError
from crossdock.flow.replay import ReplayReport

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
    tenant: Annotated[str, typer.Option("--tenant", help="Whose it is; needed where no hub runs.")] = "",
    under: Annotated[str, typer.Option("--under", help="The release: current, or original as it came.")] = "current",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do; change nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")] = "",
    url: Annotated[str, typer.Option("--url", help="The running hub.", envvar="CROSSDOCK_URL")] = "",
    key: Annotated[str, typer.Option("--key", help="An API key of the tenant.", envvar="CROSSDOCK_KEY")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a message or an issue's members again. A replay links to what was there and is applied at most once."""
    if under not in ("current", "original"):
        raise typer.BadParameter("--under is current or original")
    if not target.startswith(("msg_", "iss_")):
        raise typer.BadParameter("a message (msg_…) or an issue (iss_…) is run again")
    if key:
        report = _ask(url or load_settings().public_url, key, target, under, dry_run=dry_run, reason=reason)
    else:
        if not tenant:
            raise typer.BadParameter("give --key to speak to the running hub, or --tenant where none runs")
        report = msgspec.to_builtins(asyncio.run(_here(tenant, target, under, dry_run=dry_run, reason=reason)))
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2, default=str))
    else:
        _show(report)
    if any(document["after"] in ("rejected", "held") for document in report.get("documents", ())):
        raise typer.Exit(EXIT_PARTLY)


def _ask(url: str, key: str, target: str, under: str, *, dry_run: bool, reason: str) -> dict[str, Any]:
    kind = "issues" if target.startswith("iss_") else "messages"
    body = json.dumps({"under": under, "dry_run": dry_run, "reason": reason}).encode()
    request = urllib.request.Request(  # noqa: S310 - the operator's own hub
        f"{url}/v1/{kind}/{target}/replay",
        data=body,
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            report: dict[str, Any] = json.loads(answer.read())
            return report
    except urllib.error.HTTPError as error:
        raise _refusal(error) from error
    except urllib.error.URLError as error:
        raise TransientError(
            f"the hub at {url} does not answer: {error.reason}", hint="Is it running? See --url"
        ) from error


def _refusal(error: urllib.error.HTTPError) -> CrossdockError:
    try:
        problem = json.loads(error.read())
    except ValueError:
        problem = {}
    text = problem.get("detail") or problem.get("title") or f"the hub answered {error.code}"
    kind: type[CrossdockError] = {401: AccessDenied, 403: AccessDenied, 404: NotFound}.get(error.code, CrossdockError)
    return kind(text, code=problem.get("code"), hint=tuple(problem.get("hint", ())))


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
