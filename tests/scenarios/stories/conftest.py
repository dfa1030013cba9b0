"""A whole hub of one company with ERP, warehouse, carrier, shop and service desk, on both engines, and its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.flow.conftest import world
from tests.scenarios.flow.world import illegal_arrows, watch_states
from tests.scenarios.stories.company import Company

__all__ = ["company", "url", "world"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty record."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'crossdock.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
async def company(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Company]:
    """The company with stock in its warehouse; every change of a state must be a legal arrow."""
    company = Company(url, tmp_path, monkeypatch)
    hub = await company.start()
    await hub.store.write(watch_states)
    await company.open()
    yield company
    seen = company.query("select distinct noun, went, came from seen_arrows")
    await company.close()
    assert [] == list(illegal_arrows(seen))
