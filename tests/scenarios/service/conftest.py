"""The world of the flow's scenarios, for contracts, cases, notices and ownership."""

from tests.scenarios.flow.conftest import url, world

__all__ = ["url", "world"]
