"""What the hub knows of a connection's health; written when it changes, not per message."""

from __future__ import annotations

from .engine import Connection


def save_circuit(
    connection: Connection,
    tenant_id: str,
    connection_id: str,
    circuit: str,
    failures: int,
    probe_at: int,
    error: str,
    now_micros: int,
) -> None:
    """Write the state of a circuit after it changed."""
    connection.execute(
        "insert into connection_states (tenant_id, connection_id, circuit, failures, probe_at,"
        " last_error, last_error_at)"
        " values (?,?,?,?,?,?,?) on conflict (tenant_id, connection_id) do update set circuit = excluded.circuit,"
        " failures = excluded.failures, probe_at = excluded.probe_at, last_error = excluded.last_error,"
        " last_error_at = case when excluded.circuit = 'closed' then connection_states.last_error_at else"
        " excluded.last_error_at end",
        (tenant_id, connection_id, circuit, failures, probe_at, error, now_micros),
    )


def save_error(connection: Connection, tenant_id: str, connection_id: str, error: str, now_micros: int) -> None:
    """Write that a connection failed to fetch."""
    connection.execute(
        "insert into connection_states (tenant_id, connection_id, last_error, last_error_at) values (?,?,?,?)"
        " on conflict (tenant_id, connection_id) do update set last_error = excluded.last_error,"
        " last_error_at = excluded.last_error_at",
        (tenant_id, connection_id, error, now_micros),
    )


def save_sent(connection: Connection, tenant_id: str, connection_id: str, at_micros: int) -> None:
    """Write that a partner took something over a connection."""
    connection.execute(
        "insert into connection_states (tenant_id, connection_id, last_sent_at) values (?,?,?)"
        " on conflict (tenant_id, connection_id) do update set last_sent_at = excluded.last_sent_at",
        (tenant_id, connection_id, at_micros),
    )


def reset_circuits(connection: Connection) -> None:
    """Write every circuit as closed: that is how a worker starts, whatever the last one knew."""
    connection.execute(
        "update connection_states set circuit = 'closed', failures = 0, probe_at = 0 where circuit <> 'closed'"
    )
