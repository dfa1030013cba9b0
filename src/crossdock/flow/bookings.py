"""Book what became of sends: the ledger of attempts, the state after each, and the issue when one is given up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from ..canonical.events import Event
from ..durable.identity import Ids, to_micros
from ..durable.retry import RetryPolicy, next_step
from ..sdk import PushResult
from ..store import issues, outbound
from ..store.engine import Connection
from ..store.outbound import AttemptRow
from .batch import Ready

DETAIL_LENGTH_MAX = 2_000
RESPONSE_BYTES_MAX = 8_192

_STATES = {"settle": "sent", "retry": "pending", "resolve": "unknown", "dead": "dead"}


class Outcome(msgspec.Struct):
    """One attempt that is over; `number` counts from 1."""

    ready: Ready
    number: int
    result: PushResult
    started_at: datetime
    partner: str
    subject: str
    policy: RetryPolicy

    def next_step(self) -> Any:
        """Return what follows under the connection's policy."""
        return next_step(
            self.policy,
            self.number,
            self.result.outcome,
            permanent=self.result.permanent,
            retry_after_seconds=self.result.retry_after_seconds,
        )


def book_outcomes(
    connection: Connection, outcomes: list[Outcome], *, ids: Ids, now: datetime
) -> tuple[list[Ready], list[Event]]:
    """Write a batch of outcomes; return what must follow by itself (nothing yet) and events for subscribers."""
    now_micros = to_micros(now)
    attempts: list[AttemptRow] = []
    states: list[tuple[str, int, int | None, int | None, str, str, str, str, str, str]] = []
    faults: list[issues.Fault] = []
    recovered: dict[str, list[str]] = {}
    for outcome in outcomes:
        ready, result = outcome.ready, outcome.result
        number = outcome.number
        step = outcome.next_step()
        attempts.append(_attempt(outcome, number))
        again_at = now_micros + int(step.delay_seconds * 1e6) if step.action in ("retry", "resolve") else None
        states.append(
            (
                _STATES[step.action],
                number,
                again_at,
                to_micros(outcome.started_at + timedelta(milliseconds=result.duration_ms))
                if step.action == "settle"
                else None,
                result.error_class,
                result.code,
                result.detail[:DETAIL_LENGTH_MAX],
                result.reference,
                ready.tenant_id,
                ready.message_id,
            )
        )
        if step.action == "settle":
            if number > 1:
                recovered.setdefault(ready.tenant_id, []).append(ready.message_id)
        else:
            faults.append(_fault(outcome, step.action))
    outbound.insert_attempts(connection, attempts)
    outbound.book(connection, states)
    for tenant_id, message_ids in recovered.items():
        issues.resolve_objects(connection, tenant_id, message_ids, "a later attempt went through", now_micros)
    if faults:
        issues.raise_faults(connection, faults, ids=ids, now_micros=now_micros)
    return [], []


def reserve_sends(connection: Connection, ready: list[Ready]) -> None:
    """Enter sends in the ledger before they happen."""
    outbound.reserve(connection, [(one.tenant_id, one.message_id) for one in ready])
    for one in ready:
        one.state = "sending"


def _attempt(outcome: Outcome, number: int) -> AttemptRow:
    result = outcome.result
    return AttemptRow(
        outcome.ready.tenant_id,
        outcome.ready.message_id,
        number,
        result.outcome,
        to_micros(outcome.started_at),
        result.duration_ms,
        result.http_status,
        result.code,
        result.detail[:DETAIL_LENGTH_MAX],
        bytes(result.response[:RESPONSE_BYTES_MAX]) or None,
    )


def _fault(outcome: Outcome, action: str) -> issues.Fault:
    ready, result = outcome.ready, outcome.result
    code = result.code or ("XD-PTR-003" if result.outcome == "unknown" else "XD-PTR-001")
    refused = result.permanent
    title = (
        f"{outcome.partner} refused a {ready.document_type}"
        if refused
        else f"{outcome.partner} cannot be reached on {ready.connection_id}"
    )
    if result.outcome == "unknown":
        title = f"Nobody knows whether {outcome.partner} took a {ready.document_type}"
    return issues.Fault(
        tenant_id=ready.tenant_id,
        code=code,
        cause=f"{code if refused else result.outcome}|{ready.connection_id}|{action if action == 'dead' else 'open'}",
        title=title,
        object_kind="outbound",
        object_id=ready.message_id,
        detail=result.detail[:DETAIL_LENGTH_MAX],
        subject=outcome.subject,
        error_class=result.error_class or "partner",
        partner=outcome.partner,
        connection_id=ready.connection_id,
    )
