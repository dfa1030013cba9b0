"""Which partner changed its documents without notice: every deviation with its diff, its decision, and what waits."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..durable.identity import from_micros
from ..formats.shapes import Change, Profile
from ..governance.configuration import Configuration
from ..store import shapes as store
from ..store.engine import Connection


class ShapeChange(msgspec.Struct, frozen=True):
    """One thing that changed, in words, and whether a map may read it wrongly."""

    kind: str
    path: str
    words: str
    breaks: bool


class Deviation(msgspec.Struct, frozen=True):
    """One set of changes of one kind of document. `waiting` counts the documents held for it."""

    connection: str
    partner: str
    document_type: str
    digest: str
    state: str
    changes: tuple[ShapeChange, ...]
    waiting: int
    first_seen_at: datetime
    message_id: str
    decided_by: str
    decided_at: datetime | None


class LearnedShape(msgspec.Struct, frozen=True):
    """What was learned of one kind of document."""

    connection: str
    document_type: str
    policy: str
    seen: int
    fields: int
    last_seen_at: datetime


class ShapesPage(msgspec.Struct, frozen=True):
    """Deviations, those that wait first, then the newest; and what is learned."""

    rows: tuple[Deviation, ...]
    learned: tuple[LearnedShape, ...]


def load(connection: Connection, tenant_id: str, *, configuration: Configuration) -> ShapesPage:
    """Return the deviations and learned shapes of a tenant."""
    counts = {
        row[0]: row[1]
        for row in connection.query(
            "select awaits, count(*) from documents where tenant_id = ? and state in ('held', 'parked')"
            " and awaits >= 'shape:' and awaits < 'shape;' group by awaits",
            (tenant_id,),
        )
    }
    rows, learned = [], []
    for row in store.listed(connection, tenant_id):
        spec = configuration.connections.get(row.connection_id)
        if not row.digest:
            profile = msgspec.json.decode(row.shape, type=Profile)
            policy = spec.drift.policy if spec is not None else "off"
            learned.append(
                LearnedShape(
                    row.connection_id,
                    row.document_type,
                    policy,
                    row.seen_count,
                    len(profile.fields),
                    from_micros(row.last_seen_at),
                )
            )
            continue
        changes = msgspec.json.decode(row.changes or b"[]", type=tuple[Change, ...])
        rows.append(
            Deviation(
                connection=row.connection_id,
                partner=spec.partner if spec is not None else "",
                document_type=row.document_type,
                digest=row.digest,
                state=row.state,
                changes=tuple(ShapeChange(one.kind, one.path, one.words, one.breaks) for one in changes),
                waiting=counts.get(f"shape:{row.connection_id}:{row.document_type}:{row.digest}", 0),
                first_seen_at=from_micros(row.first_seen_at),
                message_id=row.message_id,
                decided_by=row.decided_by,
                decided_at=None if row.decided_at is None else from_micros(row.decided_at),
            )
        )
    rows.sort(key=lambda row: row.state != "waiting")
    return ShapesPage(tuple(rows), tuple(learned))
