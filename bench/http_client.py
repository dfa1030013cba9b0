"""CPU of one POST of 0.9 KB over kept connections: the hub's own client against aiohttp, in one run.

Run: python -m bench.http_client [requests]
The stub server is a process of its own; only the client's CPU is counted.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.connection
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import cast

import httptools
import uvloop

from crossdock.connectors import registry
from crossdock.connectors.egress import Egress, parse_url
from crossdock.connectors.http_client import HttpClient
from crossdock.durable.identity import SystemClock
from crossdock.sdk import ConnectorContext, Outbound

BODY = b'{"order":"SO-00000001","lines":[' + b",".join([b'{"sku":"SKU-00001","quantity":"4"}'] * 25) + b"]}"
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    b"date: Mon, 05 Oct 2026 08:00:00 GMT\r\ncontent-length: 2\r\n\r\n{}"
)
REPEATS = 5


class Stub(asyncio.Protocol):
    """Answers every request with 200 as cheaply as Python can."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)


def serve(pipe: multiprocessing.connection.Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


async def measure(send: Callable[[], Awaitable[None]], in_flight: int, count: int) -> tuple[float, float]:
    """Return the medians of wall and client CPU in microseconds a request."""

    async def work(numbers: object) -> None:
        for _ in numbers:  # type: ignore[attr-defined]
            await send()

    async def round_of(total: int) -> tuple[float, float]:
        numbers = iter(range(total))
        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work(numbers) for _ in range(in_flight)))
        return (time.perf_counter() - wall) / total * 1e6, (time.process_time() - cpu) / total * 1e6

    await round_of(200)
    rounds = [await round_of(count) for _ in range(REPEATS)]
    return statistics.median(r[0] for r in rounds), statistics.median(r[1] for r in rounds)


async def run(port: int, count: int) -> None:
    import aiohttp

    url = f"http://127.0.0.1:{port}/in"
    egress = Egress(allow_networks=["127.0.0.1/32"])
    headers = [("content-type", "application/json"), ("idempotency-key", "SO-00000001-1")]
    client, target = HttpClient(egress, connections_max=32), parse_url(url)

    async def own() -> None:
        assert (await client.request("POST", target, headers, BODY)).status == 200

    context = ConnectorContext(
        "con_1", "tnt_1", {"url": url, "auth": "bearer", "connections_max": 32}, {"token": "t"}, egress, SystemClock()
    )
    connector = registry.create("http_json", context)
    order = Outbound("msg_1", "SO-00000001-1", "fulfillment_request", BODY, "application/json")

    async def push() -> None:
        assert (await connector.push(order)).outcome == "done"

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as plain,
        egress.aiohttp_session() as ours,
    ):

        def by(session: aiohttp.ClientSession) -> Callable[[], Awaitable[None]]:
            async def send() -> None:
                async with session.post(url, data=BODY, headers=dict(headers)) as response:
                    await response.read()

            return send

        print(f"{'client':32s} {'in flight':>9s} {'wall us':>9s} {'CPU us':>9s}")
        for name, send in (
            ("own client", own),
            ("http_json push", push),
            ("aiohttp", by(plain)),
            ("aiohttp under egress", by(ours)),
        ):
            for in_flight in (1, 16):
                wall, cpu = await measure(send, in_flight, count)
                print(f"{name:32s} {in_flight:9d} {wall:9.1f} {cpu:9.1f}", flush=True)
    await client.close()
    await connector.close()


def main() -> None:
    receive, give = multiprocessing.Pipe(duplex=False)
    stub = multiprocessing.Process(target=serve, args=(give,), daemon=True)
    stub.start()
    try:
        uvloop.run(run(receive.recv(), int(sys.argv[1]) if len(sys.argv) > 1 else 3000))
    finally:
        stub.terminate()
        stub.join()


if __name__ == "__main__":
    main()
