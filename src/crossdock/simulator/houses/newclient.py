"""The reseller's new client: 20 orders on its first day, over a 3PL with a JSON API.

Its order numbers are those of the reseller's other client on purpose.
"""

from __future__ import annotations

from ..clock import Timeline, dice
from .erp import HouseOrder
from .house import House
from .json_site import JsonSite

TEMPLATE = "newclient"
SKUS = ("FH-1", "FH-2", "FH-3", "FH-4")
NAMES = ("Rose Lane Nursery", "Oak Hotel", "Birch Park", "Tulip Cafe")


class NewClient(House):
    """The client under the tenant it was given."""

    def __init__(self, tenant: str, seed: int, timeline: Timeline) -> None:
        super().__init__(tenant, seed, timeline)
        self.threepl = JsonSite("threepl", SKUS, timeline, self.token("threepl"))
        self.parties.append(self.threepl)
        self.sites.append(self.threepl)
        self.orders = tuple(_order(seed, number) for number in range(20))


def _order(seed: int, place: int) -> HouseOrder:
    draw = dice(seed, "newclient", str(place))
    skus = draw.sample(SKUS, draw.randint(1, 3))
    lines = tuple((sku, draw.randint(1, 6)) for sku in skus)
    return HouseOrder(f"SO-{100_001 + place}", place * 10, draw.choice(NAMES), "Duluth", "MN", "55802", lines)
