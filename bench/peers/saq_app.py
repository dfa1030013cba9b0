"""SAQ on Redis, state in PostgreSQL: `uvicorn saq_app:app` and `saq saq_app.settings`."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import asyncpg
import orjson
from saq import Queue
from shared import APPLY_ASYNCPG, DSN, REDIS, SINK, map_event, parameters, several
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

queue = Queue.from_url(f"{REDIS}/3", name="peer", dump=lambda job: orjson.dumps(job).decode(), load=orjson.loads)


async def process(context: dict[str, Any], *, event: dict[str, Any]) -> None:
    mapped = map_event(event)
    document = orjson.dumps(mapped).decode()
    await context["database"].execute(APPLY_ASYNCPG, *parameters(mapped, document))
    async with context["http"].post(SINK, data=document, headers={"content-type": "application/json"}) as answer:
        answer.raise_for_status()


async def startup(context: dict[str, Any]) -> None:
    context["database"] = await asyncpg.create_pool(DSN, min_size=8, max_size=16)
    context["http"] = aiohttp.ClientSession()


settings = {"queue": queue, "functions": [process], "concurrency": 32, "startup": startup}


async def take(request: Request) -> Response:
    events = several(orjson.loads(await request.body()))
    await asyncio.gather(*(queue.enqueue("process", event=event, key=event["eventId"], retries=5) for event in events))
    return Response(status_code=202)


app = Starlette(routes=[Route("/events", take, methods=["POST"])])
