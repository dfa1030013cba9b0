"""Retention removes bytes first, then rows, as the pack says; open work stays, and the record stays flat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from crossdock.durable.identity import to_micros
from crossdock.processes.registry import PROCESSES
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


# Tables no stage empties, each with the reason.
GOES_ALONG = "goes with the row it belongs to"
STAYS = "one row for each thing that is configured or counted: it does not grow with the traffic"
ACTS = "what people did and decided: kept as the audit is"
EXEMPT = {
    "documents attempts payloads sent_sets exceptions identifiers timers aggregates": GOES_ALONG,
    "tenants api_keys secrets active_releases control_numbers connection_states rate_budgets contract_states": STAYS,
    "inventory stock_lots stock_levels notice_cursors backbone_places workers slots schema_migrations": STAYS,
    "releases audit amendments jobs job_items outages restores unsubscribes cross_references": ACTS,
    "expectations": "a row goes when it is met",
    "sessions login_links": "a row goes when it is over (governance/access.py)",
    "site_loads": "kept for 14 days (store/stock.py)",
}


def ownerless(tables: set[str]) -> set[str]:
    """Return the tables that neither a stage nor an exemption names."""
    stages = {"inbound_messages", "outbound_messages", "issues", "events", *store.MEMORIES}
    stages |= {table for group in store.SETTLED_ROWS.values() for table in group}
    return tables - stages - {table for group in EXEMPT for table in group.split()}


async def test_every_table_is_emptied_or_says_why_not(world: World) -> None:
    """A table that nobody thought of fails here, not after years on a disk."""
    postgres = "select tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    sqlite = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
    tables = set(world.column(postgres if world.hub.store.engine == "postgresql" else sqlite))
    tables.discard("seen_arrows")  # the test world's own

    assert {"aggregates", "notices", "stock_drifts"} <= tables
    assert set() == ownerless(tables)
    assert {"new_thing"} == ownerless({"new_thing"})


def _aggregate(connection: Any, kind: str, status: str, at: int) -> None:
    key = f"{kind}-{status}"
    connection.execute(
        "insert into aggregates (tenant_id, kind, key, aggregate_id, version, status, created_at, updated_at, state)"
        " values ('acme', ?, ?, ?, 1, ?, ?, ?, ?)",
        (kind, key, f"x_{key}", status, at, at, b"{}"),
    )
    connection.execute(
        "insert into events (tenant_id, event_id, type, subject, data, occurred_at, recorded_at)"
        " values ('acme', ?, 'crossdock.x.v1', ?, ?, ?, ?)",
        (f"evt_{key}", f"{kind}/{key}", b"{}", at, at),
    )


async def test_every_kind_goes_when_it_is_finished_and_not_before(world: World) -> None:
    """A live return, purchase, load or claim keeps its events however old it is; a finished one goes."""
    await with_retention(world)
    at = to_micros(world.clock.now())

    def write(connection: Any) -> None:
        for process in PROCESSES.values():
            for status in ("lives", *process.settled):
                _aggregate(connection, process.kind, status, at)

    await world.hub.store.write(write)
    world.clock.move_to(world.clock.now() + timedelta(days=200))
    await run(world)

    alive = sorted(f"{kind}-lives" for kind in PROCESSES)
    assert alive == sorted(world.column("select key from aggregates"))
    assert alive == sorted(
        key.partition("/")[2] for key in world.column("select subject from events where type = 'crossdock.x.v1'")
    )


async def test_settled_rows_go_and_open_ones_stay(world: World) -> None:
    """Of drifts, differences, movements, statements, runs, shapes and notices what is open or the newest stays."""
    await with_retention(world)
    old = to_micros(world.clock.now())
    rows = {
        "stock_movements": "site, moved_at, movement_id, sku, lot, status, kind, delta, reference, subject,"
        " recorded_at",
        "stock_lots": "site, sku, lot, status, quantity, as_of",
        "stock_drifts": "drift_id, site, sku, lot, status, state, kind, expected, reported, from_at, as_of, due_at,"
        " confidence, suspect, reason, suspects, opened_at, closed_at",
        "statements": "statement_id, partner, kind, site, as_of, row_count, recorded_at",
        "reconciliation_runs": "run_id, name, state, as_of, ended_at, matched, timing, differing, report, signature,"
        " previous_digest",
        "reconciliation_differences": "difference_id, comparison, kind, record_key, state, detail, first_seen_at,"
        " last_seen_at, run_id, settled_at",
        "document_shapes": "connection_id, document_type, digest, state, shape, first_seen_at, last_seen_at",
        "notices": "notice_id, once_key, rule, recipient, channel, state, title, body, due_at, created_at",
        "own_changes": "connection_id, object, key, digest, told_at",
        "case_counts": "on_day, opened",
    }
    day = 86_400_000_000
    values: dict[str, list[tuple[Any, ...]]] = {
        "stock_movements": [
            ("S", old, f"goes-{sku}" if sku == "A" else f"stays-{sku}", sku, "", "ok", "receipt", "1", "", "", old)
            for sku in ("A", "DRIFTS", "NEVER-COUNTED")
        ],
        "stock_lots": [("S", sku, "", "ok", "1", old + day) for sku in ("A", "DRIFTS")],
        "stock_drifts": [
            ("goes", "S", "A", "", "ok", "settled", "", "1", "2", old, old, old, 0, "", "", b"[]", old, old),
            ("stays", "S", "DRIFTS", "", "ok", "open", "", "1", "2", old, old, old, 0, "", "", b"[]", old, None),
        ],
        "statements": [("goes", "p", "stock", "S", old, 1, old), ("stays", "p", "stock", "S", old + 1, 1, old)],
        "reconciliation_runs": [
            (name, "daily", "done", at, at, 1, 0, 0, b"{}", b"", "") for name, at in (("goes", old), ("stays", old + 1))
        ],
        "reconciliation_differences": [
            ("goes", "c", "k", "1", "settled", b"{}", old, old, "r", old),
            ("stays", "c", "k", "2", "open", b"{}", old, old, "r", None),
        ],
        "document_shapes": [
            ("c", "t", f"{fate}", state, b"{}", old, old) for fate, state in (("goes", "warned"), ("stays", "accepted"))
        ],
        "notices": [
            (fate, fate, "r", "a@b.example", "email", state, "t", "b", old + 9 * 365 * day, old)
            for fate, state in (("goes", "sent"), ("stays", "waiting"))
        ],
        "own_changes": [("c", "order", "goes", b"x", old)],
        "case_counts": [("2000-01-01", 1)],
    }

    def write(connection: Any) -> None:
        for table, columns in rows.items():
            marks = ",".join("?" * (columns.count(",") + 2))
            statement = f"insert into {table} (tenant_id, {columns}) values ({marks})"
            connection.executemany(statement, [("acme", *row) for row in values[table]])

    await world.hub.store.write(write)
    world.clock.move_to(world.clock.now() + timedelta(days=200))
    would, did = await run(world, dry_run=True), await run(world)

    assert {table: 1 for table in rows if table != "stock_lots"} == {
        table: did.get(table) for table in rows if table != "stock_lots"
    }
    assert did == would
    for table, key in (
        ("stock_movements", "movement_id"),
        ("stock_drifts", "drift_id"),
        ("statements", "statement_id"),
        ("notices", "notice_id"),
        ("document_shapes", "digest"),
    ):
        assert all(str(one).startswith("stays") for one in world.column(f"select {key} from {table}")), table
