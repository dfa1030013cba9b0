"""09:40: Swift sends twelve 945s under a warehouse code nobody was told of.

The hub holds them and makes one issue. At 09:52 the operations person adds the code to the table, through the public
API like anybody else; the twelve go on by themselves. Where somebody watches, the repair is theirs for a while.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..northgate import TENANT
from ..world import UNKNOWN_SITE_ORDERS, clock_time, wall
from .fault import Fault, Scene

CODE, SITE, TABLE = "RENO-X", "SWIFT", "locations"
BEGINS, REPAIRED, REPAIRED_AT_LAST = clock_time("09:40"), clock_time("09:52"), clock_time("17:00")


class UnknownSiteCode(Fault):
    name = "unknown_site_code"
    screen = f"/console/issues/lookup:{TABLE}:{CODE}"

    def plan(self, scene: Scene) -> None:
        async def happen() -> None:
            self.inject(scene)
            orders = scene.tagged("unknown_site") + scene.tagged("at_risk")
            scene.northgate.swift.ship_from(CODE, {order.number for order in orders})

        async def repair() -> None:
            issue = await self._issue(scene)
            if issue is not None:
                await scene.api.fix_issue(issue["issue_id"], TABLE, CODE, SITE)

        # Before the wave of the same minute.
        scene.timeline.at(BEGINS, "0:unknown-site", happen)
        scene.timeline.at(_repaired_at(scene), f"0:{TENANT}-operations", repair)

    async def detected(self, scene: Scene) -> bool:
        if await self._issue(scene) is None:
            return False
        if scene.patience:
            until = wall(_repaired_at(scene))
            self.invitation = f"Your turn: add {CODE} = {SITE} at {{url}}{self.screen} ; at {until} it repairs itself"
        return True

    async def ended(self, scene: Scene) -> bool:
        """All twelve shipments are posted in the ERP, and the issue is settled by itself."""
        world = scene.northgate
        advised = {entry.about for entry in world.swift.ledger.of("advice") if entry.detail == CODE}
        posted = {entry.business for entry in world.erp.ledger.of("posting")}
        if len(advised) < UNKNOWN_SITE_ORDERS or advised - posted:
            return False
        return await self._issue(scene) is None

    async def _issue(self, scene: Scene) -> dict[str, Any] | None:
        for issue in await scene.api.open_issues():
            if CODE in issue["title"]:
                return issue
        return None


def _repaired_at(scene: Scene) -> datetime:
    """Return when the day itself repairs it: at 09:52, or after a watching person's patience, before the day ends."""
    return max(REPAIRED, min(BEGINS + scene.patience, REPAIRED_AT_LAST))
