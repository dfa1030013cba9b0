"""The stub partner: answers 200 to every POST and remembers when each event arrived.

`python -m crossdock.simulator.load.sink PORT`. GET /stats gives counts, order violations and CPU; GET /arrivals the
times
(nanoseconds of the machine's monotonic clock) by event id; GET /reset forgets.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any

import httptools
import uvloop

_EVENT = re.compile(rb'"id":"(ev-\d+)"')
_ORDER = re.compile(rb'"orderId":"([^"]+)"')
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Arrivals:
    """What came in."""

    def __init__(self) -> None:
        self.first: dict[bytes, int] = {}
        self.latest_of_order: dict[bytes, bytes] = {}
        self.posts = self.duplicates = self.order_violations = self.last_ns = 0

    def take(self, body: bytes) -> None:
        """Book one POST."""
        now = time.monotonic_ns()
        self.posts += 1
        found = _EVENT.search(body)
        if found is None:
            return
        event_id = found.group(1)
        if event_id in self.first:
            self.duplicates += 1
            return
        self.first[event_id] = self.last_ns = now
        owner = _ORDER.search(body)
        if owner is not None:
            if self.latest_of_order.get(owner.group(1), b"") > event_id:
                self.order_violations += 1
            self.latest_of_order[owner.group(1)] = event_id

    def stats(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "posts": self.posts,
            "unique": len(self.first),
            "duplicates": self.duplicates,
            "order_violations": self.order_violations,
            "last_ns": self.last_ns,
            "cpu_seconds": time.process_time(),
        }


class _Protocol(asyncio.Protocol):
    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._url = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = []

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._url == b"/stats":
            self._answer(self._arrivals.stats())
        elif self._url == b"/arrivals":
            self._answer({event_id.decode(): at for event_id, at in self._arrivals.first.items()})
        elif self._url == b"/reset":
            Arrivals.__init__(self._arrivals)
            self._answer({})
        else:
            self._arrivals.take(b"".join(self._body))
            self._transport.write(_OK)

    def _answer(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


async def serve(port: int) -> None:
    """Listen until the process is ended."""
    arrivals = Arrivals()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Protocol(arrivals), "127.0.0.1", port, backlog=2048
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
