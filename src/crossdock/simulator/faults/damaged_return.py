"""16:10: a customer sends one damaged item back, by the portal, with nobody's help.

The site hears of it, the parcel comes back under the waybill it went out with, is opened and found damaged; the ERP
credits it, and whoever looks sees the same.
"""

from __future__ import annotations

from datetime import timedelta

from ..northgate import TENANT
from ..world import PlannedOrder, clock_time
from .fault import Fault, Scene

ASKS = clock_time("16:10")
PICKED_UP, ARRIVES, OPENED = timedelta(minutes=10), timedelta(minutes=35), timedelta(minutes=50)


class DamagedReturn(Fault):
    name = "damaged_item_returned"
    screen = "/console/returns"

    def __init__(self) -> None:
        super().__init__()
        self.order: PlannedOrder | None = None
        self.number = ""

    def plan(self, scene: Scene) -> None:
        async def ask() -> None:
            order = self._chosen(scene)
            if order is None:
                return
            self.order = order
            visitor = scene.api.visitor(TENANT)
            await visitor.find(order.number, order.place.postcode)
            await visitor.ask_to_return({0: (1, "damaged", "arrived broken")})
            self.inject(scene)
            scene.northgate.carrier.send_back(order.number, ASKS + PICKED_UP, ASKS + ARRIVES)

        async def open_parcel() -> None:
            if self.order is not None:
                await scene.northgate.open_return(self.order.number)

        scene.timeline.at(ASKS, "1:return", ask)
        scene.timeline.at(ASKS + OPENED, "1:return-opened", open_parcel)

    async def detected(self, scene: Scene) -> bool:
        """The hub has judged the return and told the site."""
        if self.order is None:
            return False
        order = await scene.api.order(self.order.number)
        known = order["state"].get("returns", [])
        if not known or known[0]["status"] == "refused":
            return False
        self.number = str(known[0]["number"])
        self.screen = f"/console/returns/{self.number}"
        return any(entry.business == self.number for entry in scene.northgate.returns_ledger.of("rma"))

    async def ended(self, scene: Scene) -> bool:
        """Credited in the ERP, closed for all three teams, and the order and the portal say so."""
        assert self.order is not None
        posted = [entry for entry in scene.northgate.erp.ledger.of("credit") if entry.about == self.number]
        page = await scene.api.get(f"/returns/{self.number}")
        order = await scene.api.order(self.order.number)
        agreed = {party["status"] for party in page["parties"]} == {"closed"}
        if not (posted and agreed and order["status"] in ("partly_returned", "returned")):
            return False
        visitor = scene.api.visitor(TENANT)
        return "credited" in await visitor.find(self.order.number, self.order.place.postcode)

    def _chosen(self, scene: Scene) -> PlannedOrder | None:
        """Return the first order of the ERP, by number, that the returns site shipped and the carrier has proven."""
        world = scene.northgate
        delivered = {entry.about for entry in world.carrier.ledger.of("delivered")}
        shipped = {entry.about for entry in world.returns_ledger.of("shipment")}
        wanted = delivered & shipped
        orders = [o for o in scene.orders if o.number in wanted and o.origin == "erp" and not o.tag]
        return min(orders, key=lambda order: order.number, default=None)
