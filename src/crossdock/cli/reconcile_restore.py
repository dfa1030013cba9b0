"""`crossdock reconcile-restore`: what must be asked of partners again after a restore, and the end of the doubt."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

import msgspec
import typer

from crossdock.cli.find import nothing_here, tenants_of
from crossdock.cli.plan import with_store
from crossdock.cli.running_hub import Door, JsonOption, KeyOption, TenantOption, UrlOption, ask, doors
from crossdock.durable.identity import SystemClock, to_micros
from crossdock.governance import audit
from crossdock.store import restores
from crossdock.store.engine import Connection, Store
from crossdock.views import restore_list
from crossdock.views.restore_list import RestoreList

SHOWN_MAX = 20
Lists = dict[str, tuple[RestoreList, ...]]


def command(
    tenant: TenantOption = "",
    close: Annotated[
        str, typer.Option("--close", help="A connection that is settled, or 'all': new work is sent without asking.")
    ] = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """List exactly what must be asked of partners again after a restore; close a connection when it is settled."""
    reached = doors(url, key, tenant)
    if close:
        name = "" if close == "all" else close
        closed = sum(_close_there(door, name) for door in reached) if reached else _close_here(tenant, name)
        typer.echo(f"{closed} connections are settled", err=as_json)
    if reached:
        lists = {door.tenant_id: _ask(door) for door in reached}
    else:
        lists = with_store(lambda store: lists_of(store, tenant), missing=nothing_here)
    if as_json:
        said = {tenant_id: msgspec.to_builtins(found) for tenant_id, found in lists.items()}
        typer.echo(json.dumps(said, ensure_ascii=False, indent=2, default=str))
    else:
        show(lists)


def lists_of(store: Store, tenant: str) -> Lists:
    """Return the open restores of each tenant, read from the record itself."""

    def look(tenant_id: str) -> tuple[RestoreList, ...]:
        return store.read_now(lambda connection: restore_list.load(connection, tenant_id))

    return {tenant_id: look(tenant_id) for tenant_id in tenants_of(store, tenant)}


def _ask(door: Door) -> tuple[RestoreList, ...]:
    return msgspec.json.decode(ask(door, "/restores"), type=_Answer).items


class _Answer(msgspec.Struct):
    items: tuple[RestoreList, ...]


def _close_there(door: Door, connection_id: str) -> int:
    body = {"connection": connection_id} if connection_id else {"all": True}
    answer: dict[str, Any] = json.loads(ask(door, "/restores/close", method="POST", body=body))
    return int(answer["closed"])


def _close_here(tenant: str, connection_id: str) -> int:
    def close(store: Store) -> int:
        now = SystemClock().now()

        def write(connection: Connection, tenant_id: str) -> int:
            closed = restores.close(connection, tenant_id, connection_id, to_micros(now), "command line")
            if closed:
                audit.append(
                    connection,
                    tenant_id,
                    actor="command line",
                    action="restore.close",
                    object=connection_id or "all",
                    at=now,
                )
            return closed

        return sum(store.write_now(partial(write, tenant_id=one)) for one in tenants_of(store, tenant))

    return with_store(close, missing=nothing_here)


def show(lists: Lists) -> None:
    """Print the lists for people."""
    if not any(lists.values()):
        typer.echo("Nothing is in doubt: no restore is open.")
        return
    for tenant_id, found in lists.items():
        for one in found:
            _show_one(tenant_id, one)


def _show_one(tenant_id: str, one: RestoreList) -> None:
    typer.echo(f"\n{tenant_id}  {one.restore_id}  as of {one.backed_up_at:%Y-%m-%d %H:%M:%S} UTC")
    typer.echo("Ask these senders to offer again everything they were answered for since:")
    for window in one.ask_senders:
        last = f"last here {window.last_message_id} {window.last_name or window.last_receipt_key}".rstrip()
        since = f"{window.since_at:%Y-%m-%d %H:%M:%S.%f}" if window.last_message_id else "the beginning"
        typer.echo(f"  {window.connection_id:<16} {since}  ({last if window.last_message_id else 'nothing came yet'})")
    for words, rows, total in (
        (
            "Sends of unknown outcome (asked by themselves where the partner can be asked)",
            one.sends_in_doubt,
            one.sends_total,
        ),
        ("Acknowledgments we owe", one.acknowledgments_owed, len(one.acknowledgments_owed)),
        ("Acknowledgments to ask for again", one.acknowledgments_awaited, len(one.acknowledgments_awaited)),
    ):
        if rows:
            typer.echo(f"{words}: {total}")
            for row in rows[:SHOWN_MAX]:
                typer.echo(
                    f"  {row.connection_id:<16} {row.document_type} {row.identity}  {row.state}  {row.message_id}"
                )
            if total > SHOWN_MAX:
                typer.echo(f"  … and {total - SHOWN_MAX} more; --json shows them")
    for gap in one.interchanges:
        missing = f"; missing {', '.join(map(str, gap.missing[:SHOWN_MAX]))}" if gap.missing else ""
        typer.echo(f"Interchanges of {gap.sender} to {gap.receiver} ({gap.usage}): last {gap.last_number}{missing}")
