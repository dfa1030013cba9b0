"""A hub whose PostgreSQL is killed loses nothing it acknowledged and does nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import postgres_kills
from tests.support.postgres import PostgresCluster, find_binaries

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster() -> Iterator[PostgresCluster]:
    """A server of this test's own: one that was started again ends with the thread that started it."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("NOT RUN: no PostgreSQL binaries on this machine")
    cluster = PostgresCluster(binaries)
    yield cluster
    cluster.close()


async def test_a_killed_server_costs_nothing_that_was_acknowledged(cluster: PostgresCluster, tmp_path: Path) -> None:
    """Kill -9 of every server process under load: the hub goes on by itself and every promise is kept once."""
    report = await postgres_kills.run(3, 21, tmp_path, cluster)

    assert (0, 0, []) == (report.lost, report.doubled, report.examples)
    assert report.acked > 20 and report.effects > 20


async def test_a_hub_that_acknowledges_before_the_commit_is_caught(cluster: PostgresCluster, tmp_path: Path) -> None:
    """Positive control: what was answered while the server was dying is lost."""
    report = await postgres_kills.run(3, 22, tmp_path, cluster, "acknowledge_before_commit")

    assert report.lost > 0
