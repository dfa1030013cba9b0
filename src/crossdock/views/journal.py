"""A feed of the event journal for clients: page after page, without ever missing an event that commits late."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from ..canonical.events import Event
from ..errors import CrossdockError
from ..store import journal
from ..store.engine import Connection

PAGE_MAX = 500


class Page(msgspec.Struct, frozen=True):
    """Events in the order of the journal and where to go on. `more` says that the page was full."""

    events: tuple[Event, ...]
    cursor: str
    more: bool


def page(
    connection: Connection,
    tenant_id: str,
    cursor: str = "",
    *,
    limit: int = 100,
    types: Collection[str] = (),
    subject: str = "",
) -> Page:
    """Return the next events of the tenant after a cursor, of some types or one subject if these are named.

    The cursor is the text of the page before (`Last-Event-ID`); empty starts at the beginning, `end` with what comes
    next.
    It moves past what was filtered out too, so a quiet filter never reads the same events again.
    """
    assert tenant_id, "a page belongs to a tenant"
    count = max(1, min(limit, PAGE_MAX))
    place = journal.end(connection) if cursor == "end" else _place(cursor)
    events, after = journal.read_after(connection, tenant_id, place, count)
    wanted = [e for e in events if (not types or e.type in types) and (not subject or e.subject == subject)]
    return Page(tuple(wanted), str(after), len(events) == count)


def _place(cursor: str) -> journal.Cursor:
    """Return the place a cursor names; one that is none must not silently start from the beginning."""
    place = journal.Cursor.parse(cursor)
    if cursor and str(place) != cursor:
        raise CrossdockError("The cursor is not one of this feed", code="XD-API-002", hint="Start without a cursor")
    return place
