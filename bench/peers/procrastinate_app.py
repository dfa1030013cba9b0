"""procrastinate, all in PostgreSQL: `uvicorn procrastinate_app:app` and `procrastinate -a procrastinate_app.worker worker`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
from procrastinate import App, PsycopgConnector, RetryStrategy
from psycopg_pool import AsyncConnectionPool
from shared import APPLY_PSYCOPG, DSN, SINK, map_event, parameters, several
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

worker = App(connector=PsycopgConnector(conninfo=DSN, min_size=4, max_size=20))
_mine: dict[str, Any] = {}


@worker.task(name="process", retry=RetryStrategy(max_attempts=5, exponential_wait=2))
async def process(event: dict[str, Any]) -> None:
    if not _mine:
        options = {"autocommit": True, "prepare_threshold": 1}
        _mine["database"] = AsyncConnectionPool(DSN, min_size=4, max_size=16, open=False, kwargs=options)
        _mine["http"] = aiohttp.ClientSession()
        await _mine["database"].open()
    mapped = map_event(event)
    document = orjson.dumps(mapped).decode()
    async with _mine["database"].connection() as connection:
        await connection.execute(APPLY_PSYCOPG, parameters(mapped, document))
    async with _mine["http"].post(SINK, data=document, headers={"content-type": "application/json"}) as answer:
        answer.raise_for_status()


@contextlib.asynccontextmanager
async def life(app: Starlette) -> AsyncIterator[None]:
    async with worker.open_async():
        yield


async def take(request: Request) -> Response:
    for event in several(orjson.loads(await request.body())):
        await process.defer_async(event=event)
    return Response(status_code=202)


app = Starlette(routes=[Route("/events", take, methods=["POST"])], lifespan=life)
