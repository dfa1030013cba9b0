"""12:00: Reno's books and its shelves part on three articles, and the count of 12:10 shows it.

A receipt is booked twice in Reno's own system, one article is counted in cases and entered twelve times over, and a few
pieces go into quality hold without a word. At 12:30 the hold is told, and a recount is right again: all settles by
itself.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from ..world import clock_time
from .fault import Fault, Scene

SITE = "RENO"
RECEIVED_SKU, RECEIVED = "NG-1203", 24
CASES_SKU, CASE = "NG-1902", 12
HELD_SKU, HELD = "NG-1303", 5
HAPPENS = clock_time("12:00")
COUNT, RECOUNT = HAPPENS + timedelta(minutes=10), HAPPENS + timedelta(minutes=30)
# What the hub should say of each, by article.
SUSPECTS = {RECEIVED_SKU: "double_posting", CASES_SKU: "unit_slip", HELD_SKU: "status_change"}


class InventoryDrift(Fault):
    name = "inventory_drift_on_three_articles"
    screen = f"/console/inventory?site={SITE}"

    def plan(self, scene: Scene) -> None:
        reno = scene.northgate.reno

        async def happen() -> None:
            self.inject(scene)
            reno.find(RECEIVED_SKU, RECEIVED, "RECEIPT")
            reno.miscounted[RECEIVED_SKU] = Decimal(RECEIVED)
            reno.hold(HELD_SKU, HELD)

        async def count() -> None:
            reno.miscounted[CASES_SKU] = reno.dock.stock[CASES_SKU] * (CASE - 1)
            await reno.count()

        async def recount() -> None:
            reno.miscounted.clear()
            reno.tell_hold(HELD_SKU, HELD, HAPPENS)
            await reno.count()

        scene.timeline.at(HAPPENS, "reno:4-drift", happen)
        # After the wave of that minute: a count holds what has left by then.
        scene.timeline.at(COUNT, "reno:4-count", count)
        scene.timeline.at(RECOUNT, "reno:4-recount", recount)

    async def detected(self, scene: Scene) -> bool:
        """Every one of the three is named, with the suspect that it really was."""
        drifts = await self._drifts(scene)
        named = {(drift["sku"], drift["kind"]) for drift in drifts if drift["state"] == "open" and drift["suspects"]}
        return named >= set(SUSPECTS.items())

    async def ended(self, scene: Scene) -> bool:
        """The late word and the recount settled them, and nobody had to do anything."""
        drifts = await self._drifts(scene)
        issues = [
            issue for issue in await scene.api.open_issues() if issue["code"] == "XD-STK-002" and SITE in issue["title"]
        ]
        return all(drift["state"] == "settled" and drift["closed_by"] == "the hub" for drift in drifts) and not issues

    async def _drifts(self, scene: Scene) -> list[dict[str, Any]]:
        found = [drift async for drift in scene.api.every("/drifts", site=SITE, limit="200")]
        return [drift for drift in found if drift["sku"] in SUSPECTS]
