"""The budgets of cost that all workers of an installation share. Instants are microseconds."""

from __future__ import annotations

from .engine import Connection


def lock_budget(connection: Connection, tenant_id: str, connection_id: str) -> tuple[int, int] | None:
    """Return a budget (paid_at, paused_until) for this transaction alone; None when it has never been used."""
    connection.execute(
        "insert into rate_budgets (tenant_id, connection_id) values (?,?) on conflict do nothing",
        (tenant_id, connection_id),
    )
    # The update makes transactions of other workers wait for this one.
    row = connection.one(
        "update rate_budgets set paid_at = paid_at where tenant_id = ? and connection_id = ?"
        " returning paid_at, paused_until",
        (tenant_id, connection_id),
    )
    return None if row is None or not (row[0] or row[1]) else (int(row[0]), int(row[1]))


def save_paid(connection: Connection, tenant_id: str, connection_id: str, paid_at: int) -> None:
    """Write what is granted of a budget; the caller holds it locked."""
    connection.execute(
        "update rate_budgets set paid_at = ? where tenant_id = ? and connection_id = ?",
        (paid_at, tenant_id, connection_id),
    )


def pause(connection: Connection, tenant_id: str, connection_id: str, until: int) -> None:
    """Write that a partner asked to be left alone; a longer pause stays."""
    connection.execute(
        "insert into rate_budgets (tenant_id, connection_id, paused_until) values (?,?,?)"
        " on conflict (tenant_id, connection_id) do update set paused_until ="
        " case when rate_budgets.paused_until > excluded.paused_until then rate_budgets.paused_until"
        " else excluded.paused_until end",
        (tenant_id, connection_id, until),
    )


def pauses(connection: Connection, now_micros: int) -> list[tuple[str, str, int]]:
    """Return which connections are to be left alone, and until when."""
    rows = connection.query(
        "select tenant_id, connection_id, paused_until from rate_budgets where paused_until > ?", (now_micros,)
    )
    return [(row[0], row[1], int(row[2])) for row in rows]
