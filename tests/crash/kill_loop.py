"""Kill -9 a working hub again and again, and compare the ledgers of the world around it.

    python -m tests.crash.kill_loop --cycles 200 --seed 1
    python -m tests.crash.kill_loop --cycles 5000 --points

A sender hands in orders and ship confirmations over the hub's real door and journals what was acknowledged.
Three partners keep their own ledgers, lose answers and are busy now and then. The hub is killed at random moments,
some of them during its recovery. With `--points` each process is killed at a named point of its work instead
(tests/crash/crash_points.py): the one that was hit least so far. At the end everything drains, and only journal and
ledgers are asked: lost = acknowledged but without its effect; doubled = an effect twice, by identity or business key.
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

from tests.crash.crash_points import POINTS
from tests.crash.pack import files
from tests.crash.partners import Client, Journal, Ledgers, PartnerServer

WORKERS = 16
WINDOW = 200
EARLY_KILLS = 0.15
DRAIN_SECONDS_MAX = 180.0
STALL_SECONDS_MAX = 12.0
# A point that is not passed within this time after the doors opened is given up; the process is killed all the same.
POINT_SECONDS_MAX = 6.0
# Orders for goods that come last: their deadlines run all the time. They are given out slowly.
BACKORDERS_MAX = 40
BACKORDER_STALL_SECONDS_MAX = 90.0
DROPPED_WAITING_MAX = 8


class Report(msgspec.Struct):
    """What one run found. Times are seconds from the kill to the first answer of the new process."""

    cycles: int
    seed: int
    faults: tuple[str, ...]
    acked: int = 0
    effects: int = 0
    lost: int = 0
    doubled: int = 0
    unknown_but_durable: int = 0
    unsure: int = 0
    lost_answers: int = 0
    busy_answers: int = 0
    repeats_absorbed: int = 0
    asked: int = 0
    killed_in_recovery: int = 0
    recovery_p50_seconds: float = 0.0
    recovery_p99_seconds: float = 0.0
    seconds: float = 0.0
    dropped_files: int = 0
    killed_at: dict[str, int] = {}
    points_not_passed: int = 0
    examples: list[str] = []


class KillLoop:
    """One run: the world stays, the hub is killed."""

    stall_seconds_max = STALL_SECONDS_MAX

    def __init__(
        self,
        cycles: int,
        seed: int,
        directory: Path,
        faults: tuple[str, ...] = (),
        points: tuple[str, ...] = (),
        seconds_max: float = 0.0,
    ) -> None:
        self.report = Report(cycles, seed, faults, killed_at=dict.fromkeys(points, 0))
        self._seconds_max = seconds_max
        self._editions = itertools.count(1)
        self._dropped: dict[str, str] = {}
        self._late: dict[str, str] = {}
        self._missed = dict.fromkeys(points, 0)
        self._chance = random.Random(seed)
        self._directory = directory
        self._ledgers = Ledgers(random.Random(seed + 1))
        self._ledgers.on_ticket = self._ship
        self._partners = PartnerServer(self._ledgers)
        self._journal = Journal()
        self._numbers = itertools.count(1)
        self._orders = self._tickets = 0
        self._shipments: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._zygote: asyncio.subprocess.Process | None = None
        self._pid = self._port = 0
        self._up = asyncio.Event()
        self._offering = True
        self._killed_at = 0.0
        self._recoveries: list[float] = []
        self._clients: list[Client] = []

    async def run(self) -> Report:
        began = time.monotonic()
        await self._partners.start()
        await self._start_zygote()
        try:
            await self._spawn(files(self._partners.port, edition=0))
            await self._stock()
            workers = [asyncio.create_task(self._order_for_ever()) for _ in range(WORKERS)]
            workers += [asyncio.create_task(self._confirm_for_ever()) for _ in range(WORKERS // 2)]
            workers.append(asyncio.create_task(self._drop_for_ever()))
            await self._kill_again_and_again(began)
            self._offering = False
            self._ledgers.troubles = False
            await self._stock_last()
            await self._drained()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for client in self._clients:
                client.drop()
            os.kill(self._pid, signal.SIGTERM)
            await self._gone()
        finally:
            await self._end_zygote()
            await self._partners.stop()
        self.report.seconds = round(time.monotonic() - began, 1)
        return self._judged()

    async def _kill_again_and_again(self, began: float) -> None:
        for cycle in range(self.report.cycles):
            if self._seconds_max and time.monotonic() - began > self._seconds_max:
                self.report.cycles = cycle
                break
            if self.report.killed_at:
                await self._cycle_at_point()
            else:
                await self._cycle()
        if self.report.killed_at:
            await self._spawn()

    # -- the process

    async def _start_zygote(self) -> None:
        with (self._directory / "hub.log").open("ab") as log:
            self._zygote = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.crash.hub_process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )
        await self._heard()

    async def _heard(self) -> dict[str, Any]:
        assert self._zygote is not None and self._zygote.stdout is not None
        line = await asyncio.wait_for(self._zygote.stdout.readline(), 60)
        if not line:
            raise RuntimeError((self._directory / "hub.log").read_text()[-4000:])
        return dict(json.loads(line))

    async def _fork(self, pack: dict[str, str] | None = None, crash_at: str = "") -> None:
        assert self._zygote is not None and self._zygote.stdin is not None
        order = {
            "directory": str(self._directory),
            "files": pack,
            "faults": self.report.faults,
            "crash_at": crash_at,
            "settings": self._settings(),
        }
        self._zygote.stdin.write(json.dumps(order).encode() + b"\n")
        while not {"port", "crashed"}.isdisjoint(words := await self._heard()):
            """The last words of the process before."""
        self._pid = words["pid"]

    def _settings(self) -> dict[str, str]:
        """Return what this loop's hub is told beside its directory."""
        return {}

    async def _spawn(self, pack: dict[str, str] | None = None) -> None:
        await self._fork(pack)
        await self._opened()

    async def _opened(self) -> None:
        while (words := await self._heard()).get("pid") != self._pid or "port" not in words:
            """Words of a process that is gone."""
        self._port = words["port"]
        self._up.set()

    async def _kill(self) -> None:
        self._up.clear()
        os.kill(self._pid, signal.SIGKILL)
        self._killed_at = self._killed_at or time.monotonic()
        await self._gone()

    async def _gone(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                os.kill(self._pid, 0)
                await asyncio.sleep(0.001)
            raise RuntimeError("the hub did not end")

    async def _end_zygote(self) -> None:
        if self._zygote is not None and self._zygote.returncode is None:
            self._zygote.kill()
            await self._zygote.communicate()

    async def _cycle(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.01, 0.35))
        await self._kill()
        await self._fork()
        while self._chance.random() < EARLY_KILLS:
            # The new one dies while it recovers what the last one left.
            await asyncio.sleep(self._chance.uniform(0.0, 0.12))
            await self._kill()
            self.report.killed_in_recovery += 1
            await self._fork()
        await self._opened()

    async def _cycle_at_point(self) -> None:
        """End the process that runs, and let the next one kill itself at the point that was hit least."""
        killed = self.report.killed_at
        # One that is rarely passed must not keep the others from their turn.
        point = min(killed, key=lambda name: (killed[name] + self._missed[name], self._chance.random()))
        if self._pid and self._alive():
            await self._kill()
        pack = files(self._partners.port, edition=next(self._editions)) if point.startswith("release.") else None
        times = self._chance.choice((1, 1, 1, 2, 3, 5) if not point.startswith(("release", "recovery")) else (1,))
        await self._fork(pack, f"{point}:{times}")
        if await self._dies():
            killed[point] += 1
        else:
            self.report.points_not_passed += 1
            self._missed[point] += 1
            if self._alive():
                await self._kill()
        self._killed_at = self._killed_at or time.monotonic()

    def _alive(self) -> bool:
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def _dies(self) -> bool:
        """Tell whether the process ends at its point, soon after it opened its doors or before."""
        deadline = time.monotonic() + 60
        opened = crashed = False
        while time.monotonic() < deadline:
            alive = self._alive()
            try:
                async with asyncio.timeout(0.02):
                    words = await self._heard()
            except TimeoutError:
                if not alive:
                    self._up.clear()
                    return crashed
                continue
            crashed = crashed or (words.get("pid") == self._pid and "crashed" in words)
            if words.get("pid") == self._pid and "port" in words:
                self._port, opened = words["port"], True
                deadline = time.monotonic() + POINT_SECONDS_MAX
                self._up.set()
        if not opened:
            raise RuntimeError("the hub did not open its doors")
        return False

    # -- the sender

    async def _offer(self, client: Client, connection: str, key: str, document: dict[str, Any]) -> None:
        """Hand in one paper until it is acknowledged, as a careful sender does: the same key, the same bytes."""
        content = json.dumps(document).encode()
        journal = self._journal
        journal.offered[key] = document["number"]
        while True:
            await self._up.wait()
            port = self._port
            try:
                status, answer = await client.post(port, f"/v1/ingest/acme/{connection}", key, content)
            except (OSError, EOFError):
                journal.unsure.add(key)
                await asyncio.sleep(0.002)
                continue
            if status == 202:
                break
            await asyncio.sleep(0.02)
        if self._killed_at and self._up.is_set() and port == self._port:
            self._recoveries.append(time.monotonic() - self._killed_at)
            self._killed_at = 0.0
        journal.acknowledged[key] = document["number"]
        journal.acknowledged_at[key] = time.time()
        journal.papers[key] = (connection, document)
        if answer["state"] == "duplicate" and key in journal.unsure:
            journal.durable_after_all.add(key)

    def _client(self) -> Client:
        self._clients.append(Client())
        return self._clients[-1]

    async def _order_for_ever(self) -> None:
        client = self._client()
        while self._offering:
            if self._orders - self._tickets > WINDOW:
                await asyncio.sleep(0.005)
                continue
            number = next(self._numbers)
            sku = "B" if number % 3 == 0 else "A"
            if self.report.killed_at and number % 25 == 0 and number // 25 <= BACKORDERS_MAX:
                sku = self._late[f"SO-{number}-1"] = "C"
            await self._offer(client, "erp", f"SO-{number}", _order(f"SO-{number}", sku))
            self._orders += sku != "C"

    async def _drop_for_ever(self) -> None:
        """Put orders into the folder that the hub fetches from. What it took away is promised."""
        inbox = self._directory / "drop" / "in"
        inbox.mkdir(parents=True, exist_ok=True)
        while self._offering:
            if len(self._dropped) < 10_000 and sum(1 for _ in inbox.iterdir()) < DROPPED_WAITING_MAX:
                number = f"FO-{next(self._numbers)}"
                draft = inbox / f".{number}"
                draft.write_text(json.dumps(_order(number, "A")))
                draft.rename(inbox / f"{number}.json")
                self._dropped[number] = f"{number}.json"
            await asyncio.sleep(0.1)

    def _orders_acknowledged(self) -> list[str]:
        return [number for key, number in self._journal.acknowledged.items() if key.startswith("SO-")]

    def _ship(self, partner: str, ticket: str) -> None:
        self._tickets += 1
        self._shipments.put_nowait((partner, ticket))

    async def _confirm_for_ever(self) -> None:
        client = self._client()
        while True:
            partner, ticket = await self._shipments.get()
            line = {"no": "1", "sku": self._late.get(ticket, "A" if partner == "reno" else "B"), "qty": 1}
            paper = {"type": "shipment", "number": f"S-{ticket}", "ticket": ticket, "lines": [line]}
            await self._offer(client, partner, f"S-{ticket}", paper)
            if self._chance.random() < 0.1:
                # The same confirmation once more, as if it were a new message.
                await self._offer(client, partner, f"again-{ticket}", paper)

    async def _stock(self) -> None:
        client = Client()
        for partner, sku in (("reno", "A"), ("kc", "B")):
            line = {"sku": sku, "qty": 10_000_000}
            paper = {"type": "stock", "number": partner, "site": partner.upper(), "as_of": "2026-01-01T00:00:00Z"}
            await self._offer(client, partner, f"stock-{partner}", {**paper, "lines": [line]})
        client.drop()
        await asyncio.sleep(0.3)

    async def _stock_last(self) -> None:
        """Let the goods come that some orders wait for."""
        if self.report.killed_at:
            client = Client()
            paper = {"type": "stock", "number": "late", "site": "RENO", "as_of": "2026-01-02T00:00:00Z"}
            lines = [{"sku": sku, "qty": 10_000_000} for sku in ("A", "C")]
            await self._offer(client, "reno", "stock-late", {**paper, "lines": lines})
            client.drop()

    # -- the end

    def _missing(self) -> list[str]:
        acts = self._ledgers.acts
        tickets = acts["reno"].keys() | acts["kc"].keys()
        promised = [*self._orders_acknowledged(), *self._dropped]
        missing = [number for number in promised if f"{number}-1" not in tickets]
        confirmations = {number for number in self._journal.acknowledged.values() if number.startswith("S-")}
        return missing + [number for number in sorted(confirmations) if number not in acts["erp"]]

    def _moved(self) -> int:
        """Return a figure that grows as long as promises are being kept."""
        return len(self._ledgers.seen) + len(self._journal.acknowledged)

    async def _drained(self) -> None:
        """Wait until every promise is kept, or until nothing moves any more."""
        deadline = time.monotonic() + DRAIN_SECONDS_MAX
        stall_max = 3.0 if self.report.faults else self.stall_seconds_max
        moved_at, seen = time.monotonic(), -1
        while time.monotonic() < deadline and time.monotonic() - moved_at < stall_max:
            now = self._moved()
            if now != seen:
                moved_at, seen = time.monotonic(), now
            elif not self._missing() and self._shipments.empty() and time.monotonic() - moved_at > 2:
                return
            await asyncio.sleep(0.2)

    def _judged(self) -> Report:
        report, ledgers, journal = self.report, self._ledgers, self._journal
        missing = self._missing()
        doubled = [
            f"{partner} {key}: {[identity for identity, _ in acts]}"
            for partner, effects in ledgers.acts.items()
            for key, acts in effects.items()
            if len(acts) > 1
        ]
        doubled += [f"changed: {one}" for one in ledgers.changed]
        report.acked, report.dropped_files = len(journal.acknowledged), len(self._dropped)
        report.effects = sum(len(acts) for effects in ledgers.acts.values() for acts in effects.values())
        report.lost, report.doubled = len(missing), len(doubled)
        report.unsure, report.unknown_but_durable = len(journal.unsure), len(journal.durable_after_all)
        report.lost_answers, report.busy_answers = ledgers.lost_answers, ledgers.refusals
        report.repeats_absorbed, report.asked = ledgers.repeats, ledgers.asked
        times = sorted(self._recoveries) or [0.0]
        report.recovery_p50_seconds = round(times[len(times) // 2], 3)
        report.recovery_p99_seconds = round(times[min(len(times) - 1, int(len(times) * 0.99))], 3)
        report.examples = [*(f"lost {one}" for one in missing[:5]), *(f"doubled {one}" for one in doubled[:5])]
        return report


def _order(number: str, sku: str) -> dict[str, Any]:
    line = {"no": "1", "sku": sku, "qty": 1}
    return {"type": "order", "number": number, "name": "Blue Fern Cafe", "lines": [line]}


async def run(cycles: int, seed: int, directory: Path, *faults: str, points: tuple[str, ...] = ()) -> Report:
    """Run a number of kills and return what the ledgers say."""
    return await KillLoop(cycles, seed, directory, faults, points).run()


def main() -> None:
    """Run from the command line; exit 1 when something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[], help="a known-bad variant that must be caught")
    parser.add_argument("--keep", type=Path, help="a directory for the record and the log")
    parser.add_argument("--points", action="store_true", help="kill at named points instead of random moments")
    parser.add_argument("--seconds-max", type=float, default=0.0, help="end after this time, however many cycles")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xd-crash-") as temporary:
        directory = arguments.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        points = tuple(POINTS) if arguments.points else ()
        loop = KillLoop(
            arguments.cycles, arguments.seed, directory, tuple(arguments.fault), points, arguments.seconds_max
        )
        report = asyncio.run(loop.run())
    print(json.dumps(msgspec.to_builtins(report), indent=2))
    sys.exit(1 if report.lost or report.doubled else 0)


if __name__ == "__main__":
    main()
