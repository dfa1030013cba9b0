"""Measure what one bad partner, one bad message or far too much load costs everybody else.

    python -m bench.isolation slow      one of 50 partners hangs with a backlog; the p99 of the others
    python -m bench.isolation poison    one in ten messages is broken, hangs or is answered with garbage
    python -m bench.isolation overload  ten times the sustainable load, then back; throughput and memory

Each prints its figure beside that of a positive control: a single queue for all partners, or no bound. Windows of one
run are compared with each other, so a busy machine disturbs both alike; `--rounds` repeats with fresh hubs, and medians
are told. The exit code says whether the goals were reached.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Iterable, Iterator

import msgspec
import uvloop

from crossdock.simulator.load import job

from .isolation_rig import PARTNERS, SLOW, HubProcess, Measured, Partners, a_rig, body, event_id, pack, pour

RATIO_MAX = 1.2
RECOVERED_MIN = 0.95
MEMORY_BYTES_MAX = 512_000_000


class Ratio(msgspec.Struct, frozen=True):
    """The p99 of the others with and without the trouble, in milliseconds, and what was refused or never came."""

    baseline_p99: float
    troubled_p99: float
    refused: int
    missing: int

    @property
    def ratio(self) -> float:
        return self.troubled_p99 / self.baseline_p99


def _healthy(numbers: Iterable[int]) -> list[tuple[str, bytes]]:
    """Return messages for all partners but the slow one."""
    return [(event_id(number), body(number, f"p{1 + number % (PARTNERS - 1):02}")) for number in numbers]


async def _with_orders(hub: HubProcess, numbers: Iterator[int], count: int) -> list[int]:
    """Return the next numbers, after the orders that their events are about were handed in."""
    taken = list(itertools.islice(numbers, count))
    await hub.door.many([job.order(number) for number in taken])
    return taken


def _both(calm: Measured, troubled: Measured) -> Ratio:
    return Ratio(calm.quantile(0.99), troubled.quantile(0.99), troubled.refused, troubled.missing)


async def slow(*, backlog: int, per_second: float, seconds: float, shared_queue: bool = False) -> Ratio:
    """One partner hangs at its timeout with a backlog; return what the others' p99 was before and is meanwhile."""
    numbers = itertools.count()
    window = int(per_second * seconds)

    async def take(hub: HubProcess) -> list[tuple[str, bytes]]:
        return _healthy(await _with_orders(hub, numbers, window))

    async with a_rig(lambda port: pack(port, shared_queue=shared_queue)) as (hub, partners):
        # It has been well until now: nothing is known of it that could help.
        await hub.door.many([body(number, SLOW) for number in await _with_orders(hub, numbers, 100)])
        await pour(hub.door, partners, await take(hub), per_second)
        calm = await pour(hub.door, partners, await take(hub), per_second)
        messages = await take(hub)
        partners.answer = lambda partner, _: b"hang" if partner == SLOW.encode() else b"ok"
        await hub.door.many([body(number, SLOW) for number in await _with_orders(hub, numbers, backlog)])
        troubled = await pour(hub.door, partners, messages, per_second)
    return _both(calm, troubled)


async def poison(*, per_second: float, seconds: float, shared_queue: bool = False) -> Ratio:
    """Every tenth message is broken, hangs or is answered with garbage; return the others' p99 before and meanwhile."""
    numbers = itertools.count()
    window = int(per_second * seconds)
    hanging: set[bytes] = set()
    babbling: set[bytes] = set()
    bad: set[str] = set()

    def answer(_: bytes, event: bytes) -> bytes:
        return b"hang" if event in hanging else b"garbage" if event in babbling else b"ok"

    def troubled_bodies(messages: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        for place in range(0, len(messages), 10):
            name, content = messages[place]
            bad.add(name)
            kind = place // 10 % 4
            if kind == 0:
                messages[place] = (name, content[: len(content) // 2])
            elif kind == 1:
                messages[place] = (name, content.replace(b"wms.allocated", b"wms.unheard-of"))
            elif kind == 2:
                hanging.add(name.encode())
            else:
                babbling.add(name.encode())
        return messages

    async with a_rig(lambda port: pack(port, shared_queue=shared_queue)) as (hub, partners):
        partners.answer = answer
        await pour(hub.door, partners, _healthy(await _with_orders(hub, numbers, window)), per_second)
        calm = await pour(hub.door, partners, _healthy(await _with_orders(hub, numbers, window)), per_second)
        messages = troubled_bodies(_healthy(await _with_orders(hub, numbers, window)))
        troubled = await pour(hub.door, partners, messages, per_second, counts=lambda name: name not in bad)
    return _both(calm, troubled)


class Overload(msgspec.Struct, frozen=True):
    """What was delivered in a second before and after an overload, and the most memory in use."""

    baseline_per_second: float
    recovered_per_second: float
    offered: int
    refused: int
    resident_bytes_before: int
    resident_bytes_max: int


async def overload(*, seconds: float, window_seconds: float, bounded: bool = True) -> Overload:
    """Offer ten times what two partners take, then again what they take; return what came through."""
    numbers = itertools.count()
    # Two partners that take 50 ms for each message, four at a time: 160 a second, whatever this machine can do.
    connection = "in_flight_max: 4\n"
    settings = {} if bounded else {"flow.memory_outbound_max": 1_000_000}
    sustainable = 2 * 4 / 0.05

    def bodies(count: int) -> list[tuple[str, bytes]]:
        return [(event_id(n), body(n, f"p{n % 2:02}", alone=False)) for n in itertools.islice(numbers, count)]

    async with a_rig(lambda port: pack(port, partners=2, connection=connection), settings) as (hub, partners):
        partners.answer = lambda *_: 0.05
        most_events = 2 * sustainable * 1.1 * window_seconds + 12 * sustainable * seconds
        await hub.door.many([job.order(number) for number in range(int(most_events / job.EVENTS_PER_ORDER) + 1)])
        # Slightly more than can be taken, so that what is delivered is what the hub and its partners can do.
        count = int(sustainable * 1.1 * window_seconds)
        before = await _delivered(partners, pour(hub.door, partners, bodies(count), sustainable * 1.1), window_seconds)
        resident_before = most = hub.resident_bytes()
        refused = offered = 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            wave = await pour(hub.door, partners, bodies(int(sustainable * 10)), sustainable * 10, patience_seconds=0.0)
            refused, offered = refused + wave.refused, offered + wave.sent
            most = max(most, hub.resident_bytes())
        after = await _delivered(partners, pour(hub.door, partners, bodies(count), sustainable * 1.1), window_seconds)
        most = max(most, hub.resident_bytes())
    return Overload(before, after, offered, refused, resident_before, most)


async def _delivered(partners: Partners, pouring: object, seconds: float) -> float:
    """Return how many messages arrived in a second while some are poured in."""
    task = asyncio.ensure_future(pouring)  # type: ignore[arg-type]
    await asyncio.sleep(seconds * 0.2)
    arrived, began = len(partners.arrived), time.monotonic()
    await asyncio.sleep(seconds * 0.7)
    rate = (len(partners.arrived) - arrived) / (time.monotonic() - began)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return rate


def _tell(name: str, found: list[Ratio]) -> float:
    for one in found:
        print(
            f"  {name:<14} p99 of the others {one.baseline_p99:8.1f} ms alone, {one.troubled_p99:8.1f} ms beside it,"
            f" ratio {one.ratio:6.2f}, {one.refused} refused, {one.missing} never came",
            flush=True,
        )
    middle = statistics.median(one.ratio for one in found)
    print(f"  {name:<14} median ratio {middle:.2f}", flush=True)
    return middle


async def _run(asked: argparse.Namespace) -> int:
    if asked.what == "overload":
        good = await overload(seconds=asked.overload_seconds, window_seconds=asked.seconds)
        bad = await overload(seconds=asked.overload_seconds, window_seconds=asked.seconds, bounded=False)
        for name, one in (("as it is", good), ("control", bad)):
            share = one.recovered_per_second / one.baseline_per_second
            print(
                f"  {name:<14} {one.baseline_per_second:.0f}/s before, {one.recovered_per_second:.0f}/s after"
                f" ({share:.0%}); {one.offered} offered, {one.refused} refused;"
                f" {one.resident_bytes_before / 1e6:.0f} MB before, {one.resident_bytes_max / 1e6:.0f} MB at most"
            )
        recovered = good.recovered_per_second / good.baseline_per_second
        caught = bad.refused < good.refused and bad.resident_bytes_max > good.resident_bytes_max
        print(f"  the control (no bound) {'was caught' if caught else 'was NOT caught'}")
        return 0 if recovered >= RECOVERED_MIN and good.resident_bytes_max <= MEMORY_BYTES_MAX and caught else 1
    found: dict[bool, list[Ratio]] = {False: [], True: []}
    for _ in range(asked.rounds):
        for shared_queue in (False, True):
            if shared_queue and len(found[True]) > 0:
                continue
            if asked.what == "slow":
                one = await slow(
                    backlog=asked.backlog,
                    per_second=asked.rate,
                    seconds=asked.seconds,
                    shared_queue=shared_queue,
                )
            else:
                one = await poison(per_second=asked.rate, seconds=asked.seconds, shared_queue=shared_queue)
            found[shared_queue].append(one)
    middle = _tell("as it is", found[False])
    control = _tell("one queue", found[True])
    print(f"  the control (one queue for all) {'was caught' if control > RATIO_MAX else 'was NOT caught'}")
    return 0 if middle <= RATIO_MAX and control > RATIO_MAX else 1


def main() -> int:
    """Run what was asked for; print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.isolation", description=__doc__)
    parser.add_argument("what", choices=("slow", "poison", "overload"))
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second to the healthy partners")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each window")
    parser.add_argument("--backlog", type=int, default=10_000, help="messages that wait for the slow partner")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--overload-seconds", type=float, default=300.0)
    asked = parser.parse_args()
    print(f"== isolation: {asked.what}", flush=True)
    return uvloop.run(_run(asked))


if __name__ == "__main__":
    raise SystemExit(main())
