"""The health of partners: good, late, down, silent or unknown, each with its reason.

`judge` is pure. The worst of a partner's connections is its health; what was never seen working is unknown, not good.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from ..durable.identity import from_micros
from ..governance.configuration import Configuration
from ..store.engine import Connection

Health = Literal["good", "late", "down", "silent", "unknown"]

LATE_AFTER_MINUTES = 15
NEWEST_MAX = 1_000

# The worst first.
_ORDER: tuple[Health, ...] = ("down", "silent", "late", "unknown", "good")


class ConnectionFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one connection. `waiting` are outbound messages not sent yet, `overdue` unanswered ones."""

    connection_id: str
    circuit: str = "closed"
    paused: bool = False
    failures: int = 0
    probe_at: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None
    last_inbound_at: datetime | None = None
    last_sent_at: datetime | None = None
    waiting: int = 0
    oldest_waiting_at: datetime | None = None
    overdue: int = 0


class ConnectionHealth(msgspec.Struct, frozen=True):
    connection_id: str
    health: Health
    reason: str
    facts: ConnectionFacts


class PartnerHealth(msgspec.Struct, frozen=True):
    """One partner of the strip. `last_heard_at` is the newest message of any of its connections."""

    partner: str
    name: str
    role: str
    health: Health
    reason: str
    last_heard_at: datetime | None
    connections: tuple[ConnectionHealth, ...]


def judge(facts: ConnectionFacts, *, now: datetime, silent_after_minutes: int) -> tuple[Health, str]:
    """Return the health of a connection and the reason in words."""
    backlog = f"; {facts.waiting} messages wait" if facts.waiting else ""
    if facts.paused:
        return "down", f"paused by us{backlog}"
    if facts.circuit in ("open", "probing", "draining"):
        probe = f", next try {facts.probe_at:%H:%M} UTC" if facts.probe_at else ""
        return "down", f"circuit {facts.circuit}: {facts.last_error or 'it refuses'}{probe}{backlog}"
    silent_for = now - facts.last_inbound_at if facts.last_inbound_at else None
    if silent_after_minutes and silent_for is not None and silent_for > timedelta(minutes=silent_after_minutes):
        return "silent", f"nothing heard for {_minutes(silent_for)}, expected every {silent_after_minutes} min"
    if facts.overdue:
        return "late", f"{facts.overdue} acknowledgments overdue"
    if facts.oldest_waiting_at is not None and now - facts.oldest_waiting_at > timedelta(minutes=LATE_AFTER_MINUTES):
        return "late", f"{facts.waiting} messages wait, the oldest for {_minutes(now - facts.oldest_waiting_at)}"
    if facts.last_inbound_at is None and facts.last_sent_at is None:
        return "unknown", f"nothing went over it yet{backlog}"
    heard = max(moment for moment in (facts.last_inbound_at, facts.last_sent_at) if moment is not None)
    return "good", f"last seen working {_minutes(now - heard)} ago{backlog}"


def load(
    connection: Connection, tenant_id: str, *, configuration: Configuration, now: datetime
) -> tuple[PartnerHealth, ...]:
    """Return the health of every partner of the tenant, the worst first."""
    states = {
        row[0]: row
        for row in connection.query(
            "select connection_id, circuit, paused, failures, probe_at, last_error, last_error_at,"
            " last_inbound_at, last_sent_at"
            " from connection_states where tenant_id = ?",
            (tenant_id,),
        )
    }
    waiting = {
        row[0]: row[1:]
        for row in connection.query(
            "select connection_id, count(*), min(message_id) from outbound_messages"
            " where tenant_id = ? and state in ('pending', 'sending', 'unknown') group by connection_id",
            (tenant_id,),
        )
    }
    overdue = _overdue(connection, tenant_id, now)
    sent = _last_sent(connection, tenant_id)
    rows = []
    for name, spec in configuration.partners.items():
        mine = [c for c in configuration.connections.values() if c.partner == name]
        judged = []
        for one in mine:
            facts = _facts(connection, tenant_id, one.connection, states, waiting, overdue, sent, paused=one.paused)
            inbound = spec.silent_after_minutes if one.inbound else 0
            judged.append(ConnectionHealth(one.connection, *judge(facts, now=now, silent_after_minutes=inbound), facts))
        rows.append(_partner(name, spec.name, spec.role, judged))
    return tuple(sorted(rows, key=lambda row: (_ORDER.index(row.health), row.partner)))


def _partner(partner: str, name: str, role: str, judged: list[ConnectionHealth]) -> PartnerHealth:
    # A second, unused connection must not make a working partner unknown.
    known = [one for one in judged if one.health != "unknown"] or judged
    worst = min(known, key=lambda one: _ORDER.index(one.health), default=None)
    heard = [one.facts.last_inbound_at for one in judged if one.facts.last_inbound_at is not None]
    health: Health = worst.health if worst else "unknown"
    reason = worst.reason if worst else "it has no connection"
    return PartnerHealth(partner, name, role, health, reason, max(heard, default=None), tuple(judged))


def _facts(
    connection: Connection,
    tenant_id: str,
    connection_id: str,
    states: dict[str, tuple[object, ...]],
    waiting: dict[str, tuple[object, ...]],
    overdue: dict[str, int],
    sent: dict[str, object],
    *,
    paused: bool,
) -> ConnectionFacts:
    state = states.get(connection_id)
    count, oldest = waiting.get(connection_id, (0, None))
    oldest_at = None
    if oldest is not None:
        row = connection.one(
            "select created_at from outbound_messages where tenant_id = ? and message_id = ?", (tenant_id, oldest)
        )
        oldest_at = _instant(row[0]) if row else None
    # The state is written when it changes, not per message: the newest message itself says when it was last heard.
    last = connection.one(
        "select received_at from inbound_messages where tenant_id = ? and connection_id = ? order by"
        " message_id desc limit 1",
        (tenant_id, connection_id),
    )
    inbound = max((moment for moment in (_instant(last[0]) if last else None, _at(state, 7)) if moment), default=None)
    return ConnectionFacts(
        connection_id=connection_id,
        circuit=str(state[1]) if state else "closed",
        paused=paused or bool(state and state[2]),
        failures=int(str(state[3])) if state else 0,
        probe_at=_at(state, 4),
        last_error=str(state[5]) if state else "",
        last_error_at=_at(state, 6),
        last_inbound_at=inbound,
        last_sent_at=max(filter(None, (_at(state, 8), _instant(sent.get(connection_id)))), default=None),
        waiting=int(str(count)),
        oldest_waiting_at=oldest_at,
        overdue=overdue.get(connection_id, 0),
    )


def _last_sent(connection: Connection, tenant_id: str) -> dict[str, object]:
    """When each connection last sent, as far as the newest messages tell."""
    rows = connection.query(
        "select connection_id, sent_at from outbound_messages where tenant_id = ? order by message_id desc limit ?",
        (tenant_id, NEWEST_MAX),
    )
    newest: dict[str, object] = {}
    for connection_id, sent_at in rows:
        if sent_at is not None:
            newest.setdefault(connection_id, sent_at)
    return newest


def _overdue(connection: Connection, tenant_id: str, now: datetime) -> dict[str, int]:
    rows = connection.query(
        "select connection_id, count(*) from outbound_messages where tenant_id = ? and ack_state ="
        " 'awaited' and ack_due_at < ?"
        " group by connection_id",
        (tenant_id, int(now.timestamp() * 1_000_000)),
    )
    return {row[0]: row[1] for row in rows}


def _at(row: tuple[object, ...] | None, column: int) -> datetime | None:
    return _instant(row[column]) if row else None


def _instant(micros: object) -> datetime | None:
    return from_micros(micros) if isinstance(micros, int) else None


def _minutes(span: timedelta) -> str:
    minutes = max(0, int(span.total_seconds() // 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
