"""The spool's bounds: refused at the door with a code and a time, before anything is full; resumes by itself."""

from __future__ import annotations

import asyncio

import pytest

from crossdock.errors import TransientError
from crossdock.flow.spool import DiskAlmostFull, QuotaExceeded
from tests.scenarios.flow.world import World, order, pack_files, with_line


def with_quota(tenant: str = "", connection: str = "") -> dict[str, str]:
    files = pack_files()
    if tenant:
        files["pack.yaml"] += f"quota: {tenant}\n"
    if connection:
        files["connections/erp.yaml"] += f"quota: {connection}\n"
    return files


async def test_a_tenant_that_is_not_worked_off_is_refused_and_resumes(world: World) -> None:
    """Four may wait for a partner that is away; the fifth is refused with a time to come back. Then all goes on."""
    await world.apply(files=with_quota(tenant="{messages_max: 4}"))
    outage = await world.hub.declare_outage("acme", "reno", "alice", "")
    for number in range(4):
        await world.hand_in("erp", order(f"SO-{number}"))
        await asyncio.sleep(0.12)
    with pytest.raises(QuotaExceeded, match="4 messages wait, 4 may") as refused:
        await world.hand_in("erp", order("SO-4"))
    assert ("XD-ING-013", 5.0) == (refused.value.code, refused.value.retry_after_seconds)
    assert isinstance(refused.value, TransientError)

    await world.hub.end_outage("acme", outage.outage_id, "alice")
    await world.hub.settle()
    world.clock.move_to(world.clock.now().replace(second=30))
    await world.hand_in("erp", order("SO-5"))

    assert 5 == len(world.partner("reno").pushed)


async def test_another_tenant_is_not_touched(world: World) -> None:
    """A quota is one tenant's own."""
    await world.apply(files=with_quota(tenant="{messages_max: 1}"))
    await world.apply("other")
    await world.hub.declare_outage("acme", "reno", "alice", "")
    await world.hand_in("erp", order("SO-1"))
    world.clock.move_to(world.clock.now().replace(second=10))
    with pytest.raises(QuotaExceeded):
        await world.hand_in("erp", order("SO-2"))

    await world.hand_in("erp", order("SO-1"), tenant="other")


async def test_bytes_are_bounded_too(world: World) -> None:
    """A few large documents fill a disk as well as many small ones."""
    await world.apply(files=with_quota(connection="{bytes_max: 1000}"))
    with pytest.raises(QuotaExceeded, match="connection erp"):
        await world.hand_in("erp", order("SO-1", note="x" * 2000))

    await world.hand_in("erp", order("SO-2"))


async def test_what_is_worked_off_counts_no_more(world: World) -> None:
    """A quota of two takes a hundred that flow: what counts is what waits, not what came."""
    await world.apply(files=with_quota(tenant="{messages_max: 2}"))
    for number in range(20):
        await world.hand_in("erp", order(f"SO-{number}"))
        world.clock.move_to(world.clock.now().replace(microsecond=0).replace(second=(number + 1) * 2))

    assert 20 == len(world.partner("reno").pushed)


async def test_a_disk_that_is_almost_full_stops_intake_only(world: World) -> None:
    """Nothing new is taken in; what waits is sent, and people read. With room to spare it resumes by itself."""
    outage = await world.hub.declare_outage("acme", "reno", "alice", "")
    await world.hand_in("erp", order("SO-1"))
    free = [100_000_000]
    world.hub.sending.spool._free_bytes = lambda: free[0]
    await world.hub.tick()
    with pytest.raises(DiskAlmostFull) as refused:
        await world.hand_in("erp", order("SO-2"))
    assert "XD-SYS-016" == refused.value.code and refused.value.retry_after_seconds
    await world.hub.end_outage("acme", outage.outage_id, "alice")
    await world.hub.settle()
    assert [("fulfillment_request", "sent")] == world.outbound("reno")

    free[0] = 250_000_000
    await world.hub.tick()
    with pytest.raises(DiskAlmostFull):
        await world.hand_in("erp", order("SO-2"))
    free[0] = 300_000_000
    await world.hub.tick()
    await world.hand_in("erp", order("SO-2"))

    assert 2 == len(world.partner("reno").pushed)


async def test_quotas_stand_in_the_pack(world: World) -> None:
    """The control of the helper: a quota that is none is refused when the pack is applied."""
    from crossdock.errors import ConfigurationError

    with pytest.raises(ConfigurationError):
        await world.apply(files=with_line(with_quota(tenant="{messages_max: 4}"), "pack.yaml", "_max: 4", "_max: -1"))
