"""The reseller's new client: its first day beside another client, graded by the partners' own books."""

from __future__ import annotations

from pathlib import Path

from crossdock.simulator.books import compare
from crossdock.simulator.pack_source import pack_files
from tests.scenarios.packs.stories import forget, load_story

story = load_story("new-client")


async def test_the_first_day_loses_nothing_and_shows_nobody_elses_orders(tmp_path: Path) -> None:
    """20 orders leave and are booked once; both clients use the same numbers and see their own customers only."""
    report, new, old = await story.play(story.settings_for(tmp_path), tmp_path)

    assert (0, 0, []) == (report["lost"], report["double_effects"], report["findings"])
    fernhill = report["tenants"]["fernhill"]
    assert (20, 0) == (fernhill["orders"], fernhill["open_issues"])
    assert [20] * 3 == [fernhill["partners"]["erp"][kind] for kind in ("order", "posting", "invoice")]
    assert {order.number: order.name for order in new.orders} == report["seen"]["fernhill"]
    assert {"SO-100001", "SO-100005"} <= set(report["seen"]["lakeside"]) & set(report["seen"]["fernhill"])
    assert set(report["seen"]["lakeside"].values()).isdisjoint(report["seen"]["fernhill"].values())

    # The control: a forgotten posting, and a line of the other client's books, are seen.
    shipment = forget(new.erp.ledger, "posting")
    assert (f"shipment {shipment}: never posted in erp",) == compare(new.company()).lost
    new.erp.ledger.book(next(old.office.ledger.of("posting")))
    assert any("no site made it" in fault for fault in compare(new.company()).double_effects)


def test_onboarding_changes_three_files_and_the_addresses() -> None:
    """Rules, routes, maps and connections of the new client are the template's."""
    template, copied = pack_files("newclient"), story.copied_pack()

    assert set(template) == set(copied)
    changed = {"pack.yaml", "brand.yaml", "partners/partners.yaml"}
    assert changed == {path for path in template if template[path] != copied[path]}
