"""Kill -9 and stop workers on one PostgreSQL record again and again, and compare the ledgers of the world around them.

    python -m tests.crash.workers_loop --kills 20 --workers 3 --seed 1

One process takes in, some work. A kill is followed by a new worker at once, long before the lease of the dead one ends.
A pause (SIGSTOP) lasts longer than the lease. At the end only the sender's journal and the partners' ledgers are asked:
lost, doubled, and whether the effects of one order came in the order in which the record made them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from tests.crash.pack import files
from tests.crash.partners import Client, Journal, Ledgers, PartnerServer
from tests.support.postgres import PostgresCluster, find_binaries

SENDERS = 8
WINDOW = 150
DRAIN_SECONDS_MAX = 120.0
STALL_SECONDS_MAX = 40.0
PAUSE_SECONDS = 11.0


class Report(msgspec.Struct):
    """What one run found. Takeover is the time from a kill or pause until no slot is the dead worker's any more."""

    kills: int
    pauses: int
    workers: int
    seed: int
    faults: tuple[str, ...] = ()
    acked: int = 0
    effects: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    contentions: int = 0
    fenced: int = 0
    registrations: int = 0
    takeover_p50_seconds: float = 0.0
    takeover_p99_seconds: float = 0.0
    takeover_max_seconds: float = 0.0
    seconds: float = 0.0
    examples: list[str] = []


class WorkersLoop:
    """One run: the world, the record and the door stay; workers come and go."""

    def __init__(self, report: Report, url: str, directory: Path, every_seconds: float) -> None:
        self.report = report
        self._url = url
        self._directory = directory
        self._every = every_seconds
        self._chance = random.Random(report.seed)
        self._ledgers = Ledgers(random.Random(report.seed + 1))
        self._ledgers.on_ticket = self._ship
        self._server = PartnerServer(self._ledgers)
        self._journal = Journal()
        self._numbers = itertools.count(1)
        self._orders = self._tickets = 0
        self._shipments: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._zygote: asyncio.subprocess.Process | None = None
        self._ports: dict[int, asyncio.Future[int]] = {}
        self._workers: list[int] = []
        self._port = 0
        self._offering = True
        self._takeovers: list[float] = []
        self._watches: list[asyncio.Task[None]] = []
        self._database: psycopg.AsyncConnection[Any] | None = None

    async def run(self) -> Report:
        began = time.monotonic()
        await self._server.start()
        self._database = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        try:
            await self._start_zygote()
            web = await self._fork("web", files(self._server.port, lanes=True))
            self._port = await asyncio.wait_for(self._ports[web], 60)
            self._workers = [await self._fork("worker") for _ in range(self.report.workers)]
            for pid in self._workers:
                await asyncio.wait_for(self._ports[pid], 60)
            await self._stock()
            senders = [asyncio.create_task(self._order_for_ever()) for _ in range(SENDERS)]
            senders += [asyncio.create_task(self._confirm_for_ever()) for _ in range(SENDERS // 2)]
            await self._trouble()
            self._offering = False
            self._ledgers.troubles = False
            await asyncio.gather(*self._watches)
            await self._drained()
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
            disordered = await self._disordered()
            await self._end([web, *self._workers])
        finally:
            if self._zygote is not None and self._zygote.returncode is None:
                self._zygote.kill()
                await self._zygote.wait()
                await self._reader
            await self._server.stop()
            await self._database.close()
        self.report.seconds = round(time.monotonic() - began, 1)
        return self._judged(disordered)

    # -- processes

    async def _start_zygote(self) -> None:
        with (self._directory / "hub.log").open("ab") as log:
            self._zygote = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.crash.hub_process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )
        self._forked: asyncio.Queue[int] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())
        await self._forked.get()

    async def _read(self) -> None:
        assert self._zygote is not None and self._zygote.stdout is not None
        while line := await self._zygote.stdout.readline():
            words = json.loads(line)
            known = self._ports.setdefault(words["pid"], asyncio.get_running_loop().create_future())
            if "port" in words:
                if not known.done():
                    known.set_result(words["port"])
            else:
                self._forked.put_nowait(words["pid"])

    async def _fork(self, role: str, pack: dict[str, str] | None = None) -> int:
        assert self._zygote is not None and self._zygote.stdin is not None
        order = {"directory": str(self._directory), "url": self._url, "role": role, "files": pack}
        order["faults"] = self.report.faults if role == "worker" else ()
        self._zygote.stdin.write(json.dumps(order).encode() + b"\n")
        return await asyncio.wait_for(self._forked.get(), 30)

    async def _end(self, pids: list[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 60
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                while time.monotonic() < deadline:
                    os.kill(pid, 0)
                    await asyncio.sleep(0.01)
                raise RuntimeError(f"process {pid} did not end in order")

    # -- the trouble

    async def _trouble(self) -> None:
        what = ["kill"] * self.report.kills + ["pause"] * self.report.pauses
        self._chance.shuffle(what)
        for one in what:
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * self._every)
            place = self._chance.randrange(len(self._workers))
            pid = self._workers[place]
            if one == "kill":
                number = await self._number_of(pid)
                os.kill(pid, signal.SIGKILL)
                self._watches.append(asyncio.create_task(self._watch(number)))
                self._workers[place] = await self._fork("worker")
            else:
                await self._pause(pid)

    async def _pause(self, pid: int) -> None:
        number = await self._number_of(pid)
        os.kill(pid, signal.SIGSTOP)
        watch = asyncio.create_task(self._watch(number))
        await asyncio.sleep(PAUSE_SECONDS)
        await watch
        os.kill(pid, signal.SIGCONT)

    async def _number_of(self, pid: int) -> int:
        """Return the number under which a process is registered; wait for it, it may just have been started."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            rows = await self._rows("select worker from workers where name like %s order by worker desc", (f"%:{pid}",))
            if rows:
                return int(rows[0][0])
            await asyncio.sleep(0.05)
        raise RuntimeError(f"process {pid} does not register")

    async def _watch(self, number: int) -> None:
        began = time.monotonic()
        while await self._rows("select 1 from slots where worker = %s or worker = -1 limit 1", (number,)):
            if time.monotonic() - began > 60:
                break
            await asyncio.sleep(0.02)
        self._takeovers.append(time.monotonic() - began)

    async def _rows(self, sql: Any, parameters: tuple[Any, ...] = ()) -> list[Any]:
        assert self._database is not None
        return await (await self._database.execute(sql, parameters)).fetchall()

    # -- the senders

    async def _offer(self, client: Client, connection: str, key: str, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self._journal.offered[key] = document["number"]
        while True:
            try:
                status, _ = await client.post(self._port, f"/v1/ingest/acme/{connection}", key, content)
            except (OSError, EOFError):
                await asyncio.sleep(0.02)
                continue
            if status == 202:
                break
            await asyncio.sleep(0.05)
        self._journal.acknowledged[key] = document["number"]

    async def _order_for_ever(self) -> None:
        client = Client()
        while self._offering:
            if self._orders - self._tickets > WINDOW:
                await asyncio.sleep(0.01)
                continue
            number = next(self._numbers)
            line = {"no": "1", "sku": "B" if number % 3 == 0 else "A", "qty": 1}
            paper = {"type": "order", "number": f"SO-{number}", "name": "Blue Fern Cafe", "lines": [line]}
            self._orders += 1
            await self._offer(client, "erp", f"SO-{number}", paper)
        client.drop()

    def _ship(self, partner: str, ticket: str) -> None:
        self._tickets += 1
        self._shipments.put_nowait((partner, ticket))

    async def _confirm_for_ever(self) -> None:
        client = Client()
        while True:
            partner, ticket = await self._shipments.get()
            line = {"no": "1", "sku": "A" if partner == "reno" else "B", "qty": 1}
            paper = {"type": "shipment", "number": f"S-{ticket}", "ticket": ticket, "lines": [line]}
            await self._offer(client, partner, f"S-{ticket}", paper)
            if self._chance.random() < 0.1:
                await self._offer(client, partner, f"again-{ticket}", paper)

    async def _stock(self) -> None:
        client = Client()
        for partner, sku in (("reno", "A"), ("kc", "B")):
            paper = {"type": "stock", "number": partner, "site": partner.upper(), "as_of": "2026-01-01T00:00:00Z"}
            await self._offer(
                client, partner, f"stock-{partner}", {**paper, "lines": [{"sku": sku, "qty": 10_000_000}]}
            )
        client.drop()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(await self._rows("select 1 from inventory")) < 2:
            await asyncio.sleep(0.05)

    # -- the end

    def _missing(self) -> list[str]:
        acts = self._ledgers.acts
        tickets = acts["reno"].keys() | acts["kc"].keys()
        acknowledged = self._journal.acknowledged
        missing = [
            number for key, number in acknowledged.items() if key.startswith("SO-") and f"{number}-1" not in tickets
        ]
        confirmations = {number for number in acknowledged.values() if number.startswith("S-")}
        return missing + [number for number in sorted(confirmations) if number not in acts["erp"]]

    async def _drained(self) -> None:
        deadline, moved_at, seen = time.monotonic() + DRAIN_SECONDS_MAX, time.monotonic(), -1
        while time.monotonic() < deadline and time.monotonic() - moved_at < STALL_SECONDS_MAX:
            now = len(self._ledgers.seen) + len(self._journal.acknowledged)
            if now != seen:
                moved_at, seen = time.monotonic(), now
            elif not self._missing() and self._shipments.empty() and time.monotonic() - moved_at > 2:
                return
            await asyncio.sleep(0.2)

    async def _disordered(self) -> list[str]:
        """Return the lanes whose effects came otherwise than the record made them."""
        arrived = {place: number for number, place in enumerate(self._ledgers.seen)}
        last: dict[tuple[str, str], int] = {}
        found = []
        for connection, lane, identity in await self._rows(
            "select connection_id, lane, identity from outbound_messages order by made"
        ):
            at = arrived.get((connection, identity))
            if at is None:
                continue
            if at < last.get((connection, lane), -1):
                found.append(f"{connection} {lane}: {identity}")
            last[(connection, lane)] = max(at, last.get((connection, lane), -1))
        numbers = await self._rows("select last_value from worker_numbers")
        self.report.registrations = int(numbers[0][0])
        return found

    def _judged(self, disordered: list[str]) -> Report:
        report, ledgers = self.report, self._ledgers
        missing = self._missing()
        doubled = [
            f"{partner} {key}: {[identity for identity, _ in acts]}"
            for partner, effects in ledgers.acts.items()
            for key, acts in effects.items()
            if len(acts) > 1
        ]
        log = (self._directory / "hub.log").read_text(errors="replace")
        report.acked = len(self._journal.acknowledged)
        report.effects = sum(len(effects) for effects in ledgers.acts.values())
        report.lost, report.doubled, report.disordered = len(missing), len(doubled), len(disordered)
        report.contentions = log.count("cycle.again") + log.count("write.again")
        report.fenced = log.count("worker.fenced") + log.count("worker.lease_lost")
        times = sorted(self._takeovers)
        if times:
            report.takeover_p50_seconds = round(times[len(times) // 2], 3)
            report.takeover_p99_seconds = round(times[min(len(times) - 1, int(len(times) * 0.99))], 3)
            report.takeover_max_seconds = round(times[-1], 3)
        report.examples = [
            *(f"lost {one}" for one in missing[:5]),
            *(f"doubled {one}" for one in doubled[:5]),
            *(f"disordered {one}" for one in disordered[:5]),
        ]
        return report


async def run(report: Report, url: str, directory: Path, *, every_seconds: float = 3.0) -> Report:
    """Run one loop on an empty PostgreSQL database and return what the ledgers say."""
    return await WorkersLoop(report, url, directory, every_seconds).run()


def main() -> None:
    """Run from the command line on a server of its own; exit 1 when anything was lost, doubled or out of order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pauses", type=int, default=0)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between troubles, on average")
    parser.add_argument("--fault", action="append", default=[], help="a known-bad variant that must be caught")
    parser.add_argument("--keep", type=Path, help="a directory for the log")
    arguments = parser.parse_args()
    binaries = find_binaries()
    if binaries is None:
        sys.exit("no PostgreSQL binaries on this machine")
    cluster = PostgresCluster(binaries)
    try:
        with tempfile.TemporaryDirectory(prefix="xd-workers-") as temporary:
            directory = arguments.keep or Path(temporary)
            directory.mkdir(parents=True, exist_ok=True)
            report = Report(
                arguments.kills, arguments.pauses, arguments.workers, arguments.seed, tuple(arguments.fault)
            )
            url = cluster.dsn(cluster.create_database())
            report = asyncio.run(run(report, url, directory, every_seconds=arguments.every))
    finally:
        cluster.close()
    print(json.dumps(msgspec.to_builtins(report), indent=2))
    sys.exit(1 if report.lost or report.doubled or report.disordered else 0)


if __name__ == "__main__":
    main()
