"""What we told partners, to know our own word when it comes back; and what partners call our things, and when.

A word counts as ours for `OWN_WORD_DAYS`; what is older is forgotten bit by bit whenever something new is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ..durable.retention import DAY_MICROS
from .engine import Connection, Row

# Longer than any partner sits on what it was told; what comes back later is taken for the partner's own word.
OWN_WORD_DAYS = 90
# As much is forgotten at a time, so that no cycle waits for it; it is more than a cycle of usual size adds.
AGED_MAX = 500

OwnChange = tuple[str, str, str, str, bytes, int]


def remember(connection: Connection, rows: Iterable[OwnChange]) -> None:
    """Keep what we told: (tenant_id, connection_id, object, key, digest, told_at). Only the newest of a key counts."""
    found = list(rows)
    forget(connection, [row[:4] for row in found])
    connection.executemany(
        "insert into own_changes (tenant_id, connection_id, object, key, digest, told_at) values (?,?,?,?,?,?)"
        " on conflict (tenant_id, connection_id, object, key, digest) do update set told_at = excluded.told_at",
        found,
    )
    newest = {row[0]: row[5] for row in sorted(found, key=lambda row: row[5])}
    for tenant_id, now in newest.items():
        _forget_aged(connection, tenant_id, now - OWN_WORD_DAYS * DAY_MICROS)


def _forget_aged(connection: Connection, tenant_id: str, before: int) -> None:
    rows = connection.query(
        "select connection_id, object, key, digest from own_changes where tenant_id = ? and told_at < ?"
        " order by told_at limit ?",
        (tenant_id, before, AGED_MAX),
    )
    if rows:
        connection.executemany(
            "delete from own_changes where tenant_id = ? and connection_id = ? and object = ? and key = ?"
            " and digest = ?",
            [(tenant_id, *row) for row in rows],
        )


def told(
    connection: Connection, tenant_id: str, connections: Sequence[str], keys: Sequence[str], now: int
) -> dict[tuple[str, str, str], set[bytes]]:
    """Return what we told some connections about some keys, no longer ago than a word counts as ours:
    (connection_id, object, key) → digests.
    """
    marks = ",".join("?" * len(connections))
    rows = connection.many(
        "select connection_id, object, key, digest from own_changes where tenant_id = ? and told_at >= ?"
        f" and connection_id in ({marks}) and key in ({{}})",
        [tenant_id, now - OWN_WORD_DAYS * DAY_MICROS, *connections],
        keys,
    )
    found: dict[tuple[str, str, str], set[bytes]] = {}
    for connection_id, kind, key, digest in rows:
        found.setdefault((connection_id, kind, key), set()).add(bytes(digest))
    return found


def forget(connection: Connection, places: Iterable[tuple[str, str, str, str]]) -> None:
    """Forget what we told of a key: the partner has said something of its own since."""
    connection.executemany(
        "delete from own_changes where tenant_id = ? and connection_id = ? and object = ? and key = ?", list(places)
    )


class CrossReference(msgspec.Struct, frozen=True):
    """What a partner calls a thing of ours, from when until when (None: still). Instants are microseconds."""

    tenant_id: str
    partner: str
    type: str
    value: str
    ours: str
    valid_from: int
    valid_until: int | None
    changed_by: str
    changed_at: int


_COLUMNS = ", ".join(CrossReference.__struct_fields__)


def refer(connection: Connection, row: CrossReference) -> None:
    """Let a partner's name mean a thing of ours from an instant on; what it meant before ends there.

    A reference that begins later stands: the new one ends where that one begins.
    """
    place = (row.tenant_id, row.partner, row.type, row.value)
    connection.execute(
        "update cross_references set valid_until = ? where tenant_id = ? and partner = ? and type = ? and value = ?"
        " and valid_from < ? and (valid_until is null or valid_until > ?)",
        (row.valid_from, *place, row.valid_from, row.valid_from),
    )
    following = connection.one(
        "select min(valid_from) from cross_references where tenant_id = ? and partner = ? and type = ? and value = ?"
        " and valid_from > ?",
        (*place, row.valid_from),
    )
    if following and following[0] is not None and (row.valid_until is None or row.valid_until > following[0]):
        row = msgspec.structs.replace(row, valid_until=following[0])
    connection.execute(
        f"insert into cross_references ({_COLUMNS}) values (?,?,?,?,?,?,?,?,?)"
        " on conflict (tenant_id, partner, type, value, valid_from) do update set ours = excluded.ours,"
        " valid_until = excluded.valid_until, changed_by = excluded.changed_by, changed_at = excluded.changed_at",
        msgspec.structs.astuple(row),
    )


def references(connection: Connection, tenant_id: str, values: Sequence[str]) -> list[Row]:
    """Return what partners mean by some names: (partner, type, value, ours, valid_from, valid_until)."""
    return connection.many(
        "select partner, type, value, ours, valid_from, valid_until from cross_references where tenant_id = ?"
        " and value in ({})",
        [tenant_id],
        values,
    )


def listed(connection: Connection, tenant_id: str, partner: str = "", limit: int = 500) -> list[CrossReference]:
    """Return the cross-references of a tenant, of one partner if it is named."""
    rows = connection.query(
        f"select {_COLUMNS} from cross_references where tenant_id = ? and (? = '' or partner = ?)"
        " order by partner, type, value, valid_from limit ?",
        (tenant_id, partner, partner, limit),
    )
    return [CrossReference(*row) for row in rows]
