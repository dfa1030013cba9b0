"""Stock positions: what sites last reported, what moved and what orders reserved since, which reports were applied.

`inventory` is the one number that sourcing reads; `stock_lots` and `stock_movements` are what it is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from .engine import Connection, Row, locked

# How long the counts of requests a day are kept.
DAYS_KEPT = timedelta(days=14)


def load(
    connection: Connection, tenant_id: str, skus: Sequence[str]
) -> dict[tuple[str, str], tuple[Decimal, Decimal, int | None]]:
    """Return the positions of some SKUs at all sites: (site, sku) → (on_hand, reserved, as_of)."""
    if not skus:
        return {}
    rows = connection.many(
        "select site, sku, on_hand, reserved, as_of from inventory where tenant_id = ? and sku in ({})"
        + locked(connection, "sku, site"),
        [tenant_id],
        skus,
    )
    return {(row[0], row[1]): (Decimal(row[2]), Decimal(row[3]), row[4]) for row in rows}


def load_site(
    connection: Connection, tenant_id: str, site: str
) -> dict[tuple[str, str], tuple[Decimal, Decimal, int | None]]:
    """Return all positions of one site: (site, sku) → (on_hand, reserved, as_of)."""
    rows = connection.query(
        "select sku, on_hand, reserved, as_of from inventory where tenant_id = ? and site = ?"
        + locked(connection, "sku"),
        (tenant_id, site),
    )
    return {(site, row[0]): (Decimal(row[1]), Decimal(row[2]), row[3]) for row in rows}


_CREATE = "insert into inventory (tenant_id, site, sku, on_hand, reserved, as_of, updated_at) values (?,?,?,?,?,?,?)"


def create(connection: Connection, rows: Iterable[tuple[str, str, str, Decimal, Decimal, int | None, int]]) -> None:
    """Write positions that did not exist when they were looked for. One that does now is a contention, never lost."""
    connection.executemany(
        _CREATE,
        [(t, site, sku, str(on_hand), str(reserved), as_of, at) for t, site, sku, on_hand, reserved, as_of, at in rows],
    )


def save(connection: Connection, rows: Iterable[tuple[str, str, str, Decimal, Decimal, int | None, int]]) -> None:
    """Write positions: (tenant_id, site, sku, on_hand, reserved, as_of, updated_at)."""
    connection.executemany(
        "insert into inventory (tenant_id, site, sku, on_hand, reserved, as_of, updated_at) values (?,?,?,?,?,?,?)"
        " on conflict (tenant_id, site, sku) do update set on_hand = excluded.on_hand, reserved = excluded.reserved,"
        " as_of = excluded.as_of, updated_at = excluded.updated_at",
        [(t, site, sku, str(on_hand), str(reserved), as_of, at) for t, site, sku, on_hand, reserved, as_of, at in rows],
    )


def reports_of(connection: Connection, tenant_id: str, reports: Sequence[str]) -> dict[tuple[str, str], bytes]:
    """Return which of some reports were applied, at any site: (report, site) → digest of its content."""
    if not reports:
        return {}
    rows = connection.many(
        "select report, site, digest from stock_reports where tenant_id = ? and report in ({})", [tenant_id], reports
    )
    return {(row[0], row[1]): bytes(row[2]) for row in rows}


def insert_reports(connection: Connection, rows: Iterable[tuple[str, str, str, bytes, str, int]]) -> None:
    """Write that reports were applied: (tenant_id, report, site, digest, document_id, recorded_at)."""
    connection.executemany(
        "insert into stock_reports (tenant_id, report, site, digest, document_id, recorded_at) values (?,?,?,?,?,?)",
        rows,
    )


def site_loads(connection: Connection, tenant_id: str, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return how many requests sites were given, by (site, day of the site's calendar as YYYY-MM-DD)."""
    rows = connection.many(
        "select site, day, requests from site_loads where tenant_id = ? and site in ({})",
        [tenant_id],
        sorted({site for site, _ in places}),
    )
    wanted = set(places)
    return {(row[0], row[1]): row[2] for row in rows if (row[0], row[1]) in wanted}


def add_site_loads(connection: Connection, rows: Iterable[tuple[str, str, str, int]]) -> None:
    """Add to the counts: (tenant_id, site, day, requests). Days long gone are removed on the way."""
    rows = list(rows)
    connection.executemany(
        "insert into site_loads (tenant_id, site, day, requests) values (?,?,?,?)"
        " on conflict (tenant_id, site, day) do update set requests = site_loads.requests + excluded.requests",
        rows,
    )
    connection.executemany(
        "delete from site_loads where tenant_id = ? and site = ? and day < ?",
        [(tenant_id, site, (date.fromisoformat(day) - DAYS_KEPT).isoformat()) for tenant_id, site, day, _ in rows],
    )


def lots_of_site(connection: Connection, tenant_id: str, site: str) -> dict[tuple[str, str, str], tuple[Decimal, int]]:
    """Return what a site last said of each (sku, lot, status): the quantity and the instant."""
    rows = connection.query(
        "select sku, lot, status, quantity, as_of from stock_lots where tenant_id = ? and site = ?", (tenant_id, site)
    )
    return {(row[0], row[1], row[2]): (Decimal(row[3]), row[4]) for row in rows}


def lots_of_sku(connection: Connection, tenant_id: str, site: str, sku: str) -> list[Row]:
    """Return what a site last said of an item: (lot, status, quantity, as_of)."""
    return connection.query(
        "select lot, status, quantity, as_of from stock_lots where tenant_id = ? and site = ? and sku = ?"
        " order by lot, status",
        (tenant_id, site, sku),
    )


def save_lots(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write shelves: (tenant_id, site, sku, lot, status, quantity, as_of)."""
    connection.executemany(
        "insert into stock_lots (tenant_id, site, sku, lot, status, quantity, as_of) values (?,?,?,?,?,?,?)"
        " on conflict (tenant_id, site, sku, lot, status) do update set quantity = excluded.quantity,"
        " as_of = excluded.as_of",
        rows,
    )


def remove_lots(connection: Connection, rows: Iterable[tuple[str, str, str, str, str]]) -> None:
    """Forget shelves that a newer snapshot does not name: (tenant_id, site, sku, lot, status)."""
    connection.executemany(
        "delete from stock_lots where tenant_id = ? and site = ? and sku = ? and lot = ? and status = ?", rows
    )


# movement_id, moved_at, sku, lot, status, kind, delta, reference, subject, recorded_at
MOVEMENT_COLUMNS = "movement_id, moved_at, sku, lot, status, kind, delta, reference, subject, recorded_at"


def add_movements(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write movements: (tenant_id, site, moved_at, movement_id, sku, lot, status, kind, delta, reference, subject,
    recorded_at).
    """
    connection.executemany(
        "insert into stock_movements (tenant_id, site, moved_at, movement_id, sku, lot, status, kind, delta, reference,"
        " subject, recorded_at) values (?,?,?,?,?,?,?,?,?,?,?,?)",
        rows,
    )


def movements_of_site(
    connection: Connection, tenant_id: str, site: str, after: int, until: int | None = None
) -> list[Row]:
    """Return movements of a site (MOVEMENT_COLUMNS) that happened after an instant, oldest first."""
    return connection.query(
        f"select {MOVEMENT_COLUMNS} from stock_movements where tenant_id = ? and site = ? and moved_at > ?"
        " and moved_at <= ? order by moved_at, movement_id",
        (tenant_id, site, after, 2**62 if until is None else until),
    )


def movements_of_sku(connection: Connection, tenant_id: str, site: str, sku: str, after: int, limit: int) -> list[Row]:
    """Return the newest movements of an item at a site after an instant (MOVEMENT_COLUMNS), newest first."""
    return connection.query(
        f"select {MOVEMENT_COLUMNS} from stock_movements where tenant_id = ? and site = ? and moved_at > ? and sku = ?"
        " order by moved_at desc, movement_id desc limit ?",
        (tenant_id, site, after, sku, limit),
    )


def forget_movements(connection: Connection, tenant_id: str, site: str, before: int) -> int:
    """Remove movements that happened before an instant; return how many."""
    return connection.execute(
        "delete from stock_movements where tenant_id = ? and site = ? and moved_at < ?", (tenant_id, site, before)
    )
