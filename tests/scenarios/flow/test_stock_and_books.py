"""Stock through the hub's doors on both engines: order of arrival, units, drift with its suspect, runs and reports."""

from __future__ import annotations

import asyncio
import random
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from crossdock.flow import reconciliation as runs
from crossdock.flow import stock_watch
from crossdock.reconcile import report as reports
from tests.scenarios.flow.world import START, World, order, pack_files, shipment, with_line

MAPS = {
    "maps__count": """map: count
from: {format: json}
to: {object: inventory_snapshot, event: crossdock.inventory.snapshot.v1}
set:
  site: {const: RENO}
  as_of: at
  lines:
    each: lines as line
    set:
      sku: line.sku
      quantity: number(line.qty)
      lot: default(line.lot, "")
      status: default(line.status, "available")
      uom: default(line.uom, "EA")
""",
    "maps__movement": """map: movement
from: {format: json}
to: {object: inventory_movement, event: crossdock.inventory.moved.v1}
set:
  number: number
  kind: kind
  site: {const: RENO}
  at: at
  lines:
    each: lines as line
    set: {sku: line.sku, quantity: number(line.qty)}
""",
    "maps__books": """map: books
from: {format: json}
to: {object: statement, event: crossdock.statement.received.v1}
set:
  kind: kind
  as_of: at
  rows:
    each: rows as row
    set:
      key: default(row.key, "")
      sku: row.sku
      site: row.site
      quantity: number(row.qty)
""",
    "connections__yard": """connection: yard
partner: reno
connector: http_json
settings: {url: "https://reno.example/yard"}
inbound:
  - {format: json, map: count, when: 'type == "count"'}
  - {format: json, map: movement, when: 'type == "movement"'}
  - {format: json, map: books, when: 'type == "books"'}
""",
    "rules__reconciliation": """comparisons:
  - {comparison: reno-shipments, partner: reno, kind: shipments, in_flight_minutes: 0}
  - {comparison: reno-stock, partner: reno, kind: stock, site: RENO, in_flight_minutes: 0}
runs:
  - {run: end-of-day, cron: "0 18 * * *"}
""",
}


def at(minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).isoformat()


def count(minutes: float, *lines: dict[str, Any]) -> dict[str, Any]:
    return {"type": "count", "at": at(minutes), "lines": list(lines)}


def on_hand(world: World, sku: str = "X-1") -> Decimal | None:
    found = world.column("select on_hand from inventory where site = 'RENO' and sku = ?", (sku,))
    return Decimal(found[0]) if found else None


@pytest.fixture
async def yard(world: World) -> World:
    dated = {"maps/reno-shipment.yaml": "  order_number: order\n  shipped_at: shipped_at\n"}
    files = pack_files(**MAPS)
    for name, line in dated.items():
        files = with_line(files, name, "  order_number: order\n", line)
    await world.apply(files=files)
    return world


async def test_positions_do_not_depend_on_the_order_of_arrival(yard: World) -> None:
    """Counts and movements in any order end in what a plain model of the last count and later movements says."""
    for turn in range(6):
        draw, sku = random.Random(turn), f"M-{turn}"
        counts = [(minute, draw.randint(50, 90)) for minute in draw.sample(range(-600, -10), 3)]
        moves = [(minute, draw.randint(1, 9)) for minute in draw.sample(range(-600, -10), 6)]
        papers = [count(minute, {"sku": sku, "qty": quantity}) for minute, quantity in counts]
        papers += [
            {"type": "movement", "number": f"{turn}-{n}", "kind": "receipt", "at": at(minute)}
            | {"lines": [{"sku": sku, "qty": quantity}]}
            for n, (minute, quantity) in enumerate(moves)
        ]
        draw.shuffle(papers)
        for paper in papers:
            await yard.hand_in("yard", paper)
        last, quantity = max(counts)
        assert quantity + sum(one for minute, one in moves if minute > last) == on_hand(yard, sku), turn


async def test_a_unit_nobody_knows_holds_the_count_until_its_factor_is_there(yard: World) -> None:
    """Five cases wait for the factor; with twelve they are sixty, exactly."""
    paper = count(-5, {"sku": "X-1", "qty": 5, "uom": "CS"})
    answer = await yard.hand_in("yard", paper)
    assert (["held"], None) == (yard.document_states(answer.message_id), on_hand(yard))

    units = 'table: item_units\nrows:\n  X-1/CS: "12"\n'
    await yard.apply(files=pack_files(**MAPS, lookups__item_units=units))
    await yard.hub.settle()

    assert (["applied"], Decimal(60)) == (yard.document_states(answer.message_id), on_hand(yard))


async def test_a_drift_names_the_order_whose_confirmation_is_missing_and_settles_when_it_comes(yard: World) -> None:
    """Five of the order left before the count; the confirmation follows: timing, then a drift, then settled."""
    await yard.hand_in("yard", count(-60, {"sku": "H-100", "qty": 1000}))
    await yard.hand_in("erp", order("SO-1", ("HAMMER", 5)))
    await yard.later(minutes=30)
    await yard.hand_in("yard", count(29, {"sku": "H-100", "qty": 995}))
    await yard.later(minutes=1)
    query = "select state, kind, suspect, confidence from stock_drifts"
    assert [("timing", "missing_confirmation", "SO-1-1", 90)] == [tuple(row) for row in yard.query(query)]
    assert [] == yard.issues()

    await yard.later(hours=1)
    assert ["XD-STK-002"] == yard.issues()

    await yard.hand_in("reno", shipment("S-1", "SO-1", shipped_at=at(20)))
    await yard.later(minutes=1)
    assert (["settled"], Decimal(995), []) == (
        yard.column("select state from stock_drifts"),
        on_hand(yard, "H-100"),
        yard.issues(),
    )


async def test_a_new_drift_is_judged_behind_any_number_of_open_ones_which_settle_in_turn(
    yard: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for three: behind seven open drifts a new one is judged at once, and each open one is looked at in turn.

    Nobody asks what the site was asked to ship while nothing waits to be judged.
    """
    monkeypatch.setattr(stock_watch, "DRIFTS_MAX", 3)
    skus = [f"A-{n}" for n in range(7)]
    await yard.hand_in("yard", count(-60, *({"sku": sku, "qty": 10} for sku in (*skus, "Z-1"))))
    await yard.hand_in("yard", count(-30, *({"sku": sku, "qty": 11} for sku in skus)))
    for _ in range(4):
        await yard.later(seconds=15)
    query = "select sku from stock_drifts where state = 'open' order by sku"
    assert skus == yard.column(query)

    await yard.hand_in("yard", count(-20, {"sku": "Z-1", "qty": 9}))
    await yard.later(seconds=15)
    assert [*skus, "Z-1"] == yard.column(query)

    asked: list[Any] = []
    monkeypatch.setattr(stock_watch, "_open_requests", lambda *arguments: asked.append(arguments) or [])
    late = {"type": "movement", "number": "L-1", "kind": "receipt", "at": at(-40)}
    await yard.hand_in("yard", {**late, "lines": [{"sku": "A-6", "qty": 1}]})
    for _ in range(3):
        await yard.later(seconds=15)
    assert ([*skus[:-1], "Z-1"], []) == (yard.column(query), asked)


async def test_a_run_finds_ages_signs_and_settles(yard: World) -> None:
    """One shipment is missing there and stock differs; the report verifies; what agrees later is settled by itself."""
    await yard.hand_in("yard", count(-60, {"sku": "X-1", "qty": 10}))
    await yard.hand_in("erp", order("SO-1", ("HAMMER", 5)))
    await yard.hand_in("reno", shipment("S-1", "SO-1"))
    await yard.later(minutes=5)
    stock = [{"sku": "X-1", "site": "RENO", "qty": 8}]
    await yard.hand_in("yard", {"type": "books", "kind": "stock", "at": at(4), "rows": stock})
    await yard.hand_in("yard", {"type": "books", "kind": "shipments", "at": at(4), "rows": []})

    report = await yard.hub.reconciling.run("acme", "", "olivia")
    found = sorted((one.comparison, one.difference.kind) for one in report.differences)
    assert [("reno-shipments", "missing_there"), ("reno-stock", "quantity")] == found
    assert not report.zero_drift
    content, signature = await yard.hub.reconciling.report("acme", "")
    assert reports.verify(content, signature, report.public_key)
    assert not reports.verify(content.replace(b"quantity", b"quantitY"), signature, report.public_key)

    (stock_difference,) = [one for one in report.differences if one.comparison == "reno-stock"]
    await yard.hub.reconciling.accept("acme", stock_difference.difference_id, "olivia", "broken jar, counted")
    rows = [{"key": "s1", "sku": "H-100", "site": "RENO", "qty": 5}]
    await yard.later(days=1)
    await yard.hand_in("yard", {"type": "books", "kind": "shipments", "at": at(5), "rows": rows})
    await yard.hand_in("yard", {"type": "books", "kind": "stock", "at": at(24 * 60), "rows": stock})
    again = await yard.hub.reconciling.run("acme", "", "olivia")

    assert [(stock_difference.difference_id, "accepted", 1)] == [
        (one.difference_id, one.state, one.days) for one in again.differences
    ]
    kept = yard.query("select report, previous_digest from reconciliation_runs order by run_id")
    assert 3 == len(kept)
    assert ["", *(reports.digest_of(bytes(row[0])) for row in kept[:-1])] == [row[1] for row in kept]
    assert msgspec.json.decode(content)["run"] == "end-of-day"


async def test_books_are_compared_outside_the_writers_turn(yard: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a comparison takes, no cycle waits: a message that comes meanwhile is applied."""
    stock_row = {"sku": "X-1", "site": "RENO", "qty": 8}
    await yard.hand_in("yard", {"type": "books", "kind": "stock", "at": at(-1), "rows": [stock_row]})
    began, go_on, real = threading.Event(), threading.Event(), runs.compare

    def slow(*arguments: Any) -> Any:
        began.set()
        assert go_on.wait(20)
        return real(*arguments)

    monkeypatch.setattr(runs, "compare", slow)
    running = asyncio.create_task(yard.hub.reconciling.run("acme", "", "olivia"))
    assert await asyncio.to_thread(began.wait, 20)
    try:
        async with asyncio.timeout(10):
            answer = await yard.hand_in("yard", count(-1, {"sku": "X-2", "qty": 5}))
        assert ["applied"] == yard.document_states(answer.message_id)
    finally:
        go_on.set()
    report = await running

    assert ["missing_here"] == [one.difference.kind for one in report.differences]


async def test_a_missing_statement_makes_the_run_partial_and_is_an_issue(yard: World) -> None:
    """At 18:00 of the tenant's clock it runs by itself; nobody stated anything, so it is no proof of anything."""
    await yard.later(minutes=1)
    await yard.later(days=1)

    (state,) = yard.column("select state from reconciliation_runs")
    assert ("partial", ["XD-REC-001"]) == (state, sorted(set(yard.issues())))


async def test_a_comparison_is_narrowed_to_the_numbers_a_partner_knows(yard: World) -> None:
    """Of two orders the partner states its own; without the pattern the other one is missing there."""
    await yard.hand_in("erp", order("SO-1", ("HAMMER", 5)))
    await yard.hand_in("erp", order("W-1", ("HAMMER", 2)))
    await yard.later(minutes=5)
    rows = [{"key": "SO-1", "sku": "H-100", "qty": 5}]
    await yard.hand_in("yard", {"type": "books", "kind": "orders", "at": at(4), "rows": rows})

    found = []
    for numbers in ("", "SO-*"):
        rules = f"""comparisons:
  - {{comparison: orders, partner: reno, kind: orders, in_flight_minutes: 0, numbers: "{numbers}"}}
runs:
  - {{run: end-of-day}}
"""
        dated = pack_files(**{**MAPS, "rules__reconciliation": rules})
        await yard.apply(files=dated)
        report = await yard.hub.reconciling.run("acme", "", "olivia")
        found.append((report.matched, [(one.difference.kind, one.difference.key) for one in report.differences]))

    assert [(1, [("missing_there", "W-1")]), (1, [])] == found
