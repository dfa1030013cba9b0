"""What people ask for by portal, console or API: an event that no paper brought, applied at once and answered.

The word is decided by the same process as any paper. What was refused is refused to who asked, and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from ..canonical.returns import ReturnRequest
from ..durable.identity import Ids, to_micros
from ..errors import Conflict, NotFound
from ..governance.configuration import Configuration
from ..processes.order_state import OrderState
from ..processes.outcome import Outcome
from ..store import idempotency
from ..store.engine import Connection
from .batch import Batch
from .orchestrate import Health, Orchestration
from .render import SendMode, render_requests
from .stages import settle_stored

_plain = msgspec.json.Encoder(decimal_format="string").encode


class Writing(msgspec.Struct):
    """What a word needs to be written: where, by whom, when, and how its sends are begun."""

    connection: Connection
    tenant_id: str
    configuration: Configuration
    ids: Ids
    health: Health
    mode_of: SendMode
    now: datetime
    configuration_of: Callable[[str, str], Configuration]


class SentAgain(Conflict):
    """The same form was sent before, and what it asks for is done."""


class Refused(Conflict):
    """The process does not do what was asked; the message says why."""


def tell(
    writing: Writing, subject: str, event_type: str, word: Callable[[Orchestration], Any], *, existing: bool = False
) -> tuple[Batch, Any]:
    """Apply the event whose data `word` makes, in the caller's transaction; return what was written and the new state.

    `word` may look at the record as it stands. Raises NotFound where what it is about does not exist (`existing`), and
    `Refused`, with the code of the process, where the process does not do it. A repetition changes nothing.
    """
    batch = Batch(writing.connection, writing.ids, writing.now)
    orchestration = Orchestration(batch, writing.health, parked=True)
    if existing and orchestration.state(writing.tenant_id, subject) is None:
        raise NotFound(f"There is no {subject.replace('/', ' ', 1)}")
    data = msgspec.json.decode(_plain(word(orchestration)))
    event = batch.event(writing.tenant_id, event_type, subject, data)
    outcome = orchestration.apply_word(event, writing.configuration)
    refuse(outcome)
    orchestration.take_up(writing.configuration_of)
    for item in orchestration.freed:
        settle_stored(batch, item.tenant_id, item.configuration.release_id, item.paper)
    orchestration.finish()
    render_requests(batch, orchestration.requests, writing.mode_of)
    batch.save()
    return batch, orchestration.state(writing.tenant_id, subject)


def refuse(outcome: Outcome) -> None:
    """Raise `Refused` for an outcome that changed nothing and says why."""
    if outcome.parked_until:
        kind, _, name = outcome.parked_until.partition(":")
        raise NotFound(f"There is no {kind} {name}")
    faults = [one for one in outcome.exceptions if not one.resolves]
    if faults and not (outcome.events or outcome.requests or outcome.tells or outcome.timers or outcome.references):
        raise Refused(faults[0].message, code=faults[0].code, pointer=faults[0].pointer)


def next_return_number(order: OrderState) -> str:
    """Return a number for a further return of an order, which nobody bears yet.

    >>> from crossdock.canonical.orders import Order
    >>> next_return_number(OrderState(Order("SO-1", ()), "delivered", ()))
    'RMA-SO-1-1'
    """
    taken = {one.number for one in order.returns}
    count = len(taken) + 1
    while f"RMA-{order.order.number}-{count}" in taken:
        count += 1
    return f"RMA-{order.order.number}-{count}"


def ask_to_return(writing: Writing, request: ReturnRequest, form: str = "") -> tuple[Batch, Any]:
    """Begin a return by a person's word; without a number of its own it gets the next of its order.

    The same `form` (its nonce) begins one return: sent again it raises `SentAgain`. Raises NotFound for an unknown
    order.
    """
    place = (writing.tenant_id, f"order/{request.order_number}", "portal.return", form)
    if form and not idempotency.take(writing.connection, *place, to_micros(writing.now)):
        raise SentAgain()
    order = Orchestration(Batch(writing.connection, writing.ids, writing.now), writing.health, parked=False).order(
        writing.tenant_id, request.order_number
    )
    if order is None:
        raise NotFound(f"There is no order {request.order_number}")
    asked = msgspec.structs.replace(request, number=next_return_number(order), at=writing.now)
    return tell(writing, f"return/{asked.number}", "crossdock.return.requested.v1", lambda _: asked)
