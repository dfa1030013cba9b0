"""The book of workers and slots, on the database's own time. PostgreSQL only: on SQLite one process does everything.

    register → beat … beat → leave          a worker's life; a lease that ends is found by the others' beats
    fence                                    the first statement of every transaction of a worker
    handed_…, …_of_slots                     what the owner of a slot takes into its memory
A worker's row is locked (`for key share`) by each of its transactions: nobody takes over from it in the middle of one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from zlib import crc32

import msgspec

from ..durable.lanes import LEFT_SECONDS, slot_of, to_give, to_take
from .engine import Connection, Fenced, Row
from .messages import INBOUND_COLUMNS
from .outbound import OUTBOUND_COLUMNS

NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
APPLICATION = "crossdock worker "
# In place of a slot's owner: free because it was given back (0), or because its owner died.
OWNER_DIED = -1
LEFT_MICROS = int(LEFT_SECONDS * 1e6)
OPEN = "('pending', 'sending', 'unknown')"


class Beat(msgspec.Struct, frozen=True):
    """What a heartbeat found and did.

    `taken` maps each slot that is this worker's since now to whether its last owner died. `surplus` are slots to give
    up, `live` all live workers with slots, `dead` those whose lease ended and was found by this beat.
    """

    taken: dict[int, bool]
    surplus: tuple[int, ...]
    live: tuple[int, ...]
    dead: tuple[int, ...] = ()


def register(connection: Connection, name: str, role: str, lease_micros: int) -> int:
    """Enter a new worker; return its number, higher than every one before."""
    row = connection.one(
        f"insert into workers (worker, name, role, started_at, expires_at)"
        f" values (nextval('worker_numbers'), ?, ?, {NOW}, {NOW} + ?) returning worker",
        (name, role, lease_micros),
    )
    assert row is not None
    return int(row[0])


def fence(connection: Connection, number: int) -> None:
    """Go on only as a worker whose lease is good now. Raises Fenced. Until the commit nobody can take over from it."""
    row = connection.one(
        "select set_config('application_name', ?, false) from workers"
        f" where worker = ? and expires_at > {NOW} for key share",
        (f"{APPLICATION}{number}", number),
    )
    if row is None:
        raise Fenced(f"worker {number} lost its lease; what it was about to write was not kept")


def beat(connection: Connection, number: int, lease_micros: int, *, takes_slots: bool) -> Beat:
    """Prolong the lease, end dead workers, take free slots up to the fair share. Raises Fenced."""
    # The session bears the worker's name too: it may be stopped right here, with its own row locked.
    prolonged = connection.query(
        f"update workers set expires_at = {NOW} + ? where worker = ? and expires_at > {NOW}"
        " returning set_config('application_name', ?, false)",
        (lease_micros, number, f"{APPLICATION}{number}"),
    )
    if not prolonged:
        raise Fenced(f"worker {number} lost its lease")
    dead = _end_dead(connection)
    # Who missed its last two beats has a lease still, but is not counted on.
    rows = connection.query(
        f"select worker from workers where role <> 'web' and expires_at > {NOW} + ? order by worker",
        (lease_micros * 3 // 8,),
    )
    live = [int(row[0]) for row in rows]
    if not takes_slots:
        return Beat({}, (), tuple(live), tuple(dead))
    slots = connection.query(f"select slot, worker, since_at < {NOW} - ? from slots order by slot", (LEFT_MICROS,))
    owners = {int(row[0]): int(row[1]) for row in slots}
    left = {int(row[0]) for row in slots if row[1] <= 0 and row[2]}
    taken = _take(connection, number, to_take(owners, number, live, left))
    return Beat(taken, tuple(to_give(owners, number, live)), tuple(live), tuple(dead))


def _end_dead(connection: Connection) -> list[int]:
    """Delete the workers whose lease ended; end the sessions of one that is stopped in the middle of a transaction."""
    rows = connection.query(
        f"delete from workers where worker in (select worker from workers where expires_at <= {NOW}"
        " order by worker for update skip locked) returning worker"
    )
    if rows:
        connection.execute(
            f"update slots set worker = {OWNER_DIED}, epoch = epoch + 1, since_at = {NOW} where worker = any(?)",
            ([int(row[0]) for row in rows],),
        )
    held = connection.query(f"select worker from workers where expires_at <= {NOW}")
    for row in held:
        connection.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = ?"
            " and datname = current_database() and pid <> pg_backend_pid()",
            (f"{APPLICATION}{row[0]}",),
        )
    return sorted(int(row[0]) for row in rows)


def _take(connection: Connection, number: int, wanted: Sequence[int]) -> dict[int, bool]:
    """Take slots that have no live owner; another worker that reaches for the same is waited for and respected."""
    taken = {}
    if wanted:
        rows = connection.query(
            "select slot, worker from slots where slot = any(?) and worker <= 0 order by slot for update",
            (list(wanted),),
        )
        taken = {int(row[0]): int(row[1]) == OWNER_DIED for row in rows}
        connection.execute(
            f"update slots set worker = ?, epoch = epoch + 1, since_at = {NOW} where slot = any(?)",
            (number, list(taken)),
        )
    return taken


def give_back(connection: Connection, number: int, slots: Collection[int]) -> set[int]:
    """Give slots back in order: whoever takes them finds nothing half done. Return those that were still ours."""
    rows = connection.query(
        f"update slots set worker = 0, epoch = epoch + 1, since_at = {NOW} where worker = ? and slot = any(?)"
        " returning slot",
        (number, sorted(slots)),
    )
    return {row[0] for row in rows}


def leave(connection: Connection, number: int) -> None:
    """Give every slot back and be no worker any more."""
    connection.execute(f"update slots set worker = 0, epoch = epoch + 1, since_at = {NOW} where worker = ?", (number,))
    connection.execute("delete from workers where worker = ?", (number,))


class Listed(msgspec.Struct, frozen=True):
    """One live worker, for people."""

    worker: int
    name: str
    role: str
    slots: int
    lease_seconds: float


def listed(connection: Connection) -> list[Listed]:
    """Return the live workers; none on SQLite or where one process has the record for itself."""
    if connection.engine == "sqlite":
        return []
    rows = connection.query(
        f"select w.worker, w.name, w.role, (select count(*) from slots s where s.worker = w.worker),"
        f" (w.expires_at - {NOW}) / 1000000.0 from workers w where w.expires_at > {NOW} order by w.worker"
    )
    return [Listed(int(row[0]), row[1], row[2], int(row[3]), float(row[4])) for row in rows]


def resettle_sends(connection: Connection) -> None:
    """Give open sends their slots that were written before there were any."""
    rows = connection.query(
        f"select tenant_id, message_id, lane from outbound_messages where slot = 0 and state in {OPEN}"
    )
    wrong = [(slot, row[0], row[1]) for row in rows if (slot := slot_of(row[0], row[2]))]
    connection.executemany("update outbound_messages set slot = ? where tenant_id = ? and message_id = ?", wrong)


# -- what the owner of a slot takes into memory


def inbound_of_slots(connection: Connection, slots: Collection[int], limit: int, after: tuple[str, str]) -> list[Row]:
    """Return what is stored and not looked at of some slots (INBOUND_COLUMNS), by tenant, oldest first."""
    return connection.query(
        f"select {INBOUND_COLUMNS} from inbound_messages where state = 'received' and slot = any(?)"
        " and (tenant_id, message_id) > (?, ?) order by tenant_id, message_id limit ?",
        (sorted(slots), *after, limit),
    )


def sends_of_slots(connection: Connection, slots: Collection[int], limit: int, after: int) -> list[tuple[Row, int]]:
    """Return what is not settled of some slots, in the order it was made: (OUTBOUND_COLUMNS, place in that order)."""
    rows = connection.query(
        f"select {OUTBOUND_COLUMNS}, made from outbound_messages where slot = any(?) and state in {OPEN} and made > ?"
        " order by made limit ?",
        (sorted(slots), after, limit),
    )
    return [(row[:-1], int(row[-1])) for row in rows]


def waiting_ids(
    connection: Connection, slots: Collection[int], before_micros: int, limit: int, after: tuple[str, str]
) -> list[tuple[str, str]]:
    """Like `messages.waiting_ids`, of some slots: (tenant_id, message_id)."""
    rows = connection.query(
        "select tenant_id, message_id from inbound_messages where state = 'received' and slot = any(?)"
        " and received_at <= ? and (tenant_id, message_id) > (?, ?) order by tenant_id, message_id limit ?",
        (sorted(slots), before_micros, *after, limit),
    )
    return [(row[0], row[1]) for row in rows]


def open_ids(
    connection: Connection, slots: Collection[int], before_micros: int, limit: int, after: str
) -> list[tuple[str, str, str]]:
    """Like `outbound.open_ids`, of some slots: (tenant_id, connection_id, message_id)."""
    rows = connection.query(
        f"select tenant_id, connection_id, message_id from outbound_messages where message_id > ? and state in {OPEN}"
        " and slot = any(?) and created_at <= ? order by message_id limit ?",
        (after, sorted(slots), before_micros, limit),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def made_order(connection: Connection, message_ids: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return when, in the order of all, some sends of each tenant were made: message id → a number that grows."""
    return {
        row[0]: row[1]
        for tenant_id, ids in message_ids.items()
        for row in connection.many(
            "select message_id, made from outbound_messages where tenant_id = ? and message_id in ({})",
            [tenant_id],
            ids,
        )
    }


def mark_taken(connection: Connection, table: str, places: Sequence[tuple[str, str]]) -> None:
    """Write that the owner of their slots has some messages in memory: (tenant_id, message_id)."""
    by_tenant: dict[str, list[str]] = {}
    for tenant_id, message_id in places:
        by_tenant.setdefault(tenant_id, []).append(message_id)
    for tenant_id, message_ids in by_tenant.items():
        connection.execute(
            f"update {table} set handed = 0 where tenant_id = ? and message_id = any(?) and handed = 1",
            (tenant_id, message_ids),
        )


def handed_sends(connection: Connection, slots: Collection[int], limit: int) -> list[Row]:
    """Return sends that others made for some slots (OUTBOUND_COLUMNS), in the order they were made."""
    return connection.query(
        f"select {OUTBOUND_COLUMNS} from outbound_messages where handed = 1 and state in {OPEN} and slot = any(?)"
        " order by made limit ?",
        (sorted(slots), limit),
    )


def handed_inbound(
    connection: Connection, slots: Collection[int], quotas: Sequence[tuple[str, int]]
) -> list[tuple[str, str, int]]:
    """Return what others stored for some slots: (tenant_id, message_id, size_bytes), each tenant's oldest up to its
    quota.
    """
    rows = connection.query(
        "select m.tenant_id, m.message_id, m.size_bytes from unnest(?::text[], ?::int[]) as q (tenant, quota)"
        " cross join lateral (select tenant_id, message_id, size_bytes from inbound_messages where tenant_id = q.tenant"
        " and handed = 1 and state = 'received' and slot = any(?) order by message_id limit q.quota) m",
        ([tenant for tenant, _ in quotas], [quota for _, quota in quotas], sorted(slots)),
    )
    return [(row[0], row[1], int(row[2])) for row in rows]


def load_waiting(connection: Connection, places: Sequence[tuple[str, str]]) -> list[Row]:
    """Return messages that still wait (INBOUND_COLUMNS), oldest first: (tenant_id, message_id)."""
    by_tenant: dict[str, list[str]] = {}
    for tenant_id, message_id in places:
        by_tenant.setdefault(tenant_id, []).append(message_id)
    rows: list[Row] = []
    for tenant_id, message_ids in by_tenant.items():
        sql = (
            f"select {INBOUND_COLUMNS} from inbound_messages where tenant_id = ? and state = 'received'"
            " and message_id in ({})"
        )
        rows += connection.many(sql, [tenant_id], message_ids)
    return sorted(rows, key=lambda row: str(row[0]))


def lock_names(connection: Connection, shared: Collection[str], alone: Collection[str]) -> None:
    """Wait for everybody who parks papers under some names, and (`alone`) for whoever makes such names known.

    Names fall into 256 buckets, so that no transaction holds many locks; they are taken in one order. Who makes names
    known holds its buckets together with others, who parks holds them alone; both until the commit.
    """
    if not connection.several:
        return
    exclusive = {_bucket(name) for name in alone}
    buckets = sorted(exclusive | {_bucket(name) for name in shared})
    if buckets:
        connection.query(
            "select case when alone then pg_advisory_xact_lock(?, bucket)::text"
            " else pg_advisory_xact_lock_shared(?, bucket)::text end"
            " from (select * from unnest(?::int[], ?::bool[]) as b (bucket, alone) order by bucket) b",
            (_NAMES, _NAMES, buckets, [bucket in exclusive for bucket in buckets]),
        )


_NAMES = 7_265_503
_BUCKETS = 256


def _bucket(name: str) -> int:
    return crc32(name.encode("utf-8", "surrogatepass")) % _BUCKETS
