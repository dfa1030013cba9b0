"""What `bench.isolation` measures with: partners that hang or babble, a door that is posted to at a fixed rate.

The hub is a process of its own; everything goes over real sockets. A latency counts from when a message was due to be
handed in until its partner has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httptools
import msgspec

from crossdock.simulator.load import job

PARTNERS = 50
SLOW = "p00"
_EVENT = re.compile(rb'"id":"(ev-\d+)"')
_PARTNER = re.compile(rb'"customer":"(p\d\d)"')
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
REFUSED_SECONDS_MAX = 2.0
_GARBAGE_BYTES = 2_000_000

Answer = Callable[[bytes, bytes], Any]


def at_once(_partner: bytes, _event: bytes) -> bytes:
    """A partner that takes everything."""
    return b"ok"


class Partners:
    """All partners, on one port. `answer` says of each message: ok, hang, garbage, or a delay in seconds."""

    def __init__(self) -> None:
        self.arrived: dict[str, int] = {}
        self.answer: Answer = at_once
        self.port = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Partner(self), "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class _Partner(asyncio.Protocol):
    def __init__(self, partners: Partners) -> None:
        self._partners = partners

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        with contextlib.suppress(httptools.HttpParserError):
            self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        event, partner = _EVENT.search(body), _PARTNER.search(body)
        if event is None or partner is None:
            self._transport.write(_OK)
            return
        answer = self._partners.answer(partner.group(1), event.group(1))
        if answer == b"hang":
            return
        self._partners.arrived.setdefault(event.group(1).decode(), time.monotonic_ns())
        if answer == b"ok":
            self._transport.write(_OK)
        elif answer == b"garbage":
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % _GARBAGE_BYTES)
            self._transport.write(b"x" * _GARBAGE_BYTES)
        else:
            asyncio.get_running_loop().call_later(answer, self._later)

    def _later(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_OK)


def pack(
    sink_port: int, *, partners: int = PARTNERS, shared_queue: bool = False, connection: str = ""
) -> dict[str, str]:
    """Return a pack that sends each event to the partner its customer names; `shared_queue`: all through one queue."""
    files = job.pack("http://127.0.0.1:1/none")
    del files["connections/erp.yaml"]
    names = ["all"] if shared_queue else [f"p{number:02}" for number in range(partners)]
    routes = []
    for name in names:
        when = "" if shared_queue else f", when: 'reason == \"{name}\"'"
        routes.append(
            f'- {{document: "event:crossdock.milestone.recorded.v1", connection: {name}, map: erp-event{when}}}\n'
        )
        files[f"connections/{name}.yaml"] = (
            f"connection: {name}\npartner: erp\nconnector: http_json\n"
            f'settings: {{url: "http://127.0.0.1:{sink_port}/{name}", idempotent: true}}\n'
            # The circuit would only help: it is kept from opening.
            "retry: {circuit_failures_max: 1000000, attempts_max: 1000}\n"
            f"timeout_seconds: 30\n{connection}"
        )
    files["routes.yaml"] = "".join(routes)
    return files


def body(number: int, partner: str, *, alone: bool = True) -> bytes:
    """Return an event for one partner: the first of an order of its own, or one of the five of an order."""
    document = msgspec.json.decode(job.event(number * job.EVENTS_PER_ORDER if alone else number))
    document["order"]["customerRef"] = partner
    document["eventId"] = event_id(number)
    return msgspec.json.encode(document)


def event_id(number: int) -> str:
    return f"ev-{number:09d}"


class _Post(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.status: asyncio.Future[int] | None = None
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status, self._parser = self._parser.get_status_code(), httptools.HttpResponseParser(self)
        if self.status is not None and not self.status.done():
            self.status.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        if self.status is not None and not self.status.done():
            self.status.set_exception(ConnectionError("the door closed"))


class Door:
    """Posts to the hub over kept connections."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = (
            f"POST /v1/ingest/{job.TENANT}/wms HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        self._free: list[_Post] = []

    async def post(self, content: bytes) -> int:
        """Hand one body in; return the status."""
        # The door closes what was idle for a while.
        while self._free and self._free[-1].transport.is_closing():
            self._free.pop()
        if self._free:
            connection = self._free.pop()
        else:
            _, connection = await asyncio.get_running_loop().create_connection(_Post, "127.0.0.1", self._port)
        connection.status = asyncio.get_running_loop().create_future()
        connection.transport.write(self._head + str(len(content)).encode() + b"\r\n\r\n" + content)
        status = await connection.status
        self._free.append(connection)
        return status

    async def many(self, bodies: Sequence[bytes], size: int = 100) -> None:
        """Hand bodies in as arrays, one after the other; one that is refused is handed in again, for a while."""
        for first in range(0, len(bodies), size):
            content = b"[" + b",".join(bodies[first : first + size]) + b"]"
            until = time.monotonic() + REFUSED_SECONDS_MAX
            while await self.post(content) != 202:
                if time.monotonic() > until:
                    return
                await asyncio.sleep(0.05)


class Measured(msgspec.Struct):
    """Latencies in milliseconds of what arrived, and what did not."""

    sent: int
    refused: int
    missing: int
    latencies: list[float]

    def quantile(self, share: float) -> float:
        """Return a quantile; what did not arrive counts as endless."""
        ranked = sorted(self.latencies)
        place = int(share * (len(ranked) + self.missing))
        return ranked[place] if place < len(ranked) else float("inf")


async def pour(
    door: Door,
    partners: Partners,
    bodies: Sequence[tuple[str, bytes]],
    per_second: float,
    *,
    counts: Callable[[str], bool] = lambda _: True,
    patience_seconds: float = 10.0,
) -> Measured:
    """Hand messages in at a fixed rate, whatever the answers do; return what became of those that count."""
    due: dict[str, int] = {}
    refused = 0
    tasks: set[asyncio.Task[None]] = set()

    async def one(name: str, content: bytes) -> None:
        nonlocal refused
        try:
            refused += await door.post(content) not in (202, 400, 422)
        except OSError:
            refused += 1

    began = time.monotonic_ns()
    for place, (name, content) in enumerate(bodies):
        at = began + int(place / per_second * 1e9)
        while (left := at - time.monotonic_ns()) > 0:
            await asyncio.sleep(left / 1e9)
        due[name] = at
        task = asyncio.get_running_loop().create_task(one(name, content))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    wanted = [name for name in due if counts(name)]
    until = time.monotonic() + patience_seconds
    while time.monotonic() < until and any(name not in partners.arrived for name in wanted):
        await asyncio.sleep(0.05)
    arrived = [name for name in wanted if name in partners.arrived]
    latencies = [(partners.arrived[name] - due[name]) / 1e6 for name in arrived]
    return Measured(len(bodies), refused, len(wanted) - len(arrived), latencies)


class HubProcess:
    """A hub in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], door: Door) -> None:
        self._process = process
        self.door = door

    def resident_bytes(self) -> int:
        """Return the memory it has in use now."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextlib.contextmanager
def a_hub(files: dict[str, str], settings: dict[str, Any]) -> Iterator[HubProcess]:
    """Run a hub with a pack; it and its record are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="crossdock-isolation-") as folder:
        written = Path(folder) / "pack.json"
        written.write_text(json.dumps(files))
        plan = {"folder": folder, "pack": str(written), "tenant": job.TENANT, "settings": settings}
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.isolation_hub", json.dumps(plan)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield HubProcess(process, Door(said["port"], said["token"]))
        finally:
            process.kill()
            process.wait()


@contextlib.asynccontextmanager
async def a_rig(
    pack_of: Callable[[int], dict[str, str]], settings: dict[str, Any] | None = None
) -> AsyncIterator[tuple[HubProcess, Partners]]:
    """Open the partners and a hub that sends to them."""
    partners = Partners()
    await partners.open()
    try:
        with a_hub(pack_of(partners.port), settings or {}) as hub:
            yield hub, partners
    finally:
        partners.close()
