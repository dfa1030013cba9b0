"""One thing after the other for every tenant, so that the trouble of one keeps no other from its turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import structlog

log = structlog.get_logger()


async def for_each_tenant(what: str, tenant_ids: Iterable[str], act: Callable[[str], Awaitable[None]]) -> None:
    """Act for every tenant; raise the first error after all of them had their turn, so that it stays in sight."""
    first: Exception | None = None
    for tenant_id in tenant_ids:
        try:
            await act(tenant_id)
        except Exception as error:  # noqa: BLE001 - the worker: logged, raised below, and tried again at the next time
            log.error(f"{what}.failed", tenant_id=tenant_id, error=repr(error))
            first = first or error
    if first is not None:
        raise first
