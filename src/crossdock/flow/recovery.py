"""Find again, after a start, everything a process held in memory when it ended: it is all in the record.

Messages stored but not looked at are taken up; one that has been taken up before and never came through is set aside
after a few runs, because it may be what killed the process. Sends that were reserved have an unknown outcome:
they are asked for, or sent again under the same identity.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..durable.identity import Ids, from_micros, to_micros
from ..store import issues, messages, outbound, payloads
from ..store.engine import Connection, Row
from .batch import Ready, ready_of_row
from .ingest import AgainDocument, Stored
from .stages import RUNS_MAX

PAGE = 5_000


def waiting_messages(connection: Connection, *, ids: Ids, now: datetime) -> list[Stored]:
    """Return the messages that wait to be translated, counting this run; poison is set aside."""
    rows = messages.waiting_inbound(connection, PAGE)
    poison = [row for row in rows if row[18] >= RUNS_MAX]
    healthy = [row for row in rows if row[18] < RUNS_MAX]
    for row in poison:
        _set_aside(connection, row, ids, now)
    messages.count_run(connection, [(row[19], row[0]) for row in healthy])
    return load_stored(connection, healthy)


def _set_aside(connection: Connection, row: Row, ids: Ids, now: datetime) -> None:
    detail = f"it was taken up {row[18]} times and the process ended each time before it came through"
    micros = to_micros(now)
    messages.settle_inbound(connection, [("failed", micros, 0, "XD-SYS-051", detail, row[12], row[19], row[0])])
    fault = issues.Fault(
        tenant_id=row[19],
        code="XD-SYS-051",
        cause=f"XD-SYS-051|{row[1]}",
        title="A message may be killing the process; it was set aside",
        object_kind="message",
        object_id=row[0],
        detail=detail,
        error_class="system",
        partner=row[2],
        connection_id=row[1],
    )
    issues.raise_faults(connection, [fault], ids=ids, now_micros=micros)


def load_stored(
    connection: Connection,
    rows: list[Row],
    *,
    release_id: str = "",
    again: dict[str, dict[int, AgainDocument]] | None = None,
) -> list[Stored]:
    """Return messages (store.messages.INBOUND_COLUMNS) with their bytes; `release_id` overrides the one they came
    under.
    """
    contents = _contents(connection, [(row[19], row[0]) for row in rows])
    return [
        Stored(
            tenant_id=row[19],
            message_id=row[0],
            connection_id=row[1],
            partner=row[2],
            content=contents[row[0]],
            content_type=row[7],
            name=row[8],
            headers=_headers(row[9]),
            received_at=from_micros(row[10]),
            release_id=release_id or row[12],
            traceparent=row[17],
            runs=row[18] + 1,
            again=None if again is None else again.get(row[0]),
        )
        for row in rows
    ]


def _contents(connection: Connection, places: list[tuple[str, str]]) -> dict[str, bytes]:
    """Return the bytes of messages given as (tenant_id, message_id); message ids are unique over all tenants."""
    by_tenant: dict[str, list[str]] = {}
    for tenant_id, message_id in places:
        by_tenant.setdefault(tenant_id, []).append(message_id)
    contents: dict[str, bytes] = {}
    for tenant_id, message_ids in by_tenant.items():
        contents.update(payloads.load(connection, tenant_id, message_ids))
    return contents


def _headers(value: Any) -> dict[str, str]:
    return msgspec.json.decode(value, type=dict[str, str]) if value else {}


def open_sends(connection: Connection, now: datetime) -> list[Ready]:
    """Return everything that is not settled, in the order it was made.

    What was reserved is booked as an attempt of unknown outcome: the process ended before it could say.
    """
    rows = outbound.open_messages(connection, PAGE)
    ready = []
    attempts = []
    states: list[tuple[str, int, int | None, int | None, str, str, str, str, str, str]] = []
    contents = _contents(connection, [(row[31], row[0]) for row in rows])
    for row in rows:
        one = ready_of_row(row, contents[row[0]])
        if one.state == "sending":
            detail = "the process ended while this was being sent"
            attempts.append(
                outbound.AttemptRow(
                    one.tenant_id,
                    one.message_id,
                    one.attempts + 1,
                    "unknown",
                    to_micros(now),
                    0.0,
                    None,
                    "XD-PTR-003",
                    detail,
                    None,
                )
            )
            one.attempts += 1
            one.state = "unknown"
            states.append(
                (
                    "unknown",
                    one.attempts,
                    None,
                    None,
                    "unknown",
                    "XD-PTR-003",
                    detail,
                    "",
                    one.tenant_id,
                    one.message_id,
                )
            )
        ready.append(one)
    if attempts:
        outbound.insert_attempts(connection, attempts)
        outbound.book(connection, states)
    return ready


def released(connection: Connection, tenant_id: str, known: set[str], release_id: str) -> list[Stored]:
    """Return the messages whose held documents wait for something that is known now, to be run under a release."""
    rows = [row for row in messages.documents_awaiting(connection, tenant_id, sorted(known)) if row[8] == "held"]
    return documents_again(connection, tenant_id, rows, release_id)


def documents_again(connection: Connection, tenant_id: str, rows: list[Row], release_id: str) -> list[Stored]:
    """Return the messages of some documents (store.messages.DOCUMENT_COLUMNS), each limited to those documents."""
    again: dict[str, dict[int, AgainDocument]] = {}
    for row in rows:
        again.setdefault(row[1], {})[row[2]] = AgainDocument(row[0], row[8])
    found = [messages.load_inbound(connection, tenant_id, message_id) for message_id in sorted(again)]
    return load_stored(connection, [row for row in found if row is not None], release_id=release_id, again=again)
