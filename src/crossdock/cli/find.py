"""`crossdock find`: find an order, message, shipment or issue by any of its names."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from crossdock.cli.plan import with_store
from crossdock.errors import ConfigurationError, NotFound
from crossdock.governance import tenants
from crossdock.store.engine import Store
from crossdock.views import search
from crossdock.views.search import Answer


def command(
    name: Annotated[str, typer.Argument(help="Order, PO, tracking, SSCC, control number, message id: in any writing.")],
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant; needed when there are several.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=50, help="Most hits to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find anything by any identifier; spaces, dashes, case and leading zeros do not count."""

    def look(store: Store) -> Answer:
        tenant_id = tenant_of(store, tenant)
        return store.read_now(lambda connection: search.find(connection, tenant_id, name, limit=limit))

    answer = with_store(look, missing=nothing_here)
    if not answer.hits:
        near = f"Close to it: {', '.join(answer.suggestions)}" if answer.suggestions else ()
        raise NotFound(f"Nothing is called {name}", hint=near)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
        return
    table = Table(box=None, header_style="dim")
    for column in ("KIND", "NAME", "WHAT", "FOUND BY"):
        table.add_column(column, overflow="fold")
    for hit in answer.hits:
        table.add_row(hit.kind, hit.key, hit.title, hit.via)
    Console(highlight=False).print(table)
    typer.echo(f"Next: crossdock trace {answer.hits[0].key}", err=True)


def tenant_of(store: Store, named: str) -> str:
    """Return the tenant that is meant: the one named, else the only one there is."""
    known = [one.tenant_id for one in store.read_now(tenants.listed)]
    if named:
        if named not in known:
            raise NotFound(f"There is no tenant {named}", hint=f"Tenants: {', '.join(known)}" if known else ())
        return named
    if len(known) != 1:
        words = f"There are {len(known)} tenants" if known else "There is no tenant yet"
        fix = (
            f"Add --tenant, one of: {', '.join(known)}"
            if known
            else "Apply a pack first: crossdock apply packs/northgate"
        )
        raise ConfigurationError(words, hint=fix)
    return known[0]


def nothing_here() -> Answer:
    """Refuse where there is no record yet: reading must not make one."""
    raise NotFound("There is no record here yet", hint="Start the hub first: crossdock up, or crossdock demo")
