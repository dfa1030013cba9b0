"""Fetching: bounded in time and bytes, and nothing acknowledged that is not durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from crossdock.durable.identity import ManualClock
from crossdock.errors import PermanentError
from crossdock.flow.collect import BATCH_BYTES_MAX, BATCH_MAX, Collector
from crossdock.flow.ingest import InboundOffer, IngestAnswer
from crossdock.sdk import Pulled


class Partner:
    """Yields what it is given, then raises, hangs or ends."""

    def __init__(self, *contents: bytes, error: Exception | None = None, hangs: bool = False) -> None:
        self.contents, self.error, self.hangs = contents, error, hangs
        self.acknowledged: list[str] = []
        self.closed = False

    async def pull(self) -> AsyncIterator[Pulled]:
        try:
            for number, content in enumerate(self.contents):
                yield Pulled(content, f"{number}.json", "application/json", self._acknowledgment(f"{number}.json"))
            if self.hangs:
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True

    def _acknowledgment(self, name: str):  # type: ignore[no-untyped-def]
        async def acknowledge() -> None:
            self.acknowledged.append(name)

        return acknowledge


class Hub:
    """A collector with one partner, and what it handed in."""

    def __init__(self, partner: Partner) -> None:
        self.batches: list[list[str]] = []
        self.failures: list[str] = []

        @asynccontextmanager
        async def connector_of(tenant_id: str, connection_id: str) -> AsyncIterator[Partner]:
            yield partner

        self.collector = Collector(
            clock=ManualClock(datetime(2026, 11, 23, 14, 0, tzinfo=UTC)),
            connector_of=connector_of,
            ingest_many=self._take,
            failed=lambda tenant_id, connection_id, error: self.failures.append(error),
            stop_grace_seconds=0.01,
        )

    async def _take(self, offers: list[InboundOffer]) -> list[IngestAnswer]:
        self.batches.append([offer.name for offer in offers])
        return []

    async def poll(self, seconds: float = 30.0) -> None:
        """Run one poll to its end."""
        self.collector.watch("acme", {"reno": 1.0}, {"reno": seconds})
        self.collector.tick()
        async with asyncio.timeout(10):
            await asyncio.gather(*self.collector._running.values(), return_exceptions=True)


async def test_a_pull_that_hangs_ends_and_keeps_what_came_before() -> None:
    """An item that does not come in time ends the poll with a reason; what came before it is stored."""
    partner = Partner(b"a", b"b", hangs=True)
    hub = Hub(partner)

    await hub.poll(seconds=0.01)

    assert ([["0.json", "1.json"]], ["0.json", "1.json"]) == (hub.batches, partner.acknowledged)
    assert ["the partner did not hand over an item within 0.04 s"] == hub.failures
    assert partner.closed and not hub.collector.busy()


async def test_stop_ends_a_poll_that_hangs() -> None:
    """Stopping waits a moment for a poll and then ends it; what was not handed in is not acknowledged."""
    partner = Partner(b"a", hangs=True)
    hub = Hub(partner)
    hub.collector.watch("acme", {"reno": 1.0})
    hub.collector.tick()

    async with asyncio.timeout(5):
        await hub.collector.stop()

    assert (False, [], [], True) == (hub.collector.busy(), hub.batches, partner.acknowledged, partner.closed)


async def test_batches_are_bounded_by_number_and_by_bytes() -> None:
    """No batch holds more than 50 items, nor goes on after 8 MB."""
    large = b"x" * (BATCH_BYTES_MAX // 2)

    few, many = Hub(Partner(large, large, large)), Hub(Partner(*[b"x"] * (BATCH_MAX + 1)))
    await few.poll()
    await many.poll()

    assert ([2, 1], [BATCH_MAX, 1]) == tuple([len(batch) for batch in hub.batches] for hub in (few, many))


async def test_a_fault_of_any_kind_ends_one_poll_only() -> None:
    """Whatever a connector raises is told; the items before it are stored and the next poll comes."""
    for error in (PermanentError("no right"), ValueError("a bug of the connector")):
        hub = Hub(Partner(b"a", error=error))

        await hub.poll()
        hub.collector._clock.move_to(datetime(2026, 11, 23, 15, 0, tzinfo=UTC))  # type: ignore[attr-defined]
        await hub.poll()

        assert ([["0.json"]] * 2, [str(error)] * 2) == (hub.batches, hub.failures)
