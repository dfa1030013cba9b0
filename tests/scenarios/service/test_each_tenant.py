"""The trouble of one tenant keeps no other from its contracts, its notices and its reconciliation."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.bootstrap import contracts, notices, reconciling
from tests.scenarios.flow.world import World, pack_files

CONTRACT = """
contract: reno-tells
title: News from Reno
expect: {connection: reno}
every: 45m
"""
NOTICES = """
recipients: {floor: {channel: desk, address: floor@example.com}}
rules:
  - {rule: created, on: crossdock.order.created.v1, to: floor, title: "Order {order}", body: ""}
"""
# The chore, and what it asks of the flow for each tenant.
CHORES = {
    "contracts": (contracts.contracts, "look"),
    "notices": (notices.notices, "follow"),
    "reconciling": (reconciling.Reconciling, "_watch"),
}


@pytest.mark.parametrize("chore", CHORES)
async def test_one_that_fails_keeps_no_other_from_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch, chore: str
) -> None:
    """Whichever of two comes first fails: the other has its turn, and the error stays in sight of the clockwork."""
    for tenant in ("acme", "bolt"):
        files = {"contracts/tells.yaml": CONTRACT, "notifications.yaml": NOTICES}
        await world.apply(tenant, {**pack_files(tenant), **files})
    await world.later(minutes=1)
    place, name = CHORES[chore]
    asked, real = [], getattr(place, name)

    def fails_at_first(subject: Any, about: Any, *more: Any) -> Any:
        asked.append(about if isinstance(about, str) else about.tenant_id)
        if len(asked) == 1:
            raise RuntimeError("a row of this tenant cannot be read")
        return real(subject, about, *more)

    monkeypatch.setattr(place, name, fails_at_first)
    world.clock.move_to(world.clock.now().replace(minute=59))
    with pytest.raises(RuntimeError):
        await getattr(world.hub, chore).tick()

    assert ["acme", "bolt"] == sorted(asked)
    monkeypatch.undo()
