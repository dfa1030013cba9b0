"""Celery on Redis, state in PostgreSQL: `uvicorn celery_app:app` and `celery -A celery_app:worker worker -c 4`."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import psycopg
import requests
from celery import Celery
from shared import APPLY_PSYCOPG, DSN, REDIS, SINK, map_event, parameters, several
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

worker = Celery("peer", broker=f"{REDIS}/1")
worker.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=8,
    broker_connection_retry_on_startup=True,
    task_serializer="json",
)
_mine: dict[str, Any] = {}


@worker.task(autoretry_for=(Exception,), retry_backoff=True, max_retries=5)
def process(event: dict[str, Any]) -> None:
    if not _mine:
        _mine["database"] = psycopg.connect(DSN, autocommit=True, prepare_threshold=1)
        _mine["http"] = requests.Session()
    mapped = map_event(event)
    document = orjson.dumps(mapped).decode()
    _mine["database"].execute(APPLY_PSYCOPG, parameters(mapped, document))
    headers = {"content-type": "application/json"}
    _mine["http"].post(SINK, data=document.encode(), headers=headers, timeout=10).raise_for_status()


def _enqueue(events: list[dict[str, Any]]) -> None:
    for event in events:
        process.delay(event)


async def take(request: Request) -> Response:
    await asyncio.to_thread(_enqueue, several(orjson.loads(await request.body())))
    return Response(status_code=202)


app = Starlette(routes=[Route("/events", take, methods=["POST"])])
