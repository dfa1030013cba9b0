"""The distributor's day: fixed-width files, JSON, webhooks of a TMS, and a portal that is shown invoices only."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from crossdock.simulator.books import compare
from tests.scenarios.packs.stories import forget, load_story

story = load_story("regional-distributor")


async def test_the_day_loses_nothing_and_the_portal_shows_invoices_only(tmp_path: Path) -> None:
    """Every order leaves its region's warehouse, is moved, proven and invoiced once; the portal has just that."""
    report, day = await story.play(story.settings_for(tmp_path), tmp_path)

    assert (0, 0, []) == (report["lost"], report["double_effects"], report["findings"])
    tenant = report["tenants"]["regional"]
    assert (18, 0) == (tenant["orders"], tenant["open_issues"])
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
