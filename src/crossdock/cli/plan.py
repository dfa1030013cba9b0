"""`crossdock plan`: what applying a pack would change, what lint finds and how the maps' own tests end. Changes
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from crossdock.config import load_settings
from crossdock.connectors import registry
from crossdock.errors import ConfigurationError, NotFound
from crossdock.governance import releases
from crossdock.governance.pack_files import read_directory
from crossdock.governance.releases import Plan
from crossdock.mapping import yaml_source
from crossdock.store.engine import Connection, Store, open_store

T = TypeVar("T")

EXIT_NOT_OK = 1
SHOWN_MAX = 60


def command(
    directory: Annotated[Path, typer.Argument(help="The directory that holds pack.yaml.")],
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant; otherwise the one pack.yaml names.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what applying a pack would change: fields, findings, map tests. Ends with 1 if an apply would be refused."""
    files = read_pack(directory)
    tenant_id = tenant or tenant_of(files)
    planned = with_store(
        lambda store: make_plan(store, tenant_id, files), missing=lambda: plan_without_store(tenant_id, files)
    )
    show(planned, as_json=as_json)
    if not planned.ok:
        raise typer.Exit(EXIT_NOT_OK)


def read_pack(directory: Path) -> dict[str, str]:
    """Return the files of a pack. A directory that is not there is `NotFound`."""
    if not directory.is_dir():
        raise NotFound(f"There is no directory {directory}", hint="Name the directory that holds pack.yaml")
    return read_directory(directory)


def tenant_of(files: dict[str, str]) -> str:
    """Return the tenant that a pack names in pack.yaml."""
    if "pack.yaml" not in files:
        raise NotFound("The directory holds no pack.yaml", hint="Name the directory of a pack, such as packs/northgate")
    root, _ = yaml_source.load(files["pack.yaml"])
    named = root.value.get("tenant") if root is not None and root.is_mapping else None
    if named is None or not isinstance(named.value, str):
        raise ConfigurationError(
            "pack.yaml names no tenant", code="XD-CFG-006", hint="tenant: northgate", pointer="pack.yaml:1"
        )
    return named.value


def with_store(use: Callable[[Store], T], *, missing: Callable[[], T] | None = None) -> T:
    """Open the record of the settings, use it and close it. With `missing`, a record that does not exist yet is not
    made.
    """
    settings = load_settings().store
    if missing is not None and settings.sqlite_path is not None and not settings.sqlite_path.exists():
        return missing()
    store = open_store(settings.url, readers=1)
    try:
        return use(store)
    finally:
        store.close()


def make_plan(store: Store, tenant_id: str, files: dict[str, str]) -> Plan:
    """Return the plan against the tenant's active release."""

    def look(connection: Connection) -> Plan:
        kinds = tuple(registry.manifests())
        return releases.plan(connection, tenant_id, files, connector_kinds=kinds, connector_lint=registry.lint_settings)

    return store.read_now(look)


def plan_without_store(tenant_id: str, files: dict[str, str]) -> Plan:
    """Return the plan of a first release, where nothing was ever applied."""
    kinds = tuple(registry.manifests())
    return releases.plan_against(None, tenant_id, files, connector_kinds=kinds, connector_lint=registry.lint_settings)


def as_data(planned: Plan) -> dict[str, Any]:
    """Return the plan as JSON values."""
    return {
        "tenant": planned.tenant_id,
        "ok": planned.ok,
        "unchanged": planned.unchanged,
        "digest": planned.digest,
        "base_digest": planned.base_digest,
        "changes": msgspec.to_builtins(planned.changes, str_keys=True),
        "findings": msgspec.to_builtins(planned.findings),
        "tests": [
            {"map": test.map, "name": test.name, "passed": test.passed, "detail": test.detail} for test in planned.tests
        ],
    }


def show(planned: Plan, *, as_json: bool) -> None:
    """Print a plan for people or for programs."""
    if as_json:
        typer.echo(json.dumps(as_data(planned), ensure_ascii=False, indent=2, default=str))
        return
    signs = {"added": "+", "removed": "-", "changed": "~", "layout": " "}
    for change in planned.changes[:SHOWN_MAX]:
        where = f"{change.file}  {change.path}".rstrip()
        values = {
            "added": f" = {_short(change.after)}",
            "removed": f" (was {_short(change.before)})",
            "changed": f": {_short(change.before)} → {_short(change.after)}",
            "layout": "  (comments or layout only)",
        }
        typer.echo(f"{signs[change.kind]} {where}{values[change.kind]}")
    if len(planned.changes) > SHOWN_MAX:
        typer.echo(f"  … and {len(planned.changes) - SHOWN_MAX} more; --json shows all")
    if planned.unchanged:
        typer.echo("No changes: this is what the tenant runs now.")
    for finding in planned.findings:
        hint = f"  [{finding.hint}]" if finding.hint else ""
        typer.echo(f"{finding.severity}  {finding.code}  {finding.pointer}  {finding.message}{hint}", err=True)
    failed = [test for test in planned.tests if not test.passed]
    for test in failed:
        typer.echo(f"error  XD-MAP-017  {test.map}: {test.name}: {test.detail}", err=True)
    typer.echo(f"{len(planned.tests) - len(failed)} of {len(planned.tests)} map tests pass", err=True)
    if not planned.ok:
        typer.echo("An apply would be refused.", err=True)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"
