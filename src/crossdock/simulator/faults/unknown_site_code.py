"""09:40: Swift sends twelve 945s under a warehouse code nobody was told of.

The hub holds them and makes one issue. At 09:52 the operations person adds the code to the table, through the public
API like anybody else; the twelve go on by themselves.
"""

from __future__ import annotations

from typing import Any

from ..northgate import TENANT
from ..world import UNKNOWN_SITE_ORDERS, clock_time
from .fault import Fault, Scene

CODE, SITE, TABLE = "RENO-X", "SWIFT", "locations"


class UnknownSiteCode(Fault):
    name = "unknown_site_code"
    screen = "/console/issues"

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
        scene.timeline.at(clock_time("09:40"), "0:unknown-site", happen)
        scene.timeline.at(clock_time("09:52"), f"0:{TENANT}-operations", repair)

    async def detected(self, scene: Scene) -> bool:
        return await self._issue(scene) is not None

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
