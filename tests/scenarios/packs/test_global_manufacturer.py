"""The manufacturer's day: two 3PLs by flat files of different units and zones, and returns that three teams share."""

from __future__ import annotations

from pathlib import Path

from crossdock.simulator.books import compare
from tests.scenarios.packs.stories import forget, load_story

story = load_story("global-manufacturer")


async def test_the_day_loses_nothing_and_three_teams_see_the_same_returns(tmp_path: Path) -> None:
    """Cartons and eaches are booked as eaches; each return is announced, received, credited and told once."""
    report, day = await story.play(story.settings_for(tmp_path), tmp_path)

    assert (0, 0, []) == (report["lost"], report["double_effects"], report["findings"])
    tenant = report["tenants"]["manufacturer"]
    assert (16, 0) == (tenant["orders"], tenant["open_issues"])
    assert [8, 8] == [tenant["partners"][site]["shipment"] for site in ("hamburg", "dallas")]
    assert {"RMA-MO-5001-1": "closed", "RMA-MO-5002-1": "closed"} == report["returns"]
    assert [] == report["returns_not_shared"]
    words = [body["status"] for body in day.desk.got("return_seen") if body["rma"] == "RMA-MO-5001-1"]
    assert ["authorized", "credit_pending", "closed"] == words

    # The controls: a forgotten carton's posting, and a credit that finance does not know, are seen.
    forget(day.erp.ledger, "posting")
    forgotten = forget(day.erp.ledger, "credit").removesuffix("-C1")
    assert 2 == len(compare(day.company()).lost)
    assert [f"return {forgotten}: finance credited nothing"] == day.shared_returns(report["returns"])
