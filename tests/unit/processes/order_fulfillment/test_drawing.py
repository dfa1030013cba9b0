"""The drawing of the state machine is the state machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossdock.processes import order_fulfillment
from crossdock.processes.order_state import ACTIVE_STATES, FULFILLMENT_ARROWS, STATUS_ARROWS
from crossdock.processes.policy import SourcingRule
from tests.unit.processes.orders import (
    PLENTY,
    Story,
    a_policy,
    answered,
    cancel,
    deadline,
    milestone,
    released,
    shipped,
    stock_of,
)

PAGE = Path(__file__).parents[4] / "docs/why/order-fulfillment.md"
STATUS_LINE = re.compile(r"^ {4}(\S+) +→ (.+)$", re.MULTILINE)
FULFILLMENT_LINE = re.compile(r"^ {4}(\w+) {2,}([\w ]+?) → (\w+)$", re.MULTILINE)


def drawings() -> list[str]:
    return [order_fulfillment.__doc__ or "", PAGE.read_text()]


@pytest.mark.parametrize("text", drawings(), ids=["docstring", "page"])
def test_the_status_arrows_are_drawn(text):
    """Docstring and page show every arrow between statuses that the code allows, and no other."""
    drawn: dict[str, tuple[str, ...]] = {}
    for start, ends in STATUS_LINE.findall(text):
        drawn[start] = (*drawn.get(start, ()), *ends.split())

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


PROOF = milestone("delivered", signed_by="Ann", hours=90)
LARGE = SourcingRule("large", "hold", reason="large")
NO_BACKORDERS: dict[str, Any] = {"backorder": False, "hold_retry_minutes": 10}
ONLY_RENO = stock_of(reno={"A": 10, "B": 5})


def changed_stock(stock: Any) -> Callable[[Story], None]:
    return lambda story: setattr(story, "stock", stock)


@pytest.mark.parametrize(
    "arrow, policy, stock, steps",
    [
        ("(new) backordered", {}, {}, [released(("A", 9))]),
        ("released delivered", {}, PLENTY, [released(("A", 9)), PROOF, shipped("S", ("A", 9), of="SO-1-1")]),
        (
            "in_fulfillment delivered",
            {},
            PLENTY,
            [released(("A", 9)), answered("SO-1-1", "picked"), PROOF, shipped("S", ("A", 9), of="SO-1-1")],
        ),
        (
            "cancelling delivered",
            {},
            PLENTY,
            [
                released(("A", 9)),
                shipped("S", ("A", 4), of="SO-1-1", final=False),
                PROOF,
                cancel(),
                answered("SO-1-1", "cancelled"),
            ],
        ),
        (
            "backordered partly_shipped",
            {},
            ONLY_RENO,
            [released(("A", 9)), answered("SO-1-1", "rejected"), shipped("S", ("A", 4), of="SO-1-1")],
        ),
        (
            "backordered shipped",
            {},
            ONLY_RENO,
            [released(("A", 9)), answered("SO-1-1", "rejected"), shipped("S", ("A", 9), of="SO-1-1")],
        ),
        (
            "backordered delivered",
            {},
            ONLY_RENO,
            [released(("A", 9)), answered("SO-1-1", "rejected"), PROOF, shipped("S", ("A", 9), of="SO-1-1")],
        ),
        (
            "on_hold delivered",
            NO_BACKORDERS,
            PLENTY,
            [released(("A", 9)), shipped("S", ("A", 4), of="SO-1-1"), PROOF, cancel()],
        ),
        (
            "on_hold in_fulfillment",
            NO_BACKORDERS,
            stock_of(reno={"A": 9}, swift={"B": 5}),
            [
                released(("A", 9), ("B", 5)),
                changed_stock({}),
                answered("SO-1-2", "rejected"),
                answered("SO-1-1", "accepted"),
                changed_stock(PLENTY),
                deadline("hold", override=True),
            ],
        ),
        (
            "backordered on_hold",
            {},
            {},
            [
                released(("A", 9)),
                lambda story: setattr(story, "policy", a_policy(sourcing=(LARGE,))),
                released(("A", 8)),
            ],
        ),
        (
            "on_hold backordered",
            {"sourcing": (LARGE, SourcingRule("stock", "stock"))},
            {},
            [released(("A", 9)), deadline("hold", override=True)],
        ),
    ],
)
def test_rare_arrows_can_be_walked(arrow, policy, stock, steps):
    """Every arrow that random stories hardly meet has a story of its own; nothing is drawn that cannot happen."""
    story = Story(a_policy(**policy), stock=stock)
    walked: list[str] = ["(new)"]
    for step in steps:
        if callable(step):
            step(story)
            continue
        story.tell(step)
        walked.append(story.order.status)

    assert arrow.split() == walked[-2:]
