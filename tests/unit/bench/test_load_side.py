"""The generator, the sink and the copies of an order: what a measurement stands on."""

from __future__ import annotations

from pathlib import Path

import uvloop

from bench import filling, lifecycle
from bench.storage_path import MemoryPartner, settings
from crossdock.bootstrap import Hub
from crossdock.connectors import registry
from crossdock.flow.ingest import InboundOffer
from crossdock.simulator.load import job
from crossdock.simulator.load.generator import _falls
from crossdock.simulator.load.measuring import quantile
from crossdock.simulator.load.sink import Arrivals


def test_the_sink_counts_each_event_once_and_sees_what_overtook():
    """A second arrival is a duplicate; an earlier event of an order behind a later one is a violation."""
    arrivals = Arrivals()
    for event in ("ev-000000002", "ev-000000001", "ev-000000002"):
        arrivals.take(b'{"id":"%s","orderId":"SO-1"}' % event.encode())

    assert (2, 1, 1) == (len(arrivals.first), arrivals.duplicates, arrivals.order_violations)


def test_the_sink_takes_an_array_apart():
    """The harness's own ceiling in batches is taken against it."""
    arrivals = Arrivals()
    arrivals.take(b"[" + b",".join(job.event(number) for number in range(7)) + b"]")

    assert (7, 0) == (len(arrivals.first), arrivals.order_violations)


def test_a_percentage_of_events_is_spread_evenly():
    """One in a hundred is ten of a thousand, in every run the same."""
    assert 10 == sum(_falls(number, 1.0) for number in range(1000))
    assert 0 == sum(_falls(number, 0.0) for number in range(1000))


def test_a_quantile_is_a_value_that_was_measured():
    """The 99.9th of few values is the largest."""
    assert 3.0 == quantile([1.0, 2.0, 3.0], 0.999)


def test_copies_of_an_order_are_whole_and_findable(tmp_path: Path, monkeypatch):
    """Every table holds its rows once more for each copy, and a copy is found by its own numbers only."""
    monkeypatch.setattr(registry, "create", lambda kind, context: MemoryPartner())

    async def story() -> None:
        hub = await Hub.start(settings(f"sqlite:///{tmp_path}/hub.db", str(tmp_path)))
        try:
            await hub.apply_pack(job.TENANT, lifecycle.pack(), "test")

            async def send(documents: list[tuple[str, bytes]]) -> None:
                await hub.ingest_many([InboundOffer(job.TENANT, *one, "application/json") for one in documents])
                await hub.settle()

            await send(lifecycle.stock())
            before = await hub.store.read(filling.rows_of)
            for step in lifecycle.STEPS:
                await send(lifecycle.documents(1, step))
            after = await hub.store.read(filling.rows_of)
            copier = await hub.store.read(lambda connection: filling.Copier(connection, before, after))
            await hub.pipeline.write(lambda connection: copier.copy(connection, 2, 10))
            full = await hub.store.read(filling.rows_of)
        finally:
            await hub.stop()
        grown = {table: len(full[table]) - len(after[table]) for table in filling.TABLES}
        assert {table: 10 * rows for table, rows in copier.rows.items()} == grown
        assert copier.rows["events"] > 10
        states = {row[2] for row in full["aggregates"] if row[1] == "order"}
        assert {lifecycle.order_number(number) for number in range(1, 12)} == states

    uvloop.run(story())
