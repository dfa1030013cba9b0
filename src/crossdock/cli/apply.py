"""`crossdock apply`: make a pack the tenant's active release, after showing what that changes."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from crossdock.cli.plan import EXIT_NOT_OK, as_data, make_plan, read_pack, show, tenant_of, with_store
from crossdock.connectors import registry
from crossdock.durable.identity import Clock, Ids, SystemClock
from crossdock.errors import NotFound
from crossdock.governance import releases, tenants
from crossdock.governance.releases import Plan, Release
from crossdock.store.engine import Connection, Store


def command(
    directory: Annotated[Path, typer.Argument(help="The directory that holds pack.yaml.")],
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant; otherwise the one pack.yaml names.")] = "",
    note: Annotated[str, typer.Option("--note", help="Why; kept with the release.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; needs --yes or --dry-run.")] = False,
) -> None:
    """Apply a pack as a new release. Makes the tenant when it is new; the same content again changes nothing."""
    files = read_pack(directory)
    tenant_id = tenant or tenant_of(files)
    with_store(lambda store: _run(store, tenant_id, files, note, yes=yes, dry_run=dry_run, as_json=as_json))


def _run(
    store: Store, tenant_id: str, files: dict[str, str], note: str, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    planned = make_plan(store, tenant_id, files)
    if not as_json or not planned.ok or dry_run:
        show(planned, as_json=as_json)
    if not planned.ok:
        raise typer.Exit(EXIT_NOT_OK)
    if dry_run:
        return
    if not planned.unchanged and not yes:
        if as_json or not sys.stdin.isatty():
            raise typer.BadParameter("nobody can be asked here: give --yes or --dry-run")
        typer.confirm(f"Apply this to {tenant_id}?", abort=True, err=True)
    release = write_release(store, planned, files, author=_who(), note=note, clock=SystemClock())
    if as_json:
        data: dict[str, Any] = {**as_data(planned), "release": msgspec.to_builtins(release)}
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))
        return
    typer.echo(f"{release.release_id}  release {release.number} of {tenant_id} is active")


def write_release(
    store: Store, planned: Plan, files: dict[str, str], *, author: str, note: str, clock: Clock
) -> Release:
    """Apply the files of a plan, and refuse when somebody applied others since the plan was made."""
    now, ids = clock.now(), Ids(clock)

    def write(connection: Connection) -> Release:
        try:
            tenants.find(connection, planned.tenant_id)
        except NotFound:
            assert planned.configuration is not None
            head = planned.configuration.head
            tenants.create(connection, planned.tenant_id, head.name, at=now, operator=head.operator)
        return releases.apply(
            connection,
            planned.tenant_id,
            files,
            author=author,
            note=note,
            at=now,
            ids=ids,
            base_digest=planned.base_digest,
            connector_kinds=tuple(registry.manifests()),
            connector_lint=registry.lint_settings,
        )

    return store.write_now(write)


def _who() -> str:
    """Return the name of who sits at the terminal, for the release and the audit."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "command line"
