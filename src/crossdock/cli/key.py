"""`crossdock key`: make, list and revoke API keys, through the running hub or in the record itself."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import typer

from crossdock.cli.find import nothing_here, tenants_of
from crossdock.cli.plan import with_store
from crossdock.cli.running_hub import Door, JsonOption, KeyOption, UrlOption, ask, one_door
from crossdock.cli.tables import as_table
from crossdock.durable.identity import Ids, SystemClock
from crossdock.governance import access, audit
from crossdock.store.engine import Connection, Store

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

Tenant = Annotated[str, typer.Option("--tenant", help="Whose key.")]


@app.command("new")
def new(
    tenant: Tenant,
    role: Annotated[str, typer.Option("--role", help=f"One of: {', '.join(access.ROLES)}.")],
    connection: Annotated[
        str, typer.Option("--connection", help="Bind the key to this connection; role partner needs it.")
    ] = "",
    label: Annotated[str, typer.Option("--label", help="What the key is for; the audit shows it.")] = "",
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Make an API key and print it, this once. The record keeps only its digest."""
    if role not in access.ROLES:
        raise typer.BadParameter(f"there is no role {role}; roles: {', '.join(access.ROLES)}")
    if (role == "partner") != bool(connection):
        raise typer.BadParameter("a key of role partner is bound to a --connection, and only such a key is")
    door = one_door(url, key, tenant)
    if door is not None:
        body = {"role": role, "connection": connection, "label": label}
        typer.echo(json.loads(ask(door, "/keys", method="POST", body=body))["token"])
        return
    typer.echo(with_store(lambda store: _create(store, tenant, role, connection, label), missing=nothing_here))


@app.command("list")
def listed(tenant: Tenant, url: UrlOption = "", key: KeyOption = "", as_json: JsonOption = False) -> None:
    """List the keys of a tenant: never a token."""
    door = one_door(url, key, tenant)
    rows = _asked(door) if door is not None else with_store(lambda store: _read(store, tenant), missing=nothing_here)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    as_table(
        ("KEY", "ROLE", "CONNECTION", "LABEL", "MADE", "REVOKED"),
        [
            (row["key_id"], row["role"], row["connection_id"], row["label"], row["created_at"], row["revoked_at"])
            for row in rows
        ],
    )


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key (key_…), from the list.")],
    tenant: Tenant,
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Make a key invalid. A running hub forgets it within ten seconds."""
    door = one_door(url, key, tenant)
    if door is not None:
        ask(door, f"/keys/{key_id}/revoke", method="POST", body={})
    else:
        with_store(lambda store: _revoke(store, tenant, key_id), missing=nothing_here)
    typer.echo(f"{key_id} is revoked", err=True)


def _asked(door: Door) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(ask(door, "/keys"))["items"]
    return items


def _read(store: Store, tenant: str) -> list[dict[str, Any]]:
    (tenant_id,) = tenants_of(store, tenant)
    found = store.read_now(lambda connection: access.keys(connection, tenant_id))
    rows: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(found))
    return rows


def _create(store: Store, tenant: str, role: str, connection_id: str, label: str) -> str:
    (tenant_id,) = tenants_of(store, tenant)
    clock = SystemClock()

    def write(connection: Connection) -> str:
        now = clock.now()
        token, made = access.create_key(
            connection, tenant_id, role, at=now, ids=Ids(clock), label=label or role, connection_id=connection_id
        )
        audit.append(connection, tenant_id, actor="command line", action="key.create", object=made.key_id, at=now)
        return token

    return store.write_now(write)


def _revoke(store: Store, tenant: str, key_id: str) -> None:
    (tenant_id,) = tenants_of(store, tenant)

    def write(connection: Connection) -> None:
        now = SystemClock().now()
        access.revoke_key(connection, tenant_id, key_id, at=now)
        audit.append(connection, tenant_id, actor="command line", action="key.revoke", object=key_id, at=now)

    store.write_now(write)
