"""What all partners of Ridgeline have: an API over HTTP, a door to the hub, books of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiohttp import web

from ..clock import Action, Timeline
from ..ledger import Entry, Ledger, Lines
from ..wire import Door, JsonService

Take = Callable[[dict[str, Any]], None]


class Party:
    """One partner. It knows a repeated telling by its Idempotency-Key; the same business under another key it books
    again, so a double effect of the hub shows in its books.
    """

    def __init__(self, name: str, timeline: Timeline, token: str) -> None:
        self.name = name
        self.ledger = Ledger(name)
        self.service = JsonService(token)
        self.door: Door | None = None
        # So many of the next requests are answered 503, as by a server that is being restarted.
        self.busy = 0
        self._timeline = timeline
        self._keys: set[str] = set()

    def takes(self, path: str, kind: str, business: Callable[[dict[str, Any]], str], then: Take | None = None) -> None:
        """Serve `POST path`: book the document under its business name, then do what follows."""

        async def take(request: web.Request, body: dict[str, Any]) -> web.Response:
            if self.busy:
                self.busy -= 1
                return web.json_response({"error": "restarting"}, status=503)
            key = request.headers.get("Idempotency-Key", "")
            if key in self._keys:
                self.ledger.repeat(kind)
                return web.json_response({"taken": "before"})
            self._keys.add(key)
            self.book(kind, business(body), key=key, detail=str(body.get("state") or body.get("kind") or ""))
            self.documents.append((kind, body))
            if then is not None:
                then(body)
            return web.json_response({"taken": "now"}, status=201)

        self.service.post(path, take)

    @property
    def documents(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what the hub sent, by kind, in order."""
        if not hasattr(self, "_documents"):
            self._documents: list[tuple[str, dict[str, Any]]] = []
        return self._documents

    def got(self, kind: str) -> list[dict[str, Any]]:
        return [body for name, body in self.documents if name == kind]

    def book(self, kind: str, business: str, *, key: str = "", lines: Lines = (), detail: str = "") -> None:
        """Write one line into the books."""
        self.ledger.book(Entry(self._timeline.clock.now(), kind, business, key, lines=lines, detail=detail))

    async def tell(self, document: dict[str, Any], identity: str) -> None:
        """Hand the hub one document."""
        assert self.door is not None
        await self.door.tell(document, identity)

    def later(self, minutes: float, action: Action) -> None:
        """Do something some minutes from now."""
        self._timeline.after(timedelta(minutes=minutes), f"{self.name}:later", action)

    def now(self) -> str:
        """Return the present instant as partners write it."""
        return self._timeline.clock.now().isoformat()
