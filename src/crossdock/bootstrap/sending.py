"""What stands around the sender of a hub: budgets shared in the record, outages, and the bounds of the spool."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path
from typing import Any

from ..config import Settings
from ..durable.identity import Clock, Ids, to_micros
from ..durable.quotas import Quota
from ..durable.rates import Budget, RateLimit
from ..flow.outages import Outages
from ..flow.pipeline import Pipeline
from ..flow.send import Sender
from ..flow.spool import Bounds, Measurement, Spool, tighter
from ..store import rates
from ..store import spool as spool_rows
from ..store.engine import Connection, Store
from .tenancy import Tenancy

# How long a worker waits before it draws again from a budget that gave it nothing.
REST_SECONDS_MAX = 5.0
# And at least so long: what is missing after rounding is less than a clock can tell apart, and asking again at the same
# instant would never end.
REST_SECONDS_MIN = 0.001


class Sending:
    """Made beside the sender; `attach` gives it the parts that are made later."""

    pipeline: Pipeline
    sender: Sender
    outages: Outages

    def __init__(self, store: Store, settings: Settings, tenancy: Tenancy, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._tenancy = tenancy
        self._chore: Callable[[Coroutine[Any, Any, Any]], None]
        # The rest each partner asked for that the sender was told of. It keeps it by the time that passes: told again
        # after the wall clock was set back, it would rest for as much longer.
        self._told: dict[tuple[str, str], int] = {}
        limits = settings.limits
        self._installation = Quota(limits.waiting_messages_per_tenant_max, limits.waiting_bytes_per_tenant_max)
        path = settings.store.sqlite_path
        disk = Path.cwd() if path is None else path.absolute().parent
        self.spool = Spool(
            clock=clock,
            bounds_of=self._bounds,
            measure=self._measure,
            free_bytes=lambda: shutil.disk_usage(disk).free,
            disk_free_bytes_min=limits.disk_free_bytes_min,
        )
        # Several workers share one record on PostgreSQL only; on SQLite the budget lives in memory.
        self.draw = self._draw if store.engine != "sqlite" else None

    def attach(
        self, sender: Sender, pipeline: Pipeline, ids: Ids, chore: Callable[[Coroutine[Any, Any, Any]], None]
    ) -> None:
        """Take the moving parts."""
        self.sender, self.pipeline, self._chore = sender, pipeline, chore
        self.outages = Outages(
            self._store,
            sender,
            write=pipeline.write,
            clock=self._clock,
            ids=ids,
            configurations=self._tenancy.configurations,
            chore=chore,
            changed=self._tenancy.forget_health,
        )

    async def load(self) -> None:
        """Take up the outages that last and the rest that partners asked for, before anything is sent."""
        await self.outages.refresh()
        await self._rest()
        self.spool.look_at_disk()

    async def tick(self, *, chores: bool) -> None:
        """Look at the disk, at what partners told other workers, at outages; `chores`: what one does for all."""
        self.spool.look_at_disk()
        await self._rest()
        await self.outages.tick(chores=chores)

    async def _rest(self) -> None:
        now = to_micros(self._clock.now())
        for tenant_id, connection_id, until in await self._store.read(lambda one: rates.pauses(one, now)):
            if self._told.get((tenant_id, connection_id)) != until:
                self._told[(tenant_id, connection_id)] = until
                self.sender.rest(tenant_id, connection_id, until / 1e6)

    def asked_for_rest(self, tenant_id: str, connection_id: str, until: float) -> None:
        """A partner named a time to come back: tell every worker, and the next start."""
        micros = int(until * 1e6)
        place = (tenant_id, connection_id)
        self._told[place] = max(micros, self._told.get(place, 0))
        self._chore(self.pipeline.write(lambda connection: rates.pause(connection, tenant_id, connection_id, micros)))

    def divert(self, tenant_id: str, connection_id: str, fallback: str, message_ids: list[str]) -> None:
        """Give waiting sends to another connection."""
        self.outages.divert(tenant_id, connection_id, fallback, message_ids)

    async def _draw(self, tenant_id: str, connection_id: str, limit: RateLimit, wanted: float) -> tuple[float, float]:
        now = self._clock.now().timestamp()

        def draw(connection: Connection) -> tuple[float, float]:
            found = rates.lock_budget(connection, tenant_id, connection_id)
            budget = Budget() if found is None else Budget(found[0] / 1e6, found[1] / 1e6)
            if found is None:
                budget.exhaust(limit, now)
            granted = budget.grant(limit, wanted, now)
            rates.save_paid(connection, tenant_id, connection_id, int(budget.paid_at * 1e6))
            if granted >= wanted:
                return granted, 0.0
            rest = budget.wait(limit, wanted - granted, now)
            return granted, min(max(rest, REST_SECONDS_MIN), REST_SECONDS_MAX)

        return await self._store.write(draw)

    def _bounds(self, tenant_id: str, connection_id: str) -> Bounds:
        configuration = self._tenancy.configuration(tenant_id)
        if configuration is None:
            return Bounds(self._installation, Quota())
        spec = configuration.connections.get(connection_id)
        return Bounds(tighter(self._installation, configuration.head.quota), Quota() if spec is None else spec.quota)

    async def _measure(self, tenant_ids: Collection[str]) -> Measurement:
        return await self._store.read(lambda connection: spool_rows.held(connection, tenant_ids))
