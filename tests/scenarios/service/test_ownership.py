"""Two systems that know the same things: whose word counts, and no word that is thrown to and fro for ever."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossdock.durable.identity import to_micros
from crossdock.flow import ownership
from crossdock.store import own_words
from crossdock.store.own_words import CrossReference
from tests.scenarios.flow.world import World, order, pack_files, shipment

SYSTEM = """
connection: {name}
partner: {name}
connector: http_json
settings: {{url: "https://{name}.example/stock", idempotent: true}}
inbound:
  - {{format: json, map: stock-in, when: 'type == "stock"'}}
  - {{format: json, map: erp-order, when: 'type == "order"'}}
"""
STOCK_IN = """
map: stock-in
from: {format: json}
to: {object: inventory_snapshot, event: crossdock.inventory.snapshot.v1}
set:
  site: {const: RENO}
  as_of: at
  lines:
    each: lines as line
    set: {sku: line.sku, quantity: number(line.qty)}
"""
STOCK_OUT = """
map: stock-out
from: {object: inventory_snapshot}
to: {format: json}
set:
  type: {const: stock}
  at: as_of
  lines:
    each: lines as line
    set: {sku: line.sku, qty: line.quantity}
"""
# Unbounded, each word would be told to both and come back from both: twice as many in every round.
ROUNDS_MAX = 4


async def two_systems(world: World, rules: str = "rules: []\n") -> None:
    """Apply the pack with two systems that are told each other's stock."""
    files = pack_files()
    for name in ("alpha", "beta"):
        files[f"connections/{name}.yaml"] = SYSTEM.format(name=name)
        files[f"partners/{name}.yaml"] = f"partner: {name}\nname: {name}\n"
        files["routes.yaml"] += (
            f"  - {{document: 'event:crossdock.inventory.snapshot.v1', connection: {name}, map: stock-out}}\n"
        )
    files["maps/stock-in.yaml"], files["maps/stock-out.yaml"] = STOCK_IN, STOCK_OUT
    files["maps/erp-order.yaml"] = files["maps/erp-order.yaml"].replace("set:\n", "set:\n  email: email\n", 1)
    files["ownership.yaml"] = rules
    await world.apply(files=files)


def stock(world: World, quantity: int) -> dict[str, Any]:
    """What a system says of its stock; each stamps its own time."""
    return {"type": "stock", "at": world.clock.now().isoformat(), "lines": [{"sku": "H-100", "qty": quantity}]}


async def thrown(world: World) -> int:
    """Let both systems tell back what they are told, with a time of their own; count the rounds until nobody does."""
    seen = {"alpha": 0, "beta": 0}
    for round_ in range(ROUNDS_MAX):
        fresh = 0
        for name in seen:
            documents = world.partner(name).documents()
            for document in documents[seen[name] :]:
                fresh += 1
                await world.later(seconds=5)
                await world.hand_in(name, {**json.loads(json.dumps(document)), "at": world.clock.now().isoformat()})
            seen[name] = len(documents)
        if not fresh:
            return round_
    return ROUNDS_MAX


async def test_our_own_word_that_comes_back_is_not_sent_on(world: World) -> None:
    """Alpha's stock reaches beta; beta tells it back, and that is the end of it."""
    await two_systems(world)
    await world.hand_in("alpha", stock(world, 7))

    assert await thrown(world) <= 2
    assert 2 >= len(world.partner("alpha").pushed) + len(world.partner("beta").pushed)


async def test_without_the_guard_two_systems_play_ping_pong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: the same two systems throw the same word to and fro for ever."""
    monkeypatch.setattr(ownership, "is_echo", lambda *_: False)
    await two_systems(world)
    await world.hand_in("alpha", stock(world, 7))

    assert ROUNDS_MAX == await thrown(world)


async def test_a_word_of_its_own_is_taken_even_when_it_is_ours_of_before(world: World) -> None:
    """Told 7, beta says 9 and later 7 again: that 7 is beta's own, because our word ended with its 9."""
    await two_systems(world)
    await world.hand_in("alpha", stock(world, 7))
    told = []
    for quantity in (7, 9, 7):
        await world.later(seconds=5)
        await world.hand_in("beta", stock(world, quantity))
        told.append(world.column("select on_hand from inventory where site = 'RENO' and sku = 'H-100'")[0])

    assert ["7", "9", "7"] == [str(one) for one in told]
    assert 3 == len(world.column("select 1 from events where type = 'crossdock.inventory.snapshot.v1'"))


async def test_an_object_of_somebody_else_is_refused(world: World) -> None:
    """Only alpha may tell of stock: beta's report is kept, refused and shown, and changes nothing."""
    await two_systems(world, "rules:\n  - {object: inventory_snapshot, owners: [alpha]}\n")
    await world.hand_in("alpha", stock(world, 7))
    await world.later(seconds=5)
    answer = await world.hand_in("beta", stock(world, 9))

    assert (["rejected"], ["XD-ORD-062"]) == (world.document_states(answer.message_id), world.issues())
    assert ["7"] == [str(one) for one in world.column("select on_hand from inventory where sku = 'H-100'")]


async def test_a_field_of_somebody_else_is_a_conflict_and_one_cause_is_one_issue(world: World) -> None:
    """Alpha does not own the e-mail of an order: its order is taken without it, the word is kept as a conflict."""
    await two_systems(world, "rules:\n  - {object: order, fields: {email: [erp]}}\n")
    for number in ("SO-1", "SO-2"):
        await world.hand_in("alpha", {**order(number), "email": "wrong@example.com"})
    await world.hand_in("erp", {**order("SO-3"), "email": "right@example.com"})

    assert ["XD-ORD-061"] == world.issues()
    assert 2 == len(world.column("select 1 from exceptions where code = 'XD-ORD-061'"))
    states = {row[0]: row[1].decode() for row in world.query("select key, state from aggregates")}
    assert "wrong@example.com" not in states["SO-1"] + states["SO-2"]
    assert "right@example.com" in states["SO-3"]


async def test_without_rules_the_last_word_wins(world: World) -> None:
    """Control: nobody owns the field, so anybody's word is applied and nothing is said."""
    await two_systems(world)
    await world.hand_in("alpha", {**order("SO-1"), "email": "wrong@example.com"})

    assert [] == world.issues()
    assert "wrong@example.com" in world.column("select state from aggregates")[0].decode()


async def test_a_partners_own_name_is_understood_while_it_is_valid(world: World) -> None:
    """Reno calls our request by its own number, from an hour on; before that it means nothing."""
    await world.hand_in("erp", order("SO-1"))
    moment = to_micros(world.clock.now())
    hour = 3_600_000_000

    def refer(ours: str, begins: int, ends: int | None) -> None:
        row = CrossReference("acme", "reno", "fulfillment", "R-77", ours, begins, ends, "anna", moment)
        world.hub.store.write_now(lambda connection: own_words.refer(connection, row))

    foreign = {**shipment("S-1", "SO-1"), "ticket": "R-77", "order": ""}
    refer("SO-1-1", moment + hour, None)
    early = await world.hand_in("reno", foreign)
    assert ["parked"] == world.document_states(early.message_id)
    await world.later(hours=2)
    late = await world.hand_in("reno", {**foreign, "number": "S-2"})

    assert ["applied"] == world.document_states(late.message_id)
    assert ["order/SO-1"] == world.column("select subject from documents where message_id = ?", (late.message_id,))


async def test_a_name_that_changes_its_meaning_ends_the_old_one(world: World) -> None:
    """Periods never overlap: the new meaning ends the old, and one given for the past ends where the next begins."""

    def refer(ours: str, begins: int) -> None:
        row = CrossReference("acme", "reno", "order", "X", ours, begins, None, "anna", 1)
        world.hub.store.write_now(lambda connection: own_words.refer(connection, row))

    refer("A", 100)
    refer("B", 200)
    refer("C", 150)
    rows = world.hub.store.read_now(lambda connection: own_words.listed(connection, "acme"))

    assert [("A", 100, 150), ("C", 150, 200), ("B", 200, None)] == [
        (row.ours, row.valid_from, row.valid_until) for row in rows
    ]
