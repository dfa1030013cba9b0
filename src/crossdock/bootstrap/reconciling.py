"""Runs reconciliation by its schedule and at a person's word, and watches the drifts of stock. On the event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from ..durable.identity import from_micros
from ..errors import CrossdockError, NotFound
from ..flow import reconciliation as runs
from ..flow import stock_watch
from ..governance.rule_files import reconciliation_rules, zone_of
from ..reconcile import report as reports
from ..reconcile.policy import Run
from ..reconcile.schedule import Cron
from ..store import reconciliation as store
from ..store.engine import Connection
from .each_tenant import for_each_tenant

if TYPE_CHECKING:
    from .hub import Hub

log = structlog.get_logger()

WATCH_EVERY = timedelta(seconds=15)
SIGNS = "reconciliation report"


class Reconciling:
    """What is due, and the acts of people."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._watch_due_at = hub.clock.now()
        # How far the open drifts of each tenant have been read; they are read in turns.
        self._read_to: dict[str, stock_watch.Place] = {}
        self._due: dict[tuple[str, str, str], datetime | None] = {}

    async def tick(self) -> None:
        """Judge drifts and make the runs that are due. One process of several does."""
        if not self._hub.does_chores():
            return
        now = self._hub.clock.now()
        if now >= self._watch_due_at:
            self._watch_due_at = now + WATCH_EVERY
            await self._each("stock_watch", lambda tenant_id: self._watch(tenant_id, now))
        await self._each("reconciliation", lambda tenant_id: self._run_due(tenant_id, now))

    async def _each(self, what: str, act: Callable[[str], Awaitable[None]]) -> None:
        await for_each_tenant(what, list(self._hub.tenancy.active()), act)

    async def _run_due(self, tenant_id: str, now: datetime) -> None:
        configuration = self._hub.configuration(tenant_id)
        for run in () if configuration is None else reconciliation_rules(configuration).runs:
            if run.cron and self._is_due(tenant_id, run, await self._last(tenant_id, run), now):
                try:
                    await self.run(tenant_id, run.run, "schedule")
                except CrossdockError as error:
                    log.error("reconciliation.failed", tenant_id=tenant_id, run=run.run, error=repr(error))

    async def _watch(self, tenant_id: str, now: datetime) -> None:
        configuration = self._hub.configuration(tenant_id)
        if configuration is None:
            return
        behind = self._read_to.get(tenant_id, stock_watch.BEGINNING)
        seen = await self._hub.store.read(lambda found: stock_watch.look(found, configuration, now, behind))
        self._read_to[tenant_id] = seen.read_to
        if seen:
            ids = self._hub.writer_ids
            await self._hub.pipeline.write(
                lambda connection: stock_watch.enter(connection, tenant_id, seen, ids=ids, now=now)
            )

    async def _last(self, tenant_id: str, run: Run) -> datetime | None:
        known = self._due.get((tenant_id, run.run, run.cron))
        if known is not None and known > self._hub.clock.now():
            return None
        found = await self._hub.store.read(lambda connection: store.last_run_of(connection, tenant_id, run.run))
        return None if found is None else from_micros(found)

    def _is_due(self, tenant_id: str, run: Run, last: datetime | None, now: datetime) -> bool:
        """Tell whether a run's time has come since it was last made, or since it was first seen here."""
        configuration = self._hub.configuration(tenant_id)
        assert configuration is not None
        key = (tenant_id, run.run, run.cron)
        cron, zone = Cron(run.cron), zone_of(configuration)
        due = self._due.get(key)
        if due is None:
            # What fell due while the process was away is made up for.
            due = self._due[key] = cron.next_after(last or now, zone)
        if due is None or due > now:
            return False
        self._due[key] = cron.next_after(now, zone)
        return last is None or last < due

    async def run(self, tenant_id: str, name: str, actor: str) -> reports.Report:
        """Make a run now; the report is signed and kept. Raises NotFound and ConfigurationError."""
        configuration = self._hub.tenancy.require(tenant_id)
        run, now = runs.run_named(configuration, name), self._hub.clock.now()
        seed, ids = self.signing_seed(), self._hub.writer_ids

        compared = await self._hub.store.read(
            lambda connection: runs.compare_books(connection, configuration, run, now)
        )

        def make(connection: Connection) -> reports.Report:
            return runs.make_run(connection, configuration, run, compared, ids=ids, now=now, seed=seed, actor=actor)

        return await self._hub.pipeline.write(make)

    async def accept(self, tenant_id: str, difference_id: str, actor: str, reason: str) -> None:
        """Sign a difference off with a reason."""
        now = self._hub.clock.now()
        await self._hub.pipeline.write(
            lambda connection: runs.sign_off(connection, tenant_id, difference_id, actor, reason, now)
        )

    async def settle_drift(self, tenant_id: str, drift_id: str, actor: str, reason: str) -> None:
        """Settle a drift with what was found."""
        now = self._hub.clock.now()
        await self._hub.pipeline.write(
            lambda connection: stock_watch.settle(connection, tenant_id, drift_id, actor, reason, now)
        )

    async def report(self, tenant_id: str, run_id: str) -> tuple[bytes, bytes]:
        """Return the signed bytes of a run's report and the signature; the newest run's where none is named."""

        def look(connection: Connection) -> tuple[bytes, bytes]:
            row = store.load_run(connection, tenant_id, run_id) if run_id else None
            if not run_id:
                row = next(iter(store.runs(connection, tenant_id, "", 1)), None)
            if row is None:
                raise NotFound("There is no such run" if run_id else "Nothing was reconciled yet")
            return bytes(row[8]), bytes(row[9])

        return await self._hub.store.read(look)

    def signing_seed(self) -> bytes:
        """Return the 32 bytes of which this installation's signing key is made."""
        return self._hub.signing_key(SIGNS)
