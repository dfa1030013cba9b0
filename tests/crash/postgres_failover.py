"""Lose the primary of a synchronous PostgreSQL pair under a working hub, again and again, and compare the ledgers.

    python -m tests.crash.postgres_failover --cycles 20 --seed 1

The world is that of kill_loop.py. Hub and standby reach the primary through proxies that can cut a link or leave it
half open. Each cycle parts the primary from its standby, kills it, promotes the standby, points the hub's proxy at it
and builds the next standby. What happens to the hub meanwhile is the cycle's kind (KINDS); it must go on by itself.
A commit whose wait for the standby is cancelled is on the old primary only, and announced by a mere warning: what it
wrote must not count, neither for the sender nor for what is sent to partners.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from tests.crash.kill_loop import Report
from tests.crash.postgres_kills import PostgresKills, kill_server
from tests.support.fault_proxy import FaultProxy
from tests.support.postgres import PostgresCluster, StandbyCluster, find_binaries
from tests.support.processes import free_port

KINDS = {
    "cut": "the hub is cut off as well, its connections are reset",
    "half_open": "the hub is cut off as well, its connections stay open and silent",
    "cancel": "the hub stays connected, its waits for the standby are cancelled again and again",
    "terminate": "the hub stays connected, its waiting server processes are ended again and again",
    "two_primaries": "as cancel, while the standby is promoted already: the old primary goes on beside the new one",
    "early_switch": "the hub is sent to the standby before that is promoted: it may read there, not write",
}
STORM_SECONDS = 1.0
# What the standby confirmed before the partition may be acknowledged after it, this long at most.
IN_FLIGHT_SECONDS = 0.3
NEXT_ACKNOWLEDGMENT_SECONDS_MAX = 90.0
STANDBY_SECONDS_MAX = 60.0
LATENCY_SECONDS = 0.002
_STORM = (
    "SELECT count(*) FROM (SELECT {}(pid) FROM pg_stat_activity"
    " WHERE wait_event = 'SyncRep' AND backend_type = 'client backend') AS hit"
)


class FailoverReport(Report):
    """What one run found, beside the ledgers.

    `acked_alone` counts acknowledgments while the primary was without a standby; `not_in_record` are acknowledged
    papers the last primary has no receipt of; `cancelled` and `terminated` count waits that were ended;
    `unknown_cycles` are the hub's cycles whose commit had an unknown outcome, settled afterwards.
    """

    asynchronous: bool = False
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    acked_alone: int = 0
    not_in_record: int = 0
    cancelled: int = 0
    terminated: int = 0
    unknown_cycles: int = 0
    settled_durable: int = 0
    settled_not_durable: int = 0
    promoted_p50_seconds: float = 0.0
    promoted_max_seconds: float = 0.0


class Pair:
    """A primary and its standby, which follows through a proxy of its own."""

    def __init__(self, binaries: Path, *, asynchronous: bool) -> None:
        self._binaries = binaries
        self._asynchronous = asynchronous
        self.primary = PostgresCluster(binaries, settings=self._settings(with_standby=False))
        self.standby: StandbyCluster | None = None
        self.link = FaultProxy(self.primary.port, latency_seconds=LATENCY_SECONDS)

    def _settings(self, *, with_standby: bool) -> dict[str, str]:
        """Return the settings of a server. The first one waits for a standby only once there is one."""
        name = "standby" if with_standby and not self._asynchronous else ""
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(free_port()),
            "synchronous_commit": "on",
            "wal_keep_size": "256MB",
            **({"synchronous_standby_names": name} if name else {}),
        }

    async def add_standby(self) -> None:
        """Build the next standby of the present primary, and return once commits wait for it."""
        self.link.heal(self.primary.port)
        settings = self._settings(with_standby=True)
        self.standby = await asyncio.to_thread(
            StandbyCluster, self._binaries, self.primary, self.link.port, settings=settings
        )
        await asyncio.to_thread(self._wait_for_standby)

    def _wait_for_standby(self) -> None:
        wanted = "async" if self._asynchronous else "sync"
        deadline = time.monotonic() + STANDBY_SECONDS_MAX
        with psycopg.connect(self.primary.superuser_dsn("postgres"), autocommit=True) as connection:
            (names,) = connection.execute("SHOW synchronous_standby_names").fetchone() or ("",)
            if wanted == "sync" and not names:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
                connection.execute("SELECT pg_reload_conf()")
            asked = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
            while connection.execute(asked).fetchone() != (wanted,):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the standby does not follow:\n{self.primary.log.read_text()[-2000:]}")
                time.sleep(0.02)

    async def promote(self) -> None:
        """Make the standby a primary. The old one stays as it is, alive or dead."""
        assert self.standby is not None
        await asyncio.to_thread(self.standby.promote)

    def succeed(self) -> PostgresCluster:
        """Take the promoted standby for the primary; return the old one."""
        assert self.standby is not None
        old, self.primary, self.standby = self.primary, self.standby, None
        return old

    def close(self) -> None:
        """Stop both servers and remove every trace of them."""
        for one in (self.standby, self.primary):
            if one is not None:
                one.close()


class FailoverLoop(PostgresKills):
    """One run: world and hub stay, the primary is lost."""

    report: FailoverReport

    def __init__(
        self, cycles: int, seed: int, directory: Path, pair: Pair, kinds: tuple[str, ...], *faults: str
    ) -> None:
        super().__init__(cycles, seed, directory, pair.primary, *faults)
        self._pair = pair
        self._kinds = kinds
        self._database = self._url.partition("?")[0].rpartition("/")[2]
        self._proxy = FaultProxy(pair.primary.port, chance=random.Random(seed + 2))
        self._promotions: list[float] = []
        self.report = FailoverReport(cycles, seed, faults, kinds=dict.fromkeys(kinds, 0))

    async def run(self) -> Report:
        await self._proxy.start()
        await self._pair.link.start()
        self._url = f"postgresql://{self._cluster.owner}@127.0.0.1:{self._proxy.port}/{self._database}"
        try:
            await self._pair.add_standby()
            return await super().run()
        finally:
            await self._proxy.stop()
            await self._pair.link.stop()

    async def _cycle(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.2, 0.8))
        kind = self._kinds[sum(self.report.kinds.values()) % len(self._kinds)]
        self.report.kinds[kind] += 1
        await self._part(kind)
        began = time.monotonic()
        if kind == "two_primaries":
            # The hub still speaks to the old one while there is a new one already.
            await self._pair.promote()
            await self._storm("pg_cancel_backend", STORM_SECONDS)
            await self._kill_primary()
        elif kind == "early_switch":
            await self._kill_primary()
            assert self._pair.standby is not None
            self._proxy.heal(self._pair.standby.port)
            await asyncio.sleep(self._chance.uniform(0.3, 1.0))
            await self._pair.promote()
        else:
            await self._kill_primary()
            await self._pair.promote()
        old = self._pair.succeed()
        self._proxy.heal(self._pair.primary.port)
        self._promotions.append(time.monotonic() - began)
        await asyncio.to_thread(old.close)
        await self._pair.add_standby()
        acknowledged = len(self._journal.acknowledged)
        # The next cycle comes when something was acknowledged again: the hub went on by itself.
        deadline = time.monotonic() + NEXT_ACKNOWLEDGMENT_SECONDS_MAX
        while len(self._journal.acknowledged) == acknowledged:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the hub did not go on after a failover ({kind})\n{self._last_words()}")
            await asyncio.sleep(0.01)
        self.restarts.append(time.monotonic() - began)

    async def _part(self, kind: str) -> None:
        """Part the primary from its standby, and from the hub when that is the kind, and let it live on for a while."""
        link, proxy = self._pair.link, self._proxy
        half = kind == "half_open" or self._chance.random() < 0.5
        (link.half_open if half else link.cut)()
        if kind == "cut":
            proxy.cut()
        elif kind == "half_open":
            proxy.half_open()
        await asyncio.sleep(IN_FLIGHT_SECONDS)
        before = len(self._journal.acknowledged)
        if kind == "cancel":
            await self._storm("pg_cancel_backend", STORM_SECONDS)
        elif kind == "terminate":
            await self._storm("pg_terminate_backend", STORM_SECONDS)
        else:
            await asyncio.sleep(self._chance.uniform(0.2, STORM_SECONDS))
        self.report.acked_alone += len(self._journal.acknowledged) - before

    async def _storm(self, how: str, seconds: float) -> None:
        """End every wait for the standby on the primary, again and again."""
        hit = await asyncio.to_thread(_storm, self._pair.primary, how, seconds)
        if how == "pg_cancel_backend":
            self.report.cancelled += hit
        else:
            self.report.terminated += hit

    async def _kill_primary(self) -> None:
        await asyncio.to_thread(kill_server, self._pair.primary)

    def _last_words(self) -> str:
        return (self._directory / "hub.log").read_text(errors="replace")[-3000:]

    def judged(self) -> FailoverReport:
        """Return the report; what the last primary has no receipt of counts as lost too."""
        super().judged()
        report = self.report
        times = sorted(self._promotions) or [0.0]
        report.promoted_p50_seconds = round(times[len(times) // 2], 3)
        report.promoted_max_seconds = round(times[-1], 3)
        with psycopg.connect(self._pair.primary.superuser_dsn(self._database)) as connection:
            rows = connection.execute("SELECT receipt_key FROM receipts").fetchall()
        known = {str(row[0]).partition(":")[2] for row in rows}
        gone = [key for key in self._journal.acknowledged if key not in known]
        report.not_in_record = len(gone)
        report.lost = max(report.lost, len(gone))
        report.examples += [f"no receipt of {key}" for key in gone[:5]]
        for line in (self._directory / "hub.log").read_text(errors="replace").splitlines():
            report.unknown_cycles += '"cycle.failed"' in line and "CommitUnknown" in line
            if '"cycle.settled"' in line:
                durable = '"durable": true' in line
                report.settled_durable += durable
                report.settled_not_durable += not durable
        return report


def _storm(cluster: PostgresCluster, how: str, seconds: float) -> int:
    deadline, hit = time.monotonic() + seconds, 0
    with psycopg.connect(cluster.superuser_dsn("postgres"), autocommit=True) as connection:
        while time.monotonic() < deadline:
            (count,) = connection.execute(_STORM.format(how)).fetchone() or (0,)
            hit += count
            time.sleep(0.01)
    return hit


async def run(
    cycles: int,
    seed: int,
    directory: Path,
    binaries: Path,
    *faults: str,
    kinds: tuple[str, ...] = tuple(KINDS),
    asynchronous: bool = False,
) -> FailoverReport:
    """Run a number of failovers with servers of its own; return what the ledgers and the last primary say."""
    pair = Pair(binaries, asynchronous=asynchronous)
    try:
        loop = FailoverLoop(cycles, seed, directory, pair, kinds, *faults)
        loop.report.asynchronous = asynchronous
        if asynchronous:
            loop.stall_seconds_max = 3.0
        await loop.run()
        return loop.judged()
    finally:
        pair.close()


def main() -> None:
    """Run from the command line; exit with 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=tuple(KINDS), help="only failovers of this kind")
    parser.add_argument("--fault", action="append", default=[], help="a known-bad variant of hub_process.py")
    parser.add_argument("--asynchronous", action="store_true", help="commits wait for no standby: known bad")
    parser.add_argument("--keep", type=Path, help="a directory for the hub's log")
    arguments = parser.parse_args()
    binaries = find_binaries()
    if binaries is None:
        sys.exit("NOT RUN: no PostgreSQL binaries on this machine")
    with tempfile.TemporaryDirectory(prefix="xd-crash-") as temporary:
        directory = arguments.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(
            run(
                arguments.cycles,
                arguments.seed,
                directory,
                binaries,
                *arguments.fault,
                kinds=tuple(arguments.kind or KINDS),
                asynchronous=arguments.asynchronous,
            )
        )
    found: dict[str, Any] = msgspec.to_builtins(report)
    print(json.dumps(found, indent=2))
    sys.exit(1 if report.lost or report.doubled else 0)


if __name__ == "__main__":
    main()
