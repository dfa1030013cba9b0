"""The states in code and the states in the drawing are the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from crossdock.durable.states import (
    DOCUMENT_ARROWS,
    MESSAGE_ARROWS,
    OUTBOUND_ARROWS,
    DocumentState,
    MessageState,
    OutboundState,
    may_go,
)

PAGE = Path(__file__).parents[3] / "docs/why/message-lifecycle.md"
KINDS = {
    "A message that came in": (MESSAGE_ARROWS, MessageState),
    "A document": (DOCUMENT_ARROWS, DocumentState),
    "A message that goes out": (OUTBOUND_ARROWS, OutboundState),
}


def drawn(heading: str) -> dict[str, tuple[str, ...]]:
    """Return the arrows below a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    block = re.search(r"```\n(.*?)```", section, re.DOTALL)
    assert block is not None
    lines = [line.partition("→") for line in block[1].splitlines()]
    return {before.strip(): tuple(after.replace("(end)", "").split()) for before, _, after in lines}


@pytest.mark.parametrize("heading", list(KINDS))
def test_the_drawing_holds_the_same_arrows_as_the_code(heading: str) -> None:
    """Each arrow of the page is in the table, and each of the table on the page."""
    arrows, _ = KINDS[heading]
    on_page = drawn(heading)
    assert on_page.pop("(new)")

    assert {before: set(after) for before, after in on_page.items()} == {
        before: set(after) for before, after in arrows.items()
    }


@pytest.mark.parametrize("heading", list(KINDS))
def test_every_state_has_its_arrows_and_can_be_reached(heading: str) -> None:
    """No state is forgotten, none leads nowhere that exists, none is unreachable."""
    arrows, states = KINDS[heading]
    reached = {state for after in arrows.values() for state in after} | set(drawn(heading)["(new)"])

    assert set(get_args(states)) == set(arrows)
    assert set(get_args(states)) == reached


def test_what_is_settled_stays_settled() -> None:
    """Terminal states absorb."""
    assert () == OUTBOUND_ARROWS["sent"] == MESSAGE_ARROWS["duplicate"] == DOCUMENT_ARROWS["superseded"]
    assert not may_go(OUTBOUND_ARROWS, "sent", "pending")
    assert not may_go(OUTBOUND_ARROWS, "nonsense", "sent")
