"""Power cuts of the real store under the hub's real cycle, with what was not synced dropped, torn and reordered.

A script runs the hub once on a disk that writes down every operation and every acknowledgment. From that log the disk
is rebuilt as it could be found after a cut at any write, and the real store opens it: everything acknowledged before
the cut must be there, and the file must be sound. First every k of some short scripts, then random ones.
Controls: with `synchronous` NORMAL and OFF the same must lose.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from typing import Any, ClassVar

import apsw
import msgspec

from crossdock.flow.ingest import InboundOffer
from crossdock.store.engine import Connection, StoreUnavailable

from . import machine as machines
from .clockwork import SimulatedClock, VirtualLoop, run
from .disk import Disk, Inode, Operation, put, survive
from .faults import Plan
from .pack import ITEMS
from .record import FILE, InlineStore
from .world import World, template

WAL = FILE + "-wal"
TOLD_EVERY = 500


class PowerReport(msgspec.Struct):
    """What cuts found. `acknowledged` counts the acknowledgments before each cut, over all cuts."""

    synchronous: str
    seed: int
    scripts: int = 0
    cuts: int = 0
    exhaustive: int = 0
    acknowledged: int = 0
    lost: int = 0
    corrupt: int = 0
    recovered_by_hub: int = 0
    examples: list[str] = []
    cpu_seconds: float = 0.0


class _Normal(InlineStore):
    PRAGMAS: ClassVar[tuple[str, ...]] = tuple(
        "synchronous=normal" if one == "synchronous=full" else one for one in InlineStore.PRAGMAS
    )


class _Off(InlineStore):
    PRAGMAS: ClassVar[tuple[str, ...]] = tuple(
        "synchronous=off" if one == "synchronous=full" else one for one in InlineStore.PRAGMAS
    )


STORES = {"full": InlineStore, "normal": _Normal, "off": _Off}


class Script:
    """One run of the hub on a disk that keeps a log of what happened."""

    def __init__(self, seed: int, synchronous: str, *, papers: int) -> None:
        self.chance = random.Random(seed)
        self.log: list[Operation] = []
        self._kind = STORES[synchronous]
        self._papers = papers
        self._seed = seed
        self._world = World(Plan(seed, {}, 0, 1, 1.0))
        self._acknowledged: list[str] = []

    def record(self) -> list[Operation]:
        """Return writes, syncs and acknowledgments in their order."""
        run(self._world.loop, self._main())
        return self.log

    async def _main(self) -> None:
        world, loop = self._world, self._world.loop
        disk = Disk(template())
        store = self._kind(disk)
        pages = self.chance.choice((5, 20, 60, 8000))
        store._connection.raw.execute(f"pragma wal_autocheckpoint={pages}").fetchall()
        machines._building = (world, store)
        world.life = 1
        hub = await machines.Hub.start(machines.settings(), clock=SimulatedClock(loop), ids_seed=self._seed * 2 + 1)
        world.acted = lambda *place, early=False: None  # type: ignore[method-assign]
        disk.log = self.log
        offers = [self._offer(hub, number) for number in range(self._papers)]
        await asyncio.gather(*offers)
        await asyncio.sleep(self.chance.uniform(0.0, 2.0))
        disk.cut()
        store.close()

    async def _offer(self, hub: Any, number: int) -> None:
        chance = self.chance
        await asyncio.sleep(chance.choice((0.0, chance.uniform(0, 0.1), chance.uniform(0, 1))))
        line = {"no": "1", "item": chance.choice(list(ITEMS)), "qty": 1}
        document = {
            "type": "order",
            "number": f"P-{number}",
            "name": "x" * chance.choice((5, 300, 5000)),
            "lines": [line],
        }
        key = f"P-{number}"
        await hub.ingest(InboundOffer("acme", "erp", json.dumps(document).encode(), headers={"idempotency-key": key}))
        self.log.append(("mark", key))


class Cutter:
    """Rebuilds the disk along a log and cuts it wherever it is asked to."""

    def __init__(self, log: list[Operation], report: PowerReport, chance: random.Random) -> None:
        self._log, self._report, self._chance = log, report, chance
        self._durable: dict[str, bytearray] = {name: bytearray(data) for name, data in template().items()}
        self._pending: dict[str, list[tuple[int, bytes]]] = {}
        self._marks: list[str] = []
        self._at = 0

    def writes(self) -> list[int]:
        """Return the places in the log where a cut can come: before each write or sync, and at the end."""
        return [place for place, one in enumerate(self._log) if one[0] != "mark"] + [len(self._log)]

    def cut(self, place: int, *, by_hub: bool) -> None:
        """Cut before operation `place`; places only grow."""
        while self._at < place:
            self._apply(self._log[self._at])
            self._at += 1
        files = {}
        for name, durable in self._durable.items():
            image = bytearray(durable)
            if pending := self._pending.get(name):
                survive(image, pending, self._chance)
            files[name] = bytes(image)
        self._judge(files, place, by_hub=by_hub)

    def _apply(self, operation: Operation) -> None:
        kind = operation[0]
        if kind == "mark":
            self._marks.append(operation[1])
        elif kind == "write":
            _, name, offset, data = operation
            self._durable.setdefault(name, bytearray())
            self._pending.setdefault(name, []).append((offset, data))
        elif kind == "sync":
            durable = self._durable[operation[1]]
            for offset, data in self._pending.pop(operation[1], ()):
                put(durable, offset, data)
        else:
            self._durable.pop(operation[1], None)
            self._pending.pop(operation[1], None)

    def _judge(self, files: dict[str, bytes], place: int, *, by_hub: bool) -> None:
        report = self._report
        report.cuts += 1
        report.acknowledged += len(self._marks)
        disk = Disk()
        disk.files = {name: Inode(data, synced=True) for name, data in files.items()}
        try:
            store = InlineStore(disk)
            store.claim()
            known, sound = store.read_now(_look)
            if by_hub:
                _recover(store)
                report.recovered_by_hub += 1
        except (apsw.Error, StoreUnavailable, msgspec.DecodeError) as error:
            self._corrupt(f"{type(error).__name__}: {error} at {place}")
            return
        store.close()
        if not sound:
            self._corrupt(f"quick_check at {place}")
        lost = [key for key in self._marks if known.get(key) is not True]
        report.lost += len(lost)
        if lost and len(report.examples) < 5:
            report.examples.append(f"lost {lost[:3]} of {len(self._marks)} at {place}")

    def _corrupt(self, what: str) -> None:
        self._report.corrupt += 1
        self._report.lost += len(self._marks)
        if len(self._report.examples) < 5:
            self._report.examples.append(what)


def _look(connection: Connection) -> tuple[dict[str, bool], bool]:
    """Return receipts with whether their message and its bytes are there, and whether the file is sound."""
    rows = connection.query(
        "select r.receipt_key, p.size_bytes is not null and m.state is not null from receipts r"
        " left join inbound_messages m on m.tenant_id = r.tenant_id and m.message_id = r.message_id"
        " left join payloads p on p.tenant_id = r.tenant_id and p.message_id = r.message_id"
        " where r.tenant_id = 'acme' and r.connection_id = 'erp'"
    )
    sound = connection.query("pragma quick_check")
    return {row[0].rpartition(":")[2]: bool(row[1]) for row in rows}, sound == [("ok",)]


def _recover(store: InlineStore) -> None:
    """Start the real hub on what was left, as the next process does; everything stored is worked on."""
    loop = VirtualLoop()
    world = World(Plan(0, {}, 0, 1, 1.0))
    world.loop.close()
    world.loop = loop
    world.life = 1
    world.acted = lambda *place, early=False: None  # type: ignore[method-assign]
    machines._building = (world, store)

    async def start() -> None:
        hub = await machines.Hub.start(machines.settings(), clock=SimulatedClock(loop), ids_seed=7)
        await hub.pipeline.drained()
        (waiting,) = store.read_now(
            lambda connection: connection.one("select count(*) from inbound_messages where state = 'received'")
        )
        if waiting:
            raise apsw.CorruptError(f"{waiting} messages were not taken up")

    run(loop, start())


def cut_power(
    cuts: int,
    seed: int,
    *,
    synchronous: str = "full",
    short_scripts: int = 20,
    found_so_far: Callable[[PowerReport], None] = lambda report: None,
) -> PowerReport:
    """Cut until `cuts` are reached: every place of short scripts first, then every third place of longer ones.
    `found_so_far` is told now and then.
    """
    template()
    began, told = time.process_time(), 0
    report = PowerReport(synchronous, seed)
    chance = random.Random(seed)
    number = 0
    while report.cuts < cuts:
        number += 1
        short = report.scripts < short_scripts
        log = Script(
            seed * 100_003 + number, synchronous, papers=chance.randint(1, 4) if short else chance.randint(5, 25)
        )
        cutter = Cutter(log.record(), report, chance)
        report.scripts += 1
        for place in cutter.writes():
            if report.cuts >= cuts:
                break
            if not short and chance.random() > 0.35:
                continue
            cutter.cut(place, by_hub=chance.random() < 0.02)
            report.exhaustive += short
        report.cpu_seconds = round(time.process_time() - began, 1)
        if report.cuts - told >= TOLD_EVERY:
            told = report.cuts
            found_so_far(report)
    return report
