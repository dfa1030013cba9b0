"""The drawing of the state machine is the state machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crossdock.processes import order_fulfillment
from crossdock.processes.order_state import ACTIVE_STATES, FULFILLMENT_ARROWS, STATUS_ARROWS

PAGE = Path(__file__).parents[4] / "docs/why/order-fulfillment.md"
STATUS_LINE = re.compile(r"^ {4}(\S+) +→ (.+)$", re.MULTILINE)
FULFILLMENT_LINE = re.compile(r"^ {4}(\w+) {2,}([\w ]+?) → (\w+)$", re.MULTILINE)


def drawings() -> list[str]:
    return [order_fulfillment.__doc__ or "", PAGE.read_text()]


@pytest.mark.parametrize("text", drawings(), ids=["docstring", "page"])
def test_the_status_arrows_are_drawn(text):
    """Docstring and page show every arrow between statuses that the code allows, and no other."""
    drawn = {start: tuple(ends.split()) for start, ends in STATUS_LINE.findall(text)}

    assert {start: ends or ("(end)",) for start, ends in STATUS_ARROWS.items()} == drawn


@pytest.mark.parametrize("text", drawings(), ids=["docstring", "page"])
def test_the_fulfillment_arrows_are_drawn(text):
    """Docstring and page show what moves a fulfillment from which state to which."""
    drawn = {
        (start, trigger, end) for trigger, starts, end in FULFILLMENT_LINE.findall(text) for start in starts.split()
    }

    assert {
        (start, trigger, end) for start, arrows in FULFILLMENT_ARROWS.items() for trigger, end in arrows.items()
    } == drawn


def test_only_active_fulfillments_have_something_to_ship():
    """The closed states are those whose only arrow is a late shipment."""
    assert {"shipped", "short", "rejected", "cancelled"} == set(FULFILLMENT_ARROWS) - ACTIVE_STATES
