"""The outside world of the crash tests: partners with ledgers of their own, and a sender with a journal of its own.

Truth is what stands in here, never what stands in the hub's tables. Everything runs in the parent process, which is
never killed. Holds no judgment: `verdict.py` compares.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

Effects = dict[str, list[tuple[str, bytes]]]


class Ledgers:
    """What each partner did: business key → (identity, content) of every time it acted.

    `reno` and `erp` act once for one identity and answer a repetition as they answered first; `kc` acts every time.
    """

    def __init__(self, chance: random.Random) -> None:
        self.acts: dict[str, Effects] = {"reno": defaultdict(list), "kc": defaultdict(list), "erp": defaultdict(list)}
        self.seen: dict[tuple[str, str], bytes] = {}
        self.repeats = 0
        self.changed: list[str] = []
        self.lost_answers = 0
        self.refusals = 0
        self.asked = 0
        self.troubles = True
        self.on_ticket: Callable[[str, str], None] = lambda partner, ticket: None
        self._chance = chance

    def take(self, partner: str, identity: str, content: bytes) -> str:
        """Act on one push; return what the partner does about the answer: ok, lost (acted, no answer) or busy."""
        if self.troubles and self._chance.random() < 0.01:
            self.refusals += 1
            return "busy"
        before = self.seen.setdefault((partner, identity), content)
        if before != content:
            self.changed.append(f"{partner} {identity}")
        document = json.loads(content)
        key = str(document["key"])
        known = any(identity == one for one, _ in self.acts[partner][key])
        if known and partner != "kc":
            self.repeats += 1
        else:
            self.acts[partner][key].append((identity, content))
            if not known and document["type"] == "ticket":
                self.on_ticket(partner, key)
        if self.troubles and self._chance.random() < (0.05 if partner == "kc" else 0.01):
            self.lost_answers += 1
            return "lost"
        return "ok"

    def pause(self) -> float:
        """Return how many seconds kc takes to answer."""
        return self._chance.uniform(0.0, 0.02) if self.troubles else 0.0


class PartnerServer:
    """One HTTP server for all partners: `POST /NAME` with an Idempotency-Key, `GET /kc/IDENTITY` to ask."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            """The hub was killed or went away."""
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            status = self._answer(method, path, headers.get("idempotency-key", ""), body)
            if path.startswith("/kc"):
                # Between the act and the answer is where a kill hurts most.
                await asyncio.sleep(self._ledgers.pause())
            if status == 0:
                return
            writer.write(b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}" % status)

    def _answer(self, method: str, path: str, identity: str, body: bytes) -> int:
        partner, _, asked = unquote(path).strip("/").partition("/")
        if method == "GET":
            self._ledgers.asked += 1
            return 200 if (partner, asked) in self._ledgers.seen else 404
        return {"ok": 200, "busy": 503, "lost": 0}[self._ledgers.take(partner, identity, body)]


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    """Return the body of an answer, chunked or of a stated length."""
    length = head.partition("content-length: ")[2].partition("\r\n")[0]
    if length:
        return await reader.readexactly(int(length))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


class Journal:
    """What the sender was promised: every paper it offered, and whether it heard that it was taken."""

    def __init__(self) -> None:
        self.offered: dict[str, str] = {}
        self.acknowledged: dict[str, str] = {}
        self.acknowledged_at: dict[str, float] = {}
        self.papers: dict[str, tuple[str, dict[str, Any]]] = {}
        self.unsure: set[str] = set()
        self.durable_after_all: set[str] = set()


class Client:
    """One keep-alive connection to the hub's door. An answer that does not come is no promise."""

    def __init__(self) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._port = 0

    async def post(self, port: int, path: str, key: str, content: bytes) -> tuple[int, Any]:
        """Return (status, answer). Raises OSError or EOFError when no answer came."""
        if self._streams is None or self._port != port:
            self.drop()
            self._streams, self._port = await asyncio.open_connection("127.0.0.1", port), port
        reader, writer = self._streams
        head = (
            f"POST {path} HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + content)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            body = await _body(reader, answer)
        except (OSError, EOFError):
            self.drop()
            raise
        return int(answer.split(" ", 2)[1]), json.loads(body)

    def drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
