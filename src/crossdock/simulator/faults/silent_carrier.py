"""14:40: the carrier's feed is silent. After 45 minutes its parcels have "no update"; nothing is said to be late."""

from __future__ import annotations

from ..world import clock_time
from .fault import Fault, Scene


class SilentCarrier(Fault):
    name = "carrier_feed_silent"
    screen = "/console/impact/contract/cargoline-tells"

    def plan(self, scene: Scene) -> None:
        async def happen() -> None:
            self.inject(scene)
            scene.northgate.carrier.silent_until = clock_time("15:35")

        scene.timeline.at(clock_time("14:40"), "0:silent", happen)

    async def detected(self, scene: Scene) -> bool:
        return await self._silent(scene)

    async def ended(self, scene: Scene) -> bool:
        return not await self._silent(scene)

    async def _silent(self, scene: Scene) -> bool:
        return any(issue["code"] == "XD-PTR-063" for issue in await scene.api.open_issues())
