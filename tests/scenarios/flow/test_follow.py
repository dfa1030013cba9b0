"""Following the journal live: no gap, no duplicate, whoever writes and whatever transaction is open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from crossdock.canonical.events import Event
from crossdock.store import journal
from crossdock.store.engine import Connection, open_store
from tests.scenarios.flow.world import World, order, pack_files


class Follower:
    """Keeps what it is shown."""

    def __init__(self, world: World, after: str | None = "") -> None:
        self.seen: list[str] = []
        self._events = world.hub.subscribe("acme", after)
        self._task = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        async for _, event in self._events:
            self.seen.append(event.id)

    async def saw(self, count: int) -> list[str]:
        """Return what was seen once so much was."""
        async with asyncio.timeout(10):
            while len(self.seen) < count:
                await asyncio.sleep(0.005)
        return self.seen

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._events.aclose()  # type: ignore[attr-defined]


def ids(world: World) -> list[str]:
    """Return the tenant's events as the journal holds them."""
    return world.column("select event_id from events where tenant_id = 'acme' order by position")


async def test_an_older_open_transaction_delays_and_hides_nothing(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that commit while an older transaction is open are shown once it has ended, without another event."""
    world = World(str(postgres_database), tmp_path, monkeypatch)
    await world.start()
    await world.apply(files=pack_files())
    await world.stock(RENO={"H-100": 1000})
    follower = Follower(world)
    other = psycopg.connect(world.url)
    try:
        other.execute("select pg_current_xact_id()")
        await world.hand_in("erp", order("SO-1"))
        before = list(follower.seen)
        other.commit()
        expected = ids(world)

        assert ([], True, expected) == (before, len(expected) > 0, await follower.saw(len(expected)))
    finally:
        other.close()
        await follower.close()
        await world.stop()


async def test_events_of_another_process_are_shown(world: World) -> None:
    """A follower sees what a second process writes into the journal, though nobody wakes it."""
    await world.hand_in("erp", order("SO-1"))
    expected = ids(world)
    follower = Follower(world)
    await follower.saw(len(expected))

    def copy(connection: Connection) -> Event:
        (event, _), *_ = journal.follow(connection, "acme", journal.Cursor())
        event = msgspec.structs.replace(event, id="evt_other")
        journal.append(connection, [event])
        return event

    store = open_store(world.url)
    await asyncio.to_thread(store.write_now, copy)
    store.close()
    seen = await follower.saw(len(expected) + 1)
    await follower.close()

    assert [*expected, "evt_other"] == seen


async def test_a_follower_that_leaves_is_forgotten(world: World) -> None:
    """Closing the stream ends it and leaves nothing behind."""
    subscriptions: Any = world.hub.backbone
    follower = Follower(world, None)
    async with asyncio.timeout(10):
        while not subscriptions._wakes:
            await asyncio.sleep(0.005)

    await follower.close()

    assert {} == subscriptions._wakes
