"""What one order costs from release to invoice, and whether that grows with the record.

    python -m bench.cost [--url sqlite:///…] [--orders 0,10000,100000] [--json]

The real hub runs in this process, with partners in memory. For each size the record is filled up with copies of a
finished order (`bench.filling`), then orders are run on top: one at a time for the latency of a lifecycle, some
side by side for CPU, commits and log. Rows are those one order leaves; bytes are the growth of the record by its copies,
indexes included. The console's pages are timed on the same record, and on SQLite every statement used is explained: one
that looks through a whole table that grows is named.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from bench import filling, lifecycle
from bench.storage_path import MemoryPartner, settings
from crossdock.bootstrap import Hub, collector
from crossdock.connectors import registry
from crossdock.flow.ingest import InboundOffer
from crossdock.simulator.load import job, limits
from crossdock.store.engine import Connection
from crossdock.views import journal, order_timeline, orders_list, overview, search

ALONE, SIDE_BY_SIDE, REPEATS = 30, 64, 4
# Tables that have a row for every order, message or event; the others stay small.
GROWING = (*filling.TABLES, "interchanges", "sent_sets", "issues")
_SCAN = re.compile(r"^SCAN (\w+)")


class CostModel:
    """Measures one record at growing sizes."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        # Real orders are numbered far behind the copies.
        self._next = 500_000_000
        self._filled = 1
        self._copier: filling.Copier | None = None
        self._rows: dict[str, int] = {}
        self._bytes = 0.0

    async def prepare(self) -> None:
        """Give the sites their stock, run the template, note what it left."""
        await self._send(lifecycle.stock())
        before = await self._hub.store.read(filling.rows_of)
        await self._live([int(filling.TEMPLATE)])
        after = await self._hub.store.read(filling.rows_of)
        self._copier = await self._hub.store.read(lambda connection: filling.Copier(connection, before, after))
        self._rows = self._copier.rows

    async def fill(self, orders: int) -> float:
        """Fill the record up to so many finished orders; return the seconds that took."""
        assert self._copier is not None
        copier, began, size, first = self._copier, time.perf_counter(), await self._size(), self._filled + 1
        while self._filled < orders:
            start, count = self._filled + 1, min(filling.CHUNK, orders - self._filled)
            await self._hub.pipeline.write(lambda c, start=start, count=count: copier.copy(c, start, count))  # type: ignore[misc]
            self._filled += count
        if self._filled >= first + 999:
            self._bytes = (await self._size() - size) / (self._filled - first + 1)
        if self._hub.store.engine != "sqlite":
            await self._hub.pipeline.write(lambda connection: connection.execute("analyze"))
        return time.perf_counter() - began

    async def measure(self) -> dict[str, Any]:
        """Run orders on top of what is there."""
        await self._live(self._numbers(8))
        alone = []
        for number in self._numbers(ALONE):
            began = time.perf_counter()
            await self._live([number])
            alone.append((time.perf_counter() - began) * 1000)
        before = await self._counted()
        cpu, began, runs = [], time.perf_counter(), 0
        for _ in range(REPEATS):
            spent = time.process_time()
            await self._live(self._numbers(SIDE_BY_SIDE))
            cpu.append((time.process_time() - spent) / SIDE_BY_SIDE * 1e6)
            runs += SIDE_BY_SIDE
        seconds = time.perf_counter() - began
        after = await self._counted()
        found = {
            "engine": self._hub.store.engine,
            "orders": self._filled,
            "alone_ms": statistics.median(alone),
            "alone_ms_least": min(alone),
            "alone_ms_most": max(alone),
            "cpu_microseconds": statistics.median(cpu),
            "per_second_side_by_side": runs / seconds,
            "rows": float(sum(self._rows.values())),
            "rows_by_table": self._rows,
            "bytes": self._bytes,
            "commits": (after[0] - before[0]) / runs,
            "wal_bytes": (after[1] - before[1]) / runs,
            "documents_in": lifecycle.DOCUMENTS_IN,
            "documents_out": self._rows["outbound_messages"],
            "pages_ms": await self._pages(),
        }
        if self._hub.store.engine == "sqlite":
            found["scans"] = await self._scans()
        return found

    def _numbers(self, count: int) -> list[int]:
        self._next += count
        return list(range(self._next - count, self._next))

    async def _live(self, numbers: list[int]) -> None:
        for step in lifecycle.STEPS:
            await self._send([one for number in numbers for one in lifecycle.documents(number, step)])

    async def _send(self, documents: Iterable[tuple[str, bytes]]) -> None:
        await self._hub.ingest_many(
            [InboundOffer(job.TENANT, door, content, "application/json") for door, content in documents]
        )
        await self._hub.settle()

    async def _counted(self) -> tuple[int, float]:
        written = await self._hub.pipeline.write(limits.wal_bytes_written)
        return self._hub.store.commits(), written

    async def _size(self) -> float:
        def size(connection: Connection) -> float:
            if connection.engine == "sqlite":
                row = connection.one("select page_count * page_size from pragma_page_count, pragma_page_size")
            else:
                row = connection.one("select pg_database_size(current_database())")
            assert row is not None
            return float(row[0])

        return await self._hub.store.read(size)

    # -- pages and plans

    def _page_loads(self) -> dict[str, Callable[[Connection], Any]]:
        configuration = self._hub.tenancy.require(job.TENANT)
        now, tenant = datetime.now(UTC), job.TENANT
        order = lifecycle.order_number(max(1, self._filled // 2))
        everything = orders_list.Filter()
        return {
            "orders": lambda c: orders_list.load(c, tenant, everything, configuration=configuration, now=now),
            "facets": lambda c: orders_list.facets(c, tenant, everything, configuration=configuration),
            "order": lambda c: order_timeline.load(c, tenant, order, configuration=configuration, now=now),
            "search": lambda c: search.find(c, tenant, f"PO-{max(1, self._filled // 2):09d}"),
            "overview": lambda c: overview.load(c, tenant, configuration=configuration, now=now),
            "journal": lambda c: journal.page(c, tenant),
        }

    async def _pages(self) -> dict[str, float]:
        found = {}
        for name, load in self._page_loads().items():
            times = []
            for _ in range(5):
                began = time.perf_counter()
                await self._hub.store.read(load)
                times.append((time.perf_counter() - began) * 1000)
            found[name] = statistics.median(times)
        return found

    async def _scans(self) -> list[str]:
        """Explain every statement of one lifecycle and of the pages; return those that look through what grows."""
        seen: dict[str, str] = {}

        def watch(connection: Any, where: str) -> None:
            def note(_cursor: Any, sql: str, _bindings: Any) -> bool:
                seen.setdefault(sql, where)
                return True

            connection.raw.exec_trace = note if where else None

        await self._hub.pipeline.write(lambda connection: watch(connection, "lifecycle"))
        await self._live(self._numbers(2))
        await self._hub.pipeline.write(lambda connection: watch(connection, ""))
        for name, load in self._page_loads().items():

            def traced(connection: Connection, name: str = name, load: Callable[[Connection], Any] = load) -> None:
                watch(connection, f"page {name}")
                try:
                    load(connection)
                finally:
                    watch(connection, "")

            await self._hub.store.read(traced)
        return await self._hub.store.read(lambda connection: _scans_of(connection, seen))


def _scans_of(connection: Any, seen: dict[str, str]) -> list[str]:
    found = []
    for sql, where in seen.items():
        if not sql.lstrip().lower().startswith(("select", "update", "delete", "insert", "with")):
            continue
        placeholders = sql.count("?")
        plan = connection.raw.execute("explain query plan " + sql, [None] * placeholders).fetchall()
        for *_, detail in plan:
            table = _SCAN.match(detail)
            # A scan of an index with a condition on it is a range; only that of a whole table or index is meant.
            if table is not None and table.group(1) in GROWING:
                found.append(f"{where}: {detail}: {' '.join(sql.split())[:160]}")
    return found


async def run(url: str, folder: str, sizes: list[int]) -> list[dict[str, Any]]:
    """Return what an order costs at each size of the record."""
    registry.create = lambda kind, context: MemoryPartner()
    hub = await Hub.start(settings(url, folder))
    try:
        await hub.apply_pack(job.TENANT, lifecycle.pack(), "bench")
        model = CostModel(hub)
        await model.prepare()
        collector.settle()
        found = []
        for size in sizes:
            seconds = await model.fill(size)
            one = {**await model.measure(), "filled_in_seconds": seconds}
            print(f"    {one['engine']}, {size:,} orders: {_line(one)}", file=sys.stderr, flush=True)
            found.append(one)
        return found
    finally:
        await hub.stop()


def _line(one: dict[str, Any]) -> str:
    pages = ", ".join(f"{name} {value:.1f}" for name, value in one["pages_ms"].items())
    return (
        f"{one['alone_ms']:.1f} ms alone, {one['cpu_microseconds']:,.0f} µs CPU, {one['rows']:.0f} rows,"
        f" {one['bytes'] / 1e3:.1f} KB, {one['commits']:.3f} commits, log {one['wal_bytes'] / 1e3:.1f} KB;"
        f" pages in ms: {pages}; filled in {one['filled_in_seconds']:.0f} s"
    )


def main() -> int:
    """Measure; print lines for people or one line of JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cost", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="", help="an EMPTY record; without it a SQLite file that is removed")
    parser.add_argument("--orders", default="0,10000,100000", help="sizes of the record, growing")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    asked = parser.parse_args()
    sizes = sorted(int(one) for one in asked.orders.split(","))
    with tempfile.TemporaryDirectory(prefix="crossdock-cost-") as folder:
        found = uvloop.run(run(asked.url or f"sqlite:///{Path(folder)}/hub.db", folder, sizes))
    if asked.json:
        print(json.dumps(found))
    for one in found:
        for scan in one.get("scans", ()):
            print(f"  looks through everything: {scan}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
