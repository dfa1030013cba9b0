"""The start and the tick: in which order work is taken up, and that one tenant's damage stops nobody else."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from crossdock.durable.identity import Ids
from crossdock.durable.retry import Circuit
from crossdock.governance import releases
from crossdock.store.engine import Connection, open_store
from tests.scenarios.flow.world import BUSY, World, order, pack_files, shipment, with_line


def pack_with_lookup_in_shipments() -> dict[str, str]:
    """Return the pack in which a shipment of an item nobody knows is held."""
    files = with_line(
        pack_files(),
        "maps/reno-shipment.yaml",
        "{line_no: line.no, sku: line.sku, quantity",
        "{line_no: line.no, sku: 'lookup(\"items\", line.sku)', quantity",
    )
    return with_line(
        files, "maps/reno-shipment.yaml", "required: [number, lines]", "lookups: [items]\nrequired: [number, lines]"
    )


def line(sku: str, quantity: int) -> list[dict[str, object]]:
    return [{"no": "1", "sku": sku, "qty": quantity}]


async def test_what_waits_is_set_free_behind_what_was_under_way(world: World) -> None:
    """A release applied while the hub was down sets held papers free only after older sends were taken up again: they
    keep their place, and no send that was never begun is booked as cut off.
    """
    files = pack_with_lookup_in_shipments()
    await world.apply(files=files)
    await world.hand_in("erp", order("SO-1", ("HAMMER", 5)))
    erp = world.partner("erp")
    erp.always = BUSY
    await world.hand_in("reno", {**shipment("S1", "SO-1"), "lines": line("HAMMER", 2)})
    held = await world.hand_in("reno", {**shipment("S2", "SO-1"), "lines": line("SAW", 1)})
    assert ["held"] == world.document_states(held.message_id)
    older = world.column("select message_id from outbound_messages where connection_id = 'erp' order by message_id")
    await world.kill()
    known = with_line(files, "lookups/items.yaml", "HAMMER: H-100", "HAMMER: H-100, SAW: H-100")
    world.clock.move_to(world.clock.now() + timedelta(seconds=1))
    apply_beside(world, known)
    erp.pushed.clear()
    erp.always = None

    await world.start()
    await world.hub.settle()
    await world.later(minutes=5)

    made = world.column("select message_id from outbound_messages where connection_id = 'erp' order by message_id")
    pushed = [one.message_id for one in erp.pushed]
    assert len(made) > len(older)
    assert [one for one in made if one in pushed] == list(dict.fromkeys(pushed))
    newer = [one for one in made if one not in older]
    cut_off = world.column("select message_id from attempts where outcome = 'unknown'")
    assert [] == [one for one in newer if one in cut_off]


def apply_beside(world: World, files: dict[str, str], tenant: str = "acme") -> None:
    """Apply a release from another process."""
    store = open_store(world.url)
    ids = Ids(world.clock, 997)
    store.write_now(
        lambda connection: releases.apply(
            connection, tenant, files, author="other", note="", at=world.clock.now(), ids=ids
        )
    )
    store.close()


def damage(tenant: str):  # type: ignore[no-untyped-def]
    """Return what makes the active release of a tenant unreadable."""

    def run(connection: Connection) -> None:
        (release_id,) = connection.query("select release_id from active_releases where tenant_id = ?", (tenant,))[0]
        connection.execute(
            "update releases set digest = 'x' where tenant_id = ? and release_id = ?", (tenant, release_id)
        )

    return run


async def test_a_damaged_tenant_does_not_stop_the_start(world: World) -> None:
    """With one tenant's release unreadable the hub starts, says whose it is, and works for the others."""
    await world.apply("broken")
    await world.hub.store.write(damage("broken"))
    await world.kill()
    releases.forget_compiled()

    await world.start()
    await world.hand_in("erp", order("SO-1"))

    health = world.hub.health()
    assert (True, True) == (health.ready, "broken" in health.reason)
    assert [("fulfillment_request", "sent")] == world.outbound("reno")


async def test_a_damaged_tenant_does_not_stop_the_tick(world: World) -> None:
    """A release that cannot be loaded leaves its tenant on the old one; retries of everybody go on."""
    await world.apply("broken")
    world.partner("reno").answer(BUSY)
    await world.hand_in("erp", order("SO-1"))
    apply_beside(world, with_line(pack_files("broken"), "lookups/units.yaml", "H-100: EA", "H-100: CA"), "broken")
    await world.hub.store.write(damage("broken"))
    releases.forget_compiled()

    await world.later(minutes=1)

    assert [("fulfillment_request", "sent")] == world.outbound("reno")
    assert "broken" in world.hub.health().reason
    assert "H-100: EA" not in world.hub.health().reason


async def test_circuits_are_written_in_order_and_start_closed(world: World) -> None:
    """The record shows the last state of a circuit; after a start it shows what the new worker knows: closed."""
    reno = world.partner("reno")
    reno.always = BUSY
    for number in range(4):
        await world.hand_in("erp", order(f"SO-{number}", ("HAMMER", 1)))

    shown = world.column("select circuit from connection_states where connection_id = 'reno'")
    await world.kill()
    await world.start()
    started = world.column("select circuit from connection_states where connection_id = 'reno'")

    assert (["open"], ["closed"]) == (shown, started)


async def test_circuit_states_are_written_one_after_the_other(world: World) -> None:
    """Two changes of a circuit end in the record in the order they happened, on every engine."""
    real, order_of_writes = world.hub.store.write, []
    first_may_end = asyncio.Event()

    async def slow_first(function):  # type: ignore[no-untyped-def]
        place = len(order_of_writes)
        order_of_writes.append("begun")
        if place == 0:
            await first_may_end.wait()
        result = await real(function)
        order_of_writes.append("ended")
        return result

    world.hub.store.write = slow_first  # type: ignore[method-assign]
    world.hub._circuit_changed("acme", "reno", Circuit("open", 3, 0.0), "503")
    world.hub._circuit_changed("acme", "reno", Circuit("closed", 0, 0.0), "")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    begun_together = order_of_writes.count("begun")
    first_may_end.set()
    await world.hub.settle()

    assert (1, ["closed"]) == (begun_together, world.column("select circuit from connection_states"))


async def test_ended_sessions_are_forgotten_hourly(world: World) -> None:
    """Sessions and links whose time is over leave the record by the next hour."""

    def leave(connection: Connection) -> None:
        connection.execute(
            "insert into login_links (link_digest, tenant_id, actor, role, created_at, expires_at)"
            " values (?,?,?,?,?,?)",
            ("d", "acme", "usr_1", "viewer", 1, 1),
        )

    await world.later(minutes=1)
    await world.hub.store.write(leave)
    await world.later(minutes=61)

    assert [] == world.column("select * from login_links")
