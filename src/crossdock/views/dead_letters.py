"""Dead letters as people read them: what, why, how often tried, its bytes and canonical document, what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..durable.identity import from_micros
from ..errors import Finding, NotFound
from ..store import dead_letters, messages, outbound, payloads
from ..store.dead_letters import Wanted
from ..store.engine import Connection, Row
from .messages import AttemptView, load_outbound

PAGE_MAX = 200
CONTENT_MAX = 262_144


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter of a list. `kind`: a document or message that came in, or a message that goes out."""

    id: str
    kind: str
    message_id: str
    connection_id: str
    partner: str
    type: str
    subject: str
    at: datetime
    attempts: int
    code: str
    detail: str
    error_class: str
    issue_id: str
    size_bytes: int


class DeadLetters(msgspec.Struct, frozen=True):
    """One page, newest first. `next_cursor` is empty on the last one."""

    rows: tuple[DeadLetter, ...]
    next_cursor: str


class AmendmentView(msgspec.Struct, frozen=True):
    """One amended version: who made it of what, why, and what differs."""

    original_id: str
    new_id: str
    message_id: str
    part: str
    author: str
    reason: str
    at: datetime
    differences: tuple[dict[str, Any], ...]


class DeadLetterDetail(msgspec.Struct, frozen=True):
    """One object that is or was a dead letter. `state` tells; `content` is text, empty when it is none or too long."""

    id: str
    kind: str
    state: str
    message_id: str
    letter: DeadLetter | None
    content: str
    content_bytes: int
    canonical: msgspec.Raw | None
    findings: tuple[Finding, ...]
    attempts: tuple[AttemptView, ...]
    amendments: tuple[AmendmentView, ...]


def page(connection: Connection, tenant_id: str, wanted: Wanted, *, limit: int = 50) -> DeadLetters:
    """Return dead letters that fit, newest first."""
    limit = min(limit, PAGE_MAX)
    rows = dead_letters.find(connection, tenant_id, wanted, limit + 1)
    shown = _shown(connection, tenant_id, rows[:limit])
    more = len(rows) > limit
    return DeadLetters(shown, dead_letters.place_of(shown[-1].id) if more else "")


def _shown(connection: Connection, tenant_id: str, rows: list[Row]) -> tuple[DeadLetter, ...]:
    faults = dead_letters.faults_of(connection, tenant_id, [row[0] for row in rows]) if rows else {}
    result = []
    for row in rows:
        fault = faults.get(row[0])
        code, detail = (fault[1], fault[2]) if fault else (row[9], row[10])
        error_class, issue_id = (fault[3], fault[4]) if fault else ("", "")
        result.append(
            DeadLetter(
                id=row[0],
                kind=row[1],
                message_id=row[2],
                connection_id=row[3],
                partner=row[4],
                type=row[5],
                subject=row[6],
                at=from_micros(row[7]),
                attempts=row[8],
                code=code,
                detail=detail,
                error_class=error_class,
                issue_id=issue_id,
                size_bytes=row[11] or 0,
            )
        )
    return tuple(result)


def load(connection: Connection, tenant_id: str, object_id: str) -> DeadLetterDetail:
    """Return one dead letter, or what was one, with its history; `NotFound` where it never was."""
    found = dead_letters.find(connection, tenant_id, Wanted(ids=(object_id,)), 1)
    history = tuple(_amendment(row) for row in dead_letters.amendments(connection, tenant_id, object_id))
    kind, state, message_id, canonical, findings = _facts(connection, tenant_id, object_id)
    if not found and not history and state != "discarded":
        raise NotFound(f"There is no dead letter {object_id}")
    contents, _ = payloads.load_sound(connection, tenant_id, [message_id])
    content = contents.get(message_id, b"")
    attempts = load_outbound(connection, tenant_id, object_id).attempts if kind == "outbound" else ()
    letters = _shown(connection, tenant_id, found)
    return DeadLetterDetail(
        id=object_id,
        kind=kind,
        state=state,
        message_id=message_id,
        letter=letters[0] if letters else None,
        content=_text(content),
        content_bytes=len(content),
        canonical=msgspec.Raw(bytes(canonical)) if canonical else None,
        findings=msgspec.json.decode(findings, type=tuple[Finding, ...]) if findings else (),
        attempts=tuple(attempts),
        amendments=history,
    )


def _facts(connection: Connection, tenant_id: str, object_id: str) -> tuple[str, str, str, Any, Any]:
    """Return kind, state, message, canonical document and findings of an object."""
    documents = messages.load_documents(connection, tenant_id, [object_id]) if object_id.startswith("doc_") else []
    if documents:
        row = documents[0]
        return "document", row[8], row[1], row[12], row[13]
    came = messages.load_inbound(connection, tenant_id, object_id)
    if came is not None:
        return "message", came[3], object_id, None, None
    went = outbound.load(connection, tenant_id, object_id)
    if went is None:
        raise NotFound(f"There is no dead letter {object_id}")
    return "outbound", went[9], object_id, went[19], None


def _text(content: bytes) -> str:
    """Return content as text that can be edited, or nothing."""
    if len(content) > CONTENT_MAX:
        return ""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""


def _amendment(row: Row) -> AmendmentView:
    differences = msgspec.json.decode(row[6], type=tuple[dict[str, Any], ...])
    return AmendmentView(
        original_id=row[0],
        new_id=row[1],
        message_id=row[2],
        part=row[3],
        author=row[4],
        reason=row[5],
        at=from_micros(row[7]),
        differences=differences,
    )
