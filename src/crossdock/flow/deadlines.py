"""What is entered when a deadline passes that no process hears of, and when one cannot be dealt with at all."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..durable.identity import Ids, to_micros
from ..store import aggregates, issues, messages, outbound
from ..store.engine import Connection, Row
from .batch import Batch

POSTPONED = timedelta(minutes=15)


def warn_parked(batch: Batch, tenant_id: str, document_id: str) -> None:
    """Open an issue for a paper that waits for an order longer than it should."""
    rows = messages.load_documents(batch.connection, tenant_id, [document_id])
    if not rows or rows[0][8] != "parked":
        return
    awaits = rows[0][9]
    batch.faults.append(
        issues.Fault(
            tenant_id=tenant_id,
            code="XD-ORD-020",
            cause=f"XD-ORD-020|{awaits.partition(':')[0]}",
            title="Papers concern an order that nobody has released",
            object_kind="document",
            object_id=document_id,
            subject=awaits.replace(":", "/", 1) if awaits.startswith("order:") else "",
            detail=f"waits for {awaits}; it is applied by itself when that becomes known",
            error_class="partner",
        )
    )


def warn_overdue(batch: Batch, row: Row) -> None:
    """Open an issue for a message whose acknowledgment is overdue (store.outbound.overdue_acknowledgments)."""
    tenant_id, message_id, connection_id, partner, subject, document_type = row
    batch.acknowledged.append((tenant_id, message_id, "overdue"))
    batch.faults.append(
        issues.Fault(
            tenant_id=tenant_id,
            code="XD-EDI-092",
            cause=f"XD-EDI-092|{connection_id}",
            title=f"{partner} has not acknowledged in time",
            object_kind="outbound",
            object_id=message_id,
            detail=f"{document_type} was sent and no 997 came; it is not sent again by itself",
            subject=subject,
            error_class="partner",
            partner=partner,
            connection_id=connection_id,
        )
    )


def postpone_timer(connection: Connection, row: Row, error: Exception, *, ids: Ids, now: datetime) -> None:
    """Move a deadline on that makes the hub stumble, and say so: it never holds up the others."""
    tenant_id, subject, name, _ = row
    aggregates.set_timers(connection, [(tenant_id, subject, name, to_micros(now + POSTPONED))])
    fault = _stumbled(tenant_id, "order", subject, f"deadline {name}", error)
    issues.raise_faults(connection, [fault], ids=ids, now_micros=to_micros(now))


def postpone_overdue(connection: Connection, row: Row, error: Exception, *, ids: Ids, now: datetime) -> None:
    """The same for an overdue acknowledgment."""
    outbound.postpone_acknowledgment(connection, row[0], row[1], to_micros(now + POSTPONED))
    fault = _stumbled(row[0], "outbound", row[1], "overdue acknowledgment", error)
    issues.raise_faults(connection, [fault], ids=ids, now_micros=to_micros(now))


def _stumbled(tenant_id: str, object_kind: str, object_id: str, what: str, error: Exception) -> issues.Fault:
    return issues.Fault(
        tenant_id=tenant_id,
        code="XD-SYS-050",
        cause=f"XD-SYS-050|{type(error).__name__}|{what}",
        title="A deadline made the hub stumble",
        object_kind=object_kind,
        object_id=object_id,
        detail=f"{what}: {type(error).__name__}: {error}; tried again in 15 minutes",
        subject=object_id if object_kind == "order" else "",
        error_class="system",
    )
