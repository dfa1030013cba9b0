"""What three well-known things cost on this machine, beside what they cost where the goals were set.

    python -m bench.yardsticks SINK_PORT        prints JSON
    python -m bench.yardsticks serve            is the raw ASGI endpoint; prints its port

A goal in microseconds was set on one machine and is read on another. An aiohttp POST, a raw ASGI request and a map
written by hand are the same code on both, and nothing of the hub's: their ratios say how far the machines are apart.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
import uvicorn
import uvloop

from bench import mapping
from crossdock.simulator.load import job, measuring, processes

# Microseconds of CPU on the machine of the goals (AMD EPYC, 2 virtual cores, Python 3.11): one POST of 0.9 KB by
# aiohttp, 16 in flight, the client's; one request of 1 KB to uvicorn (uvloop, httptools), decoded, 16 connections, the
# server's; one document of 30 fields and 5 lines mapped by hand.
THERE: Mapping[str, float] = {"aiohttp_post": 82.0, "raw_asgi_request": 45.0, "map_by_hand": 4.4}
WORDS: Mapping[str, str] = {
    "aiohttp_post": "one POST by aiohttp, 16 in flight, client",
    "raw_asgi_request": "one request to uvicorn, raw ASGI, 16 connections, server",
    "map_by_hand": "30 fields and 5 lines mapped by hand",
}
POSTS, IN_FLIGHT, REQUESTS = 6_000, 16, 10_000


class _Endpoint:
    """The raw ASGI endpoint as a system under load."""

    path, token, orders_first = "/events", "", False

    def __init__(self, port: int) -> None:
        self.port = port
        self.processes: dict[str, int] = {}

    def counters(self) -> dict[str, float]:
        """Nothing is counted."""
        return {}


def measure(sink_port: int) -> dict[str, float]:
    """Return microseconds by the names of `THERE`."""
    return {
        "aiohttp_post": uvloop.run(_posts(f"http://127.0.0.1:{sink_port}/events")),
        "raw_asgi_request": _requests(),
        "map_by_hand": mapping.best_us(lambda: mapping.by_hand(mapping.EVENT)),
    }


def pace(found: Mapping[str, float]) -> float:
    """Return how many times longer this machine takes: the mean of the ratios."""
    return sum(found[name] / there for name, there in THERE.items()) / len(THERE)


async def _posts(url: str) -> float:
    body = job.event(0)
    left = iter(range(POSTS))
    async with aiohttp.ClientSession() as session:

        async def post() -> None:
            for _ in left:
                async with session.post(url, data=body) as answer:
                    await answer.read()

        began = time.process_time()
        await asyncio.gather(*(post() for _ in range(IN_FLIGHT)))
        return (time.process_time() - began) / POSTS * 1e6


def _requests() -> float:
    server = processes.start_module("bench.yardsticks", "serve")
    try:
        assert server.stdout is not None
        endpoint = _Endpoint(int(server.stdout.readline()))
        measuring.generate(endpoint, first=0, count=REQUESTS // 10, connections=IN_FLIGHT)
        before = processes.cpu_seconds(server.pid)
        measuring.generate(endpoint, first=0, count=REQUESTS, connections=IN_FLIGHT)
        return (processes.cpu_seconds(server.pid) - before) / REQUESTS * 1e6
    finally:
        processes.end(server)


async def _accept(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    msgspec.json.decode(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def _serve() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(
        _accept, loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="error"
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve()
    else:
        print(json.dumps(measure(int(sys.argv[1]))))
