"""What sourcing looks at beyond stock: a site's capacity of the day, and changes of the order while it is at a site."""

from __future__ import annotations

import json

import pytest

from crossdock.flow import orchestrate
from crossdock.views import last_look
from tests.scenarios.flow.world import World, order, pack_files

RULES = "rules:\n  - {rule: has-the-goods, kind: stock}\n  - {rule: room, kind: capacity}\n"
SITES = """
sites:
  - {site: RENO, partner: reno, timezone: America/Los_Angeles, capacity_per_day: 2}
  - {site: KC, partner: kc, timezone: America/Chicago, active: false}
"""
CHANGE_MAP = """
map: erp-change
from: {format: json}
to: {object: order_change, event: crossdock.order.change_requested.v1}
set:
  number: number
  action: {const: change}
  lines:
    each: lines as line
    set: {line_no: text(line.no), quantity: line.quantity}
"""


async def _limited(world: World) -> None:
    await world.apply(files={**pack_files(), "rules/sourcing.yaml": RULES, "sites.yaml": SITES})
    await world.stock(RENO={"H-100": 1000})


async def test_a_site_gets_as_many_requests_a_day_as_it_can_take(world: World) -> None:
    """Two a day: the third order waits, and leaves the next day by itself."""
    await _limited(world)
    for n in range(3):
        await world.hand_in("erp", order(f"SO-{n}"))

    assert ["released", "released", "backordered"] == world.column("select status from aggregates order by key")
    assert [("RENO", 2)] == [tuple(row) for row in world.query("select site, requests from site_loads")]
    await world.later(hours=24)
    assert ["released"] * 3 == world.column("select status from aggregates order by key")


async def test_without_the_count_every_order_would_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known-bad: a shell that hands no load in."""
    monkeypatch.setattr(orchestrate, "_Load", lambda batch, configuration: {})
    await _limited(world)
    for n in range(3):
        await world.hand_in("erp", order(f"SO-{n}"))

    assert ["released"] * 3 == world.column("select status from aggregates order by key")


async def test_a_change_asks_the_site_first_and_stops_its_label(world: World) -> None:
    """10 become 6: the last look says stop at once, and the changed request goes out when the site has given back."""
    rules = "  - {format: json, map: erp-order, when: 'type == \"order\"'}\n"
    files = pack_files()
    erp = files["connections/erp.yaml"].replace(
        rules, rules + "  - {format: json, map: erp-change, when: 'type == \"change\"'}\n"
    )
    await world.apply(files={**files, "connections/erp.yaml": erp, "maps/erp-change.yaml": CHANGE_MAP})
    await world.stock(RENO={"H-100": 1000})
    await world.hand_in("erp", order("SO-1", ("HAMMER", 10)))

    def look(number: str) -> last_look.LastLook:
        return world.hub.store.read_now(
            lambda connection: last_look.load(connection, "acme", number, world.clock.now())
        )

    assert look("SO-1-1").go
    await world.hand_in("erp", {"type": "change", "number": "SO-1", "lines": [{"no": 1, "quantity": 6}]})

    stop = look("SO-1-1")
    assert (False, "the order is changed: give the request back") == (stop.go, stop.reason)
    assert ["cancelling"] == world.column("select status from aggregates")
    state = json.loads(world.column("select state from aggregates")[0])
    assert [{"line_no": "1", "quantity": "6"}] == state["change"]["lines"]
