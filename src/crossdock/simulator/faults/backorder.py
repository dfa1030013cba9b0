"""13:20: of one line of three there is no stock anywhere; the customer is told once, in plain words.

At 14:20 Reno finds a box of it and posts an adjustment: that sets the line free by itself.
"""

from __future__ import annotations

from ..world import SPLIT_SKU, clock_time
from .fault import Fault, Scene

FOUND = 10


class Backorder(Fault):
    name = "backorder_of_one_line"
    screen = "/console/orders"

    def plan(self, scene: Scene) -> None:
        (order,) = scene.tagged("backorder")
        self.screen = f"/console/orders/{order.number}"

        async def happen() -> None:
            self.inject(scene)

        async def restock() -> None:
            scene.northgate.reno.find(SPLIT_SKU, FOUND, "FOUND")

        scene.timeline.at(order.at, "0:backorder", happen)
        scene.timeline.at(clock_time("14:20"), "0:restock", restock)

    async def detected(self, scene: Scene) -> bool:
        return self._mails(scene) > 0

    async def ended(self, scene: Scene) -> bool:
        """The rest has left, and the customer was told once."""
        (planned,) = scene.tagged("backorder")
        order = await scene.api.order(planned.number)
        return order["status"] in ("shipped", "delivered") and self._mails(scene) == 1

    def _mails(self, scene: Scene) -> int:
        (order,) = scene.tagged("backorder")
        words = f"1 of 3 items of your order {order.number} will come later"
        mails = scene.northgate.mail.ledger.of("mail")
        return sum(1 for one in mails if one.business == order.email and one.detail == words)
