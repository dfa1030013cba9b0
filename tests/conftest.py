"""What every test shares: real PostgreSQL and OpenSSH on demand, Hypothesis profiles, and loud skips."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.openssh import openssh_server, sftp_account
from tests.support.postgres import database, postgres_cluster, postgres_database

__all__ = ["database", "openssh_server", "postgres_cluster", "postgres_database", "sftp_account"]

PROJECT = Path(__file__).parents[1]

settings.register_profile("quick", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("CROSSDOCK_TEST_PROFILE", "quick"))

MARKER_OF_FIXTURE = {"postgres_cluster": "postgres", "openssh_server": "sshd"}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests must not reach them."""
    for name in list(os.environ):
        if name.startswith("CROSSDOCK_") and not name.startswith("CROSSDOCK_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def project() -> Path:
    """The directory that holds `pyproject.toml`."""
    return PROJECT


NIGHTLY = os.environ.get("CROSSDOCK_TEST_PROFILE") == "nightly"


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """A test that asks for a server carries that server's marker by itself; long runs are for the night."""
    for item in items:
        if item.get_closest_marker("nightly") and not NIGHTLY:
            item.add_marker(pytest.mark.skip(reason="a long run: make nightly"))
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKER_OF_FIXTURE:
                item.add_marker(MARKER_OF_FIXTURE[fixture])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in capitals what could not be run, so that a green result is never mistaken for a full one."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "NOT RUN" in reason:
            key = reason.partition("NOT RUN: ")[2]
            reasons[key] = reasons.get(key, 0) + 1
    if reasons:
        terminalreporter.section("NOT RUN ON THIS MACHINE", sep="!", red=True, bold=True)
        for reason, count in sorted(reasons.items()):
            terminalreporter.line(f"{count} tests: {reason}", red=True)
