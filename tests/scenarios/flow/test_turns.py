"""Cycles and everything else take turns on the event loop, and a cycle of a lost lease leaves nothing behind."""

from __future__ import annotations

import asyncio
import json

import pytest

from crossdock.flow.backlog import Backlog, Limits
from crossdock.flow.cycle import Cycle
from crossdock.flow.ingest import InboundOffer, IngestAnswer
from crossdock.flow.pipeline import Pipeline
from crossdock.flow.troubles import Troubles
from crossdock.governance.pack import ConnectionSpec
from crossdock.store.engine import CommitUnknown, StoreUnavailable
from tests.scenarios.flow.world import World, order


async def test_a_backlog_does_not_hold_the_event_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much waits and however quick the commits are, others have a turn after every cycle."""
    turns, cycles = 0, 0
    drain = Pipeline._drain

    def counted(self: Pipeline, *arguments: object) -> None:
        nonlocal cycles
        cycles += 1
        drain(self, *arguments)  # type: ignore[arg-type]

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    monkeypatch.setattr(Pipeline, "_drain", counted)
    monkeypatch.setattr("crossdock.store.sqlite.QUICK_COMMIT_SECONDS", 3_600.0)
    watching = asyncio.ensure_future(others())
    offers = [InboundOffer("acme", "erp", json.dumps(order(f"SO-{n}", ("DRILL", 1))).encode()) for n in range(1_600)]
    await world.hub.ingest_many(offers)
    watching.cancel()

    assert cycles >= 4
    assert turns >= cycles - 1


def _backlog() -> Backlog:
    return Backlog(
        lambda tenant_id, connection_id: (ConnectionSpec(connection_id, "erp", "http_json"), "rel"), Limits(), {}
    )


@pytest.mark.parametrize("error", [StoreUnavailable("away"), CommitUnknown("cut off")])
@pytest.mark.parametrize(("worker", "kept"), [(7, False), (8, True)])
async def test_a_cycle_of_a_lost_lease_is_not_taken_up(error: Exception, worker: int, kept: bool) -> None:
    """What it held is in the record and others' work; under the same lease (the control) it is tried again or settled.

    Its senders wait on where nothing was stored, and are told where nobody knows.
    """
    backlog = _backlog()
    troubles = Troubles(backlog, lambda: 8)
    future: asyncio.Future[IngestAnswer] = asyncio.get_running_loop().create_future()
    stored = object()
    cycle = Cycle(offers=[(InboundOffer("acme", "erp", b"{}"), future)], worker=worker)
    cycle.outcomes.append(stored)  # type: ignore[arg-type]
    await troubles.failed(cycle, error)

    assert kept == bool(backlog.outcomes or troubles.doubt)
    if not kept:
        assert isinstance(error, CommitUnknown) == future.done()
    if future.done():
        future.exception()
