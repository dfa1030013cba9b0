"""The shapes of partners' documents: what was learned of each kind, and every deviation with what was decided.

The row without a digest is the profile of a kind of document; each other row is one set of changes.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .engine import Connection, Row


class ShapeRow(msgspec.Struct, frozen=True):
    """One row; columns as in the schema. `shape` and `changes` are JSON, instants microseconds."""

    tenant_id: str
    connection_id: str
    document_type: str
    digest: str
    state: str
    shape: bytes
    changes: bytes | None
    seen_count: int
    message_id: str
    release_id: str
    first_seen_at: int
    last_seen_at: int
    decided_by: str = ""
    decided_at: int | None = None


_COLUMNS = ", ".join(ShapeRow.__struct_fields__)
_KEPT = ("state", "shape", "changes", "seen_count", "last_seen_at")


def of_connection(connection: Connection, tenant_id: str, connection_id: str) -> list[ShapeRow]:
    """Return everything known of one connection's documents."""
    rows = connection.query(
        f"select {_COLUMNS} from document_shapes where tenant_id = ? and connection_id = ?", (tenant_id, connection_id)
    )
    return [_row(row) for row in rows]


def listed(connection: Connection, tenant_id: str, limit: int = 1_000) -> list[ShapeRow]:
    """Return the shapes of a tenant, the newest first."""
    rows = connection.query(
        f"select {_COLUMNS} from document_shapes where tenant_id = ? order by first_seen_at desc, connection_id,"
        " document_type, digest limit ?",
        (tenant_id, limit),
    )
    return [_row(row) for row in rows]


def save(connection: Connection, rows: Iterable[ShapeRow]) -> None:
    """Write what was learned and seen. What a person decided meanwhile stands."""
    kept = ", ".join(f"{name} = excluded.{name}" for name in _KEPT)
    connection.executemany(
        f"insert into document_shapes ({_COLUMNS}) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " on conflict (tenant_id, connection_id, document_type, digest) do update set"
        f" {kept} where document_shapes.decided_at is null",
        [msgspec.structs.astuple(row) for row in rows],
    )


def decide(
    connection: Connection,
    place: tuple[str, str, str, str],
    state: str,
    actor: str,
    now: int,
) -> bool:
    """Write what a person decided of a set of changes (tenant, connection, kind, digest); tell whether it is there."""
    changed = connection.execute(
        "update document_shapes set state = ?, decided_by = ?, decided_at = ? where tenant_id = ?"
        " and connection_id = ? and document_type = ? and digest = ? and digest <> ''",
        (state, actor, now, *place),
    )
    return changed > 0


def decided(connection: Connection, tenant_id: str) -> set[str]:
    """Return under which names documents wait for shapes that are decided: `shape:connection:kind:digest`."""
    rows = connection.query(
        "select connection_id, document_type, digest from document_shapes where tenant_id = ? and digest <> ''"
        " and state in ('accepted', 'warned', 'refused')",
        (tenant_id,),
    )
    return {f"shape:{row[0]}:{row[1]}:{row[2]}" for row in rows}


def _row(row: Row) -> ShapeRow:
    values = list(row)
    values[5] = bytes(values[5])
    values[6] = bytes(values[6]) if values[6] is not None else None
    return ShapeRow(*values)
