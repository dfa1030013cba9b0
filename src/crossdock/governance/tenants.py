"""The tenants of an installation: made once, listed, found. What a tenant configures is its pack."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from ..durable.identity import from_micros, to_micros
from ..errors import Conflict, NotFound
from ..store.engine import Connection, Row

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{1,62}")


class Tenant(msgspec.Struct, frozen=True):
    """One client company. `operator` is who runs or resells it, empty when it runs itself."""

    tenant_id: str
    name: str
    operator: str
    created_at: datetime


def create(connection: Connection, tenant_id: str, name: str, *, at: datetime, operator: str = "") -> Tenant:
    """Add a tenant. `Conflict` when the id is taken or is not a word of lower case letters, digits and dashes."""
    if not _ID.fullmatch(tenant_id):
        raise Conflict(
            f"{tenant_id!r} cannot be a tenant's id",
            hint="Use 2 to 63 lower case letters, digits, dashes or underscores, such as northgate",
        )
    added = connection.one(
        "insert into tenants (tenant_id, name, operator, created_at) values (?, ?, ?, ?)"
        " on conflict (tenant_id) do nothing returning tenant_id",
        (tenant_id, name, operator, to_micros(at)),
    )
    if added is None:
        raise Conflict(f"There is already a tenant {tenant_id}", hint="Choose another id, or work with that tenant")
    return Tenant(tenant_id, name, operator, at)


def find(connection: Connection, tenant_id: str) -> Tenant:
    """Return a tenant, or raise `NotFound`."""
    row = connection.one("select tenant_id, name, operator, created_at from tenants where tenant_id = ?", (tenant_id,))
    if row is None:
        raise NotFound(f"There is no tenant {tenant_id}")
    return _tenant(row)


def listed(connection: Connection, *, operator: str | None = None) -> list[Tenant]:
    """Return the tenants in the order of their ids: all of the installation, or those of one operator."""
    sql = "select tenant_id, name, operator, created_at from tenants"
    if operator is None:
        return [_tenant(row) for row in connection.query(f"{sql} order by tenant_id")]
    return [_tenant(row) for row in connection.query(f"{sql} where operator = ? order by tenant_id", (operator,))]


def _tenant(row: Row) -> Tenant:
    return Tenant(row[0], row[1], row[2], from_micros(row[3]))
