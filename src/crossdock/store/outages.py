"""Outages in the record: when one began and ended, by whom and why, and what took another way meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .engine import Connection, Row, locked


class OutageRow(msgspec.Struct, frozen=True):
    """One outage; `ended_at` is None while it lasts. Instants are microseconds."""

    tenant_id: str
    outage_id: str
    connection_id: str
    cause: str
    action: str
    fallback_connection: str
    reason: str
    began_by: str
    began_at: int
    ended_by: str = ""
    ended_at: int | None = None
    diverted: int = 0
    superseded: int = 0


_COLUMNS = ", ".join(OutageRow.__struct_fields__)


def _row(row: Row) -> OutageRow:
    return OutageRow(*row)


def begin(connection: Connection, row: OutageRow) -> bool:
    """Write the beginning of an outage; tell whether the connection was in none before."""
    return (
        connection.execute(
            f"insert into outages ({_COLUMNS}) values ({','.join('?' * 13)}) on conflict do nothing",
            msgspec.structs.astuple(row),
        )
        == 1
    )


def end(connection: Connection, tenant_id: str, outage_id: str, ended_by: str, superseded: int, now: int) -> bool:
    """Write the end of an outage; tell whether it still lasted."""
    return (
        connection.execute(
            "update outages set ended_at = ?, ended_by = ?, superseded = ? where tenant_id = ? and outage_id = ?"
            " and ended_at is null",
            (now, ended_by, superseded, tenant_id, outage_id),
        )
        == 1
    )


def lasting(connection: Connection) -> list[OutageRow]:
    """Return the outages that last, of all tenants."""
    return [_row(row) for row in connection.query(f"select {_COLUMNS} from outages where ended_at is null")]


def listed(connection: Connection, tenant_id: str, limit: int) -> list[OutageRow]:
    """Return a tenant's outages: those that last, then those that ended, the newest first."""
    rows = connection.query(
        f"select {_COLUMNS} from outages where tenant_id = ?"
        " order by case when ended_at is null then 0 else 1 end, outage_id desc limit ?",
        (tenant_id, limit),
    )
    return [_row(row) for row in rows]


def load(connection: Connection, tenant_id: str, outage_id: str) -> OutageRow | None:
    """Return one outage."""
    row = connection.one(
        f"select {_COLUMNS} from outages where tenant_id = ? and outage_id = ?", (tenant_id, outage_id)
    )
    return None if row is None else _row(row)


def divert(
    connection: Connection, tenant_id: str, origin: str, fallback: str, partner: str, message_ids: Sequence[str]
) -> list[str]:
    """Give waiting sends to another connection, under their request key and identity; return which ones went.

    It is the same row, so an effect never goes both ways. What has left already, or exists there, stays where it is.
    """
    rows = connection.many(
        "select message_id, request_key from outbound_messages where tenant_id = ? and connection_id = ?"
        " and state in ('pending', 'sending') and error_class <> 'unknown' and message_id in ({})",
        [tenant_id, origin],
        message_ids,
    )
    if not rows:
        return []
    taken = {
        row[0]
        for row in connection.many(
            "select request_key from outbound_messages where tenant_id = ? and connection_id = ?"
            " and request_key in ({})",
            [tenant_id, fallback],
            [row[1] for row in rows],
        )
    }
    going = sorted(row[0] for row in rows if row[1] not in taken)
    connection.executemany(
        "update outbound_messages set connection_id = ?, partner = ?, diverted_from = ?, state = 'pending',"
        " next_attempt_at = null where tenant_id = ? and message_id = ?",
        [(fallback, partner, origin, tenant_id, message_id) for message_id in going],
    )
    connection.execute(
        "update outages set diverted = diverted + ? where tenant_id = ? and connection_id = ? and ended_at is null",
        (len(going), tenant_id, origin),
    )
    return going


def gone_over(
    connection: Connection, tenant_id: str, origin: str, fallback: str, message_ids: Sequence[str]
) -> list[str]:
    """Return which sends another connection has by now. Waits for whoever is changing them: a commit in doubt."""
    rows = connection.many(
        "select message_id, connection_id, diverted_from from outbound_messages where tenant_id = ?"
        f" and message_id in ({{}}){locked(connection, 'message_id')}",
        [tenant_id],
        message_ids,
    )
    return sorted(row[0] for row in rows if (row[1], row[2]) == (fallback, origin))


def supersede(connection: Connection, tenant_id: str, newest: dict[str, str]) -> list[str]:
    """Discard waiting updates that a newer one makes stale (stale id → newest id); return which are discarded.

    Only what still waits and has no outcome in doubt is discarded. Those that an earlier try discarded, whose commit
    was in doubt, are returned too: it may be run again.
    """
    rows = connection.many(
        "select message_id, state from outbound_messages where tenant_id = ? and (state = 'pending'"
        " and error_class <> 'unknown' or state = 'discarded' and superseded_by <> '')"
        f" and message_id in ({{}}){locked(connection, 'message_id')}",
        [tenant_id],
        list(newest),
    )
    going = sorted(row[0] for row in rows if row[1] == "pending")
    connection.executemany(
        "update outbound_messages set state = 'discarded', next_attempt_at = null, error_code = 'XD-PTR-025',"
        " error = ?, superseded_by = ? where tenant_id = ? and message_id = ?",
        [
            (f"a newer update, {newest[one]}, was sent in its place after an outage", newest[one], tenant_id, one)
            for one in going
        ],
    )
    return sorted(row[0] for row in rows)


def heard_at(connection: Connection, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return when something last came in through some connections (tenant_id, connection_id); never: left out."""
    found: dict[tuple[str, str], int] = {}
    for place in places:
        # One look into an index for each connection whose silence means something, once a minute.
        row = connection.one(
            "select received_at from inbound_messages where tenant_id = ? and connection_id = ?"
            " order by message_id desc limit 1",
            place,
        )
        if row is not None:
            found[place] = int(row[0])
    return found
