"""Kill, pause, wipe and set back a cluster of NATS servers under a working hub, and compare the ledgers outside.

    python -m tests.crash.jetstream_kills --kills 100 --wipes 20 --seed 1

The world is that of `kill_loop`: a sender with a journal, three partners with ledgers. A consumer outside the hub
follows the events over JetStream and keeps a ledger too, crashes now and then, and acknowledges after it has acted.
Servers are killed one, two and three at a time, their leader is paused, stores are wiped, set back to older copies,
the stream is deleted and purged; now and then the hub is killed as well. At the end everything drains, and only
journal and ledgers are asked. lost = acknowledged, but without its effect at a partner or its event at the consumer;
doubled = an effect twice, at a partner or at the consumer; out of order = a stretch of the stream that is not in the
order of the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.crash.kill_loop import KillLoop
from tests.crash.outside_consumer import STREAM, OutsideConsumer
from tests.support.nats import NatsServers

RECOVERED_SECONDS_MAX = 30.0
HUB_KILLS = 0.1
CONSUMER_AWAY = 0.5
SWEEP_SECONDS = 1
ORDERS_PER_SECOND = 6.0


class Report(msgspec.Struct):
    """What one run found. Lag is the time from the commit of an event to its first taking by the consumer."""

    kills: int
    wipes: int
    seed: int
    nodes: int
    faults: tuple[str, ...]
    acts: dict[str, int] = {}
    hub_kills: int = 0
    acked: int = 0
    effects: int = 0
    events_taken: int = 0
    redeliveries: int = 0
    consumer_crashes: int = 0
    consumer_made_again: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    taken_late: int = 0
    lag_p50_seconds: float = 0.0
    lag_p99_seconds: float = 0.0
    lag_max_seconds: float = 0.0
    hub_memory_mb_max: float = 0.0
    seconds: float = 0.0
    examples: list[str] = []


class JetStreamKills(KillLoop):
    """One run: the hub works, its broker is torn down around it."""

    stall_seconds_max = 60.0

    def __init__(
        self,
        kills: int,
        wipes: int,
        seed: int,
        directory: Path,
        *,
        nodes: int = 3,
        faults: tuple[str, ...] = (),
        others: bool = True,
    ) -> None:
        chance = random.Random(seed + 2)
        ours = tuple(fault for fault in faults if fault != "consumer_acks_first")
        acts = ["wipe"] * wipes + _kills(kills, nodes, chance)
        if others:
            acts += [kind for kind in ("pause", "set_back", "delete", "purge") for _ in range(max(1, kills // 12))]
        chance.shuffle(acts)
        super().__init__(len(acts), seed, directory, ours)
        self.found = Report(kills, wipes, seed, nodes, faults)
        self._acts = acts
        self._servers = NatsServers(directory / "nats", nodes)
        self._consumer = OutsideConsumer(
            self._servers, random.Random(seed + 3), acks_first="consumer_acks_first" in faults
        )
        self._nodes = nodes
        self._copies = 0

    async def measured(self) -> Report:
        """Run, and return what the ledgers say."""
        self._servers.start()
        await self._servers.ready()
        self._consumer.start()
        try:
            judged = await self.run()
        finally:
            await self._consumer.stop()
            await self._servers.close_clients()
            self._servers.stop()
        found, ledger = self.found, self._consumer.ledger
        found.acked, found.effects, found.seconds = judged.acked, judged.effects, judged.seconds
        found.events_taken, found.redeliveries = len(ledger.acts), ledger.redeliveries
        found.consumer_crashes, found.consumer_made_again = self._consumer.crashes, self._consumer.made
        doubled = ledger.doubled()
        found.lost, found.doubled = judged.lost, judged.doubled + len(doubled)
        disorder = ledger.out_of_order()
        found.out_of_order, found.taken_late = len(disorder), ledger.taken_late
        delays = sorted(ledger.delays) or [0.0]
        found.lag_p50_seconds = round(delays[len(delays) // 2], 3)
        found.lag_p99_seconds = round(delays[int(len(delays) * 0.99)], 3)
        found.lag_max_seconds = round(delays[-1], 3)
        found.examples = [*judged.examples, *doubled[:5], *disorder[:5]]
        return found

    def _settings(self) -> dict[str, str]:
        return {
            "backbone.url": self._servers.url,
            "backbone.replicas": str(self._nodes),
            "backbone.sweep_seconds": str(SWEEP_SECONDS),
        }

    # -- a smaller load: every wipe is filled again from the whole journal

    async def _offer(self, client: Any, connection: str, key: str, document: dict[str, Any]) -> None:
        if document.get("type") == "order":
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * 16 / ORDERS_PER_SECOND)
        await super()._offer(client, connection, key, document)

    # -- the acts

    async def _cycle(self) -> None:
        act = self._acts.pop()
        taken = len(self._consumer.ledger.acts)
        await asyncio.sleep(self._chance.uniform(0.1, 1.0))
        away = self._chance.random() < CONSUMER_AWAY
        if away:
            # What nobody has taken yet is what a broker can lose.
            await self._consumer.stop()
            await asyncio.sleep(self._chance.uniform(0.2, 2.0))
        with contextlib.suppress(TimeoutError, OSError):
            await self._perform(act)
        if away:
            self._consumer.start()
        self.found.acts[act] = self.found.acts.get(act, 0) + 1
        if self._chance.random() < HUB_KILLS:
            await super()._cycle()
            self.found.hub_kills += 1
        if self._chance.random() < 0.75:
            await self._recovered(taken)
        self._weigh()

    async def _recovered(self, taken: int) -> None:
        """Wait until the consumer takes new events again. The next act often comes before that."""
        deadline = time.monotonic() + RECOVERED_SECONDS_MAX
        while len(self._consumer.ledger.acts) <= taken + 10 and time.monotonic() < deadline:
            await asyncio.sleep(0.1)

    async def _perform(self, act: str) -> None:
        named = {
            "wipe": self._wipe,
            "pause": self._pause,
            "set_back": self._set_back,
            "delete": self._delete,
            "purge": self._purge,
        }
        if act in named:
            await named[act]()
        else:
            await self._kill_servers(int(act.removeprefix("kill ")))

    async def _kill_servers(self, count: int) -> None:
        for node in self._chance.sample(range(self._nodes), count):
            await asyncio.to_thread(self._servers.kill, node)
        await asyncio.sleep(self._chance.uniform(0.0, 2.0))
        self._servers.start()

    async def _wipe(self) -> None:
        for node in range(self._nodes):
            await asyncio.to_thread(self._servers.kill, node)
        self._servers.wipe()
        await asyncio.sleep(self._chance.uniform(0.0, 1.0))
        self._servers.start()

    async def _pause(self) -> None:
        leader = await self._servers.leader(STREAM)
        node = self._chance.randrange(self._nodes) if leader is None else leader
        self._servers.pause(node)
        await asyncio.sleep(self._chance.uniform(1.0, 12.0))
        self._servers.resume(node)

    async def _set_back(self) -> None:
        """Stop all; put an older copy of some stores in place: what was written since never reached the disk."""
        for node in range(self._nodes):
            await asyncio.to_thread(self._servers.kill, node)
        if self._copies and self._chance.random() < 0.7:
            some = self._chance.sample(range(self._nodes), self._chance.randint(1, self._nodes))
            await asyncio.to_thread(self._servers.set_back, f"copy{self._copies}", *some)
        else:
            self._copies += 1
            await asyncio.to_thread(self._servers.keep_copy, f"copy{self._copies}")
        self._servers.start()

    async def _delete(self) -> None:
        await self._ask(f"STREAM.DELETE.{STREAM}")

    async def _purge(self) -> None:
        await self._ask(f"STREAM.PURGE.{STREAM}")

    async def _ask(self, call: str) -> bool:
        with contextlib.suppress(Exception):
            client = await asyncio.wait_for(self._servers.client(), 5)
            try:
                return bool((await self._servers.api(client, call)).get("success"))
            finally:
                await client.close()
        return False

    def _weigh(self) -> None:
        with contextlib.suppress(OSError, IndexError):
            status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
            kilobytes = int(status.partition("VmRSS:")[2].split()[0])
            self.found.hub_memory_mb_max = max(self.found.hub_memory_mb_max, round(kilobytes / 1024, 1))

    # -- the end

    def _moved(self) -> int:
        return super()._moved() + len(self._consumer.ledger.acts)

    def _missing(self) -> list[str]:
        ledger = self._consumer.ledger
        orders = [f"event of {one}" for one in self._orders_acknowledged() if one not in ledger.released]
        shipments = {number for number in self._journal.acknowledged.values() if number.startswith("S-")}
        return super()._missing() + orders + [f"event of {one}" for one in sorted(shipments - ledger.departed)]

    async def _drained(self) -> None:
        self._consumer.troubles = False
        for node in range(self._nodes):
            with contextlib.suppress(ProcessLookupError):
                self._servers.resume(node)
        self._servers.start()
        await super()._drained()


def _kills(count: int, nodes: int, chance: random.Random) -> list[str]:
    """Return acts that kill `count` servers in all, some of them at once."""
    acts = []
    while count > 0:
        some = min(count, chance.choice((1, 1, 1, 2, 3)), nodes)
        acts.append(f"kill {some}")
        count -= some
    return acts


async def run(kills: int, wipes: int, seed: int, directory: Path, *faults: str, **options: Any) -> Report:
    """Run a number of kills and wipes and return what the ledgers say."""
    return await JetStreamKills(kills, wipes, seed, directory, faults=faults, **options).measured()


def main() -> None:
    """Run from the command line; exit 1 when something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--wipes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=3, choices=(1, 3))
    parser.add_argument("--fault", action="append", default=[], help="a known-bad variant that must be caught")
    parser.add_argument("--keep", type=Path, help="a directory for the record, the stores and the logs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xd-nats-") as temporary:
        directory = arguments.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(
            run(
                arguments.kills,
                arguments.wipes,
                arguments.seed,
                directory,
                *arguments.fault,
                nodes=arguments.nodes,
            )
        )
    print(json.dumps(msgspec.to_builtins(report), indent=2))
    sys.exit(1 if report.lost or report.doubled or report.out_of_order else 0)


if __name__ == "__main__":
    main()
