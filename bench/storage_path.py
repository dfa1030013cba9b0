"""The storage-only ceiling: the hub's own cycle, with documents handed in some at a time and sent in memory.

Everything of the product runs but the two HTTP sides: store, translate, decide, render, reserve, book; what is pushed
is taken by a partner in memory. `python -m bench.storage_path URL FOLDER EVENTS BATCH` prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import uvloop

from crossdock.bootstrap import Hub, collector
from crossdock.config import load_settings
from crossdock.connectors import registry
from crossdock.flow.ingest import InboundOffer
from crossdock.sdk import CheckResult, FindResult, Outbound, Pulled, PushResult
from crossdock.simulator.load import job, limits

_DONE = PushResult("done", http_status=200)


class StoragePath(msgspec.Struct, kw_only=True):
    """What one run made: events a second, and for each event CPU (µs), commits and bytes of the write-ahead log."""

    batch: int
    events: int
    per_second: float
    cpu_microseconds: float
    commits: float
    wal_bytes: float
    sent: int


class MemoryPartner:
    """Takes every push at once and counts it."""

    def __init__(self) -> None:
        self.sent = 0

    async def check(self) -> CheckResult:
        return CheckResult(True, "in memory")

    async def pull(self) -> AsyncIterator[Pulled]:
        for pulled in ():
            yield pulled

    async def push(self, outbound: Outbound) -> PushResult:
        self.sent += 1
        return _DONE

    async def find(self, outbound: Outbound) -> FindResult:
        return FindResult("found")

    async def close(self) -> None:
        return None


async def measure(url: str, folder: str, events: int, batch: int) -> StoragePath:
    """Hand in so many events, `batch` at a time; return once the last one is sent and booked."""
    partner = MemoryPartner()
    registry.create = lambda kind, context: partner
    hub = await Hub.start(settings(url, folder))
    try:
        await hub.apply_pack(job.TENANT, job.pack("http://127.0.0.1:9/events"), "bench")
        events -= events % job.EVENTS_PER_ORDER
        await _hand_in(hub, job.order, range(events // job.EVENTS_PER_ORDER), 256)
        collector.settle()
        offers = _offers(job.event, range(events))
        before = await hub.pipeline.write(limits.wal_bytes_written), hub.store.commits(), partner.sent
        cpu, began = time.process_time(), time.perf_counter()
        for first in range(0, events, batch):
            await hub.ingest_many(offers[first : first + batch])
        await hub.settle()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        commits = hub.store.commits() - before[1]
        written = await hub.pipeline.write(limits.wal_bytes_written) - before[0]
        return StoragePath(
            batch=batch,
            events=events,
            per_second=events / seconds,
            cpu_microseconds=cpu / events * 1e6,
            commits=commits / events,
            wal_bytes=written / events,
            sent=partner.sent - before[2],
        )
    finally:
        await hub.stop()


async def _hand_in(hub: Hub, render: Callable[[int], bytes], numbers: range, batch: int) -> None:
    offers = _offers(render, numbers)
    for first in range(0, len(offers), batch):
        await hub.ingest_many(offers[first : first + batch])
    await hub.settle()


def _offers(render: Callable[[int], bytes], numbers: range) -> list[InboundOffer]:
    return [InboundOffer(job.TENANT, "wms", render(number), "application/json") for number in numbers]


def settings(url: str, folder: str) -> Any:
    return load_settings(
        environment={},
        overrides={
            "store.url": url,
            "web.port": 0,
            "security.root_key_file": f"{folder}/root.key",
            "security.allow_private_networks": ["127.0.0.0/8"],
            "log.level": "error",
        },
    )


if __name__ == "__main__":
    found = uvloop.run(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    sys.stdout.write(json.dumps(msgspec.to_builtins(found)) + "\n")
