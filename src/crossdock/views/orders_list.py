"""Lists of orders: filtered, counted by facet, page by page. The filters and counts run on one covering index.

Each combination of status, risk and sites is counted no further than 1,000, so that counting costs the same however
many orders there are; what is few, and therefore of interest, is counted to the last one.

The cursor is the last order's key, so a page stays right while orders come and go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from ..durable.identity import from_micros
from ..errors import CrossdockError
from ..governance.configuration import Configuration
from ..store.engine import Connection, Row
from .counting import FACET_COUNT_MAX, bounded_count
from .order_facts import NO_UPDATE

PAGE_MAX = 200
ORDERS = "tenant_id = ? and kind = 'order'"


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked for; empty means all. `partner` means: some site of this partner ships part of it."""

    status: str = ""
    site: str = ""
    partner: str = ""
    at_risk: bool = False


class OrderRow(msgspec.Struct, frozen=True):
    """One row. `minutes_left` counts to the next deadline, below zero when it has passed.

    `silent`: there is no update on it, because the feed that should tell of it is silent.
    """

    number: str
    aggregate_id: str
    status: str
    customer: str
    region: str
    sites: tuple[str, ...]
    due_at: datetime | None
    minutes_left: int | None
    at_risk: bool
    value_cents: int
    created_at: datetime
    updated_at: datetime
    silent: bool = False


class Facets(msgspec.Struct, frozen=True):
    """How many orders each value of a facet has, under the other filters.

    `at_least` names the counts that stopped before the end, as `status:delivered`, `at_risk` or `total`.
    """

    status: dict[str, int]
    site: dict[str, int]
    partner: dict[str, int]
    at_risk: int
    total: int
    at_least: tuple[str, ...] = ()


class OrdersPage(msgspec.Struct, frozen=True):
    """A page of rows, the cursor of the next one (empty at the end) and the counts beside it."""

    rows: tuple[OrderRow, ...]
    next_cursor: str
    facets: Facets


def load(
    connection: Connection,
    tenant_id: str,
    filter_: Filter,
    *,
    configuration: Configuration,
    now: datetime,
    cursor: str = "",
    limit: int = 50,
) -> OrdersPage:
    """Return a page of the tenant's orders, by number from the highest down, after the cursor."""
    count = max(1, min(limit, PAGE_MAX))
    conditions, parameters = _conditions(filter_, configuration)
    if cursor:
        conditions += " and key < ?"
        parameters.append(_number_of(cursor))
    keys = connection.query(
        f"select key from aggregates where {ORDERS}{conditions} order by key desc limit ?",  # noqa: S608
        (tenant_id, *parameters, count + 1),
    )
    page = [row[0] for row in keys[:count]]
    rows = _rows(connection, tenant_id, page, now)
    next_cursor = _cursor_of(page[-1]) if len(keys) > count else ""
    return OrdersPage(rows, next_cursor, facets(connection, tenant_id, filter_, configuration=configuration))


def at_risk(connection: Connection, tenant_id: str, *, now: datetime, limit: int = 20) -> tuple[OrderRow, ...]:
    """Return the orders at risk, the one that breaks first on top."""
    keys = connection.query(
        f"select key from aggregates where {ORDERS} and at_risk = 1 order by due_at limit ?",  # noqa: S608
        (tenant_id, limit),
    )
    found = {row.number: row for row in _rows(connection, tenant_id, [key for (key,) in keys], now)}
    return tuple(found[key] for (key,) in keys)


def facets(connection: Connection, tenant_id: str, filter_: Filter, *, configuration: Configuration) -> Facets:
    """Count the orders by facet; a facet's own filter does not narrow its own counts."""
    status: Counter[str] = Counter()
    site: Counter[str] = Counter()
    partner: Counter[str] = Counter()
    risky = total = 0
    more: set[str] = set()
    for row_status, row_risk, row_sites, count in _combinations(connection, tenant_id):
        sites = _split(row_sites)
        partners = {configuration.sites[name].partner for name in sites if name in configuration.sites}
        fits = {
            "status": not filter_.status or row_status == filter_.status,
            "site": not filter_.site or filter_.site in sites,
            "partner": not filter_.partner or filter_.partner in partners,
            "at_risk": not filter_.at_risk or bool(row_risk),
        }
        counted: list[str] = []
        if _all_but("status", fits):
            status[row_status] += count
            counted.append(f"status:{row_status}")
        if _all_but("site", fits):
            site.update(dict.fromkeys(sites, count))
            counted += [f"site:{name}" for name in sites]
        if _all_but("partner", fits):
            partner.update(dict.fromkeys(partners, count))
            counted += [f"partner:{name}" for name in partners]
        if _all_but("at_risk", fits) and row_risk:
            risky += count
            counted.append("at_risk")
        if all(fits.values()):
            total += count
            counted.append("total")
        if count >= FACET_COUNT_MAX:
            more.update(counted)
    return Facets(
        dict(status.most_common()),
        dict(site.most_common()),
        dict(partner.most_common()),
        risky,
        total,
        tuple(sorted(more)),
    )


def _combinations(connection: Connection, tenant_id: str) -> Iterator[tuple[str, int, str, int]]:
    """Yield every combination of status, risk and sites that some order has, and how many have it, up to a bound.

    From one combination the index leads to the next without reading what lies between: first to the next sites, then
    to the next risk, then to the next status. (A comparison of all three at once would read the rest of the status.)
    """
    ways = (
        ("status = ? and at_risk = ? and sites > ?", 3),
        ("status = ? and at_risk > ?", 2),
        ("status > ?", 1),
    )
    row = connection.one(_next_combination("1 = 1"), (tenant_id,))
    while row is not None:
        status, at_risk, sites = row
        same = f"aggregates where {ORDERS} and status = ? and at_risk = ? and sites = ?"
        yield status, at_risk, sites, bounded_count(connection, same, (tenant_id, *row), FACET_COUNT_MAX)
        steps = (connection.one(_next_combination(way), (tenant_id, *row[:known])) for way, known in ways)
        row = next((step for step in steps if step is not None), None)


def _next_combination(condition: str) -> str:
    return (
        f"select status, at_risk, sites from aggregates where {ORDERS} and {condition}"  # noqa: S608 - our own words
        " order by status, at_risk, sites limit 1"
    )


def _all_but(name: str, fits: dict[str, bool]) -> bool:
    return all(fit for facet, fit in fits.items() if facet != name)


def _conditions(filter_: Filter, configuration: Configuration) -> tuple[str, list[Any]]:
    sql, parameters = "", []
    if filter_.status:
        sql += " and status = ?"
        parameters.append(filter_.status)
    if filter_.at_risk:
        sql += " and at_risk = 1"
    wanted = [filter_.site] if filter_.site else []
    if filter_.partner:
        of_partner = [site.site for site in configuration.sites.values() if site.partner == filter_.partner]
        wanted = [site for site in of_partner if not filter_.site or site == filter_.site] or ["?"]
    if wanted:
        sql += f" and ({' or '.join(['sites like ?'] * len(wanted))})"
        parameters += [f"%,{site},%" for site in wanted]
    return sql, parameters


def _rows(connection: Connection, tenant_id: str, keys: list[str], now: datetime) -> tuple[OrderRow, ...]:
    if not keys:
        return ()
    found = connection.many(
        "select key, aggregate_id, status, customer, region, sites, due_at, at_risk, value_cents, created_at,"
        " updated_at from aggregates where tenant_id = ? and kind = 'order' and key in ({})",
        [tenant_id],
        keys,
    )
    silent = {
        str(row[0]).partition("/")[2]
        for row in connection.many(
            "select subject from exceptions where tenant_id = ? and state = 'open' and code = ? and subject <> ''"
            " and subject in ({})",
            [tenant_id, NO_UPDATE],
            [f"order/{key}" for key in keys],
        )
    }
    by_key = {row[0]: _row(row, now, silent=row[0] in silent) for row in found}
    return tuple(by_key[key] for key in keys)


def _row(row: Row, now: datetime, *, silent: bool) -> OrderRow:
    due_at = from_micros(row[6]) if row[6] is not None else None
    left = int((due_at - now).total_seconds() // 60) if due_at else None
    made_at, changed_at = from_micros(row[9]), from_micros(row[10])
    sites, at_risk = _split(row[5]), bool(row[7])
    return OrderRow(
        *(row[0], row[1], row[2], row[3], row[4], sites, due_at, left, at_risk, row[8], made_at, changed_at, silent)
    )


def _split(sites: str) -> tuple[str, ...]:
    return tuple(site for site in sites.split(",") if site)


def _cursor_of(key: str) -> str:
    return "k" + key.encode().hex()


def _number_of(cursor: str) -> str:
    try:
        if not cursor.startswith("k"):
            raise ValueError("another kind of cursor")
        return bytes.fromhex(cursor[1:]).decode()
    except ValueError as error:
        raise CrossdockError(
            "The cursor is not one of this list", code="XD-API-002", hint="Start from the first page"
        ) from error
