"""09:35: an order released at 08:50 must fly at 09:50, and is one of the twelve whose 945 is held.

A case opens at the service desk, is updated when the flight's time has passed, and closes by itself at 09:52.
"""

from __future__ import annotations

from .fault import Fault, Scene


class OrderAtRisk(Fault):
    name = "order_at_risk"
    screen = "/console/orders"

    def plan(self, scene: Scene) -> None:
        (order,) = scene.tagged("at_risk")
        self.screen = f"/console/orders/{order.number}"

        async def happen() -> None:
            self.inject(scene)

        scene.timeline.at(order.at, "0:at-risk", happen)

    async def detected(self, scene: Scene) -> bool:
        return self._cases(scene, "case_open") > 0

    async def ended(self, scene: Scene) -> bool:
        """The case was updated while it was open, and nobody had to close it."""
        return self._cases(scene, "case_close") == 1 and self._cases(scene, "case_update") > 0

    def _cases(self, scene: Scene, kind: str) -> int:
        numbers = {order.number for order in scene.tagged("at_risk")}
        return sum(1 for entry in scene.northgate.desk.ledger.of(kind) if entry.about in numbers)
