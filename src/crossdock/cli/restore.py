"""`crossdock restore`: put a backup where nothing is, mark it, and say what must be asked of partners again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from crossdock.bootstrap import backups
from crossdock.cli.reconcile_restore import lists_of, show
from crossdock.cli.running_hub import JsonOption
from crossdock.config import load_settings
from crossdock.store.engine import open_store


def command(
    directory: Annotated[Path, typer.Argument(help="The backup: a directory with manifest.json.")],
    url: Annotated[str, typer.Option("--url", help="Where to; otherwise store.url. Nothing may be there.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into an empty place. What partners got since is in doubt and is asked for, never sent twice."""
    settings = load_settings()
    done = backups.restore(settings, directory, url or settings.store.url)
    store = open_store(done.url, readers=1)
    try:
        lists = lists_of(store, "")
    finally:
        store.close()
    if as_json:
        said = {
            "restore_id": done.restore_id,
            "backup_id": done.manifest.backup_id,
            "tenants": msgspec.to_builtins(done.tenants),
            "ask": {tenant: msgspec.to_builtins(found) for tenant, found in lists.items()},
        }
        typer.echo(json.dumps(said, ensure_ascii=False, indent=2, default=str))
        return
    typer.echo(f"Restored {done.manifest.backup_id} as {done.restore_id}; the backup's own checks passed.")
    for tenant_id, marked in done.tenants.items():
        typer.echo(
            f"{tenant_id}: {marked.sends_in_doubt} sends are in doubt and will be asked for,"
            f" {marked.dead_letters_in_doubt} dead letters too; {marked.control_numbers} control numbers jumped ahead"
        )
    show(lists)
    typer.echo("Next: crossdock up. Then have the senders offer again what is listed; repeats are absorbed.", err=True)
    typer.echo("API keys revoked since the backup are valid again: crossdock key list", err=True)
