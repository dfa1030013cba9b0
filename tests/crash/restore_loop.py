"""Back up a working hub, let it go on, destroy its record, restore the older one, and ask what the list says to ask.

    python -m tests.crash.restore_loop --rounds 10 --seed 1

The world is the one of the kill loop: partners keep their own ledgers, of which `kc` acts every time it is sent to.
After each restore the senders offer again exactly what the list names, files go back into the inbox, and the load goes
on. At the end only journal and ledgers are asked. `--fault unmarked` puts the copy in place without the mark of a
restore, which must double; `--fault nobody_asked` lets nobody offer again, which must lose.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import msgspec

from crossdock.bootstrap import backups
from crossdock.config import Settings, load_settings
from crossdock.store.engine import open_store
from crossdock.views import restore_list
from tests.crash.kill_loop import KillLoop, Report
from tests.crash.partners import Client

UNMARKED = "unmarked"
NOBODY_ASKED = "nobody_asked"
SENDERS = 8


class RestoreReport(Report):
    """The figures of the kill loop, and those of the restores."""

    rounds: int = 0
    backup_p50_seconds: float = 0.0
    offered_again: int = 0
    files_put_back: int = 0
    sends_in_doubt: int = 0


class RestoreLoop(KillLoop):
    """One run: the hub's record is replaced by an older one again and again."""

    report: RestoreReport

    def __init__(self, rounds: int, seed: int, directory: Path, *, fault: str = "", seconds: float = 1.5) -> None:
        super().__init__(0, seed, directory)
        self.report = RestoreReport(0, seed, (), rounds=rounds)
        self._fault = fault
        self._seconds = seconds
        self._backup_seconds: list[float] = []
        self._choices = random.Random(seed + 2)

    async def _kill_again_and_again(self, began: float) -> None:
        del began
        for _ in range(self.report.rounds):
            await self._round()
        times = sorted(self._backup_seconds)
        self.report.backup_p50_seconds = round(times[len(times) // 2], 3)

    def _record_settings(self) -> Settings:
        return load_settings(
            environment={},
            overrides={
                "store.url": f"sqlite:///{self._directory}/crossdock.db",
                "security.root_key_file": f"{self._directory}/root.key",
            },
        )

    async def _round(self) -> None:
        settings = self._record_settings()
        await asyncio.sleep(self._choices.uniform(0.3, self._seconds))
        began = time.monotonic()
        backup, _ = await asyncio.to_thread(backups.make_backup, settings, self._directory / "backups")
        self._backup_seconds.append(time.monotonic() - began)
        await asyncio.sleep(self._choices.uniform(0.5, self._seconds))
        await self._kill()
        lost = self._directory / f"lost-{len(self._backup_seconds)}"
        lost.mkdir()
        for file in self._directory.glob("crossdock.db*"):
            file.rename(lost / file.name)
        if self._fault == UNMARKED:
            shutil.copy(backup / "record.db", self._directory / "crossdock.db")
            since = await asyncio.to_thread(self._since_of_the_marked, backup)
        else:
            await asyncio.to_thread(backups.restore, settings, backup, settings.store.url)
            since = await asyncio.to_thread(self._since, settings.store.url)
        shutil.rmtree(lost)
        shutil.rmtree(backup)
        await self._fork()
        await self._opened()
        self._killed_at = 0.0
        if self._fault != NOBODY_ASKED:
            await self._offer_again(since)

    def _since(self, url: str) -> dict[str, datetime]:
        """Return what the list of the restored record says: connection → since when."""
        store = open_store(url, readers=1)
        try:
            newest = store.read_now(lambda connection: restore_list.load(connection, "acme"))[0]
        finally:
            store.close()
        self.report.sends_in_doubt += newest.sends_total
        return {one.connection_id: one.since_at for one in newest.ask_senders}

    def _since_of_the_marked(self, backup: Path) -> dict[str, datetime]:
        """For the control: the same list, from a restore beside it."""
        aside = f"sqlite:///{self._directory}/aside-{len(self._backup_seconds)}.db"
        backups.restore(self._record_settings(), backup, aside)
        return self._since(aside)

    async def _offer_again(self, since: dict[str, datetime]) -> None:
        journal = self._journal
        archive = self._directory / "drop" / "in" / "archive"
        for file in archive.iterdir() if archive.is_dir() else ():
            # The rename to the archive is the acknowledgment; its time stands in the directory's entry.
            if file.stat().st_ctime >= since["drop"].timestamp():
                file.rename(archive.parent / file.name)
                self.report.files_put_back += 1
        wanted = [
            key for key, at in list(journal.acknowledged_at.items()) if at >= since[journal.papers[key][0]].timestamp()
        ]
        self.report.offered_again += len(wanted)
        await asyncio.gather(*[self._offer_some(wanted[first::SENDERS]) for first in range(SENDERS)])

    async def _offer_some(self, keys: list[str]) -> None:
        client = Client()
        for key in keys:
            connection, document = self._journal.papers[key]
            await self._offer(client, connection, key, document)
        client.drop()


async def run(rounds: int, seed: int, directory: Path, fault: str = "") -> RestoreReport:
    """Run a number of restores and return what the ledgers say."""
    report = await RestoreLoop(rounds, seed, directory, fault=fault).run()
    assert isinstance(report, RestoreReport)
    return report


def main() -> None:
    """Run from the command line; exit 1 when something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", default="", choices=["", UNMARKED, NOBODY_ASKED])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xd-restore-") as temporary:
        report = asyncio.run(run(arguments.rounds, arguments.seed, Path(temporary), arguments.fault))
    print(json.dumps(msgspec.to_builtins(report), indent=2))
    sys.exit(1 if report.lost or report.doubled else 0)


if __name__ == "__main__":
    main()
