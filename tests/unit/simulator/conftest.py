"""What the simulator's tests share: a clock at 08:00, and a hub's door that takes whatever it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from crossdock.durable.identity import ManualClock
from crossdock.simulator.clock import Timeline
from crossdock.simulator.world import clock_time


class TakingDoor:
    """A door that keeps what it is told, and answers with the statuses it is given first."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.told.append((dict(request.headers), await request.read()))
        return web.json_response({}, status=self.answers.pop(0) if self.answers else 202)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(ManualClock(clock_time("08:00")))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def door() -> AsyncIterator[TakingDoor]:
    taking = TakingDoor()
    app = web.Application()
    app.router.add_post("/in", taking.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address: Any = runner.addresses[0]
    taking.url = f"http://127.0.0.1:{address[1]}/in"
    yield taking
    await runner.cleanup()
