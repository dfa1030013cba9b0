"""`crossdock reconcile`: compare the record with partners' books, sign differences off, fetch and verify reports."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.cli.running_hub import Door, JsonOption, KeyOption, TenantOption, UrlOption, ask, doors, no_hub
from crossdock.errors import NotFound, PermanentError
from crossdock.reconcile.report import verify

app = typer.Typer(no_args_is_help=True, help="Compare the record with partners' books; sign off; verify reports.")


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="The run of rules/reconciliation.yaml; otherwise its first.")] = "",
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare now, sign and keep the report."""
    report = json.loads(ask(_door(url, key, tenant), "/reconciliation/runs", method="POST", body={"run": name}))
    _show_report(report, as_json=as_json)


@app.command("list")
def list_(tenant: TenantOption = "", url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False) -> None:
    """List runs, newest first."""
    items = json.loads(ask(_door(url, key, tenant), "/reconciliation/runs"))["items"]
    if as_json:
        typer.echo(json.dumps(items, ensure_ascii=False, indent=2))
        return
    for item in items:
        typer.echo(
            f"{item['run_id']}  {item['as_of']}  {item['run']}  {item['state']}  {item['matched']} matched,"
            f" {item['timing']} timing, {item['differing']} differ"
        )
    if not items:
        typer.echo("Nothing was reconciled yet")


@app.command("show")
def show(
    state: Annotated[str, typer.Option("--state", help="open, accepted or settled.")] = "open",
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show differences with their age and what is proposed."""
    items = json.loads(ask(_door(url, key, tenant), "/reconciliation/differences", state=state))["items"]
    if as_json:
        typer.echo(json.dumps(items, ensure_ascii=False, indent=2))
        return
    for item in items:
        one = item["difference"]
        typer.echo(f"{item['difference_id']}  {item['comparison']}  {item['kind']}  {one['record_key']}")
        typer.echo(f"    ours {one.get('ours') or '–'}, theirs {one.get('theirs') or '–'}; {item['days']} days")
        if item.get("fix"):
            typer.echo(f"    {item['fix']['words']}")
    if not items:
        typer.echo(f"No difference is {state}")


@app.command("accept")
def accept(
    difference: Annotated[str, typer.Argument(help="The difference (dif_…).")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is signed off; kept in the audit and the report.")],
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Sign a difference off in your name."""
    path = f"/reconciliation/differences/{difference}/accept"
    answer = json.loads(ask(_door(url, key, tenant), path, method="POST", body={"reason": reason}))
    typer.echo(f"{answer['id']} is signed off by {answer['by']}")


@app.command("report")
def report(
    run_id: Annotated[str, typer.Argument(help="The run (rec_…); otherwise the newest.")] = "latest",
    check: Annotated[
        bool, typer.Option("--verify", help="Check the signature; ends with 1 where it does not fit.")
    ] = False,
    file: Annotated[Path | None, typer.Option("--file", help="A report saved with --json, instead of the hub.")] = None,
    public_key: Annotated[str, typer.Option("--public-key", help="The key to check with; otherwise the hub's.")] = "",
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Print the signed report of a run, or verify it."""
    if file is not None:
        if not file.exists():
            raise NotFound(f"There is no file {file}")
        signed = json.loads(file.read_text())
        if check and not public_key:
            # A file cannot vouch for itself: the key comes from elsewhere.
            public_key = json.loads(ask(_door(url, key, tenant), "/reconciliation/runs/latest/report"))["public_key"]
    else:
        signed = json.loads(ask(_door(url, key, tenant), f"/reconciliation/runs/{run_id}/report"))
    content = base64.b64decode(signed["content"])
    if check:
        if not verify(content, base64.b64decode(signed["signature"]), public_key or signed["public_key"]):
            raise PermanentError("The signature does not fit the report", code="XD-REC-002")
        typer.echo("The signature fits.", err=True)
    if as_json:
        typer.echo(json.dumps(signed, indent=2))
    else:
        _show_report(json.loads(content), as_json=False)


def _door(url: str, key: str, tenant: str) -> Door:
    found = doors(url, key, tenant)
    if not found:
        raise no_hub()
    if len(found) > 1:
        raise typer.BadParameter("say which tenant: " + ", or ".join(f"--tenant {door.tenant_id}" for door in found))
    return found[0]


def _show_report(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    partial = ", partial" if report["partial"] else ""
    typer.echo(f"{report['run_id']}  {report['run']}  {report['as_of']}{partial}")
    typer.echo(f"  {report['matched']} matched, {report['timing']} timing, {report['differing']} differ")
    for one in report["comparisons"]:
        figures = f"{one['matched']} matched, {one['timing']} timing, {one['differing']} differ"
        typer.echo(f"  {one['comparison']:<24} {figures if one['state'] == 'made' else 'no statement came in time'}")
    for one in report["differences"]:
        words = one["difference"]
        typer.echo(
            f"  {one['difference_id']}  {words['kind']}  {words['record_key']}: ours {words.get('ours') or '–'},"
            f" theirs {words.get('theirs') or '–'}; {one['days']} days, {one['state']}"
        )
    drift = report["drifts"]
    typer.echo(f"  drifts of stock: {drift['found']} found, {drift['settled']} settled")
    typer.echo("  zero drift" if report["zero_drift"] else "  not settled yet")
