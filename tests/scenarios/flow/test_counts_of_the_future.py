"""A count of stock that is dated in the future is refused: it would keep out every true one."""

from __future__ import annotations

from datetime import timedelta

from tests.scenarios.flow.world import World, pack_files

MAP = """
map: reno-count
from: {format: json}
to: {object: inventory_snapshot, event: crossdock.inventory.snapshot.v1}
set:
  site: {const: RENO}
  as_of: as_of
  lines: {each: lines as line, set: {sku: line.sku, quantity: line.quantity}}
"""


async def test_a_count_of_the_future_changes_nothing(world: World) -> None:
    """The wrong clock is an issue; the true count that follows is taken. Without the guard it would be ignored."""
    files = pack_files()
    rule = "  - {format: json, map: erp-order, when: 'type == \"order\"'}\n"
    erp = files["connections/erp.yaml"].replace(
        rule, rule + "  - {format: json, map: reno-count, when: 'type == \"count\"'}\n"
    )
    await world.apply(files={**files, "connections/erp.yaml": erp, "maps/reno-count.yaml": MAP})

    def count(quantity: int, **ahead: float) -> dict[str, object]:
        at = (world.clock.now() + timedelta(**ahead)).isoformat()
        return {"type": "count", "as_of": at, "lines": [{"sku": "H-100", "quantity": quantity}]}

    await world.hand_in("erp", count(5))
    await world.hand_in("erp", count(900, days=365))
    assert ["XD-STK-004"] == world.issues()
    await world.later(minutes=10)
    await world.hand_in("erp", count(3))

    assert ["3"] == world.column("select on_hand from inventory where site = 'RENO' and sku = 'H-100'")
