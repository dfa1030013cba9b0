"""The last look: may this parcel still be labelled and shipped?

A site asks with the number of its request right before it prints a label or loads a truck. The answer is of this
moment: a cancel or a change that came meanwhile says stop.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..canonical.identifiers import match_key
from ..canonical.parties import Address
from ..errors import NotFound
from ..processes.order_state import ACTIVE_STATES, OrderState
from ..store import aggregates
from ..store.engine import Connection


class LookLine(msgspec.Struct, frozen=True):
    """What is still to be shipped of one line."""

    line_no: str
    sku: str
    quantity: str


class LastLook(msgspec.Struct, frozen=True):
    """`go` false: do not label, do not load; `reason` says why, in words for the warehouse."""

    fulfillment_number: str
    order_number: str
    site: str
    go: bool
    reason: str
    lines: tuple[LookLine, ...]
    ship_to: Address | None
    looked_at: datetime


def judge(state: OrderState, number: str, now: datetime) -> LastLook | None:
    """Return the answer for one request of an order; None when the order has no such request."""
    found = next((one for one in state.fulfillments if one.number == number), None)
    if found is None:
        return None
    if found.state == "cancelling":
        change = state.change is not None and number in state.change.waits
        reason = "the order is changed: give the request back" if change else "a cancel waits for your answer"
    elif found.state not in ACTIVE_STATES:
        reason = f"the request is {found.state}"
    elif found.outstanding <= 0:
        reason = "everything has been confirmed as shipped"
    elif state.hold:
        reason = f"the order is on hold: {state.hold}"
    else:
        reason = ""
    lines = tuple(
        LookLine(line.line_no, line.sku, format(line.outstanding.normalize(), "f"))
        for line in found.lines
        if line.outstanding > 0
    )
    return LastLook(
        number, state.order.number, found.site, not reason, reason or "ship it", lines, state.order.ship_to, now
    )


def load(connection: Connection, tenant_id: str, number: str, now: datetime) -> LastLook:
    """Look at the request a site was given (`SO-1001-1`). Raises NotFound for one that nobody made."""
    subject = aggregates.resolve(connection, tenant_id, [number]).get(("fulfillment", match_key(number)))
    order_number = (subject or "").removeprefix("order/")
    row = aggregates.load(connection, tenant_id, "order", [order_number]).get(order_number) if order_number else None
    answer = judge(msgspec.json.decode(row[3], type=OrderState), number, now) if row is not None else None
    if answer is None:
        raise NotFound()
    return answer
