"""How much is stored and not worked off."""

from __future__ import annotations

from collections.abc import Collection

from ..durable.quotas import Held
from .engine import Connection


def held(
    connection: Connection, tenant_ids: Collection[str]
) -> tuple[dict[tuple[str, str], Held], dict[tuple[str, str], Held]]:
    """Return what waits to be looked at and what waits to be sent, by (tenant_id, connection_id)."""
    tenants = sorted(tenant_ids)
    inbound = connection.many(
        "select tenant_id, connection_id, count(*), sum(size_bytes) from inbound_messages"
        " where state = 'received' and tenant_id in ({}) group by tenant_id, connection_id",
        [],
        tenants,
    )
    outbound = connection.many(
        "select tenant_id, connection_id, count(*), sum(size_bytes) from outbound_messages"
        " where state in ('pending', 'sending', 'unknown') and tenant_id in ({}) group by tenant_id, connection_id",
        [],
        tenants,
    )
    return (
        {(row[0], row[1]): Held(int(row[2]), int(row[3])) for row in inbound},
        {(row[0], row[1]): Held(int(row[2]), int(row[3])) for row in outbound},
    )
