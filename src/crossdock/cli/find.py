"""`crossdock find`: find an order, message, shipment or issue by any of its names, in the running hub or the record."""

from __future__ import annotations

from functools import partial
from typing import Annotated, NoReturn

import msgspec
import typer

from crossdock.cli.plan import with_store
from crossdock.cli.running_hub import Door, JsonOption, KeyOption, TenantOption, UrlOption, ask, doors
from crossdock.cli.tables import as_table
from crossdock.errors import NotFound
from crossdock.governance import tenants
from crossdock.store.engine import Store
from crossdock.views import search
from crossdock.views.search import Answer, Hit


def command(
    name: Annotated[str, typer.Argument(help="Order, PO, tracking, SSCC, control number, message id: in any writing.")],
    tenant: TenantOption = "",
    limit: Annotated[int, typer.Option(min=1, max=50, help="Most hits to show.")] = 20,
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Find anything by any identifier; spaces, dashes, case and leading zeros do not count."""
    reached = doors(url, key, tenant)
    if reached:
        answers = {door.tenant_id: _asked(door, name, limit) for door in reached}
    else:
        answers = with_store(lambda store: _looked_up(store, tenant, name, limit), missing=nothing_here)
    hits = [(tenant_id, hit) for tenant_id, answer in answers.items() for hit in answer.hits]
    if not hits:
        near = tuple(dict.fromkeys(one for answer in answers.values() for one in answer.suggestions))
        raise NotFound(f"Nothing is called {name}", hint=f"Close to it: {', '.join(near)}" if near else ())
    if as_json:
        items = [{"tenant": tenant_id, **msgspec.to_builtins(hit)} for tenant_id, hit in hits]
        typer.echo(msgspec.json.format(msgspec.json.encode({"hits": items}), indent=2).decode())
        return
    _show(hits[:limit])


def _show(hits: list[tuple[str, Hit]]) -> None:
    as_table(
        ("TENANT", "KIND", "NAME", "WHAT", "FOUND BY"),
        [(tenant_id, hit.kind, hit.key, hit.title, hit.via) for tenant_id, hit in hits],
        ids=("TENANT", "NAME"),
    )
    for tenant_id, hit in hits:
        if hit.kind in ("order", "message", "outbound"):
            typer.echo(f"Next: {trace_command(hit.key, tenant_id)}", err=True)
            return


def trace_command(name: str, tenant_id: str) -> str:
    """Return the command that shows a thing's story, to be run as it is."""
    return f"crossdock trace {name} --tenant {tenant_id}"


def _asked(door: Door, name: str, limit: int) -> Answer:
    return msgspec.json.decode(ask(door, "/search", q=name, limit=limit), type=Answer)


def _looked_up(store: Store, tenant: str, name: str, limit: int) -> dict[str, Answer]:
    return {
        tenant_id: store.read_now(partial(search.find, tenant_id=tenant_id, text=name, limit=limit))
        for tenant_id in tenants_of(store, tenant)
    }


def tenants_of(store: Store, named: str) -> list[str]:
    """Return the tenants that are meant: the one named, else all there are."""
    known = [one.tenant_id for one in store.read_now(tenants.listed)]
    if named and named not in known:
        raise NotFound(f"There is no tenant {named}", hint=f"Tenants: {', '.join(known)}" if known else ())
    if not known:
        raise NotFound("There is no tenant yet", hint="Apply a pack first: crossdock apply packs/northgate")
    return [named] if named else known


def nothing_here() -> NoReturn:
    """Refuse where there is no record yet: reading must not make one."""
    raise NotFound("There is no record here yet", hint="Start the hub first: crossdock up, or crossdock demo")
