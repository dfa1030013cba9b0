"""The world of the flow's scenarios, on both engines; every state change of every scenario must be a legal arrow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.flow.world import World, illegal_arrows, watch_states


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty record."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'crossdock.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
async def world(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running hub of the tenant acme, with stock at both sites."""
    world = World(url, tmp_path, monkeypatch)
    hub = await world.start()
    await hub.store.write(watch_states)
    await world.apply()
    await world.stock(RENO={"H-100": 1000}, KC={"D-200": 1000})
    yield world
    if world._hub is None:
        await world.start()
    seen = world.query("select distinct noun, went, came from seen_arrows")
    await world.stop()
    assert [] == list(illegal_arrows(seen))
