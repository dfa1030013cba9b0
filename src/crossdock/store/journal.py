"""The event journal: append, and follow without ever missing an event that commits late.

A cursor is a pair (transaction, position). On SQLite there is one writer, so positions commit in order and the
transaction is 0. On PostgreSQL a reader sees only rows whose transaction is older than every open one: a position
taken early and committed late is then never passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import msgspec

from ..canonical.events import Event
from ..durable.identity import from_micros, to_micros
from .engine import Connection, Row

_json = msgspec.json.Encoder(decimal_format="string")

_INSERT = """insert into events (tenant_id, event_id, type, subject, data, occurred_at, recorded_at,
 correlation_id, causation_id, message_id, partner, release_id, traceparent) values (?,?,?,?,?,?,?,?,?,?,?,?,?)"""

_COLUMNS = """tenant_id, event_id, type, subject, data, occurred_at, recorded_at,
 correlation_id, causation_id, message_id, partner, release_id, traceparent, position"""


# Events of a restored record bear this transaction, below every one a server gives out: those of the cluster that was
# backed up mean nothing in another. Positions jump this far at a restore; what is no farther is from before it.
RESTORED_TRANSACTION = 1
RESTORE_JUMP = 1_000_000


class Cursor(msgspec.Struct, frozen=True, order=True):
    """Where a reader of the journal stands."""

    transaction: int = 0
    position: int = 0

    def __str__(self) -> str:
        return f"{self.transaction}.{self.position}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor written by `str`; anything else is the start of the journal."""
        transaction, dot, position = text.partition(".")
        if dot and transaction.isdigit() and position.isdigit():
            return cls(int(transaction), int(position))
        return cls()


def append(connection: Connection, events: Sequence[Event], encoded: Sequence[bytes | None] = ()) -> None:
    """Add events to the journal, in order. `encoded` holds the data of those that were written as JSON already."""
    encode = _json.encode
    rows = []
    # The events of a batch share their recording time: it is converted once.
    recorded_at, recorded_micros = None, 0
    for event, data in zip_longest(events, encoded):
        if event.recorded_at is not recorded_at:
            recorded_at, recorded_micros = event.recorded_at, to_micros(event.recorded_at)
        occurred_micros = recorded_micros if event.occurred_at is recorded_at else to_micros(event.occurred_at)
        rows.append(
            (
                event.tenant_id,
                event.id,
                event.type,
                event.subject,
                encode(event.data) if data is None else data,
                occurred_micros,
                recorded_micros,
                event.correlation_id,
                event.causation_id,
                event.message_id,
                event.partner,
                event.release_id,
                event.traceparent,
            )
        )
    connection.executemany(_INSERT, rows)


def event_of(row: Row) -> Event:
    """Return the event of a journal row (columns as in `_COLUMNS`)."""
    return Event(
        tenant_id=row[0],
        id=row[1],
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


def of_subject(connection: Connection, tenant_id: str, subject: str, limit: int = 5000) -> list[Event]:
    """Return the events of one subject (`order/SO-1001`) in the order they were applied."""
    rows = connection.query(
        f"select {_COLUMNS} from events where tenant_id = ? and subject = ? order by position limit ?",
        (tenant_id, subject, limit),
    )
    return [event_of(row) for row in rows]


def of_types(
    connection: Connection, tenant_id: str, types: Sequence[str], after: int, limit: int = 2000
) -> tuple[list[Event], int]:
    """Return a tenant's next events of some types behind a position, and the position of the last of them.

    For looking back. Who follows the journal as it grows uses a cursor: it misses nothing that commits late.
    """
    marks = ",".join("?" * len(types))
    rows = connection.query(
        f"select {_COLUMNS} from events where tenant_id = ? and type in ({marks}) and position > ?"
        " order by position limit ?",
        (tenant_id, *types, after, limit),
    )
    return [event_of(row) for row in rows], rows[-1][13] if rows else after


def end(connection: Connection) -> Cursor:
    """Return the cursor after which only events that commit from now on follow."""
    if connection.engine == "sqlite":
        row = connection.one("select max(position) from events")
        return Cursor(0, (row[0] if row else None) or 0)
    row = connection.one("select pg_snapshot_xmin(pg_current_snapshot())::text")
    assert row is not None
    return Cursor(int(row[0]) - 1, 2**62)


def farthest(connection: Connection) -> Cursor:
    """Return the last cursor that a reader can have been given: of a restored record another cluster gave some out."""
    if connection.engine != "sqlite":
        restored = connection.one(f"select 1 from events where txid = '{RESTORED_TRANSACTION}' limit 1")
        if restored is not None:
            return Cursor(2**64 - 1, 2**63 - 1)
    return end(connection)


# The transaction of a cursor as this cluster counts. One that was given out before a restore, perhaps by another
# cluster, counts by its position only.
_TRANSACTION = f"""(select case when given >= pg_snapshot_xmin(pg_current_snapshot())
 or place <= (select max(position) + {RESTORE_JUMP} from events where txid = '{RESTORED_TRANSACTION}')
 then '{RESTORED_TRANSACTION}' else given end from (select ?::text::xid8 as given, ?::bigint as place) as presented)"""


def _transaction_of(cursor: Cursor) -> tuple[str, int]:
    return str(cursor.transaction), cursor.position


def follow(connection: Connection, tenant_id: str, cursor: Cursor, limit: int = 500) -> list[tuple[Event, Cursor]]:
    """Return the next events after the cursor, each with the cursor behind it. An empty tenant follows all tenants."""
    mine, parameters = ("tenant_id = ? and ", [tenant_id]) if tenant_id else ("", [])
    if connection.engine == "sqlite":
        rows = connection.query(
            f"select {_COLUMNS}, 0 from events where {mine}position > ? order by position limit ?",
            (*parameters, cursor.position, limit),
        )
    else:
        rows = connection.query(
            f"select {_COLUMNS}, txid::text from events where {mine}(txid, position) > ({_TRANSACTION}, ?)"
            " and txid < pg_snapshot_xmin(pg_current_snapshot()) order by txid, position limit ?",
            (*parameters, *_transaction_of(cursor), cursor.position, limit),
        )
    return [(event_of(row), Cursor(int(row[-1]), row[-2])) for row in rows]


def read_after(connection: Connection, tenant_id: str, cursor: Cursor, limit: int = 500) -> tuple[list[Event], Cursor]:
    """Return the next events of a tenant after the cursor, and the cursor after the last of them."""
    pairs = follow(connection, tenant_id, cursor, limit)
    return [event for event, _ in pairs], pairs[-1][1] if pairs else cursor
