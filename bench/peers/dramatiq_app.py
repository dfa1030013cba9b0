"""Dramatiq on Redis, state in PostgreSQL: `uvicorn dramatiq_app:app` and `dramatiq dramatiq_app -p 2 -t 8`."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import dramatiq
import orjson
import psycopg
import requests
from dramatiq.brokers.redis import RedisBroker
from shared import APPLY_PSYCOPG, DSN, REDIS, SINK, map_event, parameters, several
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

dramatiq.set_broker(RedisBroker(url=f"{REDIS}/2"))
_mine = threading.local()


@dramatiq.actor(max_retries=5)
def process(event: dict[str, Any]) -> None:
    if not hasattr(_mine, "database"):
        _mine.database = psycopg.connect(DSN, autocommit=True, prepare_threshold=1)
        _mine.http = requests.Session()
    mapped = map_event(event)
    document = orjson.dumps(mapped).decode()
    _mine.database.execute(APPLY_PSYCOPG, parameters(mapped, document))
    headers = {"content-type": "application/json"}
    _mine.http.post(SINK, data=document.encode(), headers=headers, timeout=10).raise_for_status()


def _enqueue(events: list[dict[str, Any]]) -> None:
    for event in events:
        process.send(event)


async def take(request: Request) -> Response:
    await asyncio.to_thread(_enqueue, several(orjson.loads(await request.body())))
    return Response(status_code=202)


app = Starlette(routes=[Route("/events", take, methods=["POST"])])
