"""`/v1/releases`: the versions of a tenant's configuration."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.params import QueryParameter

from ...errors import NotFound
from ...governance import releases as release_store
from ...governance.releases import Release
from ..context import api_principal, web_of


class ReleaseList(msgspec.Struct, frozen=True):
    """Releases, the newest first."""

    items: tuple[Release, ...]


@get("/v1/releases", operation_id="listReleases", summary="List releases", tags=["releases"])
async def list_releases(
    request: Request[Any, Any, Any], limit: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100
) -> ReleaseList:
    """Return the releases of the tenant; one of them is active."""
    principal = await api_principal(request)
    principal.require("release.read")
    rows = await web_of(request).hub.store.read(
        lambda connection: release_store.history(connection, principal.tenant_id, limit=limit)
    )
    return ReleaseList(tuple(rows))


@get("/v1/releases/active", operation_id="getActiveRelease", summary="Get the active release", tags=["releases"])
async def active_release(request: Request[Any, Any, Any]) -> Release:
    """Return the release that runs now."""
    principal = await api_principal(request)
    principal.require("release.read")
    found = await web_of(request).hub.store.read(
        lambda connection: release_store.active_release(connection, principal.tenant_id)
    )
    if found is None:
        raise NotFound()
    return found
