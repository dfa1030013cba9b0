"""`crossdock secret`: store, list and remove the secrets that packs name, through the running hub or in the record.

A value comes from standard input or a prompt, never from an argument: arguments stand in process lists and histories.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import msgspec
import typer

from crossdock.cli.find import nothing_here, tenants_of
from crossdock.cli.plan import with_store
from crossdock.cli.running_hub import JsonOption, KeyOption, UrlOption, ask, one_door
from crossdock.cli.tables import as_table
from crossdock.config import load_root_key, load_settings
from crossdock.durable.identity import SystemClock
from crossdock.governance import audit, secrets
from crossdock.store.engine import Connection, Store

app = typer.Typer(no_args_is_help=True, help="Store, list and remove secrets.")

Tenant = Annotated[str, typer.Option("--tenant", help="Whose secret.")]
Name = Annotated[str, typer.Argument(help="The name; packs write it as secret:NAME.")]


@app.command("put")
def put(name: Name, tenant: Tenant, url: UrlOption = "", key: KeyOption = "") -> None:
    """Store a secret, or a new version of it. The value is read from standard input, or asked for."""
    value = _value(name)
    door = one_door(url, key, tenant)
    if door is not None:
        ask(door, "/secrets", method="POST", body={"name": name, "value": value})
    else:
        with_store(lambda store: _put(store, tenant, name, value), missing=nothing_here)
    typer.echo(f"secret:{name} of {tenant} is stored", err=True)


@app.command("list")
def listed(tenant: Tenant, url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False) -> None:
    """List the secrets of a tenant: names, versions and ages, never a value."""
    door = one_door(url, key, tenant)
    rows: list[dict[str, Any]]
    if door is not None:
        rows = json.loads(ask(door, "/secrets"))["items"]
    else:
        rows = with_store(lambda store: _read(store, tenant), missing=nothing_here)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    as_table(("NAME", "VERSION", "STORED"), [(row["name"], row["version"], row["created_at"]) for row in rows])


@app.command("remove")
def remove(name: Name, tenant: Tenant, url: UrlOption = "", key: KeyOption = "") -> None:
    """Forget a secret. Connections that name it stop working."""
    door = one_door(url, key, tenant)
    if door is not None:
        ask(door, "/secrets/remove", method="POST", body={"name": name})
    else:
        with_store(lambda store: _remove(store, tenant, name), missing=nothing_here)
    typer.echo(f"secret:{name} of {tenant} is removed", err=True)


def _value(name: str) -> str:
    """Return the value: what stands on standard input without its last line end, else what is typed unseen."""
    if sys.stdin.isatty():
        value = str(typer.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True))
    else:
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not value:
        raise typer.BadParameter("the value is empty; give it on standard input")
    return value


def _put(store: Store, tenant: str, name: str, value: str) -> None:
    (tenant_id,) = tenants_of(store, tenant)
    root_key = load_root_key(load_settings(), create=True)

    def write(connection: Connection) -> None:
        now = SystemClock().now()
        secrets.put(connection, tenant_id, name, value, root_key=root_key, at=now)
        _note(connection, tenant_id, "secret.put", name)

    store.write_now(write)


def _read(store: Store, tenant: str) -> list[dict[str, Any]]:
    (tenant_id,) = tenants_of(store, tenant)
    found = store.read_now(lambda connection: secrets.listed(connection, tenant_id))
    rows: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(found))
    return rows


def _remove(store: Store, tenant: str, name: str) -> None:
    (tenant_id,) = tenants_of(store, tenant)

    def write(connection: Connection) -> None:
        secrets.remove(connection, tenant_id, name)
        _note(connection, tenant_id, "secret.remove", name)

    store.write_now(write)


def _note(connection: Connection, tenant_id: str, action: str, name: str) -> None:
    now = SystemClock().now()
    audit.append(connection, tenant_id, actor="command line", action=action, object=f"secret:{name}", at=now)
