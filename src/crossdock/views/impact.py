"""The blast radius: what hangs on one partner, connection, map, certificate or contract that has failed.

Orders, customers, promised dates, money and open cases: what would have to be told, and to whom, if it stays so.
A handful of queries answer for any number of orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec

from ..durable.identity import from_micros
from ..errors import NotFound
from ..governance.configuration import Configuration
from ..processes.order_state import ACTIVE_STATES, OrderState
from ..store.engine import Connection

Kind = Literal["partner", "connection", "map", "certificate", "contract"]
KINDS: tuple[Kind, ...] = ("partner", "connection", "map", "certificate", "contract")

ORDERS_MAX = 5_000
SHOWN = 200
_OPEN = ("on_hold", "backordered", "released", "in_fulfillment", "partly_shipped", "shipped", "cancelling")
_WAITING = ("pending", "sending", "unknown", "dead")

_state = msgspec.json.Decoder(OrderState)


class AffectedOrder(msgspec.Struct, frozen=True):
    """One order that hangs on it, and why. `promise_at` is the end of the promised day."""

    number: str
    status: str
    customer: str
    value_cents: int
    why: str
    promise_at: datetime | None = None
    due_at: datetime | None = None
    open_cases: tuple[str, ...] = ()


class BlastRadius(msgspec.Struct, frozen=True):
    """What hangs on it. `rows` shows the first promised ones; the counts are of all. `notice` is a text to send."""

    kind: Kind
    name: str
    connections: tuple[str, ...]
    orders: int
    customers: int
    value_cents: int
    first_promise_at: datetime | None
    promises_within_day: int
    open_cases: int
    documents_waiting: int
    sends_waiting: int
    rows: tuple[AffectedOrder, ...]
    notice: str


class _Reach(msgspec.Struct):
    """What belongs to the thing that failed, before the record is asked."""

    connections: set[str] = msgspec.field(default_factory=set)
    sites: set[str] = msgspec.field(default_factory=set)
    carriers: set[str] = msgspec.field(default_factory=set)
    maps: set[str] = msgspec.field(default_factory=set)
    contracts: set[str] = msgspec.field(default_factory=set)


def load(
    connection: Connection, tenant_id: str, kind: Kind, name: str, *, configuration: Configuration, now: datetime
) -> BlastRadius:
    """Return what hangs on one thing, or raise `NotFound` when the pack has no such thing."""
    reach = _reach(configuration, kind, name)
    why: dict[str, str] = {}
    waiting = _sends(connection, tenant_id, reach)
    for number in waiting:
        why.setdefault(number, "a message to it waits")
    documents = _documents(connection, tenant_id, reach)
    for number in documents:
        why.setdefault(number, "a document of it is held or was rejected")
    for number in _contract_members(connection, tenant_id, reach):
        why.setdefault(number, "its answer is late or its feed is silent")
    for site in sorted(reach.sites):
        for number in _at_site(connection, tenant_id, site):
            why.setdefault(number, f"{site} has to ship it")
    if reach.carriers:
        for number in _moving(connection, tenant_id):
            why.setdefault(number, "its parcels are under way")
    orders = _orders(connection, tenant_id, why, reach)
    orders.sort(key=lambda order: (order.promise_at is None, order.promise_at or now, order.number))
    promised = [order.promise_at for order in orders if order.promise_at is not None]
    radius = BlastRadius(
        kind=kind,
        name=name,
        connections=tuple(sorted(reach.connections)),
        orders=len(orders),
        customers=len({order.customer for order in orders if order.customer}),
        value_cents=sum(order.value_cents for order in orders),
        first_promise_at=min(promised, default=None),
        promises_within_day=sum(1 for moment in promised if (moment - now).total_seconds() < 86_400),
        open_cases=sum(len(order.open_cases) for order in orders),
        documents_waiting=sum(documents.values()),
        sends_waiting=sum(waiting.values()),
        rows=tuple(orders[:SHOWN]),
        notice="",
    )
    return msgspec.structs.replace(radius, notice=_notice(radius, configuration))


def _reach(configuration: Configuration, kind: Kind, name: str) -> _Reach:
    reach = _Reach()
    known: Iterable[str]
    match kind:
        case "partner":
            known = configuration.partners
            if name in known:
                reach.connections = {
                    one.connection for one in configuration.connections.values() if one.partner == name
                }
        case "connection":
            known = configuration.connections
            if name in known:
                reach.connections = {name}
        case "map":
            known = configuration.maps
            reach.maps = {name}
            if name in known:
                reach.connections = {route.connection for route in configuration.routes if route.map == name}
                inbound = configuration.connections.values()
                reach.connections |= {one.connection for one in inbound if name in {rule.map for rule in one.inbound}}
        case "certificate":
            # Certificates and keys are kept as secrets: those that use one by its name stand or fall with it.
            reach.connections = {
                one.connection for one in configuration.connections.values() if f"secret:{name}" in _references(one)
            }
            known = reach.connections and [name]
        case _:
            known = configuration.contracts
            if name in known:
                reach.contracts = {name}
                contract = configuration.contracts[name]
                reach.connections = {
                    contract.expect.connection or (contract.after.connection if contract.after else "")
                }
                return reach
    if name not in known:
        raise NotFound(f"There is no {kind} {name}")
    partners = {configuration.connections[one].partner for one in reach.connections}
    reach.contracts = {
        one.contract
        for one in configuration.contracts.values()
        if (one.expect.connection or (one.after.connection if one.after else "")) in reach.connections
    }
    if kind == "partner":
        partners.add(name)
    if kind != "map":
        reach.sites = {site.site for site in configuration.sites.values() if site.partner in partners}
        reach.carriers = {one for one in partners if configuration.partners[one].role in ("carrier", "tms")}
    return reach


def _references(spec: Any) -> set[str]:
    """Return every text in a connection's settings and credentials."""
    found: set[str] = set()
    waiting = [msgspec.to_builtins(spec)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, str):
            found.add(one)
    return found


def _sends(connection: Connection, tenant_id: str, reach: _Reach) -> dict[str, int]:
    if not reach.connections:
        return {}
    marks = ",".join("?" * len(_WAITING))
    rows = connection.many(
        f"select subject, map from outbound_messages where tenant_id = ? and state in ({marks})"  # noqa: S608
        " and connection_id in ({})",
        [tenant_id, *_WAITING],
        sorted(reach.connections),
    )
    return _counted(subject for subject, made_by in rows if not reach.maps or made_by in reach.maps)


def _documents(connection: Connection, tenant_id: str, reach: _Reach) -> dict[str, int]:
    """Count open faults by order: of documents that this connection brought, or this map could not read."""
    if not reach.connections:
        return {}
    rows = connection.many(
        "select e.subject, d.map from exceptions e"
        " join issues i on i.tenant_id = e.tenant_id and i.issue_id = e.issue_id"
        " join documents d on d.tenant_id = e.tenant_id and d.document_id = e.object_id"
        " where e.tenant_id = ? and e.state = 'open' and e.object_kind = 'document' and i.connection_id in ({})",
        [tenant_id],
        sorted(reach.connections),
    )
    return _counted(subject for subject, read_by in rows if not reach.maps or read_by in reach.maps)


def _contract_members(connection: Connection, tenant_id: str, reach: _Reach) -> dict[str, int]:
    if not reach.contracts:
        return {}
    rows = connection.many(
        "select e.subject from exceptions e join issues i on i.tenant_id = e.tenant_id and i.issue_id = e.issue_id"
        " where e.tenant_id = ? and e.state = 'open' and i.cause in ({})",
        [tenant_id],
        [f"{code}|contract:{name}" for name in sorted(reach.contracts) for code in ("XD-PTR-062", "XD-PTR-063")],
    )
    return _counted(row[0] for row in rows)


def _counted(subjects: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for subject in subjects:
        kind, _, number = str(subject).partition("/")
        counts[number if kind == "order" else ""] = counts.get(number if kind == "order" else "", 0) + 1
    return counts


def _at_site(connection: Connection, tenant_id: str, site: str) -> list[str]:
    marks = ",".join("?" * len(_OPEN))
    rows = connection.query(
        f"select key from aggregates where tenant_id = ? and kind = 'order' and status in ({marks})"  # noqa: S608
        " and sites like ? limit ?",
        (tenant_id, *_OPEN, f"%,{site},%", ORDERS_MAX),
    )
    return [row[0] for row in rows]


def _moving(connection: Connection, tenant_id: str) -> list[str]:
    rows = connection.query(
        "select key from aggregates where tenant_id = ? and kind = 'order' and status in ('shipped', 'partly_shipped')"
        " limit ?",
        (tenant_id, ORDERS_MAX),
    )
    return [row[0] for row in rows]


def _orders(connection: Connection, tenant_id: str, why: dict[str, str], reach: _Reach) -> list[AffectedOrder]:
    rows = connection.many(
        "select key, status, customer, value_cents, due_at, state from aggregates where tenant_id = ?"
        " and kind = 'order' and key in ({})",
        [tenant_id],
        [number for number in why if number],
    )
    found = []
    for number, status, customer, value_cents, due_at, content in rows:
        state = _state.decode(content)
        if why[number].endswith("has to ship it") and not _waits_for(state, reach.sites):
            # The site has shipped all of its part: what happens to it now is no concern of this order.
            continue
        found.append(
            AffectedOrder(
                number,
                status,
                customer,
                value_cents,
                why[number],
                state.promise_at,
                None if due_at is None else from_micros(due_at),
                tuple(case.ref or case.cause for case in state.cases if case.state == "open"),
            )
        )
    return found


def _waits_for(state: OrderState, sites: set[str]) -> bool:
    return any(one.site in sites and one.state in ACTIVE_STATES for one in state.fulfillments)


def _notice(radius: BlastRadius, configuration: Configuration) -> str:
    """Return a short text to those concerned: what, how many, by when; no customer is named."""
    if not radius.orders:
        return f"{radius.name}: no open order hangs on it."
    zone = configuration.compiled_policy.zone
    first = ""
    if radius.first_promise_at is not None:
        first = f", the first promised for {radius.first_promise_at.astimezone(zone):%d %B}"
    money = f"{radius.value_cents / 100:,.2f} {configuration.head.currency}"
    who = f"{radius.orders} orders of {radius.customers} customers"
    return f"{radius.name} is in trouble: {who} hang on it ({money}){first}."
