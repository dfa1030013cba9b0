"""`GET /v1/events/stream`: the journal of the tenant as server-sent CloudEvents, live.

The id of each message is the journal's cursor, so `Last-Event-ID` (or `?after=`) resumes with no gap and no duplicate.
Without either the stream starts with what comes next. Comments every 15 seconds keep proxies from closing it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream

from ...canonical.events import Event, cloud_event
from ...store import journal
from ..context import api_principal, web_of
from ..hub_port import Hub, public_address
from ..problems import BadRequest

HEARTBEAT_SECONDS = 15.0
_CURSOR = re.compile(r"[0-9]{1,18}\.[0-9]{1,18}")
_RESUME = "Send the id of the last event you saw, or none to start with what comes next"
_ENCODE = msgspec.json.Encoder(decimal_format="string").encode


@get(
    "/v1/events/stream",
    operation_id="streamEvents",
    summary="Follow the journal live",
    tags=["events"],
    responses={
        200: ResponseSpec(
            str,
            generate_examples=False,
            description="server-sent events, data is a CloudEvent",
            media_type="text/event-stream",
        )
    },
)
async def stream_events(
    request: Request[Any, Any, Any],
    after: Annotated[str, QueryParameter(description="cursor of the last event seen; wins over Last-Event-ID")] = "",
    type_: Annotated[str, QueryParameter(name="type", description="only events whose type starts with this")] = "",
    subject: Annotated[str, QueryParameter(description="only events of this subject, such as order/SO-1001")] = "",
) -> Stream:
    """Send each committed event within a second of its commit."""
    principal = await api_principal(request)
    principal.require("event.read")
    web = web_of(request)
    start = after or request.headers.get("last-event-id", "")
    if start:
        _check(start, await web.hub.store.read(journal.farthest), "/query/after" if after else "/header/Last-Event-ID")
    messages = follow(web.hub, principal.tenant_id, start, type_prefix=type_, subject=subject, closing=web.closing)
    return Stream(messages, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _check(text: str, end: journal.Cursor, pointer: str) -> None:
    """Refuse a cursor that is none, or that no stream of this record has given out: replaying all would be a lie."""
    if not _CURSOR.fullmatch(text):
        raise BadRequest(f"{text[:80]!r} is no cursor of this stream", pointer=pointer, hint=_RESUME)
    if journal.Cursor.parse(text) > end:
        raise BadRequest(f"The cursor {text} lies behind the end of the journal, {end}", pointer=pointer, hint=_RESUME)


async def follow(
    hub: Hub,
    tenant_id: str,
    start: str,
    *,
    type_prefix: str = "",
    subject: str = "",
    closing: asyncio.Event | None = None,
) -> AsyncIterator[bytes]:
    """Yield the bytes of the stream. The first message only tells the cursor to resume from."""
    cursor = start or str(await hub.store.read(journal.end))
    yield b"retry: 1000\nid: %s\nevent: cursor\ndata: {}\n\n" % cursor.encode()
    source = f"{public_address(hub)}/tenants/{tenant_id}"
    schema_root = f"{public_address(hub)}/schemas"
    events = hub.subscribe(tenant_id, cursor)
    waiting: asyncio.Task[tuple[str, Event] | None] | None = None
    ending = asyncio.ensure_future((closing or asyncio.Event()).wait())
    try:
        while True:
            if waiting is None:
                waiting = asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait(
                (waiting, ending), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if ending in done:
                return
            if not done:
                yield b": still here\n\n"
                continue
            item = waiting.result()
            waiting = None
            if item is None:
                return
            cursor, event = item
            if event.type.startswith(type_prefix) and (not subject or event.subject == subject):
                data = _ENCODE(cloud_event(event, source=source, schema_root=schema_root))
                yield b"id: %s\nevent: crossdock\ndata: %s\n\n" % (cursor.encode(), data)
    finally:
        ending.cancel()
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait((waiting,))
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


async def _next(events: AsyncIterator[tuple[str, Event]]) -> tuple[str, Event] | None:
    # Not `anext(events, None)`: its awaitable does not pass a cancellation on.
    async for item in events:
        return item
    return None
