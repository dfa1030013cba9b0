"""The hub that is killed: a real one behind its real door, with nothing changed but by a test's own switch.

On SQLite it is one process; an order with `url` and `role` makes it one of several on PostgreSQL.

Run as a module it is a fork server: everything is imported once, then each line on stdin
(`{"directory": …, "faults": …, "crash_at": …}`) forks a child that becomes the hub and writes `{"pid": …}` and, once
its door is open, `{"pid": …, "port": …}` to stdout.
The switches are the positive controls of the test: known-bad variants that it must catch.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import nats as _nats
import structlog

from crossdock.backbone import jetstream
from crossdock.backbone.publishing import Parcel, Publisher
from crossdock.bootstrap import Hub
from crossdock.bootstrap.cluster import Cluster
from crossdock.config import load_settings
from crossdock.connectors.http_json import connector as _http_json
from crossdock.durable.lanes import Ownership
from crossdock.durable.stream_proof import Judgement, Place, Seen
from crossdock.flow.ingest import InboundOffer, IngestAnswer
from crossdock.flow.pipeline import Pipeline
from crossdock.flow.send import Sender
from crossdock.store import workers
from crossdock.store.postgres import PostgresConnection, PostgresStore
from crossdock.web.server import open_doors
from tests.crash import crash_points

assert _http_json is not None and _nats is not None


def acknowledge_before_commit() -> None:
    """Known bad: the sender is answered first, the message is stored afterwards."""
    ingest = Pipeline.ingest

    async def afterwards(self: Pipeline, offer: InboundOffer) -> None:
        await asyncio.sleep(0.01)
        await ingest(self, offer)

    async def early(self: Pipeline, offer: InboundOffer) -> IngestAnswer:
        task = asyncio.get_running_loop().create_task(afterwards(self, offer))
        _kept.add(task)
        task.add_done_callback(_kept.discard)
        return IngestAnswer("msg_early")

    Pipeline.ingest = early  # type: ignore[method-assign]


def send_again_without_asking() -> None:
    """Known bad: an unknown outcome is taken for a failure, and sent again."""

    async def never_ask(self: Sender, partner: Any, outbound: Any) -> tuple[None, bool]:
        return None, True

    Sender._ask = never_ask  # type: ignore[method-assign]


def send_on_without_a_lease(*_: Any) -> None:
    """Known bad: a worker never asks whether its lease is good, neither before a write nor before a push."""
    workers.fence = lambda connection, number: None  # type: ignore[assignment]
    Ownership.sure = lambda self: True  # type: ignore[method-assign]
    Cluster._lose = lambda self, number: None  # type: ignore[method-assign]


def move_place_before_ack() -> None:
    """Known bad: what was handed to the connection counts as published, and nobody looks at the stream again."""

    async def hand_over(self: Publisher, parcels: Sequence[Parcel], last: int, seconds_max: float) -> bool:
        for one in parcels:
            await self._server.publish(one.subject, one.content, headers=one.headers)
        return True

    def believe(place: Place, seen: Seen, window: tuple[int, int]) -> Judgement:
        return Judgement("follow", msgspec.structs.replace(place, stream=seen.stream, sequence=seen.last))

    Publisher.publish = hand_over  # type: ignore[method-assign]
    jetstream.judge = believe
    jetstream.PLACE_SECONDS = 0.0


def count_cancelled_as_done() -> None:
    """Known bad: a commit whose wait for the standby was cancelled is taken for one that is on both servers."""
    PostgresConnection._notice = lambda self, diagnostic: None  # type: ignore[method-assign]


def believe_the_old_primary() -> None:
    """Known bad: after a commit of unknown outcome, what this server shows is taken for what its standby has."""
    PostgresStore._confirm = lambda self, connection: None  # type: ignore[method-assign]


_kept: set[Any] = set()
FAULTS = {
    "acknowledge_before_commit": acknowledge_before_commit,
    "send_again_without_asking": send_again_without_asking,
    "send_on_without_a_lease": send_on_without_a_lease,
    "move_place_before_ack": move_place_before_ack,
    "count_cancelled_as_done": count_cancelled_as_done,
    "believe_the_old_primary": believe_the_old_primary,
}


async def run(order: dict[str, Any]) -> None:
    """Be the hub until killed, or until SIGTERM asks for an orderly end."""
    directory = order["directory"]
    if order.get("url"):
        # Several processes: what they say of leases and contentions is counted.
        structlog.reset_defaults()
    role = order.get("role", "alone")
    settings = load_settings(
        environment={},
        overrides={
            "store.url": order.get("url") or f"sqlite:///{directory}/crossdock.db",
            "store.reader_count": "2",
            "security.root_key_file": f"{directory}/root.key",
            "security.allow_private_networks": "127.0.0.0/8",
            "web.port": "0",
            "security.folder_root": directory,
            "flow.poll_interval_seconds": "0.05",
            **order.get("settings", {}),
        },
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    hub = await Hub.start(settings, role=role)
    if order.get("files"):
        await hub.apply_pack("acme", order["files"], "crash test")
    url = "" if role == "worker" else await open_doors(hub)
    say({"pid": os.getpid(), "port": int(url.rpartition(":")[2] or 0)})
    await ended.wait()
    await hub.stop()


def say(words: dict[str, Any]) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """Fork a hub for every line on stdin."""
    die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    gc.freeze()
    say({"pid": os.getpid()})
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            die_with_parent()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fault in order.get("faults", ()):
                FAULTS[fault]()
            if at := order.get("crash_at") or os.environ.get("CD_CRASH_AT"):
                crash_points.install(at)
            asyncio.run(run(order))
            os._exit(0)
        say({"pid": pid})


if __name__ == "__main__":
    main()
