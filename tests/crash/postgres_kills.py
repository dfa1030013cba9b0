"""Kill -9 a whole PostgreSQL under a working hub again and again, and compare the ledgers of the world around it.

    python -m tests.crash.postgres_kills --cycles 200 --seed 1

The world is that of kill_loop.py. The hub stays; every process of the database server dies at once, as in a power cut,
and the server is started again. The hub must go on by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.crash.kill_loop import KillLoop, Report
from tests.support.postgres import PostgresCluster, find_binaries


class PostgresKills(KillLoop):
    """One run: world and hub stay, the database server is killed."""

    # After the last restart the hub waits for its retries before it goes on.
    stall_seconds_max = 40.0

    def __init__(self, cycles: int, seed: int, directory: Path, cluster: PostgresCluster, *faults: str) -> None:
        super().__init__(cycles, seed, directory, faults)
        self._cluster = cluster
        self._url = cluster.dsn(cluster.create_database())
        self.restarts: list[float] = []

    async def _fork(self, pack: dict[str, str] | None = None) -> None:
        assert self._zygote is not None and self._zygote.stdin is not None
        order = {"directory": str(self._directory), "url": self._url, "files": pack, "faults": self.report.faults}
        self._zygote.stdin.write(json.dumps(order).encode() + b"\n")
        self._pid = (await self._heard())["pid"]

    async def _cycle(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.05, 0.6))
        acknowledged = len(self._journal.acknowledged)
        began = time.monotonic()
        await asyncio.to_thread(kill_server, self._cluster)
        await asyncio.to_thread(self._cluster.start)
        # The next kill comes when something was acknowledged again: the hub went on by itself.
        while len(self._journal.acknowledged) == acknowledged:
            if time.monotonic() - began > 60:
                raise RuntimeError("the hub did not go on after the server was started again")
            await asyncio.sleep(0.01)
        self.restarts.append(time.monotonic() - began)

    def judged(self) -> Report:
        """Return the report with the time from each kill to the next acknowledgment."""
        times = sorted(self.restarts) or [0.0]
        self.report.recovery_p50_seconds = round(times[len(times) // 2], 3)
        self.report.recovery_p99_seconds = round(times[int(len(times) * 0.99)], 3)
        return self.report


def kill_server(cluster: PostgresCluster) -> None:
    """End every process of a server with SIGKILL, the postmaster first so that it cannot repair anything."""
    postmaster = cluster.pid
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cluster.stop(crash=True)


async def run(cycles: int, seed: int, directory: Path, cluster: PostgresCluster, *faults: str) -> Report:
    """Run the loop against a database of its own in a running cluster; return what the ledgers say."""
    loop = PostgresKills(cycles, seed, directory, cluster, *faults)
    await loop.run()
    return loop.judged()


def main() -> None:
    """Run from the command line; exit with 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[], help="a known-bad variant of hub_process.py")
    arguments = parser.parse_args()
    binaries = find_binaries()
    if binaries is None:
        sys.exit("NOT RUN: no PostgreSQL binaries on this machine")
    cluster = PostgresCluster(binaries)
    try:
        with tempfile.TemporaryDirectory(prefix="xd-crash-") as directory:
            report = asyncio.run(run(arguments.cycles, arguments.seed, Path(directory), cluster, *arguments.fault))
    finally:
        cluster.close()
    found: dict[str, Any] = msgspec.to_builtins(report)
    print(json.dumps(found, indent=2))
    sys.exit(1 if report.lost or report.doubled else 0)


if __name__ == "__main__":
    main()
