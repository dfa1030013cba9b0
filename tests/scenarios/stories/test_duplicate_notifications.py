"""The story: several tools tell the customer the same thing, and each counts its service levels in its own way.

Here a channel has one owner for each event, a matter has one key, and a case one desk; there is one clock, the
contract's. Each guard is taken away once, and then the customer hears it twice.
"""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.governance.configuration import Configuration
from tests.scenarios.flow.world import World
from tests.scenarios.service import test_cases as desks
from tests.scenarios.service import test_notices as notices

SHOP = "owners:\n  - {on: crossdock.order.backordered.v1, system: shop, when: 'starts_with(order, \"W-\")'}\n"


async def test_the_customer_hears_it_from_one_system_and_the_case_is_at_one_desk(world: World) -> None:
    """The shop tells its own customers: the hub does not. Two desks could take the case: one has it."""
    await notices.with_rules(world, notices.RULES + SHOP)
    await world.later(hours=5)
    await notices.an_order(world, "W-1")
    await world.later(minutes=1)
    assert [] == notices.mails(world)

    await desks.with_desks(world)
    await desks.an_order_at_risk(world, "SO-9")
    mine = [one["order"] for one in desks.told(world) if one["action"] == "open"]
    assert (1, []) == (mine.count("SO-9"), desks.told(world, "old-desk"))


async def test_without_the_owner_of_the_channel_she_hears_it_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: a hub that does not ask who owns the channel tells what the shop tells."""

    def nobody(self: Configuration, event_type: str, audience: str, variables: Any) -> list[str]:
        return []

    monkeypatch.setattr(Configuration, "channel_owners", nobody)
    await notices.with_rules(world, notices.RULES + SHOP)
    await world.later(hours=5)
    await notices.an_order(world, "W-1")
    await world.later(minutes=1)

    assert 1 == len(notices.mails(world))
