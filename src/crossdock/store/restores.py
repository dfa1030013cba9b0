"""What a restored record knows of itself: which connections are in doubt, and since when.

Between the instant of the backup and the restore the world went on: partners were told things, and senders were
answered, that stand in no row here. `mark` writes that down in the restored record before anything runs on it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from . import journal
from .engine import RESTORING_SCHEMA, Connection, Row

DOUBT_CODE = "XD-SYS-061"
DOUBT_WORDS = "the record was restored from a backup; the partner may have got this since"
# How far control numbers and journal positions jump ahead: more than can have been used since any useful backup.
JUMP = journal.RESTORE_JUMP
CONTROL_NUMBER_MAX = 999_999_999

RESTORE_COLUMNS = (
    "tenant_id, restore_id, connection_id, backup_id, backed_up_at, restored_at, since_at, last_message_id,"
    " last_receipt_key, last_name, closed_at, closed_by"
)


class Marked(msgspec.Struct, frozen=True):
    """What marking a restored record changed in a tenant."""

    sends_in_doubt: int = 0
    dead_letters_in_doubt: int = 0
    control_numbers: int = 0


def mark(
    connection: Connection,
    tenant_id: str,
    *,
    restore_id: str,
    backup_id: str,
    connections: Iterable[str],
    backed_up_at: int,
    restored_at: int,
    margin_micros: int = 0,
) -> Marked:
    """Put everything of a tenant that partners may have got since the backup in doubt. Instants are microseconds.

    Open sends become unknown, so they are asked for before they are sent. Dead letters keep their state and are asked
    for when they are taken up. Control numbers jump ahead: none is used again for other content. `margin_micros` is how
    much later than its own instant a message may have been committed.
    """
    for connection_id in sorted({*connections, *_known_connections(connection, tenant_id)}):
        last = connection.one(
            "select message_id, receipt_key, name, received_at from inbound_messages"
            " where tenant_id = ? and connection_id = ? order by message_id desc limit 1",
            (tenant_id, connection_id),
        )
        message_id, receipt_key, name, received_at = last or ("", "", "", 0)
        connection.execute(
            f"insert into restores ({RESTORE_COLUMNS}) values (?,?,?,?,?,?,?,?,?,?,null,'')",
            (
                tenant_id,
                restore_id,
                connection_id,
                backup_id,
                backed_up_at,
                restored_at,
                max(0, received_at - margin_micros),
                message_id,
                receipt_key,
                name,
            ),
        )
    sends = connection.execute(
        "update outbound_messages set state = 'unknown', next_attempt_at = null, error_class = 'unknown',"
        " error_code = ?, error = ? where tenant_id = ? and state in ('pending', 'sending', 'unknown')",
        (DOUBT_CODE, DOUBT_WORDS, tenant_id),
    )
    dead = connection.execute(
        "update outbound_messages set error_class = 'unknown'"
        " where tenant_id = ? and state = 'dead' and size_bytes > 0",
        (tenant_id,),
    )
    numbers = connection.execute(
        "update control_numbers set last_number = case when last_number + ? > ? then last_number + ? - ?"
        " else last_number + ? end where tenant_id = ?",
        (JUMP, CONTROL_NUMBER_MAX, JUMP, CONTROL_NUMBER_MAX, JUMP, tenant_id),
    )
    return Marked(sends, dead, numbers)


def _known_connections(connection: Connection, tenant_id: str) -> set[str]:
    rows = connection.query(
        "select distinct connection_id from receipts where tenant_id = ?"
        " union select distinct connection_id from outbound_messages where tenant_id = ?",
        (tenant_id, tenant_id),
    )
    return {row[0] for row in rows}


def end_sign_ins(connection: Connection) -> None:
    """Forget sessions and sign-in links: those that were ended after the backup must not come back to life."""
    connection.execute("delete from sessions")
    connection.execute("delete from login_links")


def jump_positions(connection: Connection) -> None:
    """Let journal positions jump ahead on PostgreSQL; on SQLite the event of the restore stands at the new place.

    A follower that saw more of the journal than the backup holds must not take what comes now for what it knows.
    """
    if connection.engine != "sqlite":
        connection.one(
            "select setval(pg_get_serial_sequence('events', 'position'),"
            " (select coalesce(max(position), 0) from events) + ?)",
            (JUMP,),
        )


def forget_transactions(connection: Connection) -> None:
    """Give all events one transaction below every future one (PostgreSQL): a dump bears those of another cluster.

    They keep the order of their positions. The backbone's places go back so far that they pass over nothing.
    """
    if connection.engine == "sqlite":
        return
    connection.execute(
        "update backbone_places set cursor_transaction = ?, cursor_position = least(cursor_position, coalesce("
        "(select min(e.position) - 1 from events e"
        " where (e.txid, e.position) > (cursor_transaction::text::xid8, cursor_position)),"
        " (select max(position) from events), 0))",
        (journal.RESTORED_TRANSACTION,),
    )
    connection.execute("update events set txid = ?::text::xid8", (str(journal.RESTORED_TRANSACTION),))


def finish(connection: Connection) -> None:
    """Let hubs start on the record: it is marked with the commit of this transaction (PostgreSQL)."""
    if connection.engine != "sqlite":
        connection.execute(f"drop schema if exists {RESTORING_SCHEMA}")


def place_event(connection: Connection, event_id: str) -> None:
    """Move an event that was just appended to the place behind the jump (SQLite)."""
    if connection.engine == "sqlite":
        connection.execute("update events set position = position + ? where event_id = ?", (JUMP, event_id))


def in_doubt(connection: Connection) -> set[tuple[str, str]]:
    """Return the connections (tenant_id, connection_id) whose partners may know more than the record."""
    rows = connection.query("select distinct tenant_id, connection_id from restores where closed_at is null")
    return {(row[0], row[1]) for row in rows}


def close(connection: Connection, tenant_id: str, connection_id: str, at: int, actor: str) -> int:
    """End the doubt of a connection (empty: of all); return how many rows that closed."""
    return connection.execute(
        "update restores set closed_at = ?, closed_by = ? where tenant_id = ? and closed_at is null"
        " and (? = '' or connection_id = ?)",
        (at, actor, tenant_id, connection_id, connection_id),
    )


def listed(connection: Connection, tenant_id: str, *, open_only: bool = True) -> list[Row]:
    """Return the restores of a tenant (RESTORE_COLUMNS), the newest first."""
    return connection.query(
        f"select {RESTORE_COLUMNS} from restores where tenant_id = ?"
        + (" and closed_at is null" if open_only else "")
        + " order by restore_id desc, connection_id",
        (tenant_id,),
    )


def sends_in_doubt(connection: Connection, tenant_id: str, limit: int) -> list[Row]:
    """Return sends of unknown outcome, also those given up: (message_id, connection_id, document_type, identity,
    subject, state), oldest first.
    """
    return connection.query(
        "select message_id, connection_id, document_type, identity, subject, state from outbound_messages"
        " where tenant_id = ? and (state = 'unknown' or (state = 'dead' and error_class = 'unknown'))"
        " order by message_id limit ?",
        (tenant_id, limit),
    )


def acknowledgments(connection: Connection, tenant_id: str, *, ours: bool, limit: int) -> list[Row]:
    """Return acknowledgments that are open (columns as in `sends_in_doubt`).

    `ours` are owed to partners; the others are owed to us: the row is the message that waits for one.
    """
    which = (
        "document_type = 'acknowledgment' and state not in ('sent', 'discarded')"
        if ours
        else "ack_state in ('awaited', 'overdue') and state not in ('dead', 'discarded')"
    )
    return connection.query(
        "select message_id, connection_id, document_type, identity, subject, state from outbound_messages"
        f" where tenant_id = ? and {which} order by message_id limit ?",
        (tenant_id, limit),
    )


def interchanges(connection: Connection, tenant_id: str, *, each: int, limit: int) -> list[Row]:
    """Return the interchanges read of a tenant: (sender, receiver, usage, control_number, received_at), by sender.

    `each` bounds those of one sender: the highest numbers; `limit` bounds all.
    """
    return connection.query(
        "select sender, receiver, usage, control_number, received_at from (select sender, receiver, usage,"
        " control_number, received_at, row_number() over (partition by sender, receiver, usage"
        " order by length(ltrim(control_number, '0')) desc, ltrim(control_number, '0') desc) as place"
        " from interchanges where tenant_id = ?) as numbered where place <= ?"
        " order by sender, receiver, usage, place limit ?",
        (tenant_id, each, limit),
    )
