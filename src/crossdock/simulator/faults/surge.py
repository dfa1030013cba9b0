"""16:45: twenty-four orders for the east in five seconds, far more than Harbor's contract of twelve calls a minute.

What is over the contract waits in the hub, visibly, and goes out at Harbor's pace; nothing is turned away.
"""

from __future__ import annotations

from ..world import clock_time
from .fault import Fault, Scene


class Surge(Fault):
    name = "surge"
    screen = "/console"

    def plan(self, scene: Scene) -> None:
        async def happen() -> None:
            self.inject(scene)
            self._turned_away = scene.northgate.harbor.turned_away

        scene.timeline.at(clock_time("16:45"), "0:surge", happen)

    async def detected(self, scene: Scene) -> bool:
        """Requests for Harbor wait although Harbor is well: its contract paces them."""
        return await self._waiting(scene) > 0

    async def ended(self, scene: Scene) -> bool:
        """Every order of the surge stands in Harbor's books once, nothing waits, and nothing was turned away."""
        numbers = {order.number for order in scene.tagged("surge")}
        booked = [entry.about for entry in scene.northgate.harbor.ledger.of("request") if entry.about in numbers]
        if scene.northgate.harbor.turned_away > self._turned_away:
            return False
        return sorted(booked) == sorted(numbers) and not await self._waiting(scene)

    async def _waiting(self, scene: Scene) -> int:
        return len(
            [one async for one in scene.api.every("/messages", direction="out", state="pending", partner="harbor")]
        )
