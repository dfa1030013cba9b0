"""The stub partner: answers 200 to every POST and remembers when each event arrived.

`python -m crossdock.simulator.load.sink PORT` (0 takes a free one) prints its port. GET /stats gives counts, order
violations and CPU; GET /arrivals the times (nanoseconds of the machine's monotonic clock) by event id; GET /reset
forgets. POST /refuse makes it answer 503 until POST /accept; a POST below /slow/ is answered after a second.
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

# What partners are sent (id, orderId), with or without a space; and what comes in (eventId, number), which is what the
# generator posts straight to the sink when the ceiling of the harness is taken.
_EVENT = re.compile(rb'"(?:id|eventId)": ?"(ev-\d+)"')
_ORDER = re.compile(rb'"(?:orderId|number)": ?"(SO-[^"]+)"')
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
_AWAY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class Arrivals:
    """What came in."""

    def __init__(self) -> None:
        self.first: dict[bytes, int] = {}
        self.latest_of_order: dict[bytes, bytes] = {}
        self.posts = self.duplicates = self.order_violations = self.last_ns = self.refused = 0
        self.refusing = False

    def take(self, body: bytes) -> None:
        """Book one POST: a document, or an array of them."""
        now = time.monotonic_ns()
        self.posts += 1
        if body[:1] == b"[":
            for event_id, owner in zip(_EVENT.findall(body), _ORDER.findall(body), strict=False):
                self._book(event_id, owner, now)
            return
        found = _EVENT.search(body)
        if found is not None:
            owned = _ORDER.search(body)
            self._book(found.group(1), owned.group(1) if owned is not None else b"", now)

    def _book(self, event_id: bytes, owner: bytes, now: int) -> None:
        if event_id in self.first:
            self.duplicates += 1
            return
        self.first[event_id] = self.last_ns = now
        if owner:
            if self.latest_of_order.get(owner, b"") > event_id:
                self.order_violations += 1
            self.latest_of_order[owner] = event_id

    def stats(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "posts": self.posts,
            "unique": len(self.first),
            "duplicates": self.duplicates,
            "order_violations": self.order_violations,
            "last_ns": self.last_ns,
            "refused": self.refused,
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
        elif self._url in (b"/refuse", b"/accept"):
            self._arrivals.refusing = self._url == b"/refuse"
            self._transport.write(_OK)
        elif self._arrivals.refusing:
            self._arrivals.refused += 1
            self._transport.write(_AWAY)
        else:
            self._arrivals.take(b"".join(self._body))
            if self._url.startswith(b"/slow/"):
                asyncio.get_running_loop().call_later(1.0, self._late)
            else:
                self._transport.write(_OK)

    def _late(self) -> None:
        if not self._transport.is_closing():
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
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
