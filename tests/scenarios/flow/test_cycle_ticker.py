"""The clockwork: one deadline, one step or one connector that fails never stops the others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from crossdock.bootstrap import Hub
from tests.scenarios.flow.world import LOST_ANSWER, World, order


async def two_waiting_orders(world: World) -> None:
    """Two tenants, each with an order that waits for stock and so for a deadline."""
    await world.apply("zzz")
    await world.stock("zzz", RENO={"H-100": 10}, KC={"D-200": 10})
    for tenant in ("acme", "zzz"):
        await world.hand_in("erp", order("SO-1", ("HAMMER", 5000)), tenant=tenant)
    assert ["acme", "zzz"] == world.column("select distinct tenant_id from timers order by tenant_id")


async def test_a_deadline_that_makes_the_hub_stumble_is_moved_on_and_told_of(world: World) -> None:
    """An order of one tenant cannot be read: its deadline waits a quarter of an hour, the other tenant's passes."""
    await two_waiting_orders(world)
    await world.hub.store.write(
        lambda connection: connection.execute(
            "update aggregates set state = ? where tenant_id = 'acme'", (b'{"order": 3}',)
        )
    )
    (micros,) = world.column("select min(due_at) from timers where tenant_id = 'acme'")
    due = datetime.fromtimestamp(micros / 1e6, UTC)
    world.clock.move_to(due)
    await world.hub.tick()
    await world.hub.settle()

    assert "XD-SYS-050" in world.issues() and "XD-SYS-050" not in world.issues(tenant="zzz")
    assert [] == world.column("select name from timers where due_at <= ?", (int(due.timestamp() * 1e6),))
    moved = "select count(*) from timers where tenant_id = 'acme' and due_at = ?"
    assert [1] == world.column(moved, (int((due.timestamp() + 900) * 1e6),))


async def test_a_step_that_fails_is_logged_and_the_others_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases cannot be read: retries go on, and after a minute health says what does not."""

    async def fails(**_: Any) -> None:
        raise ZeroDivisionError("a bug")

    world.partner("kc").answer(LOST_ANSWER)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    monkeypatch.setattr(world.hub.tenancy, "take_up_releases", fails)
    for seconds in (31, 61):
        with pytest.raises(ZeroDivisionError):
            await world.later(seconds=seconds)
        await world.hub.settle()

    assert [("fulfillment_request", "sent")] == world.outbound("kc")
    assert "a bug" in world.hub.health().reason


async def test_a_clockwork_that_died_is_reported_and_does_not_keep_the_hub_from_stopping(
    url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead ticker is not ready; a door and a connector that fail to close are passed over; the record is closed."""
    world = World(url, tmp_path, monkeypatch)
    settings = msgspec.structs.replace(
        world.settings, flow=msgspec.structs.replace(world.settings.flow, poll_interval_seconds=0.001)
    )
    hub = world._hub = await Hub.start(settings, ids_seed=987_654_321)
    await world.apply()
    assert hub.health().ready

    class Died(BaseException):
        """No error at all, but the end of a task."""

    async def dies(**_: Any) -> None:
        raise Died

    async def cannot() -> None:
        raise OSError("cannot close")

    monkeypatch.setattr(hub.tenancy, "take_up_releases", dies)
    while not hub._ticker.dead():
        await asyncio.sleep(0.001)
    assert "clockwork" in hub.health().reason and not hub.health().ready

    world.partner("kc").close = cannot  # type: ignore[method-assign]
    hub.on_stop(cannot)
    await asyncio.wait_for(world.stop(), 5)
    with pytest.raises(Exception, match=r".+"):
        await asyncio.wait_for(hub.store.read(lambda connection: connection.one("select 1")), 0.2)
