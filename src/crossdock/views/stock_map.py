"""Where stock drifts: sites across, items down; how old each site's word is, and who is suspected of each drift."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec

from ..canonical.inventory import AVAILABLE
from ..durable.identity import to_micros
from ..store import drifts
from ..store.engine import Connection, Row
from .inventory_position import SiteAge, site_ages
from .reconciliation import DriftRow, drift_rows

ITEMS_MAX = 50
DRIFTS_MAX = 5_000
MICROS_PER_DAY = 86_400_000_000
# From the one that needs somebody to the one that needs nobody.
STATES = ("open", "timing", "new", "settled", "agrees")


class Cell(msgspec.Struct, frozen=True):
    """One item at one site. `state` is the worst of its drifts, `agrees` without any; `off` by how much what is
    available is off now.
    """

    site: str
    state: str
    on_hand: Decimal
    off: Decimal = Decimal(0)
    settled: int = 0


class Item(msgspec.Struct, frozen=True):
    """One item: a cell for each site of the map, None where the site never had it."""

    sku: str
    cells: tuple[Cell | None, ...]


class StockMap(msgspec.Struct, frozen=True):
    """The page. `rows` are the drifts of the list; `items` of the map, the worst first where only drifting ones are
    asked for; `open_count` and `timing_count` are those of the whole tenant.
    """

    sites: tuple[SiteAge, ...]
    items: tuple[Item, ...]
    rows: tuple[DriftRow, ...]
    open_count: int
    timing_count: int
    settled_count: int
    next_sku: str = ""
    next_cursor: str = ""


def load(
    connection: Connection,
    tenant_id: str,
    *,
    now: datetime,
    site: str = "",
    sku: str = "",
    state: str = "",
    every_item: bool = False,
    after_sku: str = "",
    cursor: str = "",
    limit: int = 50,
) -> StockMap:
    """Return the map and a page of drifts. The map shows items that drifted in the last day, or every item by name."""
    at = to_micros(now)
    recent = drifts.between(connection, tenant_id, at - MICROS_PER_DAY, at, DRIFTS_MAX)
    ages = site_ages(connection, tenant_id, now=now)
    shown = tuple(one for one in ages if not site or one.site == site)
    names = [one.site for one in shown]
    mine = [row for row in recent if (not site or row[1] == site) and (not sku or row[2] == sku)]
    if every_item:
        skus = _skus(connection, tenant_id, sku, after_sku)
    else:
        skus = _worst_first(mine)
    more = len(skus) > ITEMS_MAX
    skus = skus[:ITEMS_MAX]
    rows = drift_rows(connection, tenant_id, state=state, site=site, sku=sku, cursor=cursor, limit=limit)
    counts = {name: sum(1 for row in recent if row[5] == name) for name in STATES}
    return StockMap(
        sites=shown,
        items=_items(connection, tenant_id, names, skus, mine),
        rows=rows,
        open_count=counts["open"],
        timing_count=counts["timing"] + counts["new"],
        settled_count=counts["settled"],
        next_sku=skus[-1] if every_item and more else "",
        next_cursor=rows[-1].drift_id if len(rows) == limit else "",
    )


def _skus(connection: Connection, tenant_id: str, sku: str, after: str) -> list[str]:
    if sku:
        return [sku]
    found = connection.query(
        "select distinct sku from inventory where tenant_id = ? and sku > ? order by sku limit ?",
        (tenant_id, after, ITEMS_MAX + 1),
    )
    return [row[0] for row in found]


def _worst_first(rows: Iterable[Row]) -> list[str]:
    worst: dict[str, int] = {}
    for row in rows:
        worst[row[2]] = min(worst.get(row[2], len(STATES)), STATES.index(row[5]))
    return sorted(worst, key=lambda sku: (worst[sku], sku))


def _items(
    connection: Connection, tenant_id: str, sites: list[str], skus: list[str], rows: Iterable[Row]
) -> tuple[Item, ...]:
    if not skus:
        return ()
    stock = connection.many(
        "select sku, site, on_hand from inventory where tenant_id = ? and sku in ({})", [tenant_id], skus
    )
    on_hand = {(row[0], row[1]): Decimal(row[2]) for row in stock}
    by_place: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_place.setdefault((row[2], row[1]), []).append(row)

    def cell(sku: str, site: str) -> Cell | None:
        here, known = by_place.get((sku, site), []), on_hand.get((sku, site))
        if known is None and not here:
            return None
        lasting = [row for row in here if row[5] != "settled"]
        return Cell(
            site,
            min((row[5] for row in here), key=STATES.index, default="agrees"),
            known if known is not None else Decimal(0),
            sum((Decimal(row[8]) - Decimal(row[7]) for row in lasting if row[4] == AVAILABLE), Decimal(0)),
            len(here) - len(lasting),
        )

    return tuple(Item(sku, tuple(cell(sku, site) for site in sites)) for sku in skus)
