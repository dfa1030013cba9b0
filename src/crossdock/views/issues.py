"""Issues: what is broken, how badly, since when, and what would fix it. A thousand failures of one cause are one row.

Impact counts the orders, customers and money behind an issue's open members, and the first deadline among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ..durable.identity import from_micros, to_micros
from ..error_codes import lookup
from ..errors import NotFound
from ..governance import queues
from ..governance.queues import CLASSES, IssueClass, Owners, Queue
from ..store.engine import Connection, Row
from .issue_causes import WAITING_CODE, Cause, causes

PAGE_MAX = 200
MEMBERS_MAX = 10_000
TREND_HOURS = 12

_COLUMNS = (
    "issue_id, cause, code, title, error_class, state, partner, connection_id, suggestion, first_seen_at, last_seen_at,"
    " closed_at, closed_by, owner, responded_at"
)


class Impact(msgspec.Struct, frozen=True, omit_defaults=True):
    """What hangs on it. `value_cents` counts each order once; `first_due_at` is the first deadline it endangers."""

    members: int = 0
    orders: int = 0
    customers: int = 0
    value_cents: int = 0
    first_due_at: datetime | None = None


class IssueRow(msgspec.Struct, frozen=True):
    """One issue of a list. `trend` counts new members by hour, the last one now.

    `team` answers for its class, `owner` has taken it on; `breached`: nobody did by `respond_by_at`.
    `because_of` names the open issues that keep out what its papers wait for.
    """

    issue_id: str
    code: str
    title: str
    error_class: str
    state: str
    partner: str
    connection_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    closed_by: str
    owner: str
    impact: Impact
    trend: tuple[int, ...]
    suggestion: Mapping[str, Any] | None
    issue_class: IssueClass = "unknown"
    team: str = ""
    seconds_in_class: int = 0
    respond_by_at: datetime | None = None
    breached: bool = False
    because_of: tuple[Cause, ...] = ()

    @property
    def explained(self) -> bool:
        """Whether all of it waits for what other open issues keep out: it needs nothing of its own."""
        return bool(self.because_of) and sum(one.waiting for one in self.because_of) >= self.impact.members


class QueueRow(msgspec.Struct, frozen=True):
    """One class of errors: who answers for it, its target, and what is open in it."""

    issue_class: IssueClass
    team: str
    respond_within: str
    open_count: int
    unassigned: int
    breached: int
    oldest_at: datetime | None


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault of one object. `message_id` leads to the inspector where the object is a paper."""

    exception_id: str
    object_kind: str
    object_id: str
    subject: str
    detail: str
    pointer: str
    state: str
    created_at: datetime
    resolved_at: datetime | None
    resolution: str
    message_id: str = ""


class Fix(msgspec.Struct, frozen=True, omit_defaults=True):
    """What would settle it: steps in words, and the one that can be done with one click, if there is one."""

    steps: tuple[str, ...]
    action: str = ""
    parameters: Mapping[str, Any] = {}
    replays: int = 0


class IssueDetail(msgspec.Struct, frozen=True):
    issue: IssueRow
    cause: str
    members: tuple[Member, ...]
    fix: Fix
    why: str


class IssuesPage(msgspec.Struct, frozen=True):
    """Issues, the most impact first, and the counts beside them."""

    rows: tuple[IssueRow, ...]
    open_count: int
    acknowledged_count: int
    queues: tuple[QueueRow, ...] = ()


def open_issues(
    connection: Connection,
    tenant_id: str,
    *,
    now: datetime,
    limit: int = PAGE_MAX,
    owners: Owners | None = None,
    issue_class: str = "",
    owner: str | None = None,
) -> IssuesPage:
    """Return the issues that are open or acknowledged: first deadline first, then most orders, then newest.

    `issue_class` and `owner` (empty: nobody) limit the rows; queues and counts are about all of them.
    """
    rows = connection.query(
        f"select {_COLUMNS} from issues where tenant_id = ? and state in ('open', 'acknowledged')"  # noqa: S608
        " order by last_seen_at desc limit ?",
        (tenant_id, min(limit, PAGE_MAX)),
    )
    found = _with_impact(connection, tenant_id, rows, now, owners=owners)
    found.sort(key=lambda row: (*_urgency(row), row.issue_id))
    found = _behind_their_causes(_with_causes(connection, tenant_id, found, found))
    acknowledged = sum(1 for row in found if row.state == "acknowledged")
    shown = tuple(
        row for row in found if issue_class in ("", row.issue_class) and (owner is None or owner == row.owner)
    )
    return IssuesPage(shown, len(found) - acknowledged, acknowledged, _queues(found, owners or {}))


def _queues(rows: list[IssueRow], owners: Owners) -> tuple[QueueRow, ...]:
    result = []
    for name in CLASSES:
        mine = [row for row in rows if row.issue_class == name]
        queue = owners.get(name, Queue())
        result.append(
            QueueRow(
                name,
                queue.owner,
                queue.respond_within,
                len(mine),
                sum(1 for row in mine if not row.owner),
                sum(1 for row in mine if row.breached),
                min((row.first_seen_at for row in mine), default=None),
            )
        )
    return tuple(result)


def closed_issues(
    connection: Connection,
    tenant_id: str,
    *,
    now: datetime,
    before: str = "",
    limit: int = 50,
    owners: Owners | None = None,
) -> tuple[IssueRow, ...]:
    """Return closed issues, the newest first; `before` is the last id of the page before."""
    rows = connection.query(
        f"select {_COLUMNS} from issues where tenant_id = ? and issue_id < ? and state not in ('open', 'acknowledged')"  # noqa: S608
        " order by issue_id desc limit ?",
        (tenant_id, before or "iss_Z", min(limit, PAGE_MAX)),
    )
    return tuple(_with_impact(connection, tenant_id, rows, now, state="resolved", owners=owners))


def newest_of_cause(connection: Connection, tenant_id: str, cause: str) -> str:
    """Return the newest issue whose cause is, or contains as a part, this one; `NotFound` where there is none."""
    rows = connection.query(
        "select issue_id, cause from issues where tenant_id = ? order by issue_id desc limit ?",
        (tenant_id, MEMBERS_MAX),
    )
    for issue_id, known in rows:
        if cause == known or cause in known.split("|"):
            return str(issue_id)
    raise NotFound(f"There is no issue of the cause {cause}")


def load(
    connection: Connection,
    tenant_id: str,
    issue_id: str,
    *,
    now: datetime,
    members_max: int = PAGE_MAX,
    owners: Owners | None = None,
) -> IssueDetail:
    """Return one issue with its members, newest first, or raise `NotFound`."""
    row = connection.one(f"select {_COLUMNS} from issues where tenant_id = ? and issue_id = ?", (tenant_id, issue_id))  # noqa: S608
    if row is None:
        raise NotFound(f"There is no issue {issue_id}")
    live = row[5] in ("open", "acknowledged")
    state = "open" if live else "resolved"
    (issue,) = _with_impact(connection, tenant_id, [row], now, state=state, owners=owners)
    if live and issue.code == WAITING_CODE:
        others = open_issues(connection, tenant_id, now=now).rows
        (issue,) = _with_causes(connection, tenant_id, [issue], others)
    members = connection.query(
        "select exception_id, object_kind, object_id, subject, detail, pointer, state, created_at,"
        " resolved_at, resolution"
        " from exceptions where tenant_id = ? and issue_id = ? order by exception_id desc limit ?",
        (tenant_id, issue_id, members_max),
    )
    documents = [member[2] for member in members if member[1] == "document"]
    message_of: dict[str, str] = {}
    if documents:
        message_of = {
            found[0]: found[1]
            for found in connection.many(
                "select document_id, message_id from documents where tenant_id = ? and document_id in ({})",
                [tenant_id],
                documents,
            )
        }
    return IssueDetail(
        issue, row[1], tuple(_member(member, message_of) for member in members), _fix(issue), _why(row[2])
    )


def _with_causes(
    connection: Connection, tenant_id: str, rows: Sequence[IssueRow], others: Sequence[IssueRow]
) -> list[IssueRow]:
    waiting = [row.issue_id for row in rows if row.code == WAITING_CODE]
    titles = {row.issue_id: row.title for row in others if row.code != WAITING_CODE}
    found = causes(connection, tenant_id, waiting, titles)
    return [msgspec.structs.replace(row, because_of=found.get(row.issue_id, ())) for row in rows]


def _behind_their_causes(rows: list[IssueRow]) -> list[IssueRow]:
    """Put what is explained by another issue right behind it."""
    ordered = [row for row in rows if not row.explained]
    for row in rows:
        if row.explained:
            places = [at for at, other in enumerate(ordered) if other.issue_id == row.because_of[0].issue_id]
            ordered.insert(places[0] + 1 if places else len(ordered), row)
    return ordered


def _urgency(row: IssueRow) -> tuple[float, int, float]:
    due = row.impact.first_due_at
    return (due.timestamp() if due else float("inf"), -row.impact.orders, -row.last_seen_at.timestamp())


def _with_impact(
    connection: Connection,
    tenant_id: str,
    rows: list[Row],
    now: datetime,
    *,
    state: str = "open",
    owners: Owners | None = None,
) -> list[IssueRow]:
    if not rows:
        return []
    members = connection.many(
        "select issue_id, subject, created_at from exceptions where tenant_id = ? and state = ? and issue_id in ({})",
        [tenant_id, state],
        [row[0] for row in rows],
    )
    by_issue: dict[str, list[Row]] = {}
    for member in members:
        by_issue.setdefault(member[0], []).append(member)
    keys = {str(subject).partition("/")[2] for _, subject, _ in members if str(subject).startswith("order/")}
    orders: dict[str, Row] = {}
    if keys:
        found = connection.many(
            "select key, customer, value_cents, due_at from aggregates where tenant_id = ? and kind"
            " = 'order' and key in ({})",
            [tenant_id],
            sorted(keys),
        )
        orders = {row[0]: row for row in found}
    return [_row(row, by_issue.get(row[0], []), orders, now, owners or {}) for row in rows]


def _row(row: Row, members: list[Row], orders: Mapping[str, Row], now: datetime, owners: Owners) -> IssueRow:
    keys = {str(subject).partition("/")[2] for _, subject, _ in members if str(subject).startswith("order/")}
    hit = [orders[key] for key in keys if key in orders]
    due = [order[3] for order in hit if order[3] is not None]
    impact = Impact(
        len(members),
        len(keys),
        len({order[1] for order in hit if order[1]}),
        sum(order[2] for order in hit),
        from_micros(min(due)) if due else None,
    )
    name = queues.class_of(row[4])
    queue = owners.get(name, Queue())
    clock = queues.clock_of(
        queue,
        from_micros(row[9]),
        from_micros(row[14]) if row[14] is not None else None,
        from_micros(row[11]) if row[11] is not None else None,
        now,
    )
    return IssueRow(
        issue_id=row[0],
        code=row[2],
        title=row[3],
        error_class=row[4],
        state=row[5],
        partner=row[6],
        connection_id=row[7],
        first_seen_at=from_micros(row[9]),
        last_seen_at=from_micros(row[10]),
        closed_at=from_micros(row[11]) if row[11] is not None else None,
        closed_by=row[12],
        owner=row[13],
        impact=impact,
        trend=trend([member[2] for member in members], now),
        suggestion=msgspec.json.decode(row[8]) if row[8] else None,
        issue_class=name,
        team=queue.owner,
        seconds_in_class=clock.seconds,
        respond_by_at=clock.respond_by_at,
        breached=clock.breached,
    )


def trend(instants: list[int], now: datetime, *, hours: int = TREND_HOURS) -> tuple[int, ...]:
    """Count instants (microseconds) by hour back from now, the oldest hour first."""
    end = to_micros(now)
    counts = [0] * hours
    for instant in instants:
        age = (end - instant) // 3_600_000_000
        if 0 <= age < hours:
            counts[hours - 1 - age] += 1
    return tuple(counts)


def _fix(issue: IssueRow) -> Fix:
    """Turn the suggestion and the code's catalogue entry into steps; the suggestion comes first."""
    suggestion = dict(issue.suggestion or {})
    action = str(suggestion.pop("action", ""))
    code = lookup(issue.code)
    steps = list(code.fix) if code else []
    if action == "set_lookup_row":
        value = suggestion.get("value")
        row = f"{suggestion.get('key')} = {value}" if value else f"a row for {suggestion.get('key')}"
        # It says what the catalogue's first step says in general.
        steps = [
            f"Add {row} to the table {suggestion.get('table')}; what waits for it is released by itself",
            *steps[1:],
        ]
    return Fix(tuple(steps), action, suggestion, issue.impact.members)


def _why(code: str) -> str:
    entry = lookup(code)
    return entry.why if entry else ""


def _member(row: Row, message_of: Mapping[str, str]) -> Member:
    kind, object_id = row[1], row[2]
    message_id = object_id if kind in ("message", "outbound") else message_of.get(object_id, "")
    resolved = from_micros(row[8]) if row[8] is not None else None
    return Member(
        row[0], kind, object_id, row[3], row[4], row[5], row[6], from_micros(row[7]), resolved, row[9], message_id
    )
