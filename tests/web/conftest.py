"""The world of the doors' tests: one hub for a module, and clients that speak to its app without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from crossdock.web.app import create_app
from tests.web.world import TENANT, World


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A filled hub, shared by the tests of a module."""
    made = await World.start(tmp_path_factory.mktemp("web"))
    await made.fill()
    yield made
    await made.hub.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def app(world: World) -> Any:
    """The ASGI app of that hub."""
    return create_app(world.hub, session_clock=world.session_clock)


@pytest_asyncio.fixture(loop_scope="module")
async def anyone(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a credential."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub.test") as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def api(app: Any, world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an integrator's key of the first tenant."""
    headers = {"authorization": f"Bearer {await world.key(TENANT, 'integrator')}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://hub.test", headers=headers
    ) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def browser(app: Any, world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A signed-in browser of an integrator, without JavaScript."""
    headers = {"sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://hub.test", headers=headers
    ) as client:
        token = (await world.login()).rpartition("/")[2]
        answer = await client.post("/login", data={"token": token})
        assert 303 == answer.status_code
        yield client


@pytest.fixture
def screenshots(project: Path) -> Path:
    """Where pictures of the pages go."""
    folder = project / "tests/web/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
