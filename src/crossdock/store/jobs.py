"""Jobs that run over many messages, item by item. All their state is here: a restart goes on where one ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .engine import Connection, Row

# job_id, state, actor, filter, report, total, done, failed, created_at, ended_at
JOB_COLUMNS = "job_id, state, actor, filter, report, total, done, failed, created_at, ended_at"


def insert(
    connection: Connection,
    tenant_id: str,
    job_id: str,
    kind: str,
    actor: str,
    wanted: bytes,
    report: bytes,
    items: Sequence[tuple[str, str]],
    now_micros: int,
) -> None:
    """Enter a running job with its items: (message_id, planned states)."""
    connection.execute(
        "insert into jobs (tenant_id, job_id, kind, state, actor, filter, report, total, created_at)"
        " values (?,?,?,'running',?,?,?,?,?)",
        (tenant_id, job_id, kind, actor, wanted, report, len(items), now_micros),
    )
    connection.executemany(
        "insert into job_items (tenant_id, job_id, position, message_id, planned) values (?,?,?,?,?)",
        [(tenant_id, job_id, place, message_id, planned) for place, (message_id, planned) in enumerate(items)],
    )


def load(connection: Connection, tenant_id: str, job_id: str) -> Row | None:
    """Return one job (JOB_COLUMNS), or None."""
    return connection.one(
        f"select {JOB_COLUMNS} from jobs where tenant_id = ? and job_id = ?",
        (tenant_id, job_id),
    )


def lock(connection: Connection, tenant_id: str, job_id: str) -> Row | None:
    """Return a job whose row nobody else changes before this transaction ends, or None."""
    connection.execute("update jobs set total = total where tenant_id = ? and job_id = ?", (tenant_id, job_id))
    return load(connection, tenant_id, job_id)


def newest(connection: Connection, tenant_id: str, kind: str, before: str, limit: int) -> list[Row]:
    """Return jobs of a kind (JOB_COLUMNS), newest first, behind a job id."""
    return connection.query(
        f"select {JOB_COLUMNS} from jobs where tenant_id = ? and kind = ? and job_id < ? order by job_id desc limit ?",
        (tenant_id, kind, before or "job_Z", limit),
    )


def running(connection: Connection, kind: str) -> list[tuple[str, str]]:
    """Return the jobs of a kind that run, of all tenants: (tenant_id, job_id), oldest first."""
    rows = connection.query(
        "select tenant_id, job_id from jobs where state in ('running', 'paused') and state = 'running' and kind = ?"
        " order by job_id",
        (kind,),
    )
    return [(row[0], row[1]) for row in rows]


def next_items(connection: Connection, tenant_id: str, job_id: str, limit: int) -> list[Row]:
    """Return the next items that wait: (position, message_id, planned)."""
    return connection.query(
        "select position, message_id, planned from job_items where tenant_id = ? and job_id = ? and state = 'waiting'"
        " order by position limit ?",
        (tenant_id, job_id, limit),
    )


def settle_items(connection: Connection, tenant_id: str, job_id: str, rows: Iterable[tuple[int, str, str]]) -> None:
    """Book what became of items: (position, state, detail)."""
    connection.executemany(
        "update job_items set state = ?, detail = ? where tenant_id = ? and job_id = ? and position = ?",
        [(state, detail, tenant_id, job_id, position) for position, state, detail in rows],
    )


def items(connection: Connection, tenant_id: str, job_id: str, state: str, limit: int) -> list[Row]:
    """Return items of a job in one state: (position, message_id, planned, state, detail)."""
    return connection.query(
        "select position, message_id, planned, state, detail from job_items where tenant_id = ? and job_id = ?"
        " and state = ? order by position limit ?",
        (tenant_id, job_id, state, limit),
    )


def save(
    connection: Connection,
    tenant_id: str,
    job_id: str,
    *,
    state: str,
    report: bytes,
    done: int,
    failed: int,
    ended_at: int | None,
) -> None:
    """Book how far a job is."""
    connection.execute(
        "update jobs set state = ?, report = ?, done = ?, failed = ?, ended_at = ? where tenant_id = ? and job_id = ?",
        (state, report, done, failed, ended_at, tenant_id, job_id),
    )


# -- what a replay may be about

_FILTERS = {
    "partner": "m.partner = ?",
    "connection_id": "m.connection_id = ?",
    "state": "m.state = ?",
    "received_from": "m.received_at >= ?",
    "received_until": "m.received_at < ?",
    "document_type": (
        "exists (select 1 from documents d where d.tenant_id = m.tenant_id and d.message_id = m.message_id"
        " and d.type = ?)"
    ),
    "document_state": (
        "exists (select 1 from documents d where d.tenant_id = m.tenant_id and d.message_id = m.message_id"
        " and d.state = ?)"
    ),
}
_MEMBERS = (
    "exists (select 1 from exceptions e left join documents d on d.tenant_id = e.tenant_id"
    " and d.document_id = e.object_id where e.tenant_id = m.tenant_id and {} = ? and e.state = 'open'"
    " and coalesce(d.message_id, e.object_id) = m.message_id)"
)


def select_messages(connection: Connection, tenant_id: str, wanted: dict[str, str | int], limit: int) -> list[str]:
    """Return the inbound messages that fit every condition, oldest first.

    Conditions: partner, connection_id, state, received_from, received_until (microseconds), document_type,
    document_state, issue_id, code. Duplicates and what an amended version replaced are never among them.
    """
    conditions = []
    parameters: list[str | int] = []
    for name, value in wanted.items():
        if name == "issue_id":
            conditions.append(_MEMBERS.replace("{}", "e.issue_id"))
        elif name == "code":
            conditions.append(f"(m.error_code = ? or {_MEMBERS.replace('{}', 'e.code')})")
            parameters.append(value)
        else:
            conditions.append(_FILTERS[name])
        parameters.append(value)
    rows = connection.query(
        "select m.message_id from inbound_messages m where m.tenant_id = ? and m.state in"
        f" ('processed', 'failed', 'ignored', 'discarded') and {' and '.join(conditions)}"
        " order by m.message_id limit ?",
        (tenant_id, *parameters, limit),
    )
    return [row[0] for row in rows]


def sends_of(connection: Connection, tenant_id: str, message_ids: Sequence[str], limit: int) -> list[Row]:
    """Return what was made for partners out of some messages: (message_id, connection_id, document_type, object,
    subject, lane, request_key, canonical, map, release_id, inbound_message_id), oldest first.
    """
    rows = connection.many(
        "select message_id, connection_id, document_type, object, subject, lane, request_key, canonical, map,"
        " release_id, inbound_message_id from outbound_messages where tenant_id = ? and map <> ''"
        " and canonical is not null and inbound_message_id <> '' and inbound_message_id in ({})",
        [tenant_id],
        list(message_ids),
    )
    return sorted(rows, key=lambda row: row[0])[:limit]
