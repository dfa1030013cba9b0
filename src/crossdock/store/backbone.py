"""Where each backbone stands in the journal, who may move it, and what the journal says about a stretch of it.

The place moves under an epoch: a publisher that was paused and replaced cannot move it any more.
"""

from __future__ import annotations

from ..durable.stream_proof import Place
from . import journal
from .engine import Connection
from .journal import Cursor

# Further back than this is not counted: whoever reads the figure has understood.
LAG_COUNTED_MAX = 100_000


def load_place(connection: Connection, backbone: str) -> Place:
    """Return the place of a backbone; a new one stands before everything."""
    row = connection.one(
        "select cursor_transaction, cursor_position, sequence, event_id, stream, head, gaps, generation"
        " from backbone_places where backbone = ?",
        (backbone,),
    )
    return Place() if row is None else Place((row[0], row[1]), *row[2:])


def claim(connection: Connection, backbone: str, holder: str, now_micros: int, until_micros: int) -> int | None:
    """Become, or remain, the one who moves a place; return its epoch, or None while another one holds it."""
    connection.execute(
        "insert into backbone_places (backbone) values (?) on conflict (backbone) do nothing", (backbone,)
    )
    taken = connection.execute(
        "update backbone_places set epoch = case when holder = ? then epoch else epoch + 1 end, holder = ?,"
        " held_until = ? where backbone = ? and (holder = ? or held_until < ?)",
        (holder, holder, until_micros, backbone, holder, now_micros),
    )
    if not taken:
        return None
    row = connection.one("select epoch from backbone_places where backbone = ?", (backbone,))
    assert row is not None
    return int(row[0])


def release(connection: Connection, backbone: str, holder: str) -> None:
    """Let another process move the place at once."""
    connection.execute(
        "update backbone_places set held_until = 0 where backbone = ? and holder = ?", (backbone, holder)
    )


def move(connection: Connection, backbone: str, epoch: int, place: Place, now_micros: int) -> bool:
    """Write where a backbone stands. False when somebody else has taken it over meanwhile: then nothing is written."""
    changed = connection.execute(
        "update backbone_places set cursor_transaction = ?, cursor_position = ?, sequence = ?, event_id = ?,"
        " stream = ?, head = ?, gaps = ?, generation = ?, moved_at = ? where backbone = ? and epoch = ?",
        (
            *place.cursor,
            place.sequence,
            place.event_id,
            place.stream,
            place.head,
            place.gaps,
            place.generation,
            now_micros,
            backbone,
            epoch,
        ),
    )
    return bool(changed)


def cursor_of(connection: Connection, event_id: str, cursor: Cursor) -> Cursor | None:
    """Return the cursor of an event that is said to stand there, or None when another or none does.

    The transaction is the record's own: after a restore it may be another than the one the event was published with.
    """
    column = "0" if connection.engine == "sqlite" else "txid::text"
    row = connection.one(f"select event_id, {column} from events where position = ?", (cursor.position,))
    return Cursor(int(row[1]), cursor.position) if row is not None and row[0] == event_id else None


def recorded_before(connection: Connection, cursor: Cursor) -> int | None:
    """Return when the event before the one at the cursor was recorded, in microseconds; None when there is none."""
    if connection.engine == "sqlite":
        row = connection.one(
            "select recorded_at from events where position < ? order by position desc limit 1", (cursor.position,)
        )
    else:
        row = connection.one(
            "select recorded_at from events where (txid, position) < (?::text::xid8, ?)"
            " order by txid desc, position desc limit 1",
            (str(cursor.transaction), cursor.position),
        )
    return None if row is None else int(row[0])


def before(connection: Connection, since_micros: int) -> Cursor:
    """Return a cursor before every event recorded at `since_micros` or later. It may stand a little too early.

    The journal is searched by halves: positions grow with the time of recording.
    """
    bounds = connection.one("select min(position), max(position) from events")
    if bounds is None or bounds[0] is None:
        return Cursor()
    low, high = int(bounds[0]), int(bounds[1]) + 1
    first = low
    while low < high:
        middle = (low + high) // 2
        row = connection.one("select recorded_at from events where position >= ? order by position limit 1", (middle,))
        if row is None or row[0] >= since_micros:
            high = middle
        else:
            low = middle + 1
    if low <= first:
        return Cursor()
    if connection.engine == "sqlite":
        return Cursor(0, low - 1)
    row = connection.one("select txid::text from events where position >= ? order by position limit 1", (low,))
    if row is None:
        return journal.end(connection)
    transaction = int(row[0])
    # Restored events share their transaction: among them the position alone says what comes before.
    if transaction == journal.RESTORED_TRANSACTION:
        return Cursor(transaction, low - 1)
    return Cursor(transaction - 1, 2**62)


def lag(connection: Connection, cursor: Cursor) -> tuple[int, int]:
    """Return how many events stand behind the cursor (counted up to a bound), and when the first was recorded."""
    if connection.engine == "sqlite":
        behind, order, parameters = "position > ?", "position", [cursor.position]
    else:
        behind, order = "(txid, position) > (?::text::xid8, ?)", "txid, position"
        parameters = [str(cursor.transaction), cursor.position]  # type: ignore[list-item]
    rows = connection.one(
        f"select count(*), min(recorded_at) from (select recorded_at from events where {behind}"
        f" order by {order} limit {LAG_COUNTED_MAX}) as waiting",
        parameters,
    )
    assert rows is not None
    return int(rows[0]), int(rows[1] or 0)
