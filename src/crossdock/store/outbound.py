"""Outbound messages, the ledger of attempts, control numbers and what acknowledgments refer to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from .engine import Connection, Row


class OutboundRow(msgspec.Struct):
    """One outbound message as it is first written; columns as in the schema."""

    tenant_id: str
    message_id: str
    connection_id: str
    partner: str
    document_type: str
    object: str
    subject: str
    lane: str
    request_key: str
    identity: str
    state: str
    ack_state: str
    ack_due_at: int | None
    digest: bytes
    size_bytes: int
    content_type: str
    name: str
    headers: bytes | None
    canonical: bytes | None
    map: str
    release_id: str
    causation_id: str
    inbound_message_id: str
    created_at: int
    error_class: str
    error_code: str
    error: str
    traceparent: str
    slot: int = 0
    handed: int = 0


class AttemptRow(msgspec.Struct):
    """One try to send, written once it is over (or found to be of unknown outcome)."""

    tenant_id: str
    message_id: str
    number: int
    outcome: str
    started_at: int
    duration_ms: float
    http_status: int | None
    code: str
    detail: str
    response: bytes | None
    error_class: str = ""


_INSERT = f"insert into outbound_messages ({', '.join(OutboundRow.__struct_fields__)}) values ({','.join('?' * 30)})"
_INSERT_ATTEMPT = (
    f"insert into attempts ({', '.join(AttemptRow.__struct_fields__)}) values ({','.join('?' * 11)})"
    " on conflict (tenant_id, message_id, number) do nothing"
)

OUTBOUND_COLUMNS = (
    "message_id, connection_id, partner, document_type, object, subject, lane, request_key, identity, state, ack_state,"
    " ack_due_at, attempts, next_attempt_at, digest, size_bytes, content_type, name, headers, canonical,"
    " map, release_id,"
    " causation_id, inbound_message_id, created_at, sent_at, error_class, error_code, error, reference,"
    " traceparent, tenant_id"
)


def known_requests(connection: Connection, tenant_id: str, request_keys: Sequence[str]) -> set[tuple[str, str]]:
    """Return which effects exist already, as (request_key, connection_id)."""
    if not request_keys:
        return set()
    rows = connection.many(
        "select request_key, connection_id from outbound_messages where tenant_id = ? and request_key in ({})",
        [tenant_id],
        request_keys,
    )
    # What went out through a fallback exists for the connection it was made for: it is never made there again. Asked
    # for by itself: both questions are answered from an index alone.
    rows += connection.many(
        "select request_key, diverted_from from outbound_messages where diverted_from <> '' and tenant_id = ?"
        " and request_key in ({})",
        [tenant_id],
        request_keys,
    )
    return {(row[0], row[1]) for row in rows}


def insert(connection: Connection, rows: Iterable[OutboundRow]) -> None:
    """Write outbound messages."""
    connection.executemany(_INSERT, [msgspec.structs.astuple(row) for row in rows])


def insert_attempts(connection: Connection, rows: Iterable[AttemptRow]) -> None:
    """Book attempts; booking the same attempt again changes nothing."""
    connection.executemany(_INSERT_ATTEMPT, [msgspec.structs.astuple(row) for row in rows])


def tries(connection: Connection, tenant_id: str, message_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many attempts of some messages ended in each class of error."""
    found: dict[str, dict[str, int]] = {}
    if message_ids:
        for message_id, error_class in connection.many(
            "select message_id, error_class from attempts where tenant_id = ? and outcome <> 'done'"
            " and message_id in ({})",
            [tenant_id],
            message_ids,
        ):
            counts = found.setdefault(message_id, {})
            counts[error_class] = counts.get(error_class, 0) + 1
    return found


def book(
    connection: Connection, rows: Iterable[tuple[str, int, int | None, int | None, str, str, str, str, str, str]]
) -> None:
    """Book the state after an attempt.

    Each row is (state, attempts, next_attempt_at, sent_at, error_class, error_code, error, reference, tenant_id,
    message_id).
    A message that is sent or discarded already stays so: a late outcome never takes back a settled one.
    """
    connection.executemany(
        "update outbound_messages set state = ?, attempts = ?, next_attempt_at = ?, sent_at = ?,"
        " error_class = ?, error_code = ?,"
        " error = ?, reference = ? where tenant_id = ? and message_id = ? and state not in ('sent', 'discarded')",
        rows,
    )


def reserve(connection: Connection, rows: Iterable[tuple[str, str, str]]) -> None:
    """Enter in the ledger that a send is about to happen: (tenant_id, message_id, connection_id).

    What was given to another connection, or is settled, stays as it is: `reserved` tells.
    """
    connection.executemany(
        "update outbound_messages set state = 'sending' where tenant_id = ? and message_id = ? and connection_id = ?"
        " and state in ('pending', 'unknown')",
        rows,
    )


def reserved(connection: Connection, tenant_id: str, message_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Return which messages are entered as being sent: (message_id, connection_id)."""
    return {
        (row[0], row[1])
        for row in connection.many(
            "select message_id, connection_id from outbound_messages where tenant_id = ? and state = 'sending'"
            " and message_id in ({})",
            [tenant_id],
            message_ids,
        )
    }


def release(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Take reservations back of sends that were never started: (tenant_id, message_id)."""
    connection.executemany(
        "update outbound_messages set state = 'pending' where tenant_id = ? and message_id = ? and state = 'sending'",
        rows,
    )


def load(connection: Connection, tenant_id: str, message_id: str) -> Row | None:
    """Return one outbound message (OUTBOUND_COLUMNS), or None."""
    return connection.one(
        f"select {OUTBOUND_COLUMNS} from outbound_messages where tenant_id = ? and message_id = ?",
        (tenant_id, message_id),
    )


def find_request(connection: Connection, tenant_id: str, request_key: str, connection_id: str) -> Row | None:
    """Return the outbound message of one effect (OUTBOUND_COLUMNS), or None."""
    return connection.one(
        f"select {OUTBOUND_COLUMNS} from outbound_messages"
        " where tenant_id = ? and request_key = ? and (connection_id = ? or diverted_from = ?)",
        (tenant_id, request_key, connection_id, connection_id),
    )


def sent_acknowledgments(connection: Connection, tenant_id: str, inbound_message_id: str) -> list[Row]:
    """Return the acknowledgments that were sent for an inbound message (OUTBOUND_COLUMNS)."""
    return connection.query(
        f"select {OUTBOUND_COLUMNS} from outbound_messages where tenant_id = ? and inbound_message_id = ?"
        " and document_type = 'acknowledgment' and state = 'sent'",
        (tenant_id, inbound_message_id),
    )


def load_many(connection: Connection, tenant_id: str, message_ids: Sequence[str]) -> list[Row]:
    """Return outbound messages by id (OUTBOUND_COLUMNS), oldest first."""
    if not message_ids:
        return []
    rows = connection.many(
        f"select {OUTBOUND_COLUMNS} from outbound_messages where tenant_id = ? and message_id in ({{}})",
        [tenant_id],
        message_ids,
    )
    return sorted(rows, key=lambda row: row[0])


def open_messages(connection: Connection, limit: int, after: str = "") -> list[Row]:
    """Return what is not settled, of all tenants (OUTBOUND_COLUMNS), in the order it was made, behind a message id."""
    return connection.query(
        f"select {OUTBOUND_COLUMNS} from outbound_messages where message_id > ?"
        " and state in ('pending', 'sending', 'unknown') order by message_id limit ?",
        (after, limit),
    )


def newest_id(connection: Connection) -> str:
    """Return the greatest id of an outbound message of any tenant; empty when there is none."""
    rows = connection.query(
        "select (select max(o.message_id) from outbound_messages o where o.tenant_id = t.tenant_id) from tenants t"
    )
    return max((row[0] for row in rows if row[0]), default="")


def open_ids(connection: Connection, before_micros: int, limit: int, after: str) -> list[tuple[str, str, str]]:
    """Return what is not settled and was made before an instant, behind a message id, in the order it was made:
    (tenant_id, connection_id, message_id).
    """
    rows = connection.query(
        "select tenant_id, connection_id, message_id from outbound_messages where message_id > ?"
        " and state in ('pending', 'sending', 'unknown') and created_at <= ? order by message_id limit ?",
        (after, before_micros, limit),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def hand_over(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Leave sends to the process that owns their slot: (tenant_id, message_id)."""
    connection.executemany("update outbound_messages set handed = 1 where tenant_id = ? and message_id = ?", rows)


def requeue(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Take dead letters up again, under their old identity: (tenant_id, message_id).

    What was given up without knowing whether it took effect becomes unknown again: it is asked for first.
    """
    connection.executemany(
        "update outbound_messages set state = case when error_class = 'unknown' then 'unknown' else 'pending' end,"
        " next_attempt_at = null where tenant_id = ? and message_id = ? and state = 'dead'",
        rows,
    )


def next_control_numbers(
    connection: Connection, tenant_id: str, sender: str, receiver: str, level: str, count: int
) -> int:
    """Take `count` control numbers in this transaction; return the first. 999999999 is followed by 1.

    Gaps are fine, reuse is not: a number taken in a transaction that is rolled back was never sent.
    """
    connection.execute(
        "insert into control_numbers (tenant_id, sender, receiver, level, last_number) values (?,?,?,?,0)"
        " on conflict do nothing",
        (tenant_id, sender, receiver, level),
    )
    row = connection.one(
        "update control_numbers set last_number = case when last_number + ? > 999999999 then ? else last_number + ? end"
        " where tenant_id = ? and sender = ? and receiver = ? and level = ? returning last_number",
        (count, count, count, tenant_id, sender, receiver, level),
    )
    assert row is not None
    return int(row[0]) - count + 1


def remember_sets(connection: Connection, rows: Iterable[tuple[str, str, str, str, str, str, str]]) -> None:
    """Remember transaction sets by what an acknowledgment will name.

    Each row is (tenant_id, sender, receiver, functional_id, group_control_number, set_control_number, message_id).
    """
    connection.executemany(
        "insert into sent_sets (tenant_id, sender, receiver, functional_id, group_control_number,"
        " set_control_number, message_id)"
        " values (?,?,?,?,?,?,?) on conflict (tenant_id, sender, receiver, functional_id,"
        " group_control_number, set_control_number)"
        " do update set message_id = excluded.message_id",
        rows,
    )


def find_set(
    connection: Connection,
    tenant_id: str,
    sender: str,
    receiver: str,
    functional_id: str,
    group: str,
    set_control_number: str,
) -> list[str]:
    """Return the outbound messages an acknowledgment names; an empty set control number means the whole group."""
    rows = connection.query(
        "select distinct message_id from sent_sets where tenant_id = ? and sender = ? and receiver = ?"
        " and functional_id = ?"
        " and group_control_number = ? and (? = '' or set_control_number = ?)",
        (tenant_id, sender, receiver, functional_id, group, set_control_number, set_control_number),
    )
    return [row[0] for row in rows]


def book_acknowledgment(connection: Connection, tenant_id: str, message_id: str, ack_state: str) -> None:
    """Book what the partner said of a message; acceptance after a rejection does not hide the rejection."""
    connection.execute(
        "update outbound_messages set ack_state = ?, ack_due_at = null where tenant_id = ? and message_id"
        " = ? and ack_state <> 'rejected'",
        (ack_state, tenant_id, message_id),
    )


def overdue_acknowledgments(connection: Connection, now_micros: int, limit: int = 500) -> list[Row]:
    """Return messages whose acknowledgment is overdue: (tenant_id, message_id, connection_id, partner, subject,
    document_type).
    """
    return connection.query(
        "select tenant_id, message_id, connection_id, partner, subject, document_type from outbound_messages"
        " where ack_state = 'awaited' and ack_due_at <= ? order by ack_due_at limit ?",
        (now_micros, limit),
    )


def postpone_acknowledgment(connection: Connection, tenant_id: str, message_id: str, due_at: int) -> None:
    """Look at an awaited acknowledgment again at another time."""
    connection.execute(
        "update outbound_messages set ack_due_at = ? where tenant_id = ? and message_id = ? and ack_state = 'awaited'",
        (due_at, tenant_id, message_id),
    )


def next_acknowledgment_due(connection: Connection) -> int | None:
    """Return when the next acknowledgment becomes overdue."""
    row = connection.one("select min(ack_due_at) from outbound_messages where ack_state = 'awaited'")
    return row[0] if row else None
