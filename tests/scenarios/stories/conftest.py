"""The failure stories run in the world of the flow's scenarios, on both engines."""

from tests.scenarios.flow.conftest import url, world

__all__ = ["url", "world"]
