"""The load generator: pre-rendered bodies over kept connections, closed loop (as fast as answers come) or open loop.

`python -m crossdock.simulator.load.generator JSON` with the plan as JSON; prints one JSON line with what it saw.
In the open loop an event's latency counts from when it was due, not from when a connection was free.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httptools
import msgspec
import uvloop

from . import job

PATIENCE_SECONDS = 60.0


class Plan(msgspec.Struct):
    """What to send. `rate` 0 is the closed loop. `batch` documents go into one POST as a JSON array.

    `duplicates_percent` of the events are sent a second time; `invalid_percent` more are sent that no map can read.
    `patient` takes a lost connection for what it is in a kill: it connects again and repeats what was not answered.
    """

    port: int
    path: str
    token: str
    first: int
    count: int
    connections: int = 16
    batch: int = 1
    rate: float = 0.0
    orders: bool = False
    duplicates_percent: float = 0.0
    invalid_percent: float = 0.0
    patient: bool = False


class Result(msgspec.Struct):
    """What was seen. `sent_ns` maps event ids to when they were sent (or due)."""

    accepted: int
    refused: int
    began_ns: int
    ended_ns: int
    accept_ms: list[float]
    sent_ns: dict[str, int]
    cpu_seconds: float


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[int] | None = None
        self._lost = False

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError("the connection was lost"))

    async def post(self, request: bytes) -> int:
        if self._lost:
            raise ConnectionError("the connection was lost")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter


class Generator:
    """Runs one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        render = job.order if plan.orders else job.event
        self._bodies = [render(number) for number in range(plan.first, plan.first + plan.count)]
        prefix = "or" if plan.orders else "ev"
        self._ids = [f"{prefix}-{number:09d}" for number in range(plan.first, plan.first + plan.count)]
        self._next = 0
        self._head = (
            f"POST {plan.path} HTTP/1.1\r\nhost: 127.0.0.1:{plan.port}\r\nauthorization: Bearer {plan.token}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        self._result = Result(0, 0, 0, 0, [], {}, 0.0)

    async def run(self) -> Result:
        """Send everything; return what was seen."""
        self._result.began_ns = time.monotonic_ns()
        await asyncio.gather(*(self._work() for _ in range(self._plan.connections)))
        self._result.ended_ns = time.monotonic_ns()
        self._result.cpu_seconds = time.process_time()
        return self._result

    async def _work(self) -> None:
        plan, result = self._plan, self._result
        connection = await self._connect()
        # One connection sends all events of an order, one after the other: two could overtake each other before the
        # door.
        share = plan.batch if plan.batch > 1 or plan.orders else job.EVENTS_PER_ORDER
        while self._next < plan.count:
            first = self._next
            self._next = min(plan.count, first + share)
            for start in range(first, self._next if plan.batch == 1 else first + 1):
                end = start + 1 if plan.batch == 1 else min(plan.count, start + plan.batch)
                due_ns = await self._due(start)
                body = self._bodies[start] if plan.batch == 1 else b"[" + b",".join(self._bodies[start:end]) + b"]"
                now = time.monotonic_ns()
                for event_id in self._ids[start:end]:
                    result.sent_ns[event_id] = due_ns or now
                connection = await self._post(connection, body, end - start)
                result.accept_ms.append((time.monotonic_ns() - (due_ns or now)) / 1e6)
                if plan.batch == 1:
                    connection = await self._disturb(connection, start, body)

    async def _due(self, number: int) -> int:
        """Wait until an event is due in the open loop; return when that was, or 0 in the closed loop."""
        if not self._plan.rate:
            return 0
        due_ns = self._result.began_ns + int(number / self._plan.rate * 1e9)
        wait = (due_ns - time.monotonic_ns()) / 1e9
        if wait > 0:
            await asyncio.sleep(wait)
        return due_ns

    async def _connect(self) -> _Connection:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                _, made = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._plan.port)
            except OSError:
                if not self._plan.patient or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.02)
            else:
                return made

    async def _disturb(self, connection: _Connection, number: int, body: bytes) -> _Connection:
        """Send what makes the stream unlike a clean one: the same again, and what cannot be read."""
        if _falls(number, self._plan.duplicates_percent):
            connection = await self._post(connection, body, 0)
        if _falls(number, self._plan.invalid_percent):
            connection = await self._post(connection, b'{"eventId":"bad-%d","eventType":"wms.picked"}' % number, 0)
        return connection

    async def _post(self, connection: _Connection, body: bytes, count: int) -> _Connection:
        """Post until it is accepted; return the connection, which may be a new one. `count` events were accepted."""
        request = self._head + b"%d\r\n\r\n" % len(body) + body
        while True:
            try:
                status = await connection.post(request)
            except ConnectionError:
                if not self._plan.patient:
                    raise
                connection = await self._connect()
                continue
            if status < 300:
                self._result.accepted += count
                return connection
            self._result.refused += 1
            if status not in (429, 503):
                raise SystemExit(f"the door answered {status}")
            await asyncio.sleep(0.05)


def _falls(number: int, percent: float) -> bool:
    """Tell whether an event is one of that percentage, evenly spread and the same in every run."""
    return percent > 0 and int(number * percent / 100) != int((number + 1) * percent / 100)


if __name__ == "__main__":
    told = uvloop.run(Generator(msgspec.convert(json.loads(sys.argv[1]), Plan)).run())
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
