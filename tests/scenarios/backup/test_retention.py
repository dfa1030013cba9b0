"""Retention removes bytes first, then rows, as the pack says; open work stays, and the record stays flat."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crossdock.store import retention as store
from crossdock.store.payloads import PayloadReclaimed
from crossdock.views import messages
from crossdock.web.hub_port import ReplayRequest
from tests.scenarios.flow.world import World, order, pack_files, shipment

KEPT = "retention: {payloads: 30d, messages: 120d, receipts: 120d, orders: 120d}\n"


async def with_retention(world: World, words: str = KEPT) -> None:
    files = pack_files("acme")
    # Nobody proves deliveries here; without watched promises a shipped order has no open issue.
    rules = "cases: []\n"
    await world.apply(files={**files, "pack.yaml": files["pack.yaml"] + words, "rules/orders.yaml": rules})


async def finished_order(world: World, number: str) -> str:
    """Return the message of an order that was shipped."""
    answer = await world.hand_in("erp", order(number, ("HAMMER", 5)))
    await world.hand_in("reno", shipment(f"S-{number}", number))
    return answer.message_id


async def run(world: World, *, dry_run: bool = False) -> dict[str, int]:
    report = await world.hub.retention.run("acme", dry_run=dry_run, actor="tester")
    return {one.kind: one.removed for one in report.removed}


async def test_nothing_goes_unless_the_pack_says_so(world: World) -> None:
    """Without periods everything is kept, however old."""
    await finished_order(world, "SO-1")
    await world.later(days=4000)

    assert {} == await run(world)
    assert 0 == len(world.column("select message_id from inbound_messages where reclaimed_at is not null"))


async def test_bytes_go_first_and_the_views_say_when(world: World) -> None:
    """After 30 days digest and size are left; the page says so, and a replay is refused with its code."""
    await with_retention(world)
    message_id = await finished_order(world, "SO-1")
    await world.later(days=29)
    assert {} == await run(world, dry_run=True)
    world.clock.move_to(world.clock.now() + timedelta(days=2))
    would = await run(world, dry_run=True)
    assert would["payloads"] > 0 and 0 < len(world.column("select message_id from payloads"))
    assert would == await run(world)

    view = world.hub.store.read_now(lambda connection: messages.load_inbound(connection, "acme", message_id))
    assert view.raw.damage is not None and view.raw.size_bytes > 0
    assert ("XD-SYS-060", f"bytes removed by retention on {world.clock.now():%Y-%m-%d}") == (
        view.raw.damage.code,
        view.raw.damage.message,
    )
    with pytest.raises(PayloadReclaimed, match="removed by retention"):
        await world.hub.replay("acme", ReplayRequest(message_ids=(message_id,)))
    assert ["retention.run"] == world.column("select action from audit where action like 'retention%'")


async def test_open_work_stays_however_old(world: World) -> None:
    """Held, parked, rejected with an open issue, dead, unanswered: all of it stays with its bytes."""
    await with_retention(world)
    held = await world.hand_in("erp", order("SO-1", ("NO-SUCH-ITEM", 5)))
    parked = await world.hand_in("reno", shipment("S-9", "SO-9"))
    unreadable = await world.hand_in("erp", b'{"type": "order"')
    open_messages = {held.message_id, parked.message_id, unreadable.message_id}
    await world.later(days=500)
    await run(world)

    left = set(world.column("select message_id from payloads"))
    assert open_messages <= left
    assert open_messages <= set(world.column("select message_id from inbound_messages"))


async def test_the_row_of_a_send_stays_while_its_order_lives(world: World) -> None:
    """It keeps the effect from being made again; a finished order goes with everything."""
    await with_retention(world)
    await world.hand_in("erp", order("SO-1", ("HAMMER", 5)))
    await finished_order(world, "SO-2")
    await world.later(days=200)
    await run(world)
    await run(world)

    assert {"order/SO-1"} == set(world.column("select distinct subject from outbound_messages"))
    assert ["SO-1"] == world.column("select key from aggregates where kind = 'order'")
    assert {"order/SO-1"} == set(world.column("select distinct subject from events where subject like 'order/%'"))
    assert [] == world.column("select receipt_key from receipts")


async def test_the_record_stays_flat_over_simulated_months(world: World) -> None:
    """Four orders a day, bytes for 3 days, rows for 10: after the first weeks nothing grows any more."""
    await with_retention(world, "retention: {payloads: 3d, messages: 10d, receipts: 90d, orders: 10d}\n")
    sizes = []
    for day in range(45):
        for number in range(4):
            await finished_order(world, f"SO-{day}-{number}")
        await world.later(days=1)
        await run(world)
        sizes.append(
            tuple(
                world.column(f"select count(*) from {table}")[0]
                for table in ("payloads", "inbound_messages", "outbound_messages", "events", "aggregates", "attempts")
            )
        )

    assert sizes[20] == sizes[30] == sizes[44]
    assert all(count > 0 for count in sizes[44])


async def test_batches_are_small(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever there is to remove, one transaction takes a batch, and goes on behind it."""
    await with_retention(world)
    for number in range(7):
        await finished_order(world, f"SO-{number}")
    monkeypatch.setattr("crossdock.bootstrap.retention.BATCH_ROWS", 3)
    seen: list[int] = []
    payloads = store.payloads

    def counted(*arguments: object, **named: object) -> store.Seen:
        batch = payloads(*arguments, **named)  # type: ignore[arg-type]
        seen.append(batch.removed)
        return batch

    monkeypatch.setattr(store, "payloads", counted)
    before = world.column("select count(*) from payloads")[0]
    await world.later(days=31)

    assert before == sum(seen) and max(seen) == 3
