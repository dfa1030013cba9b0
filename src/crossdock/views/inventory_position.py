"""Stock by site and SKU: what the site reported, what orders reserved since, what can be promised, how old the word is.

Old is never shown as good: a row whose report is older than asked says so itself.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ..durable.identity import from_micros
from ..store.engine import Connection, Row

PAGE_MAX = 500
STALE_AFTER_MINUTES = 24 * 60


class Position(msgspec.Struct, frozen=True):
    """One row. `age_seconds` is None when the site never reported; `stale` then too."""

    site: str
    sku: str
    on_hand: Decimal
    reserved: Decimal
    available: Decimal
    as_of: datetime | None
    age_seconds: int | None
    stale: bool
    updated_at: datetime


class SiteAge(msgspec.Struct, frozen=True):
    """How many SKUs a site has and how old its newest report is."""

    site: str
    skus: int
    as_of: datetime | None
    age_seconds: int | None
    stale: bool


class PositionsPage(msgspec.Struct, frozen=True):
    """Rows by site and SKU; `next_site` and `next_sku` are the cursor of the next page, empty at the end."""

    rows: tuple[Position, ...]
    next_site: str = ""
    next_sku: str = ""


def load(
    connection: Connection,
    tenant_id: str,
    *,
    now: datetime,
    site: str = "",
    after: tuple[str, str] = ("", ""),
    limit: int = 100,
    stale_after_minutes: int = STALE_AFTER_MINUTES,
) -> PositionsPage:
    """Return a page of the tenant's positions, of one site if named, after a (site, SKU)."""
    count = max(1, min(limit, PAGE_MAX))
    columns = "site, sku, on_hand, reserved, as_of, updated_at"
    if site:
        rows = connection.query(
            f"select {columns} from inventory where tenant_id = ? and site = ? and sku > ? order by sku limit ?",  # noqa: S608
            (tenant_id, site, after[1], count + 1),
        )
    else:
        rows = connection.query(
            f"select {columns} from inventory where tenant_id = ? and (site, sku) > (?, ?) order by site, sku limit ?",  # noqa: S608
            (tenant_id, *after, count + 1),
        )
    positions = tuple(_position(row, now, stale_after_minutes) for row in rows[:count])
    return PositionsPage(positions, *((rows[count - 1][0], rows[count - 1][1]) if len(rows) > count else ("", "")))


def of_sku(
    connection: Connection, tenant_id: str, sku: str, sites: list[str], *, now: datetime
) -> tuple[Position, ...]:
    """Return the positions of one SKU at some sites, in the order of the sites."""
    if not sites:
        return ()
    rows = connection.many(
        "select site, sku, on_hand, reserved, as_of, updated_at from inventory where tenant_id = ?"
        " and sku = ? and site in ({})",
        [tenant_id, sku],
        sites,
    )
    found = {row[0]: _position(row, now, STALE_AFTER_MINUTES) for row in rows}
    return tuple(found[site] for site in sites if site in found)


def site_ages(
    connection: Connection, tenant_id: str, *, now: datetime, stale_after_minutes: int = STALE_AFTER_MINUTES
) -> tuple[SiteAge, ...]:
    """Return for each site how many SKUs it has and how old its newest report is."""
    rows = connection.query(
        "select site, count(*), max(as_of) from inventory where tenant_id = ? group by site order by site", (tenant_id,)
    )
    return tuple(SiteAge(row[0], row[1], *_age(row[2], now, stale_after_minutes)) for row in rows)


def _position(row: Row, now: datetime, stale_after_minutes: int) -> Position:
    on_hand, reserved = Decimal(row[2]), Decimal(row[3])
    as_of, age, stale = _age(row[4], now, stale_after_minutes)
    return Position(row[0], row[1], on_hand, reserved, on_hand - reserved, as_of, age, stale, from_micros(row[5]))


def _age(micros: int | None, now: datetime, stale_after_minutes: int) -> tuple[datetime | None, int | None, bool]:
    if micros is None:
        return None, None, True
    as_of = from_micros(micros)
    age = max(0, int((now - as_of).total_seconds()))
    return as_of, age, age > stale_after_minutes * 60
