"""The world of the flow's scenarios with the example's pack, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.flow.conftest import url
from tests.scenarios.flow.world import World, illegal_arrows, watch_states
from tests.scenarios.supply.papers import TENANT, pack_files

__all__ = ["url"]


@pytest.fixture
async def world(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running hub of Ridgeline with scripted partners."""
    world = World(url, tmp_path, monkeypatch)
    hub = await world.start()
    await hub.store.write(watch_states)
    await world.apply(TENANT, pack_files())
    yield world
    seen = world.query("select distinct noun, went, came from seen_arrows")
    await world.stop()
    assert [] == list(illegal_arrows(seen))
