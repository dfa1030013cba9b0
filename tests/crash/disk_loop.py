"""Fill the disk under a working hub again and again, kill it while the disk is full, and compare the ledgers around it.

The load, the partners and the verdict are the kill loop's.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from tests.crash.kill_loop import KillLoop, Report, _order
from tests.crash.partners import Client

FULL_SECONDS_MAX = 20.0


class SmallDisk:
    """A file system of its own that can be filled up and freed."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._filler = place / "filler"

    def room(self) -> int:
        """Return how many bytes are free."""
        state = os.statvfs(self.place)
        return state.f_bavail * state.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Fill it up but for some bytes."""
        with self._filler.open("ab", buffering=0) as file:
            while (left := self.room() - leave) > 0:
                try:
                    file.write(bytes(min(left, 1 << 20)))
                except OSError:
                    return

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()


class DiskReport(Report):
    """`refused` counts the offers that were told of the full disk."""

    refused: int = 0


class DiskLoop(KillLoop):
    """The kill loop on a disk that fills up."""

    report: DiskReport

    def __init__(self, rounds: int, seed: int, disk: SmallDisk, faults: tuple[str, ...]) -> None:
        super().__init__(rounds, seed, disk.place, faults)
        self.report = DiskReport(rounds, seed, faults)
        self._disk = disk

    def _settings(self) -> dict[str, str]:
        return {"limits.disk_free_bytes_min": "0"}

    async def _order_for_ever(self) -> None:
        """At a pace that leaves the disk's room to the filler."""
        client = self._client()
        while self._offering:
            number = next(self._numbers)
            await self._offer(client, "erp", f"SO-{number}", _order(f"SO-{number}", "B" if number % 3 == 0 else "A"))
            await asyncio.sleep(0.05)

    async def _drop_for_ever(self) -> None:
        """Nothing: the folder is on the same disk."""

    async def _cycle(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.3, 0.6))
        self._disk.fill()
        try:
            await self._refused()
            if not self.report.faults and self._chance.random() < 0.5:
                await self._kill()
        finally:
            self._disk.free()
        if not self._up.is_set():
            await self._spawn()

    async def _refused(self) -> None:
        """Wait until some offers were told that the disk is full, and that it goes on being full; not for ever."""
        client = Client()
        deadline = asyncio.get_running_loop().time() + FULL_SECONDS_MAX
        told = 0
        while told < 10 and asyncio.get_running_loop().time() < deadline:
            number = f"refused-{self.report.refused + told}"
            status, answer = await client.post(self._port, "/v1/ingest/acme/erp", number, b'{"type": "nothing"}')
            if self.report.faults:
                told += 1
            elif status == 507:
                assert answer["code"] == "XD-SYS-011", answer
                told += 1
            await asyncio.sleep(0.05)
        self.report.refused += told
        client.drop()


async def run(rounds: int, seed: int, disk: SmallDisk, *faults: str) -> Any:
    """Run a number of rounds and return what the ledgers say."""
    return await DiskLoop(rounds, seed, disk, faults).run()
