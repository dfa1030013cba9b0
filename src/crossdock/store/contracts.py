"""What is expected of partners: open expectations, how far each contract has looked, and the facts it is judged by.

Every question is one query for any number of things.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ..durable.retention import first_id
from .engine import Connection, Row

ROWS_MAX = 5_000


class ExpectationRow(msgspec.Struct, frozen=True):
    """One thing waited for; columns as in the schema, instants in microseconds."""

    tenant_id: str
    contract: str
    key: str
    subject: str
    message_id: str
    state: str
    since_at: int
    due_at: int
    next_at: int
    level: int = 0


class ContractStateRow(msgspec.Struct, frozen=True):
    """How far a contract has looked, and where its feed stands."""

    tenant_id: str
    contract: str
    state: str
    began_at: int
    asked_until: str = ""
    last_heard_at: int | None = None
    since_at: int | None = None
    due_at: int | None = None
    next_at: int | None = None
    level: int = 0


_EXPECTATION = ", ".join(ExpectationRow.__struct_fields__)
_STATE = ", ".join(ContractStateRow.__struct_fields__)


def states(connection: Connection, tenant_id: str) -> dict[str, ContractStateRow]:
    """Return how far each contract of a tenant has looked, by name."""
    rows = connection.query(f"select {_STATE} from contract_states where tenant_id = ?", (tenant_id,))
    return {row[1]: ContractStateRow(*row) for row in rows}


def save_states(connection: Connection, rows: Iterable[ContractStateRow]) -> None:
    """Write where contracts stand."""
    kept = ", ".join(f"{name} = excluded.{name}" for name in ContractStateRow.__struct_fields__[2:])
    connection.executemany(
        f"insert into contract_states ({_STATE}) values (?,?,?,?,?,?,?,?,?,?)"
        f" on conflict (tenant_id, contract) do update set {kept}",
        [msgspec.structs.astuple(row) for row in rows],
    )


def due(connection: Connection, tenant_id: str, contracts: Sequence[str], now: int) -> list[ExpectationRow]:
    """Return the expectations of some contracts that are to be looked at by now, at most `ROWS_MAX`."""
    rows = connection.many(
        f"select {_EXPECTATION} from expectations where tenant_id = ? and next_at <= ? and contract in ({{}})"
        f" order by next_at limit {ROWS_MAX}",
        [tenant_id, now],
        contracts,
    )
    return [ExpectationRow(*row) for row in rows]


def next_due(connection: Connection, tenant_id: str) -> int | None:
    """Return when the next expectation is to be looked at."""
    row = connection.one("select min(next_at) from expectations where tenant_id = ?", (tenant_id,))
    return row[0] if row else None


def late(connection: Connection, tenant_id: str) -> list[ExpectationRow]:
    """Return the expectations that are near their breach or past it, the earliest first."""
    rows = connection.query(
        f"select {_EXPECTATION} from expectations where tenant_id = ? and state <> 'waiting' order by due_at, key"
        " limit ?",
        (tenant_id, ROWS_MAX),
    )
    return [ExpectationRow(*row) for row in rows]


def counts(connection: Connection, tenant_id: str) -> dict[tuple[str, str], int]:
    """Return how many expectations each contract has in each state: (contract, state) → count."""
    rows = connection.query(
        "select contract, state, count(*) from expectations where tenant_id = ? group by contract, state", (tenant_id,)
    )
    return {(row[0], row[1]): row[2] for row in rows}


def expect(connection: Connection, rows: Iterable[ExpectationRow]) -> None:
    """Enter what is waited for from now on; what is entered already stays as it is."""
    connection.executemany(
        f"insert into expectations ({_EXPECTATION}) values (?,?,?,?,?,?,?,?,?,?) on conflict do nothing",
        [msgspec.structs.astuple(row) for row in rows],
    )


def move(connection: Connection, rows: Iterable[ExpectationRow]) -> None:
    """Write the states of expectations that are there."""
    connection.executemany(
        "update expectations set state = ?, due_at = ?, next_at = ?, level = ? where tenant_id = ? and contract = ?"
        " and key = ?",
        [(row.state, row.due_at, row.next_at, row.level, row.tenant_id, row.contract, row.key) for row in rows],
    )


def settle(connection: Connection, rows: Iterable[ExpectationRow]) -> None:
    """Forget expectations that are met or of which the contract is gone."""
    connection.executemany(
        "delete from expectations where tenant_id = ? and contract = ? and key = ?",
        [(row.tenant_id, row.contract, row.key) for row in rows],
    )


def abandoned(connection: Connection, tenant_id: str, contracts: Sequence[str]) -> list[ExpectationRow]:
    """Return the expectations of contracts that the pack has no more, at most `ROWS_MAX`: nobody waits for them."""
    rows = connection.many(
        f"select {_EXPECTATION} from expectations where tenant_id = ? and contract in ({{}}) limit {ROWS_MAX}",
        [tenant_id],
        contracts,
    )
    return [ExpectationRow(*row) for row in rows]


def forget(connection: Connection, tenant_id: str, contracts: Sequence[str]) -> None:
    """Forget contracts that the pack has no more and of which no expectation is left."""
    connection.executemany(
        "delete from contract_states where tenant_id = ? and contract = ? and not exists (select 1 from expectations"
        " where tenant_id = ? and contract = ?)",
        [(tenant_id, name, tenant_id, name) for name in contracts],
    )


# -- facts


def sends_after(connection: Connection, tenant_id: str, message_id: str, connections: Sequence[str]) -> list[Row]:
    """Return what was made for some connections behind a message: (message_id, connection_id, document_type, subject,
    request_key, created_at, sent_at, ack_state), the oldest first.
    """
    return connection.many(
        "select message_id, connection_id, document_type, subject, request_key, created_at, sent_at, ack_state"
        " from outbound_messages where tenant_id = ? and message_id > ? and connection_id in ({})"
        f" order by message_id limit {ROWS_MAX}",
        [tenant_id, message_id],
        connections,
    )


def acknowledgments(connection: Connection, tenant_id: str, message_ids: Sequence[str]) -> dict[str, Row]:
    """Return where the acknowledgments of some sends stand: message → (state, ack_state, sent_at)."""
    rows = connection.many(
        "select message_id, state, ack_state, sent_at from outbound_messages where tenant_id = ?"
        " and message_id in ({})",
        [tenant_id],
        message_ids,
    )
    return {row[0]: row[1:] for row in rows}


def happened(
    connection: Connection, tenant_id: str, subjects: Sequence[str], types: Sequence[str], since: int
) -> list[Row]:
    """Return events of some types about some subjects since an instant: (subject, type, data, recorded_at)."""
    marks = ",".join("?" * len(types))
    return connection.many(
        "select subject, type, data, recorded_at from events where tenant_id = ? and recorded_at >= ?"
        f" and type in ({marks}) and subject in ({{}}) order by position",
        [tenant_id, since, *types],
        subjects,
    )


def orders(connection: Connection, tenant_id: str, keys: Sequence[str]) -> dict[str, Row]:
    """Return what lists show of some orders: number → (status, customer, due_at, value_cents)."""
    rows = connection.many(
        "select key, status, customer, due_at, value_cents from aggregates where tenant_id = ? and kind = 'order'"
        " and key in ({})",
        [tenant_id],
        keys,
    )
    return {row[0]: row[1:] for row in rows}


def last_heard(connection: Connection, tenant_id: str, connection_id: str, object_kind: str, since: int) -> int | None:
    """Return when a connection last brought a message that could be used, or a document of one kind that was applied.

    Looks back no further than `since`.
    """
    first = first_id("msg", since)
    if not object_kind:
        row = connection.one(
            "select received_at from inbound_messages where tenant_id = ? and connection_id = ? and message_id >= ?"
            " and state <> 'failed' order by message_id desc limit 1",
            (tenant_id, connection_id, first),
        )
    else:
        row = connection.one(
            "select m.received_at from inbound_messages m join documents d on d.tenant_id = m.tenant_id"
            " and d.message_id = m.message_id where m.tenant_id = ? and m.connection_id = ? and m.message_id >= ?"
            " and d.object = ? and d.state = 'applied' order by m.message_id desc limit 1",
            (tenant_id, connection_id, first, object_kind),
        )
    return row[0] if row else None


def under_way(connection: Connection, tenant_id: str) -> int:
    """Count the orders of which something has left and not everything is proven delivered."""
    row = connection.one(
        "select count(*) from aggregates where tenant_id = ? and kind = 'order'"
        " and status in ('shipped', 'partly_shipped')",
        (tenant_id,),
    )
    return int(row[0]) if row else 0


def orders_under_way(connection: Connection, tenant_id: str, limit: int) -> list[str]:
    """Return the numbers of those orders."""
    rows = connection.query(
        "select key from aggregates where tenant_id = ? and kind = 'order' and status in ('shipped', 'partly_shipped')"
        " order by key limit ?",
        (tenant_id, limit),
    )
    return [row[0] for row in rows]


def orders_at_site(connection: Connection, tenant_id: str, site: str, limit: int) -> list[str]:
    """Return the numbers of the orders that wait for a site or for stock."""
    rows = connection.query(
        "select key from aggregates where tenant_id = ? and kind = 'order' and (status in ('backordered', 'on_hold')"
        " or (status in ('released', 'in_fulfillment') and sites like ?)) order by key limit ?",
        (tenant_id, f"%,{site},%", limit),
    )
    return [row[0] for row in rows]


def open_members(connection: Connection, tenant_id: str, prefix: str) -> list[str]:
    """Return the objects of open faults whose id begins so."""
    rows = connection.query(
        "select object_id from exceptions where tenant_id = ? and state = 'open' and object_id >= ? and object_id < ?",
        (tenant_id, prefix, prefix + "\U0010ffff"),
    )
    return [row[0] for row in rows]
