"""`/v1/restores`: what must be asked of partners again after the record was restored."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import JSONBody

from ...durable.identity import to_micros
from ...governance import audit
from ...store import restores
from ...store.engine import Connection
from ...views import restore_list
from ...views.restore_list import RestoreList
from ..context import api_principal, web_of
from ..problems import BadRequest


class RestoreLists(msgspec.Struct, frozen=True):
    """Restores that are not settled, the newest first."""

    items: tuple[RestoreList, ...]


class Settled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection whose partner was asked about everything, or `all: true` for every one: one of the two."""

    connection: str = ""
    all: bool = False


class Closed(msgspec.Struct, frozen=True):
    """How many connections left the doubt."""

    closed: int


@get("/v1/restores", operation_id="listRestores", summary="List what to ask after a restore", tags=["restores"])
async def list_restores(request: Request[Any, Any, Any]) -> RestoreLists:
    """Return, for each restore that is open: senders to ask, sends in doubt, acknowledgments, gaps in numbers."""
    principal = await api_principal(request)
    principal.require("restore.read")
    found = await web_of(request).hub.store.read(lambda one: restore_list.load(one, principal.tenant_id))
    return RestoreLists(found)


@post(
    "/v1/restores/close",
    operation_id="closeRestore",
    summary="Settle a connection after a restore",
    tags=["restores"],
    status_code=200,
)
async def close_restore(request: Request[Any, Any, Any], data: JSONBody[Settled]) -> Closed:
    """End the doubt of a connection: what is made for it from now on is sent without asking first."""
    principal = await api_principal(request)
    principal.require("restore.close")
    hub = web_of(request).hub
    if bool(data.connection) == data.all:
        raise BadRequest("Name the connection that is settled, or say all: true; one of them", pointer="/connection")
    now = hub.clock.now()

    def write(connection: Connection) -> int:
        closed = restores.close(connection, principal.tenant_id, data.connection, to_micros(now), principal.actor)
        if closed:
            audit.append(
                connection,
                principal.tenant_id,
                actor=principal.actor,
                action="restore.close",
                object=data.connection or "all",
                at=now,
            )
        return closed

    return Closed(await hub.store.write(write))
