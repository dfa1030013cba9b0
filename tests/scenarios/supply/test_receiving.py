"""Purchase orders through the whole hub: sent, answered, announced, received, posted once."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from tests.scenarios.flow.world import World
from tests.scenarios.supply.papers import TENANT, answer, notice, purchase, receipt, state_of

PO = "PO-7001"


async def tell(world: World, connection: str, paper: dict[str, Any]) -> Any:
    return await world.hand_in(connection, paper, tenant=TENANT)


async def test_a_purchase_from_release_to_posting(world: World) -> None:
    """Each partner hears its part once: the supplier the order, the warehouse the notice, the ERP the receipt."""
    await tell(world, "erp", purchase())
    await tell(world, "alpine", answer(PO, ("10", "accepted", 100), ("20", "accepted", 1000)))
    await tell(world, "alpine", notice("DA-1", PO, ("10", "SAW-1", 100), ("20", "BOLT-10", 1000)))
    paper = receipt(
        "R-1", PO, ("10", "SAW-1", 92), ("10", "SAW-1", 5, "damaged"), ("20", "BOLT-10", 990), advice="DA-1"
    )
    await tell(world, "wms", paper)
    await tell(world, "wms", paper)

    alpine, wms, erp = (world.partner(name, TENANT) for name in ("alpine", "wms", "erp"))
    assert ["purchase_order", "discrepancy", "discrepancy"] == [one.document_type for one in alpine.pushed]
    assert {("damaged", "5"), ("short", "3")} == {(one["kind"], one["quantity"]) for one in alpine.documents()[1:]}
    assert ["DA-1"] == [one["advice"] for one in wms.documents()]
    assert ["purchase_confirmation", "receipt_posting"] == [one.document_type for one in erp.pushed]
    assert [("SAW-1", "92", "5"), ("BOLT-10", "990", "0")] == [
        (line["item"], line["accepted"], line["damaged"]) for line in erp.documents()[1]["lines"]
    ]
    assert "partly_received" == state_of(world, PO).status
    assert 0 == len(world.partner("brisk", TENANT).pushed)
    assert ["XD-SUP-009", "XD-SUP-009"] == world.issues(tenant=TENANT)


async def test_papers_in_the_wrong_order_wait_and_keep_their_sender(world: World) -> None:
    """What comes before its order is parked; when the order comes, only its own supplier's papers count."""
    early = await tell(world, "alpine", notice("DA-1", PO, ("10", "SAW-1", 100)))
    foreign = await tell(world, "brisk", answer(PO, ("10", "rejected", 100)))
    assert [["parked"], ["parked"]] == [world.document_states(one.message_id, TENANT) for one in (early, foreign)]

    await tell(world, "erp", purchase(PO, ("SAW-1", 100)))

    (line,) = state_of(world, PO).lines
    assert (Decimal(100), Decimal(100)) == (line.book.shipped, line.book.open)
    assert ["XD-SUP-005"] == world.issues(tenant=TENANT)


async def test_a_receipt_finds_its_order_by_the_notice(world: World) -> None:
    """A warehouse that knows only the notice's number is understood, also before the notice came."""
    await tell(world, "erp", purchase(PO, ("SAW-1", 100)))
    early = await tell(world, "wms", receipt("R-1", "", ("10", "SAW-1", 100), advice="DA-1"))
    assert ["parked"] == world.document_states(early.message_id, TENANT)

    await tell(world, "alpine", notice("DA-1", PO, ("10", "SAW-1", 100)))

    assert ["applied"] == world.document_states(early.message_id, TENANT)
    assert "closed" == state_of(world, PO).status


async def test_the_clocks_run_and_stop(world: World) -> None:
    """Silence opens an issue after a day, and the answer closes it."""
    await tell(world, "erp", purchase(PO, ("SAW-1", 100)))
    await world.later(hours=25)
    assert ["XD-SUP-001"] == world.issues(tenant=TENANT)

    await tell(world, "alpine", answer(PO, ("10", "accepted", 100), at="2026-11-24T16:00:00Z"))

    assert ([], ["XD-SUP-001"]) == (world.issues(tenant=TENANT), world.issues("resolved", TENANT))


RESULTS: dict[str, Any] = {}


async def test_a_seeded_walk_ends_alike_on_both_engines(world: World) -> None:
    """Sixty papers of three orders, shuffled and some told twice, lead to the same states, sends and issues."""
    dice = random.Random(20261123)
    papers: list[tuple[str, dict[str, Any]]] = []
    for number, vendor, partner in (
        ("PO-1", "V-ALPINE", "alpine"),
        ("PO-2", "V-BRISK", "brisk"),
        ("PO-3", "V-ALPINE", "brisk"),
    ):
        papers.append(("erp", purchase(number, ("SAW-1", 100), ("BOLT-10", 500), vendor=vendor)))
        papers.append(
            (partner, answer(number, ("10", dice.choice(["accepted", "changed"]), 90), ("20", "accepted", 500)))
        )
        for count in range(4):
            advice = f"DA-{number[-1]}{count}"
            papers.append((partner, notice(advice, number, ("10", "SAW-1", 25), ("20", "BOLT-10", 125))))
            items = [
                ("10", "SAW-1", dice.randint(20, 26)),
                ("20", "BOLT-10", dice.randint(110, 130)),
                ("10", "SAW-1", 1, "damaged"),
            ]
            papers.append(("wms", receipt(f"R-{number}-{count}", number, *items, advice=advice)))
    papers += dice.sample(papers, 30)
    dice.shuffle(papers)
    for connection, paper in papers:
        await world.hand_in(connection, paper, tenant=TENANT, settle=dice.random() < 0.4)
    await world.hub.settle()
    await world.later(days=9)

    states = {number: state_of(world, number) for number in ("PO-1", "PO-2", "PO-3")}
    sends = {name: sorted(world.partner(name, TENANT).effects) for name in ("erp", "wms", "alpine", "brisk")}
    double = [key for name in sends for key, effects in world.partner(name, TENANT).effects.items() if len(effects) > 1]
    assert [] == double
    posted = [line for one in world.partner("erp", TENANT).documents() if "receipt" in one for line in one["lines"]]
    booked = sum(line.book.accepted for state in states.values() for line in state.lines)
    assert booked == sum(Decimal(line["accepted"]) for line in posted)
    assert Decimal(0) == sum(line.book.shipped for line in states["PO-3"].lines)
    result = (
        {number: (one.status, [(line.line_no, line.book) for line in one.lines]) for number, one in states.items()},
        {name: len(keys) for name, keys in sends.items()},
        sorted(world.issues(tenant=TENANT)),
    )
    assert result == RESULTS.setdefault("walk", result)
