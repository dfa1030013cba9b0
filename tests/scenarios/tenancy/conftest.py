"""The world of the tenancy's scenarios: the hub of the flow's scenarios, and one with its real connectors."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from crossdock.connectors import registry
from tests.scenarios.flow.conftest import url, world
from tests.scenarios.flow.world import World, pack_files
from tests.scenarios.tenancy.slow_site import SlowSite

__all__ = ["url", "world"]


@pytest.fixture
async def site() -> AsyncIterator[SlowSite]:
    """A partner's door that answers only when it is let."""
    async with SlowSite() as site:
        yield site


@pytest.fixture
async def real_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: SlowSite) -> AsyncIterator[World]:
    """A hub whose connectors are real and speak to the slow site; no pack is applied yet."""
    create = registry.create
    world = World(f"sqlite:///{tmp_path / 'crossdock.db'}", tmp_path, monkeypatch)
    monkeypatch.setattr(registry, "create", create)
    security = msgspec.structs.replace(world.settings.security, allow_private_networks=("127.0.0.0/8",))
    world.settings = msgspec.structs.replace(world.settings, security=security)
    await world.start()
    yield world
    site.gate.set()
    await world.stop()


def files_to(site: SlowSite) -> dict[str, str]:
    """Return the test pack with every connection leading to the slow site."""
    return {name: re.sub(r"https://[a-z0-9.]+example", site.url, text) for name, text in pack_files().items()}
