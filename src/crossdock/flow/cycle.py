"""What one cycle takes and makes, how its parts are taken apart when one cannot be written, and how doubt is settled.

`pipeline.py` fills and commits cycles. Nothing here decides what a message means or when a cycle runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from ..canonical.events import Event
from ..store.engine import Connection, StoreUnavailable
from ..store.messages import InboundRow
from .batch import Ready
from .bookings import Outcome
from .ingest import InboundOffer, IngestAnswer, Stored

log = structlog.get_logger()
T = TypeVar("T")
Offered = tuple[InboundOffer, "asyncio.Future[IngestAnswer]"]


class Cycle(msgspec.Struct):
    """What one cycle took, kept so that it can be put back when the commit fails, and what it made.

    `answers` stand in the order of `offers`; an offer that cannot be stored has its error there.
    """

    offers: list[Offered] = []
    outcomes: list[Outcome] = []
    reserved: list[Ready] = []
    work: list[Stored] = []
    now_micros: int = 0
    answers: list[IngestAnswer | Exception] = []
    fresh: list[Stored] = []
    # The fresh ones are worked on in this very cycle; their rows, by message id, are written once, as they end.
    at_once: bool = False
    rows: dict[str, InboundRow] = {}
    ready: list[Ready] = []
    unreserved: list[Ready] = []
    events: list[Event] = []
    duplicates: int = 0
    # Under which lease it began, where several processes share the record.
    worker: int = 0
    announced: set[int] = set()


def run_apart(
    connection: Connection,
    items: list[T],
    run: Callable[[list[T]], None],
    give_up: Callable[[T, Exception], None],
) -> None:
    """Run all items in one savepoint; on a failure halve them, until only culprits are given up, in their order.

    A record that cannot be written is nobody's fault: StoreUnavailable passes through. A `give_up` that fails too is
    logged and leaves nothing behind.
    """
    if not items:
        return
    connection.execute("savepoint part")
    try:
        run(items)
        connection.flush()
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the worker: one that fails must not take the others with it
        connection.execute("rollback to savepoint part")
        connection.execute("release savepoint part")
        half = len(items) // 2
        if half:
            run_apart(connection, items[:half], run, give_up)
            run_apart(connection, items[half:], run, give_up)
        else:
            _give_up(connection, items[0], error, give_up)
        return
    connection.execute("release savepoint part")


def _give_up(connection: Connection, item: T, error: Exception, give_up: Callable[[T, Exception], None]) -> None:
    log.error("part.hopeless", part=type(item).__name__, error=repr(error))
    connection.execute("savepoint hopeless")
    try:
        give_up(item, error)
        connection.flush()
    except StoreUnavailable:
        raise
    except Exception as second:
        log.error("part.lost", part=type(item).__name__, error=repr(second), exc_info=second)
        connection.execute("rollback to savepoint hopeless")
    connection.execute("release savepoint hopeless")


def became_durable(connection: Connection, cycle: Cycle) -> bool:
    """Tell, after a commit of unknown outcome, whether the cycle is in the record: all of it is, or nothing.

    Looks at the first thing the cycle wrote that nothing else could have written.
    """
    for (offer, _), answer in zip(cycle.offers, cycle.answers, strict=False):
        if isinstance(answer, IngestAnswer) and answer.state != "duplicate":
            row = connection.one(
                "select 1 from inbound_messages where tenant_id = ? and message_id = ?",
                (offer.tenant_id, answer.message_id),
            )
            return row is not None
    for outcome in cycle.outcomes:
        row = connection.one(
            "select 1 from attempts where tenant_id = ? and message_id = ? and number = ?",
            (outcome.ready.tenant_id, outcome.ready.message_id, outcome.number),
        )
        return row is not None
    for stored in cycle.work:
        row = connection.one(
            "select 1 from inbound_messages where tenant_id = ? and message_id = ? and state <> 'received'"
            " and processed_at = ?",
            (stored.tenant_id, stored.message_id, cycle.now_micros),
        )
        return row is not None
    for ready in cycle.reserved:
        row = connection.one(
            "select 1 from outbound_messages where tenant_id = ? and message_id = ? and state = 'sending'",
            (ready.tenant_id, ready.message_id),
        )
        return row is not None
    return False
