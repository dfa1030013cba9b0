"""Issues: faults grouped by cause, and the exceptions that are their members.

A thousand messages that fail for one reason are one issue. An issue closes itself when its last member is resolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..durable.identity import Ids
from .engine import Connection


class Fault(msgspec.Struct, frozen=True):
    """One fault of one object, to be entered under the issue of its cause.

    `object_kind` is message, document, outbound or order; `suggestion` is what a person could do with one click,
    such as `{"action": "set_lookup_row", "table": "locations", "key": "RENO-X", "value": "RENO"}`.
    """

    tenant_id: str
    code: str
    cause: str
    title: str
    object_kind: str
    object_id: str
    detail: str = ""
    pointer: str = ""
    subject: str = ""
    error_class: str = ""
    partner: str = ""
    connection_id: str = ""
    suggestion: dict[str, Any] | None = None


def raise_faults(connection: Connection, faults: Sequence[Fault], *, ids: Ids, now_micros: int) -> list[str]:
    """Enter faults; return the ids of the issues they belong to (one per fault, in order).

    The same fault of the same object is entered once while it is open.
    """
    known: dict[tuple[str, str], str] = {}
    result = []
    for fault in faults:
        key = (fault.tenant_id, fault.cause)
        issue_id = known.get(key)
        if issue_id is None:
            issue_id = known[key] = _open_issue(connection, fault, ids, now_micros)
        already = connection.one(
            "select 1 from exceptions where tenant_id = ? and object_id = ? and code = ? and state = 'open' and issue_id = ?",
            (fault.tenant_id, fault.object_id, fault.code, issue_id),
        )
        if already is None:
            connection.execute(
                "insert into exceptions (tenant_id, exception_id, issue_id, object_kind, object_id, subject, code, detail, pointer,"
                " state, created_at) values (?,?,?,?,?,?,?,?,?,'open',?)",
                (
                    fault.tenant_id,
                    ids.new("exc"),
                    issue_id,
                    fault.object_kind,
                    fault.object_id,
                    fault.subject,
                    fault.code,
                    fault.detail,
                    fault.pointer,
                    now_micros,
                ),
            )
        result.append(issue_id)
    return result


def _open_issue(connection: Connection, fault: Fault, ids: Ids, now_micros: int) -> str:
    row = connection.one(
        "select issue_id from issues where tenant_id = ? and cause = ? and state in ('open', 'acknowledged')",
        (fault.tenant_id, fault.cause),
    )
    if row is not None:
        connection.execute(
            "update issues set last_seen_at = ? where tenant_id = ? and issue_id = ?", (now_micros, fault.tenant_id, row[0])
        )
        return str(row[0])
    issue_id = ids.new("iss")
    connection.execute(
        "insert into issues (tenant_id, issue_id, cause, code, title, error_class, state, partner, connection_id, suggestion,"
        " first_seen_at, last_seen_at) values (?,?,?,?,?,?,'open',?,?,?,?,?)",
        (
            fault.tenant_id,
            issue_id,
            fault.cause,
            fault.code,
            fault.title,
            fault.error_class,
            fault.partner,
            fault.connection_id,
            msgspec.json.encode(fault.suggestion) if fault.suggestion else None,
            now_micros,
            now_micros,
        ),
    )
    return issue_id


def resolve_objects(
    connection: Connection, tenant_id: str, object_ids: Sequence[str], resolution: str, now_micros: int, *, code: str = ""
) -> list[str]:
    """Resolve the open faults of some objects; return the issues that closed because of it."""
    if not object_ids:
        return []
    rows = connection.many(
        "select exception_id, issue_id from exceptions where tenant_id = ? and (? = '' or code = ?) and state = 'open'"
        " and object_id in ({})",
        [tenant_id, code, code],
        object_ids,
    )
    if not rows:
        return []
    connection.executemany(
        "update exceptions set state = 'resolved', resolved_at = ?, resolution = ? where tenant_id = ? and exception_id = ?",
        [(now_micros, resolution, tenant_id, row[0]) for row in rows],
    )
    closed = []
    for issue_id in sorted({row[1] for row in rows}):
        left = connection.one(
            "select 1 from exceptions where tenant_id = ? and issue_id = ? and state = 'open' limit 1", (tenant_id, issue_id)
        )
        if left is None:
            connection.execute(
                "update issues set state = 'resolved', closed_at = ?, closed_by = ? where tenant_id = ? and issue_id = ?"
                " and state in ('open', 'acknowledged')",
                (now_micros, resolution, tenant_id, issue_id),
            )
            closed.append(issue_id)
    return closed


def members(connection: Connection, tenant_id: str, issue_id: str, *, state: str = "open") -> list[tuple[str, str]]:
    """Return the members of an issue in one state: (object_kind, object_id), oldest first."""
    rows = connection.query(
        "select object_kind, object_id from exceptions where tenant_id = ? and issue_id = ? and state = ? order by exception_id",
        (tenant_id, issue_id, state),
    )
    return [(row[0], row[1]) for row in rows]


def set_state(connection: Connection, tenant_id: str, issue_id: str, state: str, actor: str, now_micros: int) -> bool:
    """Acknowledge, ignore, resolve or reopen an issue; return whether it exists."""
    closed = now_micros if state in ("resolved", "ignored") else None
    changed = connection.execute(
        "update issues set state = ?, closed_at = ?, closed_by = ?, owner = ? where tenant_id = ? and issue_id = ?",
        (state, closed, actor if closed else "", actor, tenant_id, issue_id),
    )
    return changed > 0
