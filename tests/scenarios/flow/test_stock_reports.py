"""What sites say of their stock: each report changes it once, however often it comes and however often it is run."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from tests.scenarios.flow.test_replay import replay
from tests.scenarios.flow.world import World, order, pack_files, shipment, with_line

ADJUSTMENT = """map: adjustment
from: {format: json}
to: {object: inventory_adjustment, event: crossdock.inventory.adjusted.v1}
set:
  number: required(number)
  site: {const: RENO}
  lines:
    each: lines as line
    set:
      sku: lookup("items", line.sku)
      delta: required(number(line.qty))
lookups: [items]
"""
SNAPSHOT = """map: snapshot
from: {format: json}
to: {object: inventory_snapshot, event: crossdock.inventory.snapshot.v1}
set:
  site: {const: RENO}
  as_of: at
  lines:
    each: lines as line
    set: {sku: line.sku, quantity: required(number(line.qty))}
"""
DOOR = """connection: yard
partner: reno
connector: http_json
settings: {url: "https://reno.example/yard"}
inbound:
  - {format: json, map: adjustment, when: 'type == "adjustment"'}
  - {format: json, map: snapshot, when: 'type == "snapshot"'}
"""


def files() -> dict[str, str]:
    return pack_files(maps__adjustment=ADJUSTMENT, maps__snapshot=SNAPSHOT, connections__yard=DOOR)


def adjustment(number: str, quantity: int, sku: str = "HAMMER", **more: Any) -> dict[str, Any]:
    return {"type": "adjustment", "number": number, "lines": [{"sku": sku, "qty": quantity}], **more}


def snapshot(at: str, quantity: int) -> dict[str, Any]:
    return {"type": "snapshot", "at": at, "lines": [{"sku": "H-100", "qty": quantity}]}


def on_hand(world: World) -> int:
    (found,) = world.column("select on_hand from inventory where site = 'RENO' and sku = 'H-100'")
    return int(found)


def events(world: World, kind: str) -> int:
    (count,) = world.column("select count(*) from events where type = ?", (kind,))
    return int(count)


@pytest.fixture
async def yard(world: World) -> World:
    """The world with a door through which Reno reports its stock."""
    await world.apply(files=files())
    return world


async def test_an_adjustment_that_is_run_again_changes_no_stock(yard: World) -> None:
    """Two replays of an applied adjustment are recorded as duplicates; the stock moved once."""
    answer = await yard.hand_in("yard", adjustment("A-1", -10))
    assert 990 == on_hand(yard)

    for _ in range(2):
        await replay(yard, message_ids=(answer.message_id,))

    assert (990, 1, 2) == (
        on_hand(yard),
        events(yard, "crossdock.inventory.adjusted.v1"),
        events(yard, "crossdock.document.duplicate.v1"),
    )


async def test_an_adjustment_that_comes_in_another_message_is_a_duplicate(yard: World) -> None:
    """The number at the site is what counts, not the bytes around it, in one batch as well as later."""
    for _ in range(2):
        await asyncio.gather(
            *(yard.hand_in("yard", adjustment("A-1", -10, note=str(n)), settle=False) for n in range(3))
        )
        await yard.hub.settle()

    assert (990, []) == (on_hand(yard), yard.issues())


async def test_a_number_with_other_content_changes_no_stock_and_is_reported(yard: World) -> None:
    """An adjustment under a number that was used for other quantities is rejected, with an issue for the site."""
    await yard.hand_in("yard", adjustment("A-1", -10))
    second = await yard.hand_in("yard", adjustment("A-1", -7))

    assert (990, ["rejected"], ["XD-ORD-011"]) == (
        on_hand(yard),
        yard.document_states(second.message_id),
        yard.issues(),
    )


async def test_other_numbers_are_applied(yard: World) -> None:
    """Two adjustments of the same content under two numbers are two adjustments."""
    await yard.hand_in("yard", adjustment("A-1", -10))
    await yard.hand_in("yard", adjustment("A-2", -10))

    assert 980 == on_hand(yard)


async def test_a_snapshot_that_is_run_again_does_not_bring_back_what_was_shipped(yard: World) -> None:
    """A replay of the newest snapshot leaves the stock as the shipments since have made it."""
    answer = await yard.hand_in("yard", snapshot("2026-11-23T13:00:00Z", 500))
    await yard.hand_in("erp", order("SO-1", ("HAMMER", 5)))
    await yard.hand_in("reno", shipment("S-1", "SO-1"))
    assert 495 == on_hand(yard)

    await replay(yard, message_ids=(answer.message_id,))

    assert 495 == on_hand(yard)


async def test_a_corrected_snapshot_of_the_same_instant_replaces(yard: World) -> None:
    """Other content for the same instant is a correction; an older snapshot changes nothing."""
    await yard.hand_in("yard", snapshot("2026-11-23T13:00:00Z", 500))
    await yard.hand_in("yard", snapshot("2026-11-23T13:00:00Z", 480))
    await yard.hand_in("yard", snapshot("2026-11-23T12:00:00Z", 700))

    assert 480 == on_hand(yard)


async def test_a_time_without_its_offset_is_no_instant_on_any_host(
    yard: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever zone the machine is in: the document is rejected, and the finding names the field and the way out."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        answer = await yard.hand_in("yard", snapshot("2026-11-23T13:00:00", 500))
    finally:
        monkeypatch.undo()
        time.tzset()
    (encoded,) = yard.column("select findings from documents where message_id = ?", (answer.message_id,))
    (finding,) = msgspec.json.decode(encoded)

    assert (1000, ["rejected"], ["XD-MAP-020"]) == (
        on_hand(yard),
        yard.document_states(answer.message_id),
        yard.issues(),
    )
    assert "as_of is a time without its offset" in finding["message"]
    assert "at_zone(" in str(finding["hint"])


async def test_an_adjustment_without_a_number_is_rejected(yard: World) -> None:
    """Nobody could tell its repeat from a second correction."""
    await yard.apply(files=with_line(files(), "maps/adjustment.yaml", "required(number)", 'default(number, "")'))
    answer = await yard.hand_in("yard", adjustment("", -10))

    assert (1000, ["rejected"]) == (on_hand(yard), yard.document_states(answer.message_id))


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "-Infinity"])
async def test_stock_that_is_no_number_is_rejected(yard: World, quantity: str) -> None:
    """A map that passes a text on cannot make a position which no order could be compared with."""
    plain = with_line(files(), "maps/snapshot.yaml", "required(number(line.qty))", "line.qty")
    await yard.apply(files=with_line(plain, "maps/adjustment.yaml", "required(number(line.qty))", "line.qty"))
    paper = {"number": "A-1", "at": "2026-11-23T13:00:00Z", "lines": [{"sku": "HAMMER", "qty": quantity}]}
    answers = [await yard.hand_in("yard", {"type": kind, **paper}) for kind in ("snapshot", "adjustment")]

    assert (1000, [["rejected"]] * 2) == (on_hand(yard), [yard.document_states(one.message_id) for one in answers])
