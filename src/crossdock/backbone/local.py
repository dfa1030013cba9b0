"""The backbone of one process: whoever follows the journal is woken in memory and reads from the record.

No gap, no duplicate, committed facts only: what followers are shown is what is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from ..canonical.events import Event
from ..store import journal
from ..store.engine import Connection, Store
from .port import Lag

PAGE = 200

# How long a follower waits before it reads again by itself. Not every event is announced: another process writes its
# own, and on PostgreSQL an event is shown only when every older transaction has ended, which nobody announces.
REREAD_SECONDS = 1.0
REREAD_SECONDS_MIN = 0.05


def _page(connection: Connection, tenant_id: str, cursor: journal.Cursor) -> list[tuple[Event, journal.Cursor]]:
    return journal.follow(connection, tenant_id, cursor, PAGE)


class LocalBackbone:
    """Wakes whoever follows a tenant's journal in this process. There is nothing that could lag."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wakes: dict[str, set[asyncio.Event]] = {}

    def start(self) -> None:
        """Followers bring their own tasks."""

    async def stop(self) -> None:
        """Followers end by themselves."""

    def lag(self) -> Lag:
        """Followers read the record itself."""
        return Lag()

    def announce(self, events: list[Event]) -> None:
        """Wake the followers of the tenants whose journal grew."""
        if self._wakes:
            for tenant_id in {event.tenant_id for event in events}:
                for wake in self._wakes.get(tenant_id, ()):
                    wake.set()

    async def follow(self, tenant_id: str, after: str | None) -> AsyncIterator[tuple[str, Event]]:
        """Yield (cursor, event) behind `after`; without it, what comes from now on."""
        wake = asyncio.Event()
        self._wakes.setdefault(tenant_id, set()).add(wake)
        try:
            cursor = await self._store.read(journal.end) if after is None else journal.Cursor.parse(after)
            pause = REREAD_SECONDS
            while True:
                wake.clear()
                pairs = await self._store.read(partial(_page, tenant_id=tenant_id, cursor=cursor))
                for event, at in pairs:
                    cursor = at
                    yield str(at), event
                if pairs:
                    pause = REREAD_SECONDS
                elif await _woken(wake, pause):
                    # Announced and perhaps not to be seen yet: look again soon, then less and less often.
                    pause = REREAD_SECONDS_MIN
                else:
                    pause = min(2 * pause, REREAD_SECONDS)
        finally:
            self._wakes[tenant_id].discard(wake)
            if not self._wakes[tenant_id]:
                del self._wakes[tenant_id]


async def _woken(wake: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await wake.wait()
    except TimeoutError:
        return False
