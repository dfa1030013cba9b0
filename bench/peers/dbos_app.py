"""DBOS, all in PostgreSQL, in the form that measured best: plain steps in threads. `uvicorn dbos_app:app [--workers 2]`.

BENCH_IN_FLIGHT bounds the workflows of a process: without a bound the connection pools time out and workflows end in
ERROR. The state is written idempotently by event id, so a step that runs twice counts once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator
from typing import Any

import orjson
import psycopg
import requests
from dbos import DBOS, SetWorkflowID
from shared import APPLY_PSYCOPG, DSN, SINK, map_event, parameters, several
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

IN_FLIGHT = int(os.environ.get("BENCH_IN_FLIGHT", "4"))

DBOS(
    config={
        "name": "peer",
        "system_database_url": os.environ["BENCH_SYSTEM_DSN"],
        "log_level": "ERROR",
        "sys_db_pool_size": 20,
        "run_admin_server": False,
    }
)
_mine = threading.local()
_bound: dict[str, Any] = {}


def _tools() -> Any:
    if not hasattr(_mine, "database"):
        _mine.database = psycopg.connect(DSN, autocommit=True, prepare_threshold=1)
        _mine.http = requests.Session()
    return _mine


@DBOS.step()
def apply(mapped: dict[str, Any], document: str) -> None:
    _tools().database.execute(APPLY_PSYCOPG, parameters(mapped, document))


@DBOS.step(retries_allowed=True, max_attempts=5)
def send(document: str) -> None:
    headers = {"content-type": "application/json"}
    _tools().http.post(SINK, data=document.encode(), headers=headers, timeout=10).raise_for_status()


@DBOS.workflow()
def process(event: dict[str, Any]) -> None:
    try:
        mapped = map_event(event)
        document = orjson.dumps(mapped).decode()
        apply(mapped, document)
        send(document)
    finally:
        _bound["loop"].call_soon_threadsafe(_bound["slots"].release)


def _begin(event: dict[str, Any]) -> None:
    with SetWorkflowID(event["eventId"]):
        DBOS.start_workflow(process, event)


async def take(request: Request) -> Response:
    for event in several(orjson.loads(await request.body())):
        await _bound["slots"].acquire()
        await asyncio.to_thread(_begin, event)
    return Response(status_code=202)


@contextlib.asynccontextmanager
async def life(app: Starlette) -> AsyncIterator[None]:
    _bound["slots"], _bound["loop"] = asyncio.Semaphore(IN_FLIGHT), asyncio.get_running_loop()
    DBOS.launch()
    yield
    DBOS.destroy()


app = Starlette(routes=[Route("/events", take, methods=["POST"])], lifespan=life)
