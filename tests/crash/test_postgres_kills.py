"""A hub whose PostgreSQL is killed loses nothing it acknowledged and does nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash import postgres_kills
from tests.support.postgres import PostgresCluster

pytestmark = pytest.mark.slow


async def test_a_killed_server_costs_nothing_that_was_acknowledged(
    postgres_cluster: PostgresCluster, tmp_path: Path
) -> None:
    """Kill -9 of every server process under load: the hub goes on by itself and every promise is kept once."""
    report = await postgres_kills.run(3, 21, tmp_path, postgres_cluster)

    assert (0, 0, []) == (report.lost, report.doubled, report.examples)
    assert report.acked > 20 and report.effects > 20


async def test_a_hub_that_acknowledges_before_the_commit_is_caught(
    postgres_cluster: PostgresCluster, tmp_path: Path
) -> None:
    """Positive control: what was answered while the server was dying is lost."""
    report = await postgres_kills.run(3, 22, tmp_path, postgres_cluster, "acknowledge_before_commit")

    assert report.lost > 0
