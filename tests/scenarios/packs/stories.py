"""Load an example's story, and take a line out of a partner's books."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from crossdock.simulator.ledger import Ledger

EXAMPLES = Path(__file__).parents[3] / "examples"


def load_story(name: str) -> Any:
    """Return the story of an example as a module."""
    path = EXAMPLES / name / "story.py"
    spec = importlib.util.spec_from_file_location(f"story_{name.replace('-', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forget(ledger: Ledger, kind: str) -> str:
    """Take the first line of a kind out of the books, and return its business name."""
    entry = next(ledger.of(kind))
    ledger.entries.remove(entry)
    return entry.business
