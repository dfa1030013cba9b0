"""Runs retention: batch after batch in small transactions of their own, with rests, so that no cycle waits for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import msgspec
import structlog

from ..durable.identity import Clock, to_micros
from ..durable.retention import DAY_MICROS, Periods, first_id, periods_of
from ..errors import NotFound
from ..governance import audit
from ..governance.configuration import Configuration
from ..store import retention as store
from ..store.engine import Connection
from ..store.retention import Seen

log = structlog.get_logger()

EVERY = timedelta(hours=6)
BATCH_ROWS = 200
# It rests this many times as long as a batch took: at most a fifth of the writer's time is spent on it.
REST_FACTOR = 4.0
VACUUM_PAGES = 200

Batch = Callable[[Connection, Any], Seen]


class Removed(msgspec.Struct, frozen=True):
    """What one kind lost, or (dry run) would lose. `kept_open`: old enough, but open work."""

    kind: str
    removed: int
    removed_bytes: int = 0
    kept_open: int = 0


class RetentionReport(msgspec.Struct, frozen=True):
    """One run of a tenant."""

    dry_run: bool
    removed: tuple[Removed, ...]


class Records(Protocol):
    """The two doors to the record it needs."""

    async def read(self, function: Callable[[Connection], Any]) -> Any: ...


class Retention:
    """Lives on the hub's event loop."""

    def __init__(
        self,
        *,
        records: Records,
        write: Callable[..., Awaitable[Any]],
        clock: Clock,
        tenants: Callable[[], Iterable[str]],
        configuration: Callable[[str], Configuration | None],
    ) -> None:
        self._records = records
        self._write = write
        self._clock = clock
        self._tenants = tenants
        self._configuration = configuration
        self._due_at = clock.now()
        self._running = asyncio.Lock()

    def due(self) -> bool:
        """Tell, once every few hours, that it is time."""
        now = self._clock.now()
        if now < self._due_at or self._running.locked():
            return False
        self._due_at = now + EVERY
        return True

    async def run_all(self) -> None:
        """Run every tenant; one that fails keeps nobody else from it."""
        for tenant_id in list(self._tenants()):
            try:
                await self.run(tenant_id, dry_run=False, actor="retention")
            except Exception as error:  # noqa: BLE001 - the worker: it is tried again at the next time
                log.error("retention.failed", tenant_id=tenant_id, error=repr(error))

    async def run(self, tenant_id: str, *, dry_run: bool, actor: str) -> RetentionReport:
        """Remove what the tenant's pack no longer keeps; with `dry_run` only say what that would be."""
        configuration = self._configuration(tenant_id)
        if configuration is None:
            raise NotFound(f"There is no tenant {tenant_id}")
        periods = periods_of(
            configuration.head.retention, {one.connection: one.retention for one in configuration.connections.values()}
        )
        if periods.keeps_everything():
            return RetentionReport(dry_run, ())
        if dry_run:
            return RetentionReport(True, await self._stages(tenant_id, periods, self._look, dry=True))
        async with self._running:
            removed = await self._stages(tenant_id, periods, self._remove, dry=False)
            if removed:
                await self._write(partial(self._enter, tenant_id=tenant_id, removed=removed, actor=actor))
                await self._give_back()
        return RetentionReport(False, removed)

    async def _stages(
        self, tenant_id: str, periods: Periods, run: Callable[[Batch, Any], Awaitable[Seen]], *, dry: bool
    ) -> tuple[Removed, ...]:
        found = []
        for kind, batch, start in _plan(tenant_id, periods, to_micros(self._clock.now()), dry=dry):
            total = Seen()
            place: Any = start
            while place is not None:
                seen = await run(batch, place)
                total.removed += seen.removed
                total.removed_bytes += seen.removed_bytes
                total.kept_open += seen.kept_open
                place = seen.after
            if total.removed or total.kept_open:
                found.append(Removed(kind, total.removed, total.removed_bytes, total.kept_open))
        return tuple(found)

    async def _look(self, batch: Batch, place: Any) -> Seen:
        found: Seen = await self._records.read(lambda connection: batch(connection, place))
        return found

    async def _remove(self, batch: Batch, place: Any) -> Seen:
        seconds = 0.0

        def timed(connection: Connection) -> Seen:
            nonlocal seconds
            began = self._clock.monotonic()
            seen = batch(connection, place)
            seconds = self._clock.monotonic() - began
            return seen

        seen: Seen = await self._write(timed)
        await asyncio.sleep(seconds * REST_FACTOR)
        return seen

    def _enter(self, connection: Connection, tenant_id: str, removed: tuple[Removed, ...], actor: str) -> None:
        audit.append(
            connection,
            tenant_id,
            actor=actor,
            action="retention.run",
            object=tenant_id,
            detail=msgspec.to_builtins(removed),
            at=self._clock.now(),
        )

    async def _give_back(self) -> None:
        while await self._write(lambda connection: store.give_back(connection, VACUUM_PAGES)):
            """A piece at a time: cycles come in between."""


def _plan(tenant_id: str, periods: Periods, now: int, *, dry: bool) -> list[tuple[str, Batch, Any]]:
    """Return the stages of a run: the name, the batch, and where it begins. Bytes go before rows."""
    stages: list[tuple[str, Batch, Any]] = []

    def cut(days: int) -> int:
        return now - days * DAY_MICROS

    def is_old(of: Callable[[str], int | None]) -> store.IsOld:
        limits: dict[str, str] = {}

        def old(connection_id: str, message_id: str) -> bool:
            if connection_id not in limits:
                days = of(connection_id)
                limits[connection_id] = "" if days is None else first_id("msg", cut(days))
            return message_id < limits[connection_id]

        return old

    if (days := periods.shortest("payloads")) is not None:
        bytes_old, bytes_before = is_old(periods.payload_days), first_id("msg", cut(days))
        stages.append(
            (
                "payloads",
                lambda connection, after: store.payloads(
                    connection, tenant_id, after, bytes_before, bytes_old, now, BATCH_ROWS, dry=dry
                ),
                "",
            )
        )
    if (days := periods.shortest("messages")) is not None:
        rows_old, rows_before = is_old(periods.message_days), first_id("msg", cut(days))
        for kind, remove in (("inbound", store.inbound), ("outbound", store.outbound)):
            stages.append((kind, partial(_rows, remove, tenant_id, rows_before, rows_old, dry), ""))
    if periods.messages is not None:
        stages.append(("issues", partial(_timed, store.issues, tenant_id, cut(periods.messages), dry), ""))
    if periods.orders is not None:
        before = cut(periods.orders)
        stages.append(("orders", partial(_timed, store.aggregates, tenant_id, before, dry), (0, "")))
        stages.append(("events", partial(_timed, store.events, tenant_id, before, dry), -1))
    for period, days in (("messages", periods.messages), ("orders", periods.orders)):
        if days is not None:
            for table in store.SETTLED_ROWS[period]:
                stages.append((table, partial(_table, store.settled, table, tenant_id, cut(days), dry), ()))
    if periods.receipts is not None:
        for table in store.MEMORIES:
            stages.append((table, partial(_table, store.memories, table, tenant_id, cut(periods.receipts), dry), ()))
    return stages


def _rows(
    remove: Callable[..., Seen],
    tenant_id: str,
    before: str,
    old: store.IsOld,
    dry: bool,
    connection: Connection,
    after: Any,
) -> Seen:
    return remove(connection, tenant_id, after, before, old, BATCH_ROWS, dry=dry)


def _timed(
    remove: Callable[..., Seen], tenant_id: str, before: int, dry: bool, connection: Connection, after: Any
) -> Seen:
    return remove(connection, tenant_id, after, before, BATCH_ROWS, dry=dry)


def _table(
    remove: Callable[..., Seen],
    table: str,
    tenant_id: str,
    before: int,
    dry: bool,
    connection: Connection,
    after: Any,
) -> Seen:
    return remove(connection, table, tenant_id, after or None, before, 5 * BATCH_ROWS, dry=dry)
