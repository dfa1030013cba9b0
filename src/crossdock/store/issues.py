"""Issues: faults grouped by cause, and the exceptions that are their members.

A thousand messages that fail for one reason are one issue. An issue closes itself when its last member is resolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..durable.identity import Ids
from .engine import Connection, Row, locked


class Fault(msgspec.Struct, frozen=True, eq=False):
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

    The same fault of the same object is entered once while it is open. A few statements serve any number of faults.
    """
    by_tenant: dict[str, list[Fault]] = {}
    for fault in faults:
        by_tenant.setdefault(fault.tenant_id, []).append(fault)
    issue_of: dict[tuple[str, str], str] = {}
    for tenant_id, mine in by_tenant.items():
        issue_of.update(_issues_of(connection, tenant_id, mine, ids, now_micros))
        _enter_members(connection, tenant_id, mine, issue_of, ids, now_micros)
    return [issue_of[(fault.tenant_id, fault.cause)] for fault in faults]


def _issues_of(
    connection: Connection, tenant_id: str, faults: Sequence[Fault], ids: Ids, now_micros: int
) -> dict[tuple[str, str], str]:
    """Return the open issue of every cause, opening those that are not there."""
    first_of = {fault.cause: fault for fault in reversed(faults)}
    rows = connection.many(
        "select cause, issue_id from issues where tenant_id = ? and state in ('open', 'acknowledged') and"
        " cause in ({})" + locked(connection, "issue_id"),
        [tenant_id],
        list(first_of),
    )
    found = {(tenant_id, row[0]): str(row[1]) for row in rows}
    connection.executemany(
        "update issues set last_seen_at = ? where tenant_id = ? and issue_id = ?",
        [(now_micros, tenant_id, issue_id) for issue_id in found.values()],
    )
    fresh = [first_of[cause] for cause in dict.fromkeys(f.cause for f in faults) if (tenant_id, cause) not in found]
    opened = []
    for fault in fresh:
        issue_id = found[(tenant_id, fault.cause)] = ids.new("iss")
        suggestion = msgspec.json.encode(fault.suggestion) if fault.suggestion else None
        opened.append(
            (
                *(tenant_id, issue_id, fault.cause, fault.code, fault.title, fault.error_class, "open", fault.partner),
                *(fault.connection_id, suggestion, now_micros, now_micros),
            )
        )
    connection.executemany(
        "insert into issues (tenant_id, issue_id, cause, code, title, error_class, state, partner,"
        " connection_id, suggestion,"
        " first_seen_at, last_seen_at) values (?,?,?,?,?,?,?,?,?,?,?,?)",
        opened,
    )
    return found


def _enter_members(
    connection: Connection,
    tenant_id: str,
    faults: Sequence[Fault],
    issue_of: dict[tuple[str, str], str],
    ids: Ids,
    now_micros: int,
) -> None:
    rows = connection.many(
        "select object_id, code, issue_id from exceptions where tenant_id = ? and state = 'open' and object_id in ({})",
        [tenant_id],
        list(dict.fromkeys(fault.object_id for fault in faults)),
    )
    known = {tuple(row) for row in rows}
    members = []
    for fault in faults:
        issue_id = issue_of[(tenant_id, fault.cause)]
        key = (fault.object_id, fault.code, issue_id)
        if key in known:
            continue
        known.add(key)
        members.append(
            (
                *(tenant_id, ids.new("exc"), issue_id, fault.object_kind, fault.object_id, fault.subject, fault.code),
                *(fault.detail, fault.pointer, "open", now_micros),
            )
        )
    connection.executemany(
        "insert into exceptions (tenant_id, exception_id, issue_id, object_kind, object_id, subject,"
        " code, detail, pointer,"
        " state, created_at) values (?,?,?,?,?,?,?,?,?,?,?)",
        members,
    )


def resolve_objects(
    connection: Connection,
    tenant_id: str,
    object_ids: Sequence[str],
    resolution: str,
    now_micros: int,
    *,
    code: str = "",
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
    return _resolve(connection, tenant_id, rows, resolution, now_micros)


def resolve_other_causes(
    connection: Connection, tenant_id: str, object_id: str, cause: str, resolution: str, now_micros: int
) -> list[str]:
    """Resolve what an object was reported for, except one cause: it fails for that one now; return the issues
    that closed.
    """
    rows = connection.query(
        "select e.exception_id, e.issue_id from exceptions e join issues i on i.tenant_id = e.tenant_id"
        " and i.issue_id = e.issue_id"
        " where e.tenant_id = ? and e.object_id = ? and e.state = 'open' and i.cause <> ?",
        (tenant_id, object_id, cause),
    )
    return _resolve(connection, tenant_id, rows, resolution, now_micros)


def _resolve(
    connection: Connection, tenant_id: str, rows: Sequence[Row], resolution: str, now_micros: int
) -> list[str]:
    if not rows:
        return []
    connection.executemany(
        "update exceptions set state = 'resolved', resolved_at = ?, resolution = ? where tenant_id = ?"
        " and exception_id = ?",
        [(now_micros, resolution, tenant_id, row[0]) for row in rows],
    )
    closed = []
    for issue_id in sorted({row[1] for row in rows}):
        if connection.locking:
            # Whoever enters a member now is waited for, and then seen.
            connection.query(
                f"select 1 from issues where tenant_id = ? and issue_id = ?{connection.locking}", (tenant_id, issue_id)
            )
        left = connection.one(
            "select 1 from exceptions where tenant_id = ? and issue_id = ? and state = 'open' limit 1",
            (tenant_id, issue_id),
        )
        if left is None:
            connection.execute(
                "update issues set state = 'resolved', closed_at = ?, closed_by = case when owner = ''"
                " then ? else owner end"
                " where tenant_id = ?"
                " and issue_id = ?"
                " and state in ('open', 'acknowledged')",
                (now_micros, resolution, tenant_id, issue_id),
            )
            closed.append(issue_id)
    return closed


def members(connection: Connection, tenant_id: str, issue_id: str, *, state: str = "open") -> list[tuple[str, str]]:
    """Return the members of an issue in one state: (object_kind, object_id), oldest first."""
    rows = connection.query(
        "select object_kind, object_id from exceptions where tenant_id = ? and issue_id = ? and state = ?"
        " order by exception_id",
        (tenant_id, issue_id, state),
    )
    return [(row[0], row[1]) for row in rows]


def orders_of(connection: Connection, tenant_id: str, issue_id: str) -> list[str]:
    """Return the numbers of the orders behind an issue's open members, each once, the oldest fault first."""
    rows = connection.query(
        "select subject from exceptions where tenant_id = ? and issue_id = ? and state = 'open'"
        " and subject like 'order/%' order by exception_id",
        (tenant_id, issue_id),
    )
    return list(dict.fromkeys(str(row[0]).partition("/")[2] for row in rows))


def set_state(connection: Connection, tenant_id: str, issue_id: str, state: str, actor: str, now_micros: int) -> bool:
    """Acknowledge, ignore, resolve or reopen an issue; return whether it exists."""
    closed = now_micros if state in ("resolved", "ignored") else None
    changed = connection.execute(
        "update issues set state = ?, closed_at = ?, closed_by = ?, owner = ?,"
        " responded_at = coalesce(responded_at, ?) where tenant_id = ? and issue_id = ?",
        (state, closed, actor if closed else "", actor, now_micros, tenant_id, issue_id),
    )
    return changed > 0


def assign(connection: Connection, tenant_id: str, issue_id: str, owner: str, now_micros: int) -> bool:
    """Give an open issue to somebody, or (empty) to nobody: then its clock runs on; return whether it is open."""
    changed = connection.execute(
        "update issues set owner = ?, state = ?, responded_at = case when ? = '' then null"
        " else coalesce(responded_at, ?) end"
        " where tenant_id = ? and issue_id = ? and state in ('open', 'acknowledged')",
        (owner, "acknowledged" if owner else "open", owner, now_micros, tenant_id, issue_id),
    )
    return changed > 0
