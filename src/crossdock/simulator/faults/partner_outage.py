"""10:30: Harbor's API throttles (429 with Retry-After) for two minutes and is then down (503) until 10:50.

The circuit opens, the buffer grows, and once Harbor is back the buffer drains without anybody's help.
"""

from __future__ import annotations

from ..world import clock_time
from .fault import Fault, Scene


class PartnerOutage(Fault):
    name = "partner_outage"
    screen = "/console"

    def plan(self, scene: Scene) -> None:
        async def happen() -> None:
            self.inject(scene)
            scene.northgate.harbor.throttle(clock_time("10:32"))
            scene.northgate.harbor.go_down(clock_time("10:50"))

        scene.timeline.at(clock_time("10:30"), "0:outage", happen)

    async def detected(self, scene: Scene) -> bool:
        """The hub itself says that the connection is in trouble: one issue, whatever waits."""
        return bool(scene.northgate.harbor.turned_away) and await self._is_reported(scene)

    async def ended(self, scene: Scene) -> bool:
        """Everything that was ordered while Harbor was away stands in Harbor's books, and the issue closed itself."""
        if scene.now() < clock_time("10:50"):
            return False
        wanted = {order.number for order in scene.tagged("outage")}
        if not wanted <= {entry.about for entry in scene.northgate.harbor.ledger.of("request")}:
            return False
        return not await self._is_reported(scene)

    async def _is_reported(self, scene: Scene) -> bool:
        for issue in await scene.api.open_issues():
            if issue["connection_id"] == "harbor":
                self.screen = await self.page_of(scene, issue)
                return True
        return False
