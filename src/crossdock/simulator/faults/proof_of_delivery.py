"""15:40: the proof of delivery of the split order comes with a photo; the ERP may invoice it."""

from __future__ import annotations

from ..world import clock_time
from .fault import Fault, Scene

ARRIVES = clock_time("15:40")


class ProofOfDelivery(Fault):
    name = "proof_releases_invoice"
    screen = "/p/northgate"

    def plan(self, scene: Scene) -> None:
        (order,) = scene.tagged("split")
        self.screen = f"/console/orders/{order.number}?view=customer"
        scene.northgate.carrier.deliver_at[order.number] = ARRIVES

        async def happen() -> None:
            self.inject(scene)

        scene.timeline.at(ARRIVES, "0:proof", happen)

    async def detected(self, scene: Scene) -> bool:
        """The hub says that the order is delivered."""
        (order,) = scene.tagged("split")
        return str((await scene.api.order(order.number)).get("status")) in ("delivered", "completed")

    async def ended(self, scene: Scene) -> bool:
        (order,) = scene.tagged("split")
        return any(entry.business == order.number for entry in scene.northgate.erp.ledger.of("invoice"))
