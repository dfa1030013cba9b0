"""Lets the contracts of every tenant be looked at once a minute, in the process that does the chores."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..flow import contracts
from ..flow.batch import Batch
from ..governance.configuration import Configuration
from ..store.engine import Connection
from .each_tenant import for_each_tenant

if TYPE_CHECKING:
    from .hub import Hub

EVERY = timedelta(minutes=1)


class Contracts:
    """Lives on the hub's event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._due_at = hub.clock.now()
        # Tenants that may still have something open of contracts their pack has no more; at the start nobody knows.
        self._settled: set[str] = set()

    def next_due_at(self) -> datetime | None:
        """Return when the next look is due; None where no tenant has a contract."""
        return self._due_at if self._watched() else None

    async def tick(self) -> None:
        """Look when it is time: at whole minutes, so that a warning comes in the minute it names."""
        now = self._hub.clock.now()
        if now < self._due_at or not self._hub.does_chores():
            return
        self._due_at = now.replace(second=0, microsecond=0) + EVERY
        watched = {one.tenant_id: one for one in self._watched()}
        await for_each_tenant("contracts", watched, lambda tenant_id: self._look(watched[tenant_id], now))

    def _watched(self) -> list[Configuration]:
        found = [self._hub.configuration(tenant_id) for tenant_id in self._hub.tenancy.active()]
        return [one for one in found if one is not None and (one.contracts or one.tenant_id not in self._settled)]

    async def _look(self, configuration: Configuration, now: datetime) -> None:
        seen = await self._hub.store.read(lambda connection: contracts.look(connection, configuration, now))
        if configuration.contracts:
            self._settled.discard(configuration.tenant_id)
        elif not seen:
            self._settled.add(configuration.tenant_id)
        if not seen:
            return

        def enter(connection: Connection) -> Batch:
            batch = Batch(connection, self._hub.writer_ids, now)
            contracts.enter(batch, configuration, seen)
            batch.save()
            return batch

        batch = await self._hub.pipeline.write(enter)
        self._hub.backbone.announce(batch.events)
