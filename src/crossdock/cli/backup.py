"""`crossdock backup`: copy the record into a new directory while the hub runs, and check the copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from crossdock.bootstrap import backups
from crossdock.cli.running_hub import JsonOption
from crossdock.config import load_settings
from crossdock.durable.identity import from_micros

EXIT_DAMAGED = 6


def command(
    to: Annotated[Path, typer.Option("--to", help="Where the backup's directory is made.")] = Path("var/backups"),
    as_json: JsonOption = False,
) -> None:
    """Make a consistent backup of the record; the hub need not stop. The root key is never in it."""
    directory, manifest = backups.make_backup(load_settings(), to)
    if as_json:
        said = {"directory": str(directory), **msgspec.to_builtins(manifest)}
        typer.echo(json.dumps(said, ensure_ascii=False, indent=2))
    else:
        typer.echo(str(directory))
        rows = ", ".join(f"{count:,} {name}" for name, count in manifest.rows.items())
        made_at = f"{from_micros(manifest.made_at):%Y-%m-%d %H:%M:%S} UTC"
        typer.echo(f"{manifest.engine}, {manifest.size_bytes:,} bytes, as of {made_at}", err=True)
        typer.echo(f"{rows}; journal position {manifest.journal_position}", err=True)
        typer.echo(f"checked: structure, and the digest of {manifest.payloads_checked:,} payloads", err=True)
        typer.echo(
            f"The root key ({manifest.root_key_fingerprint}) is NOT in it: keep it apart; without it no secret opens.",
            err=True,
        )
    if manifest.damaged:
        typer.echo(f"{len(manifest.damaged)} payloads were damaged before: {', '.join(manifest.damaged[:5])}", err=True)
        raise typer.Exit(EXIT_DAMAGED)
