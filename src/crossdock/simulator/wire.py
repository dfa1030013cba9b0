"""Both ends of a partner's HTTP: the API it serves on a loopback port, and how it calls the hub's ingest door.

Signatures are written here a second time on purpose: a peer that shared the hub's code would share its faults.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import aiohttp
from aiohttp import web

from .clock import Timeline
from .ledger import Entry, Ledger

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.Response]]

RETRY_DELAY = timedelta(minutes=1)
TELLINGS_MAX = 60


class JsonService:
    """The JSON API of one partner. Requests must bear its token."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._app = web.Application(client_max_size=4_000_000)
        self._runner: web.AppRunner | None = None
        self.url = ""

    def post(self, path: str, handler: Handler) -> None:
        """Serve `POST path`; the handler gets the request and its decoded JSON object."""

        async def answer(request: web.Request) -> web.Response:
            if request.headers.get("Authorization") != f"Bearer {self._token}":
                return web.json_response({"error": "unauthorized"}, status=401)
            try:
                body = await request.json()
            except ValueError:
                return web.json_response({"error": "not JSON"}, status=400)
            if not isinstance(body, dict):
                return web.json_response({"error": "an object is expected"}, status=400)
            return await handler(request, body)

        self._app.router.add_post(path, answer)

    def get(self, path: str, handler: Callable[[web.Request], Awaitable[web.Response]]) -> None:
        """Serve `GET path`."""
        self._app.router.add_get(path, handler)

    async def start(self) -> None:
        """Listen on a free loopback port; `url` says where."""
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()


class Signer(Protocol):
    """Makes the headers that prove who sends."""

    def __call__(self, body: bytes, message_id: str, now: datetime) -> dict[str, str]: ...


def bearer(key: str) -> Signer:
    """Sign with an API key."""
    return lambda body, message_id, now: {"Authorization": f"Bearer {key}", "Idempotency-Key": message_id}


def hmac_hex(secret: str, header: str, id_header: str) -> Signer:
    """Sign with `sha256=<hex>` of the body in a header of the partner's choice; another header names the message."""

    def sign(body: bytes, message_id: str, now: datetime) -> dict[str, str]:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {header: f"sha256={digest}", id_header: message_id}

    return sign


def standard_webhook(secret: str) -> Signer:
    """Sign as Standard Webhooks say: `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`."""
    raw = base64.b64decode(secret.removeprefix("whsec_"))

    def sign(body: bytes, message_id: str, now: datetime) -> dict[str, str]:
        timestamp = str(int(now.timestamp()))
        signed = f"{message_id}.{timestamp}.".encode() + body
        digest = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
        return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{digest}"}

    return sign


class Door:
    """One ingest door of the hub, as a partner uses it: tell, and tell again until it is taken.

    A refusal (4xx) is booked as `refused` and not tried again; anything else that is no 2xx is told again
    a minute later with the same bytes and the same identity.
    """

    def __init__(
        self, session: aiohttp.ClientSession, timeline: Timeline, ledger: Ledger, url: str, signer: Signer
    ) -> None:
        self._session = session
        self._timeline = timeline
        self._ledger = ledger
        self._url = url
        self._sign = signer

    async def tell(self, document: Mapping[str, Any], message_id: str, *, telling: int = 1) -> None:
        """Send one JSON document under an identity of the partner's own."""
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        now = self._timeline.clock.now()
        headers = {"Content-Type": "application/json", **self._sign(body, message_id, now)}
        status, answer = 0, ""
        try:
            async with self._session.post(self._url, data=body, headers=headers) as response:
                status, answer = response.status, await response.text()
        except aiohttp.ClientError as error:
            answer = str(error)
        if 200 <= status < 300:
            self._ledger.book(Entry(now, "told", message_id))
            return
        if 400 <= status < 500 and status not in (408, 429):
            self._ledger.book(Entry(now, "refused", message_id, detail=f"{status} {answer[:300]}"))
            return
        if telling >= TELLINGS_MAX:
            self._ledger.book(Entry(now, "given_up", message_id, detail=f"{status} {answer[:300]}"))
            return

        async def again() -> None:
            await self.tell(document, message_id, telling=telling + 1)

        self._timeline.after(RETRY_DELAY, f"again:{message_id}", again)


def ingest_url(hub_url: str, tenant: str, connection: str) -> str:
    """Return the address of a connection's ingest door."""
    return f"{hub_url.rstrip('/')}/v1/ingest/{tenant}/{connection}"
