"""Requests made from the API's own description never cause a server error and are answered as described."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks

from crossdock.web.api import openapi
from crossdock.web.server import open_doors
from tests.web.world import TENANT, World

pytestmark = pytest.mark.slow
load_all_checks()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and key of a hub that runs in a thread of its own."""
    ready, stop = threading.Event(), threading.Event()
    found: list[str] = []

    async def run(folder: Path) -> None:
        world = await World.start(folder)
        await world.fill()
        found.extend((await open_doors(world.hub), await world.key(TENANT, "integrator")))
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
        await world.hub.stop()

    folder = tmp_path_factory.mktemp("schema")
    thread = threading.Thread(target=lambda: asyncio.run(run(folder)))
    thread.start()
    assert ready.wait(30)
    yield found[0], found[1]
    stop.set()
    thread.join(30)


def _document() -> dict[str, object]:
    document = openapi.document()
    # The stream never ends, and the door has tests of its own.
    for path in ("/v1/events/stream", "/v1/ingest/{tenant}/{connection}"):
        del document["paths"][path]
    return document


schema = schemathesis.openapi.from_dict(_document())


@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_the_api(case: schemathesis.Case, served: tuple[str, str]) -> None:
    """Whatever is sent, the answer is a described status in the described form, never 500."""
    url, key = served
    response = case.call(base_url=url, headers={"authorization": f"Bearer {key}"})

    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert "application/problem+json" == response.headers["content-type"][0]
        assert str(response.status_code) in {"400", "401", "403", "404", "405", "409", "413", "415", "422", "429"}
