"""The service desk: a JSON API that opens, updates and closes cases, and a book of what became of each."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .clock import Timeline
from .ledger import Entry, Ledger
from .wire import JsonService


class ServiceDesk:
    """The desk of one company. A case is known by the caller's reference: order and cause."""

    def __init__(self, timeline: Timeline, token: str) -> None:
        self.ledger = Ledger("service-desk")
        self.service = JsonService(token)
        self.service.post("/api/cases", self._take)
        self._timeline = timeline
        self._answers: dict[str, dict[str, str]] = {}
        self._numbers: dict[str, str] = {}

    async def _take(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if key in self._answers:
            self.ledger.repeat("case")
            return web.json_response(self._answers[key])
        action, order = str(body["action"]), str(body["order"])
        reference = f"{order}/{body['cause']}"
        if action not in ("open", "update", "close"):
            return web.json_response({"error": f"unknown action {action}"}, status=422)
        if action != "open" and reference not in self._numbers:
            return web.json_response({"error": f"no case {reference}"}, status=404)
        if action == "open":
            self._numbers[reference] = f"CS-{7_001 + len(self._numbers)}"
        subject = str(body.get("subject", ""))
        self.ledger.book(Entry(self._timeline.clock.now(), f"case_{action}", reference, key, order, detail=subject))
        answer = {"case": self._numbers[reference], "state": "closed" if action == "close" else "open"}
        self._answers[key] = answer
        return web.json_response(answer, status=201)
