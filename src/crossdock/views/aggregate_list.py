"""Lists of purchase orders, loads and claims: filtered, searched by any name, counted by facet, page by page.

One view for every kind of aggregate whose rows say the same: status, the party it is with (supplier, carrier), value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from ..canonical.identifiers import search_key
from ..durable.identity import from_micros
from ..errors import CrossdockError
from ..store.engine import Connection, Row

PAGE_MAX = 200
FOUND_MAX = 500
_COLUMNS = "key, aggregate_id, status, customer, region, sites, due_at, at_risk, value_cents, created_at, updated_at"


# Written into the statement, because the index of a kind is chosen by the text.
_KINDS = {kind: kind for kind in ("purchase", "load", "claim")}


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked for; empty means all. `q` is the beginning of a number, or any name of the thing in full.

    `parties` limits what may be seen at all: None is everything, an empty collection nothing.
    """

    status: str = ""
    party: str = ""
    at_risk: bool = False
    q: str = ""
    parties: frozenset[str] | None = None


class AggregateRow(msgspec.Struct, frozen=True):
    """One row. `party` is the supplier or carrier, `group` the lane or kind, `due_at` the next clock that runs out."""

    number: str
    aggregate_id: str
    status: str
    party: str
    group: str
    sites: tuple[str, ...]
    due_at: datetime | None
    minutes_left: int | None
    at_risk: bool
    value_cents: int
    created_at: datetime
    updated_at: datetime


class Facets(msgspec.Struct, frozen=True):
    """How many there are of each value, under the other filters. A search does not narrow them."""

    status: dict[str, int]
    party: dict[str, int]
    at_risk: int
    total: int


class AggregatePage(msgspec.Struct, frozen=True):
    """A page of rows, the cursor of the next one (empty at the end) and the counts beside it."""

    rows: tuple[AggregateRow, ...]
    next_cursor: str
    facets: Facets


def load(
    connection: Connection,
    tenant_id: str,
    kind: str,
    filter_: Filter,
    *,
    now: datetime,
    cursor: str = "",
    limit: int = 50,
) -> AggregatePage:
    """Return a page of the tenant's aggregates of one kind, by number from the highest down, after the cursor."""
    count = max(1, min(limit, PAGE_MAX))
    sql, parameters = _conditions(filter_)
    if filter_.q:
        keys = _named(connection, tenant_id, kind, filter_.q)
        marks = ",".join("?" * len(keys)) or "null"
        sql += f" and (key in ({marks}) or (key >= ? and key < ?))"
        parameters += [*keys, filter_.q, filter_.q + "\U0010ffff"]
    if cursor:
        sql += " and key < ?"
        parameters.append(_number_of(cursor))
    rows = connection.query(
        f"select {_COLUMNS} from aggregates where tenant_id = ? and kind = ?{sql} order by key desc limit ?",  # noqa: S608
        (tenant_id, kind, *parameters, count + 1),
    )
    page = tuple(_row(row, now) for row in rows[:count])
    next_cursor = "k" + page[-1].number.encode().hex() if len(rows) > count else ""
    return AggregatePage(page, next_cursor, facets(connection, tenant_id, kind, filter_))


def facets(connection: Connection, tenant_id: str, kind: str, filter_: Filter) -> Facets:
    """Count by facet; a facet's own filter does not narrow its own counts."""
    grouped = connection.query(
        f"select status, at_risk, customer, count(*) from aggregates where tenant_id = ? and kind = '{_KINDS[kind]}'"  # noqa: S608
        " group by status, at_risk, customer",
        (tenant_id,),
    )
    status: Counter[str] = Counter()
    party: Counter[str] = Counter()
    risky = total = 0
    for row_status, row_risk, row_party, count in grouped:
        if filter_.parties is not None and row_party not in filter_.parties:
            continue
        fits_status = not filter_.status or row_status == filter_.status
        fits_party = not filter_.party or row_party == filter_.party
        fits_risk = not filter_.at_risk or bool(row_risk)
        if fits_party and fits_risk:
            status[row_status] += count
        if fits_status and fits_risk and row_party:
            party[row_party] += count
        if fits_status and fits_party and row_risk:
            risky += count
        total += count if fits_status and fits_party and fits_risk else 0
    return Facets(dict(status.most_common()), dict(party.most_common()), risky, total)


def _conditions(filter_: Filter) -> tuple[str, list[Any]]:
    sql, parameters = "", []
    if filter_.status:
        sql += " and status = ?"
        parameters.append(filter_.status)
    if filter_.at_risk:
        sql += " and at_risk = 1"
    if filter_.party:
        sql += " and customer = ?"
        parameters.append(filter_.party)
    if filter_.parties is not None:
        sql += f" and customer in ({','.join('?' * len(filter_.parties)) or 'null'})"
        parameters += sorted(filter_.parties)
    return sql, parameters


def _named(connection: Connection, tenant_id: str, kind: str, text: str) -> Collection[str]:
    """Return the keys of what bears a name: a notice, an SSCC, a PRO, an invoice."""
    rows = connection.query(
        "select distinct subject from identifiers where tenant_id = ? and search_key = ? and subject like ? limit ?",
        (tenant_id, search_key(text), f"{kind}/%", FOUND_MAX),
    )
    return [str(subject).partition("/")[2] for (subject,) in rows]


def _row(row: Row, now: datetime) -> AggregateRow:
    due_at = from_micros(row[6]) if row[6] is not None else None
    left = int((due_at - now).total_seconds() // 60) if due_at else None
    places = tuple(site for site in row[5].split(",") if site)
    made_at, changed_at = from_micros(row[9]), from_micros(row[10])
    return AggregateRow(
        row[0], row[1], row[2], row[3], row[4], places, due_at, left, bool(row[7]), row[8], made_at, changed_at
    )


def _number_of(cursor: str) -> str:
    try:
        if not cursor.startswith("k"):
            raise ValueError("another kind of cursor")
        return bytes.fromhex(cursor[1:]).decode()
    except ValueError as error:
        raise CrossdockError(
            "The cursor is not one of this list", code="XD-API-002", hint="Start from the first page"
        ) from error
