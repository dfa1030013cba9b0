"""08:50: an order of one hundred, of which Reno has 40 and Swift has 60."""

from __future__ import annotations

from .fault import Fault, Scene


class SplitOrder(Fault):
    name = "order_needs_two_sites"
    screen = "/console/orders"

    def plan(self, scene: Scene) -> None:
        (order,) = scene.tagged("split")
        self.screen = f"/console/orders/{order.number}"

        async def happen() -> None:
            self.inject(scene)

        scene.timeline.at(order.at, "0:split", happen)

    async def detected(self, scene: Scene) -> bool:
        return self._asked(scene) == {"RENO": 40, "SWIFT": 60}

    async def ended(self, scene: Scene) -> bool:
        (order,) = scene.tagged("split")
        world = scene.northgate
        shipped = sum(
            quantity
            for site in (world.reno, world.swift)
            for entry in site.ledger.of("shipment")
            if entry.about == order.number
            for _, quantity in entry.lines
        )
        return shipped == 100

    def _asked(self, scene: Scene) -> dict[str, int]:
        (order,) = scene.tagged("split")
        world = scene.northgate
        return {
            site.site: int(quantity)
            for site in (world.reno, world.swift, world.harbor)
            for entry in site.ledger.of("request")
            if entry.about == order.number
            for _, quantity in entry.lines
        }
