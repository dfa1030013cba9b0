"""Pages that count cost the same on a long record as on a short one, in steps of the database's own machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crossdock.canonical.identifiers import ulid
from crossdock.durable.identity import to_micros
from crossdock.governance.configuration import compile_pack
from crossdock.store.engine import Connection
from crossdock.store.sqlite import SqliteConnection, SqliteStore
from crossdock.views import orders_list, overview
from tests.unit.views.conftest import PACK

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
CONFIGURATION = compile_pack(PACK, release_id="rel_1")
# Both beyond every bound.
SIZES = (41_000, 82_000)
STEPS_AT_ONCE = 100
STATUSES = ("delivered", "shipped", "released", "held")


def filled(path: Path, orders: int) -> SqliteStore:
    """A record whose day has this many orders, each with its events and messages. Every hundredth is held."""
    store = SqliteStore(str(path))
    micros = to_micros(NOW - timedelta(hours=1))
    stamp = int((NOW - timedelta(hours=1)).timestamp() * 1000)

    def aggregate(n: int) -> tuple[Any, ...]:
        status, sites = STATUSES[3 if n % 100 == 0 else n % 3], (",reno,", ",swift,")[n % 2]
        return ("northgate", "order", f"SO-{n:07d}", f"ord_{n}", 1, status, sites, 0, micros, micros, b"")

    def event(n: int) -> tuple[Any, ...]:
        kind, at = overview.HEADLINE_TYPES[n % 4], micros + n
        return ("northgate", f"evt_{n}", kind, f"order/SO-{n}", b"{}", at, at)

    def taken(n: int) -> tuple[Any, ...]:
        state = "duplicate" if n % 10 == 0 else "processed"
        return ("northgate", f"msg_{ulid(stamp + n, n)}", "erp", "erp", state, f"k{n}", b"", 1, micros + n)

    def made(n: int) -> tuple[Any, ...]:
        message_id, cause = f"msg_{ulid(stamp + n, orders + n)}", f"msg_{ulid(stamp + n, n)}"
        names = ("reno", "reno", "fulfillment_request", f"l{n}", f"r{n}", f"r{n}", "sent")
        return ("northgate", message_id, *names, b"", 1, cause, micros + n, micros + n + 5)

    def fill(connection: Connection) -> None:
        for sql, row in (
            (
                (
                    "insert into aggregates (tenant_id, kind, key, aggregate_id, version, status, sites, at_risk,"
                    " created_at, updated_at, state) values (?,?,?,?,?,?,?,?,?,?,?)"
                ),
                aggregate,
            ),
            (
                (
                    "insert into events (tenant_id, event_id, type, subject, data, occurred_at, recorded_at)"
                    " values (?,?,?,?,?,?,?)"
                ),
                event,
            ),
            (
                (
                    "insert into inbound_messages (tenant_id, message_id, connection_id, partner, state, receipt_key,"
                    " digest, size_bytes, received_at) values (?,?,?,?,?,?,?,?,?)"
                ),
                taken,
            ),
            (
                (
                    "insert into outbound_messages (tenant_id, message_id, connection_id, partner, document_type, lane,"
                    " request_key, identity, state, digest, size_bytes, inbound_message_id, created_at, sent_at)"
                    " values (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
                ),
                made,
            ),
        ):
            connection.executemany(sql, [row(n) for n in range(orders)])

    store.write_now(fill)
    return store


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A short and a long record."""
    stores = [filled(tmp_path_factory.mktemp("bounded") / "record.db", size) for size in SIZES]
    yield stores
    for store in stores:
        store.close()


def steps(store: SqliteStore, run: Callable[[SqliteConnection], Any]) -> int:
    """Return how many steps the database took, to within a hundred for each statement."""
    counted = 0

    def count() -> bool:
        nonlocal counted
        counted += STEPS_AT_ONCE
        return False

    def look(connection: SqliteConnection) -> None:
        connection.raw.set_progress_handler(count, STEPS_AT_ONCE)
        try:
            run(connection)
        finally:
            connection.raw.set_progress_handler(None)

    store.read_now(look)
    return counted


def orders_page(connection: Any) -> Any:
    return orders_list.load(connection, "northgate", orders_list.Filter(), configuration=CONFIGURATION, now=NOW)


def first_page(connection: Any) -> Any:
    return overview.load(connection, "northgate", configuration=CONFIGURATION, now=NOW)


@pytest.mark.parametrize("page", [orders_page, first_page])
def test_twice_the_record_costs_no_more(records: list[SqliteStore], page: Callable[[Any], Any]) -> None:
    """The orders' page with its facets and the overview: the same number of steps, give or take a depth of a tree."""
    short, long = (steps(store, page) for store in records)

    assert long <= short * 1.1 + 500, (short, long)


@pytest.mark.parametrize(
    "sql",
    [
        "select min(position), max(position) from events",
        "select status, sites, count(*) from aggregates where tenant_id = 'northgate' and kind = 'order' group by 1, 2",
    ],
)
def test_what_was_asked_before_is_seen_to_grow(records: list[SqliteStore], sql: str) -> None:
    """Positive control of the measure: these read everything there is."""
    short, long = (steps(store, lambda connection: connection.query(sql)) for store in records)

    assert long > short * 1.7


def test_what_is_few_is_counted_and_what_is_many_says_so(records: list[SqliteStore]) -> None:
    """Held orders to the last one; the rest is "at least"; the day's figures stop at their bound."""
    page = records[0].read_now(orders_page)
    today = records[1].read_now(first_page).today

    assert SIZES[0] // 100 == page.facets.status["held"]
    assert "status:held" not in page.facets.at_least
    assert {"status:delivered", "site:reno", "partner:swift", "total"} <= set(page.facets.at_least)
    assert 2_000 <= page.facets.status["delivered"] <= SIZES[0] // 3
    assert (today.counted_to, today.counted_to) == (today.orders_in, today.messages_in)
