"""The world of the flow's scenarios, for backups and retention."""

from tests.scenarios.flow.conftest import url, world

__all__ = ["url", "world"]
