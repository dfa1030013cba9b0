"""A full disk under the running hub: senders are told, nothing is lost, people see why, and it goes on by itself.

The disk is a small tmpfs; where none can be mounted (that takes root on Linux) these tests are said not to have run.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from crossdock.store.engine import StoreFull
from crossdock.store.sqlite import SqliteConnection, SqliteStore
from crossdock.web.server import open_doors
from tests.crash import disk_loop
from tests.web.world import STOCK, TENANT, World, order

pytestmark = pytest.mark.slow

ROUNDS = 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], disk_loop.SmallDisk]]:
    """Mount a disk of some mebibytes; it is gone after the test."""
    mounted: list[Path] = []

    def mount(mebibytes: int) -> disk_loop.SmallDisk:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(place)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"NOT RUN: no small disk can be mounted here ({error})")
        mounted.append(place)
        return disk_loop.SmallDisk(place)

    yield mount
    for place in mounted:
        # Lazily: whatever a failed test left open must not keep it here.
        subprocess.run(["umount", "-l", str(place)], check=True)


class Desk:
    """A sender and a person at one hub, over its real door."""

    def __init__(self, url: str, sender: httpx.AsyncClient, person: httpx.AsyncClient) -> None:
        self.url, self.sender, self.person = url, sender, person
        self.offered = 0
        self.taken: list[str] = []

    async def offer(self) -> httpx.Response:
        """Hand in one more order."""
        self.offered += 1
        answer = await self.sender.post(
            f"/v1/ingest/{TENANT}/erp",
            content=order(f"SO-{self.offered}"),
            headers={"content-type": "application/json"},
        )
        if answer.status_code == 202:
            self.taken.append(answer.json()["message_id"])
        return answer

    async def goes_on(self) -> None:
        """Wait until an order is taken again."""
        async with asyncio.timeout(20):
            while (await self.offer()).status_code != 202:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def _desk(world: World) -> AsyncIterator[Desk]:
    url = await open_doors(world.hub)
    key, link = await world.key(TENANT, "integrator"), await world.login()
    async with (
        httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=20) as sender,
        httpx.AsyncClient(base_url=url, headers={"sec-fetch-site": "same-origin"}, timeout=20) as person,
    ):
        assert 303 == (await person.post("/login", data={"token": link.rpartition("/")[2]})).status_code
        yield Desk(url, sender, person)


async def test_a_full_disk_is_said_and_gone_through(disk: Callable[[int], disk_loop.SmallDisk]) -> None:
    """Each offer is refused at once with a code and a time to come back; pages answer and say why; with room again
    everything goes on without anybody's help, and all that was promised is there.
    """
    small = disk(16)
    world = await World.start(small.place, **{"limits.disk_free_bytes_min": 0})
    await world.take("reno", STOCK.encode(), name="STOCK_1.csv", kind="text/csv")
    async with _desk(world) as desk:
        for _ in range(20):
            await desk.offer()
        small.fill()
        began = time.monotonic()
        refused = [await desk.offer() for _ in range(40)]
        spent = time.monotonic() - began
        ready, alive = await desk.sender.get("/readyz"), await desk.sender.get("/healthz")
        page = await desk.person.get("/console")
        small.free()
        await desk.goes_on()
        await world.settle()
        after = await desk.sender.get("/readyz")
        page_after = await desk.person.get("/console")
        states = dict(world.query("select message_id, state from inbound_messages where connection_id = 'erp'"))
        async with asyncio.timeout(20):
            await world.hub.stop()

    assert {(507, "XD-SYS-011")} == {(one.status_code, one.json()["code"]) for one in refused}
    assert all(int(one.headers["retry-after"]) > 0 for one in refused)
    assert spent < 8
    assert (200, 503) == (alive.status_code, ready.status_code)
    assert "the disk is full" in ready.json()["reason"]
    assert 200 == page.status_code and "disk is full" in page.text
    assert 200 == after.status_code
    assert 200 == page_after.status_code and "disk is full" not in page_after.text
    assert 21 == len(desk.taken)
    assert set(desk.taken) == states.keys()
    assert {"processed"} == set(states.values())


async def test_a_hub_stops_and_starts_again_on_a_full_disk(disk: Callable[[int], disk_loop.SmallDisk]) -> None:
    """A full disk keeps no process from ending; the next one has all that was promised."""
    small = disk(16)
    world = await World.start(small.place, **{"limits.disk_free_bytes_min": 0})
    async with _desk(world) as desk:
        for _ in range(10):
            await desk.offer()
        small.fill()
        await desk.offer()
        async with asyncio.timeout(30):
            await world.hub.stop()
    small.free()
    again = await World.start(small.place)
    found = {row[0] for row in again.query("select message_id from inbound_messages")}
    await again.hub.stop()

    assert 10 == len(desk.taken)
    assert set(desk.taken) <= found


async def test_intake_stops_before_the_disk_is_full(disk: Callable[[int], disk_loop.SmallDisk]) -> None:
    """Below the watermark nothing is taken in, while there is still room for everything else; it resumes by itself."""
    small = disk(16)
    low = 4_000_000
    world = await World.start(small.place, **{"limits.disk_free_bytes_min": low})
    async with _desk(world) as desk:
        await desk.offer()
        small.fill(leave=low // 2)
        await world.hub.tick()
        refused = await desk.offer()
        room = small.room()
        ready = await desk.sender.get("/readyz")
        page = await desk.person.get("/console")
        small.free()
        await world.hub.tick()
        taken = await desk.offer()
        await world.hub.stop()

    assert (507, "XD-SYS-016", True) == (refused.status_code, refused.json()["code"], room > low // 4)
    assert int(refused.headers["retry-after"]) > 0
    assert 503 == ready.status_code and "bytes are free" in ready.json()["reason"]
    assert "bytes are free" in page.text
    assert 202 == taken.status_code


class _SmallPages(SqliteStore):
    """A record whose log needs a longer index after 2 MB instead of 32."""

    PRAGMAS: ClassVar[tuple[str, ...]] = ("page_size=512", *SqliteStore.PRAGMAS[1:])


def test_no_room_for_the_index_of_the_log_is_a_full_disk(disk: Callable[[int], disk_loop.SmallDisk]) -> None:
    """SQLite calls that an I/O error; the record is not given up for it, and goes on when there is room."""
    small = disk(16)
    store = _SmallPages(f"{small.place}/record.db")
    pages = 0

    def note(_connection: Any, _database: str, count: int) -> int:
        nonlocal pages
        pages = count
        return 0

    store._connection.raw.set_wal_hook(note)
    kept = 0

    def put(connection: SqliteConnection) -> None:
        connection.execute("insert into seen (number) values (?)", (kept,))

    store.write_now(lambda connection: connection.execute("create table seen (number integer)"))
    while pages < 4_050:
        store.write_now(put)
        kept += 1
    small.fill(leave=24_576)
    refusals: list[StoreFull] = []
    while not refusals:
        try:
            store.write_now(put)
        except StoreFull as error:
            refusals.append(error)
        else:
            kept += 1
    crossed, broken = pages, store.broken()
    small.free()
    store.write_now(put)
    count = store.read_now(lambda connection: connection.query("select count(*) from seen"))[0][0]
    store.close()

    # The index was what had no room: the log itself says "database or disk is full".
    assert "I/O" in str(refusals[0]) and 4_050 < crossed
    assert broken is None
    assert kept + 1 == count


async def test_nothing_acknowledged_is_lost_on_a_disk_that_fills_up(
    disk: Callable[[int], disk_loop.SmallDisk],
) -> None:
    """Under load, filled and freed again and again, killed while it was full: by the partners' own ledgers all that was
    acknowledged happened once.
    """
    report = await disk_loop.run(ROUNDS, 31, disk(256))

    assert (0, 0, []) == (report.lost, report.doubled, report.examples)
    assert report.acked > 50 and report.effects > 50
    assert report.refused > 0


async def test_a_hub_that_answers_before_it_stored_is_caught(disk: Callable[[int], disk_loop.SmallDisk]) -> None:
    """Positive control: what was acknowledged while the disk was full is missed."""
    report = await disk_loop.run(1, 32, disk(256), "acknowledge_before_commit")

    assert report.lost > 0
