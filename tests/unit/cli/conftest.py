"""A hub beside which commands run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from crossdock.cli.running_hub import FILE, Announcement
from crossdock.web.server import open_doors
from tests.web.world import World, order


@pytest_asyncio.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A hub with two tenants and an order that announces itself in a checkout of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("CROSSDOCK_URL", "CROSSDOCK_KEY"):
        monkeypatch.delenv(name, raising=False)
    made = await World.start(tmp_path)
    await made.take("erp", order("SO-7001"))
    await open_doors(made.hub)
    announcement = Announcement(made.hub)
    await announcement.refresh()
    yield made
    await announcement.withdraw()
    assert not FILE.exists()
    await made.hub.stop()
