"""Look for sites for orders that wait, because a person said so: now, and past any hold.

It is the deadline of the order's own timer, applied before its time with `override`; nothing else decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ..durable.identity import Ids
from ..governance.configuration import Configuration
from ..processes.order_state import OrderState
from ..store.engine import Connection
from .batch import Batch
from .orchestrate import Health, Orchestration
from .render import SendMode, render_requests


class SourcedOrder(msgspec.Struct, frozen=True):
    """What became of one order. `requests` are the new requests to sites; `waits` says why it still waits."""

    order_number: str
    status: str
    requests: tuple[str, ...] = ()
    waits: str = ""


def waiting(state: OrderState) -> tuple[str, ...]:
    """Return by which deadlines an order that waits for a site looks again: `hold`, `backorder`, both or none."""
    held = ("hold",) if state.hold and any(line.open for line in state.lines) else ()
    return (*held, "backorder") if any(line.backordered for line in state.lines) else held


def source_again(
    connection: Connection,
    tenant_id: str,
    numbers: Sequence[str],
    configuration: Configuration,
    *,
    ids: Ids,
    health: Health,
    mode_of: SendMode,
    now: datetime,
) -> tuple[Batch, tuple[SourcedOrder, ...]]:
    """Source the orders that wait again, in the caller's transaction; return what was written and what became of each.

    Orders that do not wait, or do not exist, are untouched and left out of the answer.
    """
    batch = Batch(connection, ids, now)
    orchestration = Orchestration(batch, health, parked=False)
    answers = []
    for number in numbers:
        before = orchestration.order(tenant_id, number)
        if before is None or not waiting(before):
            continue
        for name in waiting(before):
            data = {"name": name, "override": True}
            event = batch.event(tenant_id, "crossdock.deadline.passed.v1", f"order/{number}", data)
            orchestration.apply_event(event, configuration)
        after = orchestration.order(tenant_id, number) or before
        known = {one.number for one in before.fulfillments}
        asked = tuple(one.number for one in after.fulfillments if one.number not in known)
        left = (after.hold or "no site can ship what is on backorder") if waiting(after) else ""
        answers.append(SourcedOrder(number, after.status, asked, left))
    orchestration.finish()
    render_requests(batch, orchestration.requests, mode_of)
    batch.save()
    return batch, tuple(answers)
