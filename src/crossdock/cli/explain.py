"""`crossdock explain`: what an error code means and what to do about it, without a network."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer

from crossdock.edi.codes import CATALOG as EDI_CATALOG
from crossdock.error_codes import CATALOG, close_to, lookup
from crossdock.errors import NotFound


def command(
    code: Annotated[str, typer.Argument(help="A code such as XD-MAP-014, or the name of an EDI finding.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain an error code: what, why, how to fix."""
    entry = lookup(code)
    if entry is not None:
        if as_json:
            typer.echo(json.dumps({**msgspec.to_builtins(entry), "docs": entry.docs}, ensure_ascii=False, indent=2))
            return
        typer.echo(f"{entry.code}  {entry.title}  [{entry.category}]")
        typer.echo(f"What   {entry.what}")
        typer.echo(f"Why    {entry.why}")
        for number, step in enumerate(entry.fix, 1):
            typer.echo(f"{'Fix' if number == 1 else '':<6} {number} {step}")
        again = "the same request may succeed later" if entry.retryable else "the same request fails again"
        typer.echo(f"API    {entry.http_status}; {again}")
        return
    _explain_finding(code.strip().lower(), as_json=as_json)


def _explain_finding(name: str, *, as_json: bool) -> None:
    finding = EDI_CATALOG.get(name)
    if finding is None:
        near = close_to(name) or tuple(known for known in EDI_CATALOG if name in known)[:3]
        raise NotFound(
            f"There is no error code {name.upper()}; {len(CATALOG)} codes are known",
            code="XD-API-003",
            hint=f"Did you mean {' or '.join(near)}?" if near else (),
        )
    if as_json:
        typer.echo(json.dumps({"code": name, **finding._asdict()}, ensure_ascii=False, indent=2))
        return
    typer.echo(f"{name}  [{finding.severity}, {finding.level}]")
    typer.echo(f"Fix    1 {finding.hint}")
    if finding.acknowledgment:
        typer.echo(f"Ack    {finding.acknowledgment}")
