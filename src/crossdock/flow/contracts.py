"""The watch over contracts: take up what was asked, gather the facts, let `judge` decide, enter what changed.

`look` reads (a few queries for any number of expectations, none per row) and returns what changed; `enter` writes it.
A sending that just happened costs nothing: the watch follows the record by itself, once a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ..canonical.identifiers import match_key
from ..durable.identity import from_micros, to_micros
from ..durable.retention import first_id
from ..governance.configuration import Configuration
from ..processes.calendars import SiteClock
from ..processes.contracts import Contract, Heard, Outstanding, Verdict, due_of, judge
from ..processes.spans import span_of
from ..store import contracts as store
from ..store import issues
from ..store.contracts import ContractStateRow, ExpectationRow
from ..store.engine import Connection
from .batch import Batch

# What was warned of is asked for again so often, until it is there.
AGAIN = timedelta(minutes=1)
# Ids are made a moment before their commit: so far the look behind the last one seen reaches back.
OVERLAP = timedelta(seconds=60)
MEMBERS_MAX = 500
SILENCE_LOOKS_BACK = timedelta(days=8)

WARNING, BREACH, SILENCE = "XD-PTR-061", "XD-PTR-062", "XD-PTR-063"

# What ends the wait for an answer besides the answer: the site gave the request back.
_GIVEN_BACK = ("crossdock.fulfillment.cancelled.v1", "crossdock.fulfillment.rejected.v1")
_SETTLED = ("cancelled", "delivered")


class Change(msgspec.Struct, frozen=True):
    """What became of one expectation: the row as it was, and the verdict of now."""

    contract: Contract
    row: ExpectationRow
    verdict: Verdict
    next_at: int


class FeedChange(msgspec.Struct, frozen=True):
    """Where a feed or a daily report stands now. `orders` hang on it; `gone` are members that no longer do."""

    contract: Contract
    before: ContractStateRow
    after: ContractStateRow
    orders: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Seen(msgspec.Struct):
    """All that one look found; empty when nothing changed."""

    fresh: list[ExpectationRow] = msgspec.field(default_factory=list)
    changes: list[Change] = msgspec.field(default_factory=list)
    feeds: list[FeedChange] = msgspec.field(default_factory=list)
    states: list[ContractStateRow] = msgspec.field(default_factory=list)
    abandoned: list[ExpectationRow] = msgspec.field(default_factory=list)
    dropped: list[str] = msgspec.field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.fresh or self.changes or self.feeds or self.states or self.abandoned or self.dropped)


def look(connection: Connection, configuration: Configuration, now: datetime) -> Seen:
    """Return what has changed about a tenant's contracts. Reads only."""
    seen, tenant_id = Seen(), configuration.tenant_id
    active = {name: one for name, one in configuration.contracts.items() if one.active}
    states = store.states(connection, tenant_id)
    seen.dropped = sorted(states.keys() - active.keys())
    if seen.dropped:
        seen.abandoned = store.abandoned(connection, tenant_id, seen.dropped)
    answers = [one for one in active.values() if one.kind == "answer"]
    _take_up(connection, configuration, answers, states, seen, now)
    _look_at_answers(connection, configuration, answers, seen, now)
    for contract in active.values():
        if contract.kind != "answer":
            _look_at_feed(connection, configuration, contract, states.get(contract.contract), seen, now)
    return seen


def site_clock(configuration: Configuration, contract: Contract) -> SiteClock:
    """Return the calendar and zone a contract keeps: its site's, else every working day in the tenant's zone."""
    return configuration.compiled_policy.clock_or_usual(contract.site)


# -- answers


def _take_up(
    connection: Connection,
    configuration: Configuration,
    answers: Sequence[Contract],
    states: Mapping[str, ContractStateRow],
    seen: Seen,
    now: datetime,
) -> None:
    """Begin to wait for the answers to what was sent since the last look. A contract begins with what comes next."""
    if not answers:
        return
    tenant_id, now_micros = configuration.tenant_id, to_micros(now)
    reached = first_id("msg", to_micros(now - OVERLAP))
    for contract in answers:
        if contract.contract not in states:
            began = first_id("msg", now_micros)
            seen.states.append(ContractStateRow(tenant_id, contract.contract, "met", now_micros, began))
    known = [one for one in answers if one.contract in states]
    if not known:
        return
    connections = sorted({one.after.connection for one in known if one.after is not None})
    first = min(states[one.contract].asked_until for one in known)
    sends = store.sends_after(connection, tenant_id, first, connections)
    if len(sends) >= store.ROWS_MAX:
        reached = min(reached, sends[-1][0])
    for contract in known:
        state, clock = states[contract.contract], site_clock(configuration, contract)
        seen.fresh += [
            row for send in sends if (row := _expectation(contract, state, clock, tenant_id, send)) is not None
        ]
        if reached > state.asked_until:
            # What lies in the overlap is looked at again; what is entered already stays as it is.
            seen.states.append(msgspec.structs.replace(state, asked_until=reached))


def _expectation(
    contract: Contract, state: ContractStateRow, clock: SiteClock, tenant_id: str, send: Sequence[Any]
) -> ExpectationRow | None:
    message_id, connection_id, document_type, subject, request_key, created_at, sent_at, ack_state = send
    asked = contract.after
    assert asked is not None
    if message_id <= state.asked_until or connection_id != asked.connection:
        return None
    if asked.request and document_type != asked.request:
        return None
    if contract.expect.acknowledgment and (ack_state == "none" or document_type == "acknowledgment"):
        return None
    since = from_micros(sent_at if contract.expect.acknowledgment and sent_at is not None else created_at)
    due_at = due_of(contract, since, clock)
    look_at = due_at - span_of(contract.warn_before)
    key = message_id if contract.expect.acknowledgment else str(request_key).partition(":")[2]
    return ExpectationRow(
        *(tenant_id, contract.contract, key, subject, message_id, "waiting"),
        *(to_micros(since), to_micros(due_at), to_micros(look_at)),
    )


def _look_at_answers(
    connection: Connection, configuration: Configuration, answers: Sequence[Contract], seen: Seen, now: datetime
) -> None:
    by_name = {one.contract: one for one in answers}
    rows = store.due(connection, configuration.tenant_id, list(by_name), to_micros(now)) if by_name else []
    # What was asked in this very minute may be late at once, when its time is short.
    rows += [row for row in seen.fresh if row.next_at <= to_micros(now)]
    if not rows:
        return
    met = _met(connection, configuration.tenant_id, rows, by_name)
    for name, contract in by_name.items():
        mine = {row.key: row for row in rows if row.contract == name}
        facts = []
        for row in mine.values():
            since, met_at = met.get((name, row.key), (row.since_at, None))
            facts.append(Outstanding(row.key, from_micros(since), None if met_at is None else from_micros(met_at)))
        for verdict in judge(contract, facts, site_clock(configuration, contract), now):
            row = mine[verdict.key]
            next_at = verdict.next_at or now + AGAIN
            if verdict.state != "waiting":
                next_at = min(next_at, now + AGAIN)
            seen.changes.append(Change(contract, row, verdict, to_micros(next_at)))


def _met(
    connection: Connection, tenant_id: str, rows: Sequence[ExpectationRow], by_name: Mapping[str, Contract]
) -> dict[tuple[str, str], tuple[int, int | None]]:
    """Return since when each expectation runs and when it was met: (contract, key) → (since, met at or None)."""
    found: dict[tuple[str, str], tuple[int, int | None]] = {}
    by_paper = [row for row in rows if by_name[row.contract].expect.acknowledgment]
    known = store.acknowledgments(connection, tenant_id, [row.message_id for row in by_paper]) if by_paper else {}
    for row in by_paper:
        state, ack_state, sent_at = known.get(row.message_id, ("gone", "none", None))
        since = row.since_at if sent_at is None else sent_at
        over = ack_state in ("accepted", "rejected", "none") or state in ("gone", "dead", "discarded", "superseded")
        # One that has not left yet is not waited for: its clock starts when it leaves.
        if sent_at is None and not over:
            since = row.next_at
        found[(row.contract, row.key)] = (since, since if over else None)
    by_event = [row for row in rows if not by_name[row.contract].expect.acknowledgment]
    if not by_event:
        return found
    types = sorted({by_name[row.contract].expect.event for row in by_event}.union(_GIVEN_BACK))
    subjects = sorted({row.subject for row in by_event})
    told: dict[tuple[str, str], list[tuple[Mapping[str, Any], int]]] = {}
    oldest = min(row.since_at for row in by_event)
    for subject, kind, data, recorded_at in store.happened(connection, tenant_id, subjects, types, oldest):
        told.setdefault((subject, kind), []).append((msgspec.json.decode(data), recorded_at))
    numbers = [subject.partition("/")[2] for subject in subjects if subject.startswith("order/")]
    orders = store.orders(connection, tenant_id, numbers) if numbers else {}
    for row in by_event:
        expect = by_name[row.contract].expect
        met = [
            at
            for data, at in told.get((row.subject, expect.event), [])
            if at >= row.since_at and _is_about(data, expect.same, row.key)
        ]
        for kind in _GIVEN_BACK:
            met += [at for data, at in told.get((row.subject, kind), []) if _is_about(data, "number", row.key)]
        order = orders.get(row.subject.partition("/")[2])
        if order is not None and order[0] in _SETTLED:
            met.append(row.since_at)
        found[(row.contract, row.key)] = (row.since_at, min(met, default=None))
    return found


def _is_about(data: Mapping[str, Any], field: str, key: str) -> bool:
    """Tell whether an event names what was asked; one that names nothing is about the order as a whole."""
    named = str(data.get(field) or "") if field else ""
    return not named or match_key(named) == match_key(key)


# -- feeds


def _look_at_feed(
    connection: Connection,
    configuration: Configuration,
    contract: Contract,
    state: ContractStateRow | None,
    seen: Seen,
    now: datetime,
) -> None:
    tenant_id, now_micros = configuration.tenant_id, to_micros(now)
    if state is None:
        next_at = to_micros(now + AGAIN)
        seen.states.append(ContractStateRow(tenant_id, contract.contract, "met", now_micros, next_at=next_at))
        return
    if state.next_at is not None and state.next_at > now_micros:
        return
    heard = store.last_heard(
        connection,
        tenant_id,
        contract.expect.connection,
        contract.expect.object,
        state.last_heard_at or to_micros(now - SILENCE_LOOKS_BACK),
    )
    moving = store.under_way(connection, tenant_id) if contract.while_ else 1
    facts = Heard(None if heard is None else from_micros(heard), from_micros(state.began_at), moving)
    (verdict,) = judge(contract, facts, site_clock(configuration, contract), now)
    look_at = verdict.next_at or now + AGAIN
    if verdict.state in ("warning", "breached"):
        look_at = min(look_at, now + AGAIN)
    after = msgspec.structs.replace(
        state,
        state=verdict.state,
        last_heard_at=heard if heard is not None else state.last_heard_at,
        since_at=now_micros if state.since_at is None or state.state != verdict.state else state.since_at,
        due_at=None if verdict.due_at is None else to_micros(verdict.due_at),
        next_at=to_micros(look_at),
        level=verdict.level,
    )
    orders: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    if verdict.state == "breached":
        orders = _hanging_on(connection, configuration, contract)
        known = store.open_members(connection, tenant_id, f"silence|{contract.contract}|")
        still = {f"silence|{contract.contract}|{number}" for number in orders} | {f"silence|{contract.contract}|"}
        gone = tuple(name for name in known if name not in still)
    elif state.state != verdict.state:
        gone = tuple(store.open_members(connection, tenant_id, f"silence|{contract.contract}|"))
    seen.feeds.append(FeedChange(contract, state, after, orders, gone))


def _hanging_on(connection: Connection, configuration: Configuration, contract: Contract) -> tuple[str, ...]:
    """Return the orders of which nobody knows more while this feed is silent."""
    tenant_id = configuration.tenant_id
    if not contract.while_:
        return tuple(store.orders_at_site(connection, tenant_id, contract.site, MEMBERS_MAX))
    numbers = store.orders_under_way(connection, tenant_id, MEMBERS_MAX)
    partner = configuration.partners[configuration.connections[contract.expect.connection].partner]
    names = {match_key(name) for name in (partner.partner, partner.name, partner.identifiers.get("scac", "")) if name}
    carried: dict[str, set[str]] = {}
    kind = "crossdock.shipment.recorded.v1"
    subjects = [f"order/{number}" for number in numbers]
    for subject, _, data, _ in store.happened(connection, tenant_id, subjects, [kind], 0) if subjects else ():
        carried.setdefault(subject, set()).add(match_key(str(msgspec.json.decode(data).get("carrier") or "")))
    # An order of which another carrier alone has the parcels does not hang on this one.
    return tuple(
        number for number in numbers if not (known := carried.get(f"order/{number}")) or known & (names | {""})
    )


# -- writing


def enter(batch: Batch, configuration: Configuration, seen: Seen) -> None:
    """Write what a look found: states, faults and the events that tell of them."""
    connection, tenant_id = batch.connection, configuration.tenant_id
    for row in seen.abandoned:
        _take_back(batch, row, "the contract is no longer in the pack")
    store.settle(connection, seen.abandoned)
    for name in seen.dropped:
        for member in store.open_members(connection, tenant_id, f"silence|{name}|"):
            batch.resolve(tenant_id, member, "the contract is no longer in the pack")
    store.forget(connection, tenant_id, seen.dropped)
    store.save_states(connection, seen.states)
    store.expect(connection, seen.fresh)
    _enter_answers(batch, configuration, seen.changes)
    for feed in seen.feeds:
        _enter_feed(batch, configuration, feed)
    store.save_states(connection, [feed.after for feed in seen.feeds])


def _enter_answers(batch: Batch, configuration: Configuration, changes: Sequence[Change]) -> None:
    met, moved = [], []
    told: dict[tuple[str, str, str], list[Change]] = {}
    for change in changes:
        row, verdict, contract = change.row, change.verdict, change.contract
        if verdict.state == "met":
            met.append(row)
            if row.state != "waiting":
                _take_back(batch, row, "it came")
                told.setdefault(("met", contract.contract, ""), []).append(change)
            continue
        state = {"warning": "warned", "breached": "breached"}.get(verdict.state, "waiting")
        assert verdict.due_at is not None
        due_at = to_micros(verdict.due_at)
        moved.append(
            msgspec.structs.replace(row, state=state, due_at=due_at, next_at=change.next_at, level=verdict.level)
        )
        if state != row.state and state != "waiting":
            _raise(batch, configuration, change, WARNING if state == "warned" else BREACH)
            told.setdefault((state, contract.contract, ""), []).append(change)
        for level in _new_steps(contract, row, verdict):
            told.setdefault(("escalated", contract.contract, contract.escalate[level].owner), []).append(change)
    store.settle(batch.connection, met)
    store.move(batch.connection, moved)
    for (word, name, owner), members in told.items():
        _tell(batch, configuration, word, configuration.contracts[name], owner, [one.row for one in members])


def _new_steps(contract: Contract, row: ExpectationRow, verdict: Verdict) -> Iterable[int]:
    """Return the steps of escalation that were reached since the last look."""
    return () if verdict.state != "breached" else range(_level_before(row), verdict.level)


def _level_before(row: ExpectationRow) -> int:
    return row.level if row.state == "breached" else 0


def _raise(batch: Batch, configuration: Configuration, change: Change, code: str) -> None:
    contract, row = change.contract, change.row
    assert change.verdict.due_at is not None
    zone = site_clock(configuration, contract).zone
    due = change.verdict.due_at.astimezone(zone)
    if code == BREACH:
        batch.resolve(row.tenant_id, f"warned|{contract.contract}|{row.key}", "it is late now")
    word = "breached" if code == BREACH else "warned"
    verb = "was due" if code == BREACH else "is due"
    partner, connection_id = _partner_of(configuration, contract)
    batch.faults.append(
        issues.Fault(
            tenant_id=row.tenant_id,
            code=code,
            cause=f"{code}|contract:{contract.contract}",
            title=f"{contract.words}: {'late' if code == BREACH else 'not here yet'}",
            object_kind="contract",
            object_id=f"{word}|{contract.contract}|{row.key}",
            detail=f"the answer to {row.key} {verb} {due:%Y-%m-%d %H:%M} ({due.tzinfo})",
            subject=row.subject,
            error_class="partner",
            partner=partner,
            connection_id=connection_id,
        )
    )


def _take_back(batch: Batch, row: ExpectationRow, reason: str) -> None:
    for word in ("warned", "breached"):
        batch.resolve(row.tenant_id, f"{word}|{row.contract}|{row.key}", reason)


def _partner_of(configuration: Configuration, contract: Contract) -> tuple[str, str]:
    connection_id = contract.after.connection if contract.after is not None else contract.expect.connection
    spec = configuration.connections.get(connection_id)
    return (spec.partner if spec is not None else "", connection_id)


def _tell(
    batch: Batch,
    configuration: Configuration,
    word: str,
    contract: Contract,
    owner: str,
    rows: Sequence[ExpectationRow],
) -> None:
    orders = sorted({row.subject.partition("/")[2] for row in rows if row.subject.startswith("order/")})
    data = {
        "keys": [row.key for row in rows][:MEMBERS_MAX],
        "due_at": from_micros(min(row.due_at for row in rows)).isoformat(),
    }
    _record(batch, configuration, word, contract, {**data, "owner": owner, "orders": orders[:MEMBERS_MAX]})


def _record(batch: Batch, configuration: Configuration, word: str, contract: Contract, data: Mapping[str, Any]) -> None:
    partner, connection_id = _partner_of(configuration, contract)
    about = {"contract": contract.contract, "title": contract.words, "partner": partner, "connection": connection_id}
    batch.record(
        batch.event(
            configuration.tenant_id,
            f"crossdock.contract.{word}.v1",
            f"contract/{contract.contract}",
            {**about, **data},
            partner=partner,
            release_id=configuration.release_id,
        )
    )


def _enter_feed(batch: Batch, configuration: Configuration, feed: FeedChange) -> None:
    contract, before, after = feed.contract, feed.before, feed.after
    tenant_id, name = configuration.tenant_id, contract.contract
    for member in feed.gone:
        batch.resolve(tenant_id, member, "it is heard again" if after.state != "breached" else "no longer under way")
    due = None if after.due_at is None else from_micros(after.due_at)
    data = {"due_at": due.isoformat() if due else None, "orders": list(feed.orders)}
    if after.state == "warning" and before.state != "warning":
        batch.faults.append(_feed_fault(configuration, contract, after, WARNING, "warned", ""))
        _record(batch, configuration, "warned", contract, data)
    if after.state == "breached":
        batch.resolve(tenant_id, f"warned|{name}|", "it is late now")
        members = ["", *feed.orders]
        batch.faults += [_feed_fault(configuration, contract, after, SILENCE, "silence", one) for one in members]
        if before.state != "breached":
            _record(batch, configuration, "silent", contract, data)
        reached = before.level if before.state == "breached" else 0
        for level in range(reached, after.level):
            _record(batch, configuration, "escalated", contract, {**data, "owner": contract.escalate[level].owner})
    if after.state in ("met", "waiting") and before.state in ("warning", "breached"):
        batch.resolve(tenant_id, f"warned|{name}|", "it is heard again")
        _record(batch, configuration, "met", contract, data)


def _feed_fault(
    configuration: Configuration, contract: Contract, state: ContractStateRow, code: str, word: str, order: str
) -> issues.Fault:
    partner, connection_id = _partner_of(configuration, contract)
    zone = site_clock(configuration, contract).zone
    heard = "nothing was ever heard"
    if state.last_heard_at is not None:
        local = from_micros(state.last_heard_at).astimezone(zone)
        heard = f"last heard {local:%Y-%m-%d %H:%M} ({local.tzinfo})"
    return issues.Fault(
        tenant_id=configuration.tenant_id,
        code=code,
        cause=f"{code}|contract:{contract.contract}",
        title=f"{contract.words}: {'no update' if code == SILENCE else 'not here yet'}",
        object_kind="contract",
        object_id=f"{word}|{contract.contract}|{order}",
        detail=f"no update on order {order}: {heard}" if order else heard,
        subject=f"order/{order}" if order else "",
        error_class="partner",
        partner=partner,
        connection_id=connection_id,
    )
