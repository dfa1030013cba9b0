"""The contracts of a tenant and where each stands: kept, soon late, late, no update; and what is waited for."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from ..durable.identity import from_micros
from ..governance.configuration import Configuration
from ..processes.contracts import Contract, Kind
from ..store import contracts as store
from ..store.engine import Connection

Standing = Literal["ok", "warning", "late", "silent", "paused"]

LATE_SHOWN = 200


class LateRow(msgspec.Struct, frozen=True):
    """One thing that is late or soon late."""

    contract: str
    key: str
    subject: str
    state: str
    due_at: datetime
    since_at: datetime
    escalated_to: str


class ContractRow(msgspec.Struct, frozen=True):
    """One contract. `rule` is what it says in words; `waiting`, `warned`, `breached` count what it waits for."""

    contract: str
    title: str
    kind: Kind
    partner: str
    connection: str
    rule: str
    standing: Standing
    waiting: int = 0
    warned: int = 0
    breached: int = 0
    last_heard_at: datetime | None = None
    due_at: datetime | None = None
    escalated_to: str = ""


class ContractsPage(msgspec.Struct, frozen=True):
    rows: tuple[ContractRow, ...]
    late: tuple[LateRow, ...]


_ORDER: tuple[Standing, ...] = ("late", "silent", "warning", "ok", "paused")


def load(connection: Connection, tenant_id: str, *, configuration: Configuration) -> ContractsPage:
    """Return every contract of the pack, the worst first, and what is late."""
    states = store.states(connection, tenant_id)
    counts = store.counts(connection, tenant_id)
    late = store.late(connection, tenant_id)
    rows = []
    for name, contract in configuration.contracts.items():
        connection_id = contract.after.connection if contract.after is not None else contract.expect.connection
        state = states.get(name)
        warned, breached = counts.get((name, "warned"), 0), counts.get((name, "breached"), 0)
        levels = [row.level for row in late if row.contract == name]
        level = max([*levels, state.level if state is not None and contract.kind != "answer" else 0])
        rows.append(
            ContractRow(
                contract=name,
                title=contract.words,
                kind=contract.kind,
                partner=configuration.connections[connection_id].partner,
                connection=connection_id,
                rule=rule_of(contract),
                standing=_standing(contract, state, warned, breached),
                waiting=counts.get((name, "waiting"), 0),
                warned=warned,
                breached=breached,
                last_heard_at=_instant(state.last_heard_at) if state is not None else None,
                due_at=_instant(state.due_at) if state is not None else None,
                escalated_to=contract.escalate[level - 1].owner if 0 < level <= len(contract.escalate) else "",
            )
        )
    rows.sort(key=lambda row: (_ORDER.index(row.standing), row.contract))
    return ContractsPage(tuple(rows), tuple(_late(row, configuration) for row in late[:LATE_SHOWN]))


def rule_of(contract: Contract) -> str:
    """Return what a contract says, in words."""
    if contract.after is not None:
        answer = "its acknowledgment" if contract.expect.acknowledgment else contract.expect.event
        asked = contract.after.request.replace("_", " ") or "anything"
        by = [f"within {contract.within}"] if contract.within else []
        by += [f"by {contract.by.replace('_', ' ')} of {contract.site or 'the day'}"] if contract.by else []
        return f"after {asked} over {contract.after.connection}: {answer} {' and '.join(by)}"
    what = contract.expect.object.replace("_", " ") or "something"
    if contract.every_day_by:
        where = contract.site or "the tenant"
        return f"{what} from {contract.expect.connection} by {contract.every_day_by} on working days of {where}"
    only = " while parcels move" if contract.while_ else ""
    return f"{what} from {contract.expect.connection} at least every {contract.every}{only}"


def _standing(contract: Contract, state: store.ContractStateRow | None, warned: int, breached: int) -> Standing:
    if not contract.active:
        return "paused"
    if contract.kind == "answer":
        return "late" if breached else "warning" if warned else "ok"
    if state is None or state.state in ("met", "waiting"):
        return "ok"
    return "silent" if state.state == "breached" else "warning"


def _late(row: store.ExpectationRow, configuration: Configuration) -> LateRow:
    contract = configuration.contracts.get(row.contract)
    owner = ""
    if contract is not None and 0 < row.level <= len(contract.escalate):
        owner = contract.escalate[row.level - 1].owner
    return LateRow(
        row.contract, row.key, row.subject, row.state, from_micros(row.due_at), from_micros(row.since_at), owner
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
