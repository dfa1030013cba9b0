"""Lets the notification rules of every tenant read on, and tells what is due, in the process that does the chores."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..durable.identity import from_micros
from ..flow import notices
from ..flow.batch import Batch
from ..flow.render import render_requests
from ..governance.configuration import Configuration
from ..store import notices as store
from ..store.engine import Connection
from .each_tenant import for_each_tenant

if TYPE_CHECKING:
    from .hub import Hub

# Where nothing runs by itself (a clock of one's own) the rules are asked at whole minutes.
EVERY = timedelta(minutes=1)


class Notices:
    """Lives on the hub's event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._next_at = hub.clock.now()

    def next_due_at(self) -> datetime | None:
        """Return when the rules are to be asked again; None where no tenant has any."""
        return self._next_at if self._watched() else None

    async def tick(self) -> None:
        """Read what happened and tell what is due."""
        if not self._hub.does_chores():
            return
        now = self._hub.clock.now()
        self._next_at = now.replace(second=0, microsecond=0) + EVERY
        watched = {one.tenant_id: one for one in self._watched()}

        async def read_and_tell(tenant_id: str) -> None:
            await self._follow(watched[tenant_id], now)
            await self._tell(watched[tenant_id], now)

        await for_each_tenant("notices", watched, read_and_tell)

    def _watched(self) -> list[Configuration]:
        found = [self._hub.configuration(tenant_id) for tenant_id in self._hub.tenancy.active()]
        return [one for one in found if one is not None and one.notices.rules]

    async def _follow(self, configuration: Configuration, now: datetime) -> None:
        more, before = True, ""
        while more:
            seen = await self._hub.store.read(lambda connection: notices.follow(connection, configuration, now))
            more = seen.more
            if not seen.rows and seen.cursor == before:
                return
            before = seen.cursor

            def enter(connection: Connection, seen: notices.Followed = seen) -> Batch:
                batch = Batch(connection, self._hub.writer_ids, now)
                notices.enter(batch, configuration, seen)
                batch.save()
                return batch

            batch = await self._hub.pipeline.write(enter)
            self._hub.backbone.announce(batch.events)

    async def _tell(self, configuration: Configuration, now: datetime) -> None:
        due = await self._hub.store.read(lambda connection: store.next_due(connection, [configuration.tenant_id]))
        if due is None or from_micros(due) > now:
            return

        def tell(connection: Connection) -> Batch:
            batch = Batch(connection, self._hub.writer_ids, now)
            tellings = notices.tell(batch, configuration)
            taken = render_requests(batch, [one.placed for one in tellings], self._hub.mode_of)
            notices.told(batch, configuration, tellings, taken)
            batch.save()
            batch.ready = self._hub.pipeline.in_order(connection, batch.ready)
            return batch

        batch = await self._hub.pipeline.write(tell, then=lambda made: self._hub.pipeline.send_on(made.ready))
        self._hub.backbone.announce(batch.events)
