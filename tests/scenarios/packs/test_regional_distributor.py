"""The distributor's day: fixed-width files, JSON, database procedures, a TMS, and a portal for invoices only."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crossdock.simulator.books import compare
from tests.scenarios.packs.stories import forget, load_story
from tests.support.postgres import PostgresCluster, find_binaries
from tests.support.processes import free_port

story = load_story("regional-distributor")


@pytest.fixture
def server() -> Iterator[Any]:
    """The database of the southern warehouse, on a loopback port."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("NOT RUN: no PostgreSQL binaries on this machine (scripts/ensure_postgres.sh could get none)")
    cluster = PostgresCluster(binaries, settings={"listen_addresses": "127.0.0.1", "port": str(free_port())})
    yield story.Server("127.0.0.1", cluster.port, cluster.create_database(), cluster.owner)
    cluster.close()


async def test_the_day_loses_nothing_and_the_portal_shows_invoices_only(tmp_path: Path, server: Any) -> None:
    """Every order leaves its region's warehouse, is moved, proven and invoiced once; the portal has just that."""
    report, day = await story.play(story.settings_for(tmp_path), tmp_path, server)

    assert (0, 0, []) == (report["lost"], report["double_effects"], report["findings"])
    tenant = report["tenants"]["regional"]
    assert (18, 0) == (tenant["orders"], tenant["open_issues"])
    assert [6] * 3 == [tenant["partners"][site]["shipment"] for site in ("legacy", "east", "south")]
    assert {entry.business for entry in day.portal.ledger.of("invoice")} == {order.number for order in day.orders}
    assert [] == report["portal_differences"]
    assert {"release", "order", "lines"} == {field for body in day.portal.got("invoice") for field in body}

    # The controls: a forgotten proof, and an order in the portal that is no invoice, are seen.
    forget(day.tms.ledger, "delivered")
    assert all("without proof" in fault for fault in compare(day.company()).double_effects)
    assert compare(day.company()).double_effects
    day.portal.book_goods("order", "RD-7001", "", [{"sku": "RD-10", "qty": Decimal(1)}])
    assert ["the portal was shown a order"] == day.portal_differences()
    forgotten = forget(day.portal.ledger, "invoice")
    assert f"{forgotten} is not in the portal as in finance" in day.portal_differences()
