"""Follow the events of one tenant over NATS JetStream, and act on each of them once.

    python consumer.py --url nats://127.0.0.1:4222 --tenant acme --ledger ledger.db

Needs `nats-py` and nothing of Crossdock. What it does about each event is one row in its own SQLite ledger. The rules
it follows are those of docs/how-to/run-with-nats.md:

1. act and remember the event's id in one commit of your own, then acknowledge;
2. an id that is remembered is acknowledged and does nothing;
3. when the stream or the durable consumer is gone, make the consumer again and read from the start;
4. where the order of an order's events matters, have one event in hand at a time (`--in-order`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

PRINTED = "{cursor:>12}  {type:<40} {subject}"


class Ledger:
    """What was done, by event id. The act and the memory of it are one commit."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("pragma synchronous=full")
        self._database.execute("create table if not exists done (id text primary key, type text, subject text)")

    def act(self, event: dict[str, Any]) -> bool:
        """Act on an event; return whether it was new. Durable when this returns."""
        with self._database:
            self._database.execute("begin immediate")
            done = self._database.execute(
                "insert into done values (?, ?, ?) on conflict do nothing",
                (event["id"], event["type"], event["subject"]),
            )
        return done.rowcount == 1


def place(cursor: str) -> tuple[int, int]:
    """Return a journal cursor, such as `0.1042`, as something that can be compared."""
    transaction, _, position = cursor.partition(".")
    return int(transaction or 0), int(position or 0)


async def follow(client: Client, options: argparse.Namespace, ledger: Ledger) -> None:
    """Work until nothing has come for `--idle` seconds, or for ever. Raises when stream or consumer are gone."""
    stream = f"{options.prefix.upper()}_EVENTS"
    since = datetime.fromisoformat(options.since) if options.since else None
    jetstream = client.jetstream(timeout=5)
    await jetstream.add_consumer(
        stream,
        ConsumerConfig(
            name=options.name,
            durable_name=options.name,
            filter_subject=f"{options.prefix}.events.{options.tenant}.>",
            deliver_policy=DeliverPolicy.BY_START_TIME if since else DeliverPolicy.ALL,
            opt_start_time=since.isoformat() if since else None,  # type: ignore[arg-type]
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=30,
            # With more than one event in hand, a crash brings some of them back behind newer ones.
            max_ack_pending=1 if options.in_order else 1_000,
        ),
    )
    pull = await jetstream.pull_subscribe_bind(options.name, stream)
    silent = 0.0
    while not options.idle or silent < options.idle:
        try:
            messages = await pull.fetch(1 if options.in_order else 100, timeout=1)
        except TimeoutError:
            silent += 1
            # A consumer that is gone looks like one with nothing to do.
            await jetstream.consumer_info(stream, options.name)
            continue
        silent = 0.0
        for message in messages:
            cursor = (message.headers or {}).get("Crossdock-Cursor", "")
            if place(cursor) > place(options.after):
                event = json.loads(message.data)
                if ledger.act(event):
                    print(PRINTED.format(cursor=cursor, **event), flush=True)
            await message.ack_sync(timeout=5)


async def run(options: argparse.Namespace) -> None:
    """Follow; begin again whenever the servers, the stream or the consumer were lost."""
    ledger = Ledger(options.ledger)
    while True:
        client = None
        try:
            client = await nats.connect(
                options.url.split(","), allow_reconnect=False, error_cb=_quiet, inbox_prefix=options.inbox
            )
            await follow(client, options, ledger)
            return
        except (Error, OSError, TimeoutError) as error:
            print(f"begins again: {error or type(error).__name__}", file=sys.stderr, flush=True)
            await asyncio.sleep(0.5)
        finally:
            if client is not None:
                await client.close()


async def _quiet(error: Exception) -> None:
    """What matters is raised where it happens."""


def main() -> None:
    """Read the command line and follow."""
    parser = argparse.ArgumentParser(description="Follow the events of one tenant and act on each of them once.")
    parser.add_argument(
        "--url", default="nats://127.0.0.1:4222", help="servers, separated by commas; nats://user:password@host"
    )
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--prefix", default="crossdock")
    parser.add_argument("--name", default="example", help="name of the durable consumer")
    parser.add_argument("--ledger", type=Path, default=Path("ledger.db"))
    parser.add_argument(
        "--inbox", default="_INBOX", help="prefix of the answers' subjects, where a sign-in has its own"
    )
    parser.add_argument("--since", default="", help="begin with what was published at this instant (ISO 8601)")
    parser.add_argument("--after", default="", help="begin behind this cursor of the journal")
    parser.add_argument("--in-order", action="store_true", help="one event at a time: crashes never change the order")
    parser.add_argument("--idle", type=float, default=0, help="end when nothing has come for so many seconds")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
