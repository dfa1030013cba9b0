"""The cases at the service desk: who has them, what was said, and how old the tracking data is they are based on."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..durable.identity import from_micros
from ..governance.configuration import Configuration
from ..processes.order_state import CaseRecord, OrderState
from ..store.engine import Connection
from .order_facts import NO_UPDATE

ORDERS_MAX = 2_000

_state = msgspec.json.Decoder(OrderState)


class CaseRow(msgspec.Struct, frozen=True):
    """One case. `tracking_age_seconds` is how old the newest word of a carrier is; `stale`: too old to rely on."""

    order_number: str
    cause: str
    case_ref: str
    state: str
    priority: str
    detail: str
    customer: str
    value_cents: int
    opened_at: datetime | None
    owner: str
    status: str
    note: str
    changed_at: datetime | None
    due_at: datetime | None
    tracking_as_of: datetime | None
    tracking_age_seconds: float | None
    stale: bool
    silent: bool


class CasesPage(msgspec.Struct, frozen=True):
    """Cases that are open or wait out their grace, and those the noise budget kept back; the stale ones first."""

    rows: tuple[CaseRow, ...]
    open_count: int
    stale_count: int
    waiting_count: int
    suppressed_count: int


def load(
    connection: Connection, tenant_id: str, *, configuration: Configuration, now: datetime, stale: bool = False
) -> CasesPage:
    """Return the cases of the orders at risk; with `stale` only those whose tracking data is stale."""
    found = connection.query(
        "select key, customer, value_cents, due_at, state from aggregates where tenant_id = ? and kind = 'order'"
        " and at_risk = 1 order by due_at limit ?",
        (tenant_id, ORDERS_MAX),
    )
    silent = {
        str(row[0]).partition("/")[2]
        for row in connection.many(
            "select subject from exceptions where tenant_id = ? and state = 'open' and code = ? and subject <> ''"
            " and subject in ({})",
            [tenant_id, NO_UPDATE],
            [f"order/{row[0]}" for row in found],
        )
    }
    limit = configuration.policy.case.stale_seconds
    rows = []
    for number, customer, value_cents, due_at, content in found:
        state = _state.decode(content)
        for case in state.cases:
            if case.state in ("open", "waiting", "suppressed", "closed_by_desk"):
                due = None if due_at is None else from_micros(due_at)
                about = (number, customer, value_cents, due)
                rows.append(_row(case, state, about, now, limit, silent=number in silent))
    shown = [row for row in rows if row.stale or not stale]
    shown.sort(key=lambda row: (not row.stale, row.state != "open", row.due_at is None, row.due_at or now))
    return CasesPage(
        tuple(shown),
        sum(1 for row in rows if row.state == "open"),
        sum(1 for row in rows if row.stale),
        sum(1 for row in rows if row.state == "waiting"),
        sum(1 for row in rows if row.state == "suppressed"),
    )


def _row(
    case: CaseRecord,
    state: OrderState,
    about: tuple[str, str, int, datetime | None],
    now: datetime,
    limit: float,
    *,
    silent: bool,
) -> CaseRow:
    number, customer, value_cents, due_at = about
    newest = max((fact.told_at or fact.at for fact in state.milestones), default=None)
    shipped = [one for one in state.shipments if not one.delivered]
    # Before the first scan the shipment itself is the newest word.
    known = newest or max((one.shipped_at for one in shipped if one.shipped_at is not None), default=None)
    age = None if known is None else (now - known).total_seconds()
    old = bool(limit and age is not None and age > limit)
    return CaseRow(
        order_number=number,
        cause=case.cause,
        case_ref=case.ref,
        state=case.state,
        priority=case.priority,
        detail=case.detail,
        customer=customer,
        value_cents=value_cents,
        opened_at=case.opened_at,
        owner=case.owner,
        status=case.status,
        note=case.note,
        changed_at=case.changed_at,
        due_at=due_at,
        tracking_as_of=known,
        tracking_age_seconds=age,
        # Nothing was ever heard of what has left: older than that no data can be.
        stale=bool(shipped) and (silent or old or known is None),
        silent=silent,
    )
