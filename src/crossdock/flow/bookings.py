"""Book what became of sends: the ledger of attempts, the state after each, and the issue when one is given up."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ..durable.identity import Ids, to_micros
from ..durable.retry import ErrorClass, RetryPolicy, next_step
from ..durable.states import AttemptOutcome
from ..sdk import PushResult
from ..store import issues, outbound, payloads
from ..store.engine import Connection
from ..store.outbound import AttemptRow
from .batch import Ready, ready_of_row

DETAIL_LENGTH_MAX = 2_000
RESPONSE_BYTES_MAX = 8_192
NAME_LENGTH_MAX = 255
RETRY_AFTER_SECONDS_MAX = 7 * 86_400.0

_KNOWN: dict[str, AttemptOutcome] = {"done": "done", "failed": "failed", "unknown": "unknown"}
_CLASSES: dict[str, ErrorClass] = {
    one: one
    for one in ("partner", "data", "system", "unknown", "")  # what a connector may name
}
_STATES = {"settle": "sent", "retry": "pending", "resolve": "unknown", "dead": "dead"}


class Outcome(msgspec.Struct):
    """One attempt that is over; `number` counts from 1. `result` is what a partner or a connector said: make it `sound`
    first.
    """

    ready: Ready
    number: int
    result: PushResult
    started_at: datetime
    partner: str
    subject: str
    policy: RetryPolicy
    # How many earlier attempts ended in each class of error, as it was when this one was over.
    tries: dict[str, int] | None = None
    # The partner acts once for one identity: were this outcome lost, the attempt would be made again and harm nobody.
    may_wait: bool = False

    def next_step(self) -> Any:
        """Return what follows under the connection's policy."""
        tries = self.tries
        return next_step(
            self.policy,
            1 if tries is None else tries.get(self.result.error_class, 0) + 1,
            self.result.outcome,
            permanent=self.result.permanent,
            retry_after_seconds=self.result.retry_after_seconds,
            error_class=self.result.error_class,
        )


def sound(result: PushResult) -> PushResult:
    """Return what a partner said as the record can keep it: texts cut and printable, numbers within reason.

    Never raises, whatever a connector put in: PostgreSQL refuses NUL, neither engine can write half a surrogate pair.
    """
    response: object = result.response
    retry_after, http_status = result.retry_after_seconds, result.http_status
    if not isinstance(retry_after, int | float) or not math.isfinite(retry_after):
        retry_after = None
    if not isinstance(http_status, int) or not 0 <= http_status <= 999:
        http_status = None
    return msgspec.structs.replace(
        result,
        outcome=_KNOWN.get(result.outcome, "unknown"),
        code=_printable(result.code, NAME_LENGTH_MAX),
        detail=_printable(result.detail, DETAIL_LENGTH_MAX),
        reference=_printable(result.reference, NAME_LENGTH_MAX),
        error_class=_CLASSES.get(result.error_class, "unknown"),
        http_status=http_status,
        retry_after_seconds=None if retry_after is None else min(max(retry_after, 0.0), RETRY_AFTER_SECONDS_MAX),
        response=bytes(response[:RESPONSE_BYTES_MAX]) if isinstance(response, bytes | bytearray) else b"",
    )


def _printable(text: object, length_max: int) -> str:
    text = ("" if text is None else str(text))[:length_max]
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text)


def lost(outcome: Outcome) -> Outcome:
    """Return what is booked in place of an outcome that the record refuses: unknown, so it is asked for."""
    result = PushResult(
        "unknown", error_class="system", code="XD-SYS-050", detail="the outcome of this attempt could not be written"
    )
    return msgspec.structs.replace(outcome, result=result)


def book_outcomes(connection: Connection, outcomes: list[Outcome], *, ids: Ids, now: datetime) -> None:
    """Write a batch of outcomes: the attempt, the state after it, and the issue when it did not go through."""
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
                # What is given up without knowing is asked for when it is taken up again, whoever was at fault.
                "unknown" if result.outcome == "unknown" else result.error_class,
                result.code,
                result.detail,
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


def reserve_sends(connection: Connection, ready: list[Ready]) -> None:
    """Enter sends in the ledger before they happen, and fetch the bytes of those whose turn has come.

    They are `sending` once the transaction is committed. What is damaged stays unloaded: it is never sent. What could
    not be entered, because the record gave it to another connection or discarded it, is `refused`: nothing is sent.
    """
    outbound.reserve(connection, [(one.tenant_id, one.message_id, one.connection_id) for one in ready])
    by_tenant: dict[str, list[Ready]] = {}
    for one in ready:
        by_tenant.setdefault(one.tenant_id, []).append(one)
    for tenant_id, mine in by_tenant.items():
        entered = outbound.reserved(connection, tenant_id, [one.message_id for one in mine])
        for one in mine:
            one.refused = (one.message_id, one.connection_id) not in entered
        wanted = {one.message_id: one for one in mine if not one.loaded}
        contents, _ = payloads.load_sound(connection, tenant_id, list(wanted))
        for row in outbound.load_many(connection, tenant_id, list(contents)):
            stored, one = ready_of_row(row, contents[row[0]]), wanted[row[0]]
            one.content, one.headers, one.loaded = stored.content, stored.headers, True


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
        result.detail,
        result.response or None,
        result.error_class,
    )


def _fault(outcome: Outcome, action: str) -> issues.Fault:
    ready, result = outcome.ready, outcome.result
    code = result.code or ("XD-PTR-003" if result.outcome == "unknown" else "XD-PTR-001")
    refused = result.permanent
    words = ready.document_type.replace("_", " ")
    what = f"{'an' if words[:1] in 'aeiou' else 'a'} {words}" if words else "a message"
    title = (
        f"{outcome.partner} refused {what}"
        if refused
        else f"{outcome.partner} cannot be reached on {ready.connection_id}"
    )
    if result.outcome == "unknown":
        title = f"Nobody knows whether {outcome.partner} took {what}"
    return issues.Fault(
        tenant_id=ready.tenant_id,
        code=code,
        cause=f"{code if refused else result.outcome}|{ready.connection_id}|{action if action == 'dead' else 'open'}",
        title=title,
        object_kind="outbound",
        object_id=ready.message_id,
        detail=result.detail,
        subject=outcome.subject,
        error_class=result.error_class or "partner",
        partner=outcome.partner,
        connection_id=ready.connection_id,
    )
