"""The reference page lists what the code offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossdock import edi
from crossdock.edi.codes import CATALOG

PAGE = (Path(__file__).parents[3] / "docs/reference/edi.md").read_text()


@pytest.mark.parametrize("code", CATALOG)
def test_each_finding_is_documented(code: str) -> None:
    """Code, severity, level, acknowledgment and remedy stand in the table as in the catalogue."""
    kind = CATALOG[code]

    row = f"| `{code}` | {kind.severity} | {kind.level} | {kind.acknowledgment or '-'} | {kind.hint} |"

    assert row in PAGE


def test_each_function_is_documented() -> None:
    """Whatever maps and stages call is on the page."""
    internal = {"acknowledgment_sets", "technical_acknowledgment", "known_sets", "schema_for"}
    functions = [name for name in edi.__all__ if name.islower() and name not in internal]

    assert [] == [name for name in functions if f"edi.{name}(" not in PAGE]
