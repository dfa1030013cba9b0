"""The disk of a running hub runs full: nothing acknowledged is lost, reads work, and it goes on without a restart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from crossdock.bootstrap import hub as hub_module
from crossdock.flow.ingest import InboundOffer
from crossdock.store.engine import StoreFull
from crossdock.store.sqlite import SqliteStore
from crossdock.web.problems import problem_of
from tests.scenarios.flow.world import World, order
from tests.simulation.mutants import doors
from tests.simulation.mutants.patching import applied


class _TightFile(apsw.VFSFile):
    def xWrite(self, data: bytes, offset: int) -> None:
        if TightDisk.full and self.is_log:
            raise apsw.FullError("no space left")
        super().xWrite(data, offset)

    def __init__(self, vfs: str, name: Any, flags: list[int]) -> None:
        super().__init__(vfs, name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self.is_log = path.endswith("-wal")


class TightDisk(apsw.VFS):
    """A disk whose log has no room from some moment on."""

    full = False

    def __init__(self) -> None:
        super().__init__("tight-disk", base="")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return _TightFile("", name, flags)


class Room:
    """A disk that can be filled up and freed again."""

    def __init__(self, directory: Path, fill: Callable[[], None], free: Callable[[], None]) -> None:
        self.directory, self.fill, self.free = directory, fill, free


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """SQLite's own file layer with a log that has no room."""
    disk = TightDisk()

    def open_store(url: str, *, readers: int = 3) -> SqliteStore:
        return SqliteStore(url.removeprefix("sqlite:///"), readers=readers, vfs="tight-disk")

    monkeypatch.setattr(hub_module, "open_store", open_store)
    yield Room(tmp_path, lambda: setattr(TightDisk, "full", True), lambda: setattr(TightDisk, "full", False))
    TightDisk.full = False
    disk.unregister()


@pytest.fixture
async def world(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    world = World(f"sqlite:///{room.directory / 'crossdock.db'}", tmp_path, monkeypatch)
    # Without the reserve that has intake refused while there is still room for the rest of the work.
    limits = msgspec.structs.replace(world.settings.limits, disk_free_bytes_min=0)
    world.settings = msgspec.structs.replace(world.settings, limits=limits)
    await world.start()
    await world.apply()
    await world.stock(RENO={"H-100": 1000}, KC={"D-200": 1000})
    yield world
    await world.stop()


class Sender:
    """Hands in orders and keeps a journal of what was acknowledged and what was refused."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.acknowledged: list[str] = []
        self.refused: dict[str, Exception] = {}

    async def offer(self, number: str) -> None:
        content = order(number, note="n" * 20_000)
        raw = json.dumps(content).encode()
        offer = InboundOffer("acme", "erp", raw, headers={"idempotency-key": number})
        try:
            await self._world.hub.ingest(offer)
        except Exception as error:
            self.refused[number] = error
        else:
            self.acknowledged.append(number)
            self.refused.pop(number, None)


async def full_and_free_again(world: World, room: Room) -> Sender:
    """Hand in before, while and after the disk is full; offer again what was refused."""
    sender = Sender(world)
    for number in range(4):
        await sender.offer(f"SO-{number}")
    await world.hub.settle()
    assert len(sender.acknowledged) == 4, sender.refused
    room.fill()
    for number in range(4, 16):
        await sender.offer(f"SO-{number}")
    # Reads work.
    assert world.column("select count(*) from inbound_messages") >= [4]
    room.free()
    await sender.offer("SO-16")
    return sender


def lost(world: World, sender: Sender) -> list[str]:
    """Return what was acknowledged and did not reach the warehouse once."""
    tickets = [one.content.decode() for one in world.partner("reno").pushed]
    return [number for number in sender.acknowledged if 1 != sum(f'"{number}-1"' in one for one in tickets)]


async def settle(world: World) -> None:
    for _ in range(6):
        await world.later(seconds=60)
    await world.hub.settle()


async def test_a_full_disk_loses_nothing_and_is_over_when_there_is_room(world: World, room: Room) -> None:
    """Refused with a code that a sender understands; offered again it is taken, by the same process."""
    sender = await full_and_free_again(world, room)

    assert sender.refused and {StoreFull} == {type(error) for error in sender.refused.values()}
    assert {507} == {problem_of(error).status for error in sender.refused.values()}
    assert "SO-16" in sender.acknowledged and world.hub.store.broken() is None
    for number in list(sender.refused):
        await sender.offer(number)
    await settle(world)
    assert ({}, 17, []) == (sender.refused, len(sender.acknowledged), lost(world, sender))


async def test_a_hub_that_acknowledges_on_a_full_disk_is_caught(world: World, room: Room) -> None:
    """Positive control: it answers inside the transaction, and what it answered is not there."""
    with applied(next(one for one in doors.MUTANTS if one.name == "acknowledge early")):
        sender = await full_and_free_again(world, room)
        await settle(world)

    assert lost(world, sender)
