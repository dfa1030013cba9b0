"""The story: the ERP is migrated, its documents change without notice, and mappings and reports break in silence.

Here the first document of the new shape is held with its diff, the rest of the day goes on, and after the word of a
person everything that waited is applied. Without the sensor the new documents are refused or misread one by one.
"""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.flow.shapes import Shapes
from tests.scenarios.flow.world import World, order, pack_files, with_line

DRIFT = "drift: {policy: approve, learn: 3, gone_after: 3}\n"


async def migrated(world: World) -> list[str]:
    """Three orders of the old ERP, then two of the new one, whose quantities are text; return the states of these."""
    files = with_line(pack_files(), "connections/erp.yaml", "inbound:", f"{DRIFT}inbound:")
    await world.apply(files=files)
    for number in range(3):
        await world.hand_in("erp", order(f"SO-OLD{number}"))
    answers = [await world.hand_in("erp", of_the_new_erp(f"SO-NEW{number}")) for number in range(2)]
    return [state for answer in answers for state in world.document_states(answer.message_id)]


def of_the_new_erp(number: str) -> dict[str, Any]:
    """What the new ERP sends: the same order, its quantities as text, and a field more."""
    document = order(number)
    document["lines"] = [{**line, "qty": str(line["qty"])} for line in document["lines"]]
    return {**document, "company": "0001"}


async def test_a_migration_is_seen_at_its_first_document_and_loses_none(world: World) -> None:
    """Held with the diff, one issue for both; approved, both become orders as the old ones did."""
    assert ["held", "held"] == await migrated(world)
    assert ["XD-PTR-064"] == world.issues()
    details = world.column("select detail from exceptions where code = 'XD-PTR-064'")
    assert 2 == len(details)
    assert all("/lines/[]/qty was number, is text" in one and "new field /company" in one for one in details)

    (digest,) = world.column("select digest from document_shapes where digest <> ''")
    await world.hub.shape_decisions.decide("acme", "erp", "erp-order", digest, "approve", actor="anna")
    await world.hub.settle()

    assert 5 == len(world.column("select key from aggregates where kind = 'order'"))
    assert [] == world.issues()


async def test_without_the_sensor_nobody_hears_of_the_migration(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: a hub whose sensor does not look takes the new documents as if nothing had happened."""
    monkeypatch.setattr(Shapes, "look", lambda *_: True)
    states = await migrated(world)

    assert "held" not in states
    assert "XD-PTR-064" not in world.issues()
