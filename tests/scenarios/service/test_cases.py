"""Cases both ways, through the whole hub: opened at one desk, answered by it, and shown with the age of their data."""

from __future__ import annotations

import msgspec

from crossdock.governance.case_rules import compile_case_rules
from crossdock.views import case_simulation, cases
from tests.scenarios.flow.world import World, order, pack_files, shipment

DESK = """
connection: {name}
partner: desk
connector: http_json
settings: {{url: "https://{name}.example/cases", idempotent: true}}
receipt_key: ["field:id"]
inbound:
  - {{format: json, map: desk-change}}
"""
OUT = """
map: desk-case
from: {object: service_case}
to: {format: json}
set:
  action: action
  order: order_number
  cause: cause
  detail: detail
  priority: priority
  owner: owner
  customer: customer
  as_of: tracking_as_of
"""
IN = """
map: desk-change
from: {format: json}
to: {object: service_case, event: crossdock.case.changed.v1}
required: [order_number, cause, action]
set:
  order_number: order
  cause: cause
  action: action
  case_ref: case
  owner: owner
  status: status
  note: note
  changed_at: at
"""


async def with_desks(world: World, rules: str = "{}") -> None:
    """Apply the pack with two desks that would both take every case; orders are at risk an hour before ship-by."""
    files = pack_files()
    files["partners/desk.yaml"] = "partner: desk\nname: Desk\nrole: service_desk\n"
    for name in ("desk", "old-desk"):
        files[f"connections/{name}.yaml"] = DESK.format(name=name)
    files["maps/desk-case.yaml"], files["maps/desk-change.yaml"] = OUT, IN
    for name in ("desk", "old-desk"):
        files["routes.yaml"] += f"  - {{document: service_case, connection: {name}, map: desk-case}}\n"
    files["rules/case.yaml"] = rules
    files["rules/orders.yaml"] = "at_risk_margin_minutes: 60\n"
    await world.apply(files=files)


async def an_order_at_risk(world: World, number: str = "SO-1") -> None:
    """Release an order and wait until its ship-by in Reno (18:00, 02:00 UTC) is near."""
    await world.hand_in("erp", order(number))
    await world.later(hours=11, minutes=30)


def told(world: World, desk: str = "desk") -> list[dict[str, object]]:
    return world.partner(desk).documents()


async def test_one_desk_gets_the_case_and_its_answers_come_back(world: World) -> None:
    """One case for one cause, at the first desk only; who has it and what was done stands in the hub."""
    await with_desks(world)
    await an_order_at_risk(world)
    assert ["open"] == [one["action"] for one in told(world)]
    assert [] == told(world, "old-desk")

    change = {"id": "c-1", "order": "SO-1", "cause": "ship_by", "action": "update", "case": "CS-7", "owner": "kim"}
    await world.hand_in(
        "desk", {**change, "status": "in progress", "note": "asked the site", "at": "2026-11-24T01:40:00Z"}
    )

    configuration = world.hub.configuration("acme")
    assert configuration is not None
    page = world.hub.store.read_now(
        lambda connection: cases.load(connection, "acme", configuration=configuration, now=world.clock.now())
    )
    (row,) = page.rows
    assert ("CS-7", "kim", "in progress", "asked the site") == (row.case_ref, row.owner, row.status, row.note)


async def test_both_desks_get_it_when_the_pack_says_so(world: World) -> None:
    """Control: without the rule of one desk the same cause makes two cases in two systems."""
    await with_desks(world, "one_desk: false\n")
    await an_order_at_risk(world)

    assert (1, 1) == (len(told(world)), len(told(world, "old-desk")))


async def test_the_budget_of_a_day_counts_over_all_orders(world: World) -> None:
    """Three orders at risk at once, two cases a day: the third is suppressed, with the event that says so."""
    await with_desks(world, "per_day: 2\n")
    for number in ("SO-1", "SO-2", "SO-3"):
        await world.hand_in("erp", order(number))
    await world.later(hours=11, minutes=30)

    assert 2 == len(told(world))
    assert [2] == world.column("select opened from case_counts")
    (data,) = world.column("select data from events where type = 'crossdock.case.suppressed.v1'")
    assert "2 cases a day" == msgspec.json.decode(data)["why"]


async def test_which_case_is_based_on_stale_tracking_data(world: World) -> None:
    """Partly shipped, at risk, and no scan since: the case is marked; one of which nothing has left is not."""
    await with_desks(world, "stale: 2h\n")
    await world.hand_in("erp", order("SO-1", ("HAMMER", 5), ("DRILL", 5)))
    await world.hand_in("erp", order("SO-2", ("DRILL", 5)))
    await world.hand_in("reno", shipment("S-1", "SO-1"))
    await world.later(minutes=61)
    await world.later(hours=8, minutes=30)
    configuration = world.hub.configuration("acme")
    assert configuration is not None

    def rows(*, stale: bool) -> list[tuple[str, bool]]:
        page = world.hub.store.read_now(
            lambda connection: cases.load(
                connection, "acme", configuration=configuration, now=world.clock.now(), stale=stale
            )
        )
        return [(row.order_number, row.stale) for row in page.rows]

    assert [("SO-1", True)] == rows(stale=True)
    assert [("SO-1", True), ("SO-2", False)] == rows(stale=False)


async def test_rules_are_tried_on_what_happened_and_change_nothing(world: World) -> None:
    """The simulation reads the journal of the very orders; the record is as before."""
    await with_desks(world)
    for number in ("SO-1", "SO-2", "SO-3"):
        await world.hand_in("erp", order(number))
    await world.later(hours=11, minutes=30)
    await world.later(minutes=4)
    for number in ("SO-1", "SO-2"):
        await world.hand_in("reno", shipment(f"S-{number}", number))
    await world.later(hours=2)
    configuration = world.hub.configuration("acme")
    assert configuration is not None
    before = world.dump()

    def tried(text: str) -> str:
        rules = compile_case_rules(text)
        return world.hub.store.read_now(
            lambda connection: case_simulation.load(
                connection, "acme", rules, configuration=configuration, now=world.clock.now()
            )
        ).words

    assert "would have opened 3 cases, 1 useful" == tried("{}")
    assert "would have opened 1 cases, 1 useful" == tried("grace: 5m")
    assert before == world.dump()
