"""Read the event journal: the story of one subject, and a feed that follows new events without missing one.

The commit-safe reading itself belongs to the store; its `read_after` is handed in, so that this room stays a reader.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

import msgspec

from ..canonical.events import Event
from ..durable.identity import from_micros
from ..governance.ports import Connection, Row

EVENTS_MAX = 5_000
PAGE_MAX = 500

COLUMNS = (
    "event_id, tenant_id, type, subject, data, occurred_at, recorded_at, correlation_id, causation_id, message_id,"
    " partner, release_id, traceparent"
)


class Cursor(Protocol):
    """A place in the journal; its text is what a client keeps (`Last-Event-ID`)."""

    def __str__(self) -> str: ...


C = TypeVar("C", bound=Cursor)

ReadAfter = Callable[[Connection, str, C, int], tuple[list[Event], C]]


class Page(msgspec.Struct, frozen=True):
    """Events in the order of the journal and where to go on. `more` says that the page was full."""

    events: tuple[Event, ...]
    cursor: str
    more: bool


def of_subject(connection: Connection, tenant_id: str, subject: str, *, limit: int = EVENTS_MAX) -> list[Event]:
    """Return the events of one subject (`order/SO-1001`) in the order they were applied."""
    rows = connection.query(
        f"select {COLUMNS} from events where tenant_id = ? and subject = ? order by position limit ?",  # noqa: S608
        (tenant_id, subject, limit),
    )
    return [event_of(row) for row in rows]


def page(
    connection: Connection,
    tenant_id: str,
    cursor: C,
    *,
    read_after: ReadAfter[C],
    limit: int = 100,
    types: Collection[str] = (),
    subject: str = "",
) -> Page:
    """Return the next events of the tenant after a cursor, of some types or one subject if these are named.

    The cursor moves past what was filtered out too, so a quiet filter never reads the same events again.
    """
    assert tenant_id, "a page belongs to a tenant"
    count = max(1, min(limit, PAGE_MAX))
    events, after = read_after(connection, tenant_id, cursor, count)
    wanted = [e for e in events if (not types or e.type in types) and (not subject or e.subject == subject)]
    return Page(tuple(wanted), str(after), len(events) == count)


def event_of(row: Row) -> Event:
    """Return the event of a row (columns as in `COLUMNS`)."""
    return Event(
        id=row[0],
        tenant_id=row[1],
        type=row[2],
        subject=row[3],
        data=msgspec.json.decode(row[4]),
        occurred_at=from_micros(row[5]),
        recorded_at=from_micros(row[6]),
        correlation_id=row[7],
        causation_id=row[8],
        message_id=row[9],
        partner=row[10],
        release_id=row[11],
        traceparent=row[12],
    )
