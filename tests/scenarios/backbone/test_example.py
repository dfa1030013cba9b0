"""The example consumer acts on every event once, through kills and a deleted stream, from a time or a cursor."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.scenarios.backbone.world import STREAM, World, until
from tests.support.nats import NatsServers

SCRIPT = Path(__file__).parents[3] / "examples/nats-consumer/consumer.py"


class Example:
    """The script as a process of its own."""

    def __init__(self, servers: NatsServers, directory: Path, *options: str, script: Path = SCRIPT) -> None:
        self.ledger = directory / "ledger.db"
        self._words = (str(script), "--url", servers.url, "--tenant", "acme", "--ledger", str(self.ledger), *options)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )

    async def kill(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def rows(self) -> list[tuple[str, str]]:
        """Return (id, subject) of everything it did, in the order it did it."""
        if self.ledger.exists():
            with contextlib.closing(sqlite3.connect(self.ledger)) as database:
                with contextlib.suppress(sqlite3.OperationalError):
                    return database.execute("select id, subject from done order by rowid").fetchall()
        return []

    def done(self) -> set[str]:
        return {row[0] for row in self.rows()}


def covers(example: Example, ids: Iterable[str]) -> bool:
    return set(ids) <= example.done()


async def test_every_event_once_through_kills_and_a_deleted_stream(
    world: World, servers: NatsServers, tmp_path: Path
) -> None:
    """The ledger holds what was committed, and each event is one row by construction of its key."""
    example = Example(servers, tmp_path)
    world.start()
    await example.start()
    try:
        for _ in range(3):
            await world.write(40)
            await until(lambda: len(example.done()) > len(world.written) - 100, "some events")
            await example.kill()
            await example.start()
        client = await servers.client()
        await servers.api(client, f"STREAM.DELETE.{STREAM}")
        await world.write(10)
        await until(lambda: covers(example, world.ids()), "every event")
    finally:
        await example.kill()

    assert world.ids() == example.done()


async def test_one_at_a_time_keeps_the_order(world: World, servers: NatsServers, tmp_path: Path) -> None:
    """With `--in-order`, kills never bring an event of an order behind a newer one."""
    script = tmp_path / "quick.py"
    script.write_text(SCRIPT.read_text(encoding="utf-8").replace("ack_wait=30", "ack_wait=1"), encoding="utf-8")
    example = Example(servers, tmp_path, "--in-order", script=script)
    world.start()
    await world.write(60)
    await example.start()
    try:
        for step in range(1, 4):
            await until(lambda step=step: len(example.done()) > 30 * step, "some events")  # type: ignore[misc]
            await example.kill()
            await example.start()
        await until(lambda: covers(example, world.ids()), "every event")
    finally:
        await example.kill()

    assert [event.id for event in world.written] == [row[0] for row in example.rows()]


async def test_it_begins_at_a_time_or_behind_a_cursor(world: World, servers: NatsServers, tmp_path: Path) -> None:
    """`--since` asks the stream by time, `--after` skips what stands before a cursor of the journal."""
    world.start()
    await world.write(10)
    await world.caught_up()
    middle = datetime.now(UTC)
    later = {event.id for event in await world.write(10)}
    await world.caught_up()
    for number, options in enumerate((("--since", middle.isoformat()), ("--after", "0.30"))):
        directory = tmp_path / str(number)
        directory.mkdir()
        example = Example(servers, directory, "--name", f"reader-{number}", *options)
        await example.start()
        try:
            await until(lambda example=example: covers(example, later), "the later events")  # type: ignore[misc]
        finally:
            await example.kill()
        assert later == example.done()


async def test_control_a_consumer_that_acknowledges_first_loses(
    world: World, servers: NatsServers, tmp_path: Path
) -> None:
    """Known bad: acknowledged, then killed before it has acted. The event never comes again."""
    text = SCRIPT.read_text(encoding="utf-8")
    good = "            await message.ack_sync(timeout=5)\n"
    assert good in text
    crash = "            if message.headers['Crossdock-Event'].endswith('_0'): raise SystemExit\n"
    bad = (
        text.replace(good, "")
        .replace("ack_wait=30", "ack_wait=1")
        .replace("            cursor =", f"{good}{crash}            cursor =")
    )
    script = tmp_path / "bad.py"
    script.write_text(bad, encoding="utf-8")
    example = Example(servers, tmp_path, script=script)
    world.start()
    await world.write(3)
    await world.caught_up()
    last = world.written[-1].id
    for _ in range(12):
        await example.start()
        with contextlib.suppress(AssertionError):
            await until(lambda: last in example.done(), "the last", 2.5)
        await example.kill()
        if last in example.done():
            break

    assert last in example.done()
    assert world.ids() - example.done() == {event.id for event in world.written if event.id.endswith("_0")}
