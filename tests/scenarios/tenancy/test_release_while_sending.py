"""A release while sends are under way: what did not change goes on, what did is replaced after its last use."""

from __future__ import annotations

import pytest

from tests.scenarios.flow.world import World, order, with_line
from tests.scenarios.tenancy.conftest import files_to
from tests.scenarios.tenancy.slow_site import SlowSite

ORDERS = 8


async def under_way(world: World, site: SlowSite) -> dict[str, str]:
    """Send orders to Reno and return the pack when all of them wait for their answer."""
    files = files_to(site)
    await world.apply(files=files)
    await world.stock(RENO={"H-100": 1000}, KC={"D-200": 1000})
    for number in range(ORDERS):
        await world.hand_in("erp", order(f"SO-{number}", ("HAMMER", 1)), settle=False)
    await site.received_at_least(ORDERS)
    return files


def states(world: World) -> list[tuple[str, str, int]]:
    return world.query(
        "select state, error_code, attempts from outbound_messages where connection_id = 'reno' order by message_id"
    )


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lookups/units.yaml", "H-100: EA", "H-100: EA, H-999: EA"),
        ("connections/reno.yaml", "idempotent: true", "idempotent: true, connections_max: 7"),
    ],
    ids=["an unrelated lookup row", "the connection itself"],
)
async def test_a_release_cuts_no_send(real_world: World, site: SlowSite, file: str, old: str, new: str) -> None:
    """Sends that wait for their answer while a release becomes active end with that answer, none as unknown."""
    files = await under_way(real_world, site)

    await real_world.apply(files=with_line(files, file, old, new))
    site.gate.set()
    await real_world.hub.settle()

    assert [("sent", "", 1)] * ORDERS == [(state, code or "", attempts) for state, code, attempts in states(real_world)]
    assert [] == real_world.issues()


async def test_an_unchanged_connection_keeps_its_connector(real_world: World, site: SlowSite) -> None:
    """A release makes a new connector only for a connection whose settings or secrets have changed."""
    files = files_to(site)
    await real_world.apply(files=files)
    sender = real_world.hub.sender
    before = {name: await sender.partner("acme", name) for name in ("reno", "kc", "erp")}

    await real_world.apply(files=with_line(files, "connections/kc.yaml", "attempts_max: 3", "attempts_max: 4"))

    after = {name: await sender.partner("acme", name) for name in ("reno", "kc", "erp")}
    assert ["erp", "reno"] == sorted(name for name in before if before[name] is after[name])
    assert 4 == after["kc"].spec.retry.attempts_max
