"""Bulk replay: everything shown before anything happens, then just that: throttled, pausable, resumable, idempotent."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from datetime import timedelta
from typing import Any

import pytest

from crossdock.errors import Conflict, CrossdockError, NotFound
from crossdock.flow import replay_jobs
from crossdock.flow.replay_jobs import Filter
from crossdock.governance import audit
from tests.scenarios.flow.world import World, order, pack_files, shipment, with_line

UPPER = ("maps/erp-order.yaml", "name: name", "name: upper(name)")
READS_ANY = ("maps/erp-order.yaml", "required(number(line.qty))", "3")


def state_hash(world: World, tenant: str = "acme") -> str:
    """The final state: orders, stock, stock reports, every effect at a partner and every fact of the business.

    What the journal tells of papers is left out: a second run of a bad paper judges it once more, and says so.
    """
    tables = (
        "select kind, key, status, state from aggregates where tenant_id = ? order by kind, key",
        "select site, sku, on_hand, reserved from inventory where tenant_id = ? order by site, sku",
        "select report, site, digest from stock_reports where tenant_id = ? order by report, site",
        (
            "select request_key, connection_id, digest, state from outbound_messages where tenant_id = ?"
            " order by request_key, connection_id"
        ),
        (
            "select type, subject, data from events where tenant_id = ? and type not like 'crossdock.document.%'"
            " order by position"
        ),
    )
    rows = [
        [[bytes(v) if isinstance(v, memoryview) else v for v in r] for r in world.query(t, (tenant,))] for t in tables
    ]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


async def plan(world: World, under: Any = "current", tenant: str = "acme", **more: Any) -> Any:
    release = {name: more.pop(name) for name in ("release_id", "files") if name in more}
    return await world.hub.repair.plan(tenant, Filter(**more), under, **release)


async def start(world: World, digest: str, under: Any = "current", per_second: float = 100.0, **more: Any) -> Any:
    taken = {name: more.pop(name) for name in ("release_id", "files", "reason") if name in more}
    return await world.hub.repair.start(
        "acme", Filter(**more), under, digest, actor="anna", per_second=per_second, **taken
    )


async def ended(world: World, job_id: str) -> Any:
    """Let a job run to its end."""
    for _ in range(100):
        await world.later(seconds=1)
        job, _ = await world.hub.repair.job("acme", job_id)
        if job.ended_at is not None:
            return job
    raise AssertionError("the job does not end")


async def a_day(world: World) -> None:
    """Orders, a shipment, a rejected paper and one nobody can read."""
    for number in ("SO-1", "SO-2", "SO-3"):
        await world.hand_in("erp", order(number))
    await world.hand_in("reno", shipment("S-1", "SO-1"))
    await world.hand_in("erp", order("SO-4", ("HAMMER", "many")))
    await world.hand_in("erp", b"{")


@pytest.mark.parametrize("under", ["original", "current"])
async def test_replaying_a_day_twice_gives_the_same_state(world: World, under: str) -> None:
    """Nothing new follows from what was known: the hash after one replay and after two is the one before."""
    await a_day(world)
    before = state_hash(world)
    ledger = {place: dict(partner.effects) for place, partner in world.partners.items()}
    for _ in range(2):
        made = await plan(world, under, state="processed")
        await ended(world, (await start(world, made.digest, under, state="processed")).job_id)
        assert before == state_hash(world)

    assert ledger == {place: dict(partner.effects) for place, partner in world.partners.items()}


@pytest.mark.parametrize("meanwhile", ["something else", "one more of these"])
async def test_planning_a_start_keeps_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """While a start is planned the hub takes in and works; what then fits the filter too makes the plan a stale one."""
    await a_day(world)
    made = await plan(world, connection_id="erp", state="processed")
    planning, go_on = threading.Event(), threading.Event()
    plan_of = replay_jobs.plan

    def slowly(*arguments: Any) -> Any:
        found = plan_of(*arguments)
        planning.set()
        assert go_on.wait(20), "nothing was taken in while the start was planned"
        return found

    monkeypatch.setattr(replay_jobs, "plan", slowly)
    starting = asyncio.ensure_future(start(world, made.digest, connection_id="erp", state="processed"))
    await asyncio.to_thread(planning.wait, 20)
    async with asyncio.timeout(10):
        if meanwhile == "something else":
            await world.hand_in("reno", shipment("S-2", "SO-2"))
        else:
            await world.hand_in("erp", order("SO-9"))
    go_on.set()

    if meanwhile == "something else":
        assert made.messages == (await starting).total
    else:
        with pytest.raises(replay_jobs.StalePlan):
            await starting


async def test_the_hash_sees_one_more_effect(world: World) -> None:
    """The positive control: an order more, or a repaired one, and the hash is another."""
    await a_day(world)
    before = state_hash(world)
    await world.apply(files=with_line(pack_files(), *READS_ANY))
    made = await plan(world, document_state="rejected", code="XD-MAP-012")
    await ended(world, (await start(world, made.digest, document_state="rejected", code="XD-MAP-012")).job_id)

    assert before != state_hash(world)
    assert ["applied"] == world.column("select state from documents where subject = 'order/SO-4'")


async def test_a_plan_shows_differences_renderings_and_effects_and_writes_nothing(world: World) -> None:
    """Canonical fields that change, what partners were told and would be told otherwise, and what they would hear."""
    await a_day(world)
    files = with_line(with_line(pack_files(), *UPPER), *READS_ANY)
    files = with_line(files, "maps/reno-ticket.yaml", "site: site", "site: site + '!'")
    before = world.dump()
    made = await plan(world, "candidate", connection_id="erp", state="processed", files=files)

    assert before == world.dump()
    changed = {d.pointer: (d.before, d.after) for document in made.documents for d in document.differences}
    assert ("Blue Fern Cafe", "BLUE FERN CAFE") == changed["/ship_to/name"]
    assert [("fulfillment_request:SO-4-1", False)] == [
        (effect.key, effect.exists) for effect in made.effects if effect.kind == "fulfillment_request"
    ]
    rendered = {one.key: [(d.pointer, d.before, d.after) for d in one.differences] for one in made.renderings}
    assert [("/site", "RENO", "RENO!")] == rendered["fulfillment_request:SO-1-1"]


async def test_what_was_shown_is_what_happens(world: World) -> None:
    """Under a candidate that is not active: the planned effects happen, the planned states come true, nothing else."""
    await a_day(world)
    active = world.column("select release_id from active_releases")
    files = with_line(pack_files(), *READS_ANY)
    wanted = {"document_state": "rejected", "code": "XD-MAP-012"}
    made = await plan(world, "candidate", files=files, **wanted)
    told = {partner: set(one.effects) for partner, one in world.partners.items()}
    job = await ended(world, (await start(world, made.digest, "candidate", files=files, **wanted)).job_id)

    assert (1, 1, 0, 0) == (job.total, job.done, job.failed, job.deviated)
    new = {key for partner, one in world.partners.items() for key in set(one.effects) - told.get(partner, set())}
    assert {effect.key for effect in made.effects if not effect.exists and effect.connections} == new
    assert active == world.column("select release_id from active_releases")
    assert [job.release_id] == world.column("select release_id from documents where subject = 'order/SO-4'")


async def test_a_plan_that_no_longer_holds_is_not_run(world: World) -> None:
    """Another message came meanwhile: the run is refused with its code, and not one row is written."""
    await a_day(world)
    made = await plan(world, connection_id="erp")
    await world.hand_in("erp", order("SO-9"))
    before = world.dump()
    with pytest.raises(Conflict) as caught:
        await start(world, made.digest, connection_id="erp")

    assert ("XD-API-010", before) == (caught.value.code, world.dump())


async def test_a_job_keeps_its_rate(world: World) -> None:
    """Two in a second: the first at once, then no more than the rate allows at any moment."""
    await a_day(world)
    made = await plan(world, state="processed")
    job = await start(world, made.digest, state="processed", per_second=2.0)
    ran = []
    for _ in range(3):
        await world.hub.advance()
        ran.append((await world.hub.repair.job("acme", job.job_id))[0].done)
        world.clock.move_to(world.clock.now() + timedelta(milliseconds=500))

    assert [1, 2, 3] == ran


async def test_a_job_is_paused_resumed_and_cancelled(world: World) -> None:
    """Paused it does nothing; resumed it goes on at its rate, not in a burst; cancelled it never goes on."""
    await a_day(world)
    made = await plan(world, state="processed")
    job = await start(world, made.digest, state="processed", per_second=1.0)
    await world.hub.advance()
    await world.hub.repair.move("acme", job.job_id, "pause", actor="anna")
    await world.later(seconds=60)
    assert 1 == (await world.hub.repair.job("acme", job.job_id))[0].done

    await world.hub.repair.move("acme", job.job_id, "resume", actor="anna")
    await world.hub.advance()
    assert 2 == (await world.hub.repair.job("acme", job.job_id))[0].done
    await world.hub.repair.move("acme", job.job_id, "cancel", actor="anna", reason="enough")
    await world.later(seconds=60)
    done, _ = await world.hub.repair.job("acme", job.job_id)
    assert ("cancelled", 2) == (done.state, done.done)
    with pytest.raises(Conflict):
        await world.hub.repair.move("acme", job.job_id, "resume", actor="anna")
    entries = await world.hub.store.read(lambda connection: audit.entries(connection, "acme"))
    assert ["replay.cancel", "replay.resume", "replay.pause", "replay.start"] == [
        entry.action for entry in entries if entry.action.startswith("replay.")
    ]


async def test_a_job_goes_on_after_a_kill(world: World) -> None:
    """Killed in the middle: the next start runs the rest, each message once."""
    await a_day(world)
    before = state_hash(world)
    made = await plan(world, state="processed")
    job = await start(world, made.digest, state="processed", per_second=1.0)
    await world.hub.advance()
    await world.later(seconds=1)
    await world.restart()
    done = await ended(world, job.job_id)

    assert ("done", made.messages, 1) == (done.state, done.done, done.failed)
    runs = world.column("select count(*) from documents where replay_of <> '' group by replay_of")
    assert ({1}, before) == (set(runs), state_hash(world))


async def test_one_that_fails_is_counted_and_keeps_no_other(world: World) -> None:
    """Nothing was corrected: the bad ones fail again, the good ones run."""
    await a_day(world)
    made = await plan(world, connection_id="erp")
    job = await ended(world, (await start(world, made.digest, connection_id="erp")).job_id)
    _, failed = await world.hub.repair.job("acme", job.job_id)

    assert (5, 5, 2) == (job.total, job.done, job.failed)
    assert 2 == len(failed)


async def test_many_say_why(world: World) -> None:
    """Above the limit a reason is required; with one it runs."""
    await a_day(world)
    settings = world.hub.settings
    import msgspec

    world.hub.settings = msgspec.structs.replace(
        settings, replay=msgspec.structs.replace(settings.replay, reason_required_above=2)
    )
    made = await plan(world, connection_id="erp")
    with pytest.raises(CrossdockError) as caught:
        await start(world, made.digest, connection_id="erp", reason=" ")
    assert "XD-API-011" == caught.value.code

    assert "running" == (await start(world, made.digest, connection_id="erp", reason="new map")).state


@pytest.mark.parametrize("wanted", [{}, {"partner": "nobody"}])
async def test_a_filter_takes_something_and_not_everything(world: World, wanted: dict[str, str]) -> None:
    """An empty filter would take everything, and one that finds nothing is a mistake: both are refused."""
    await a_day(world)
    with pytest.raises(CrossdockError) as caught:
        await plan(world, **wanted)

    assert "XD-API-012" == caught.value.code


async def test_filters_find_what_they_say(world: World) -> None:
    """Partner, type, time, issue, code and states, alone and together."""
    await a_day(world)
    later = world.clock.now() + timedelta(minutes=5)
    world.clock.move_to(later)
    await world.hand_in("erp", order("SO-8"))
    (document_type,) = set(
        world.column("select type from documents where subject = 'order/SO-1' and map = 'erp-order'")
    )
    partner = world.column("select distinct partner from inbound_messages where connection_id = 'reno'")[0]

    assert 1 == (await plan(world, received_from=later)).messages
    assert 6 == (await plan(world, received_until=later)).messages
    assert 1 == (await plan(world, partner=partner)).messages
    assert 1 == (await plan(world, state="failed")).messages
    assert 1 == (await plan(world, issue_id=world.issue_id("XD-MAP-012"))).messages
    assert 1 == (await plan(world, code="XD-MAP-012", document_type=document_type)).messages


async def test_foreign_jobs_and_messages_look_absent(world: World) -> None:
    """Another tenant finds none of it."""
    await world.apply("globex")
    await a_day(world)
    made = await plan(world, connection_id="erp")
    job = await start(world, made.digest, connection_id="erp", per_second=1.0)
    with pytest.raises(CrossdockError):
        await plan(world, tenant="globex", connection_id="erp")
    with pytest.raises(NotFound):
        await world.hub.repair.move("globex", job.job_id, "cancel", actor="eve")

    assert [] == await world.hub.repair.jobs("globex")
