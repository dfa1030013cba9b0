"""What the record teaches: contracts that partners have kept so far, as proposals in the words of a pack.

An answer is proposed where nearly every request was followed by it, with the time in which 99 of 100 came; a feed by
the pauses it makes; a daily report by the hour at which it is usually there. `propose` is pure; `load` asks the record.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from ..canonical.identifiers import match_key
from ..durable.identity import from_micros, to_micros
from ..durable.retention import first_id
from ..governance.configuration import Configuration
from ..store.engine import Connection

SAMPLES_MIN = 30
SHARE = 0.99
# At least this share of requests must have been answered, or the two have nothing to do with one another.
ANSWERED_MIN = 0.9
DAYS_MIN = 5
ROWS_MAX = 100_000


class Send(msgspec.Struct, frozen=True):
    """One request we made: what, over which connection, about what."""

    connection: str
    request: str
    subject: str
    key: str
    at: int


class Came(msgspec.Struct, frozen=True):
    """One document that came and was applied."""

    connection: str
    object: str
    event: str
    subject: str
    at: int


class Proposal(msgspec.Struct, frozen=True):
    """A contract the record suggests, with the evidence in words and the YAML to put into `contracts/`."""

    contract: str
    evidence: str
    samples: int
    yaml: str


def load(
    connection: Connection, tenant_id: str, *, configuration: Configuration, now: datetime, days: int = 30
) -> tuple[Proposal, ...]:
    """Return what the last days suggest and the pack does not say yet."""
    since = to_micros(now - timedelta(days=days))
    first = first_id("msg", since)
    sends = [
        Send(row[0], row[1], row[2], str(row[3]).partition(":")[2], row[4])
        for row in connection.query(
            "select connection_id, document_type, subject, request_key, created_at from outbound_messages"
            " where tenant_id = ? and message_id >= ? and state = 'sent' and document_type <> 'acknowledgment'"
            " order by message_id limit ?",
            (tenant_id, first, ROWS_MAX),
        )
    ]
    came = [
        Came(*row)
        for row in connection.query(
            "select m.connection_id, d.object, d.event_type, d.subject, m.received_at from inbound_messages m"
            " join documents d on d.tenant_id = m.tenant_id and d.message_id = m.message_id"
            " where m.tenant_id = ? and m.message_id >= ? and d.state = 'applied' order by m.message_id limit ?",
            (tenant_id, first, ROWS_MAX),
        )
    ]
    partners = {one.connection: one.partner for one in configuration.connections.values()}
    known = {
        (one.after.connection, one.after.request, one.expect.event) if one.after else (one.expect.connection, "", "")
        for one in configuration.contracts.values()
    }
    zones = {one.partner: one.timezone for one in configuration.partners.values() if one.timezone}
    return propose(sends, came, partners=partners, zones=zones, zone=configuration.head.timezone, known=known)


def propose(
    sends: Sequence[Send],
    came: Sequence[Came],
    *,
    partners: dict[str, str],
    zones: dict[str, str],
    zone: str = "UTC",
    known: set[tuple[str, str, str]] | None = None,
) -> tuple[Proposal, ...]:
    """Return the contracts that sends and arrivals suggest. `known` are those the pack has already."""
    known = known or set()
    found = [*_answers(sends, came, partners, known), *_feeds(came, partners, zones, zone, known)]
    return tuple(sorted(found, key=lambda proposal: proposal.contract))


def _answers(
    sends: Sequence[Send], came: Sequence[Came], partners: dict[str, str], known: set[tuple[str, str, str]]
) -> list[Proposal]:
    arrivals: dict[tuple[str, str, str], list[int]] = {}
    kinds: dict[str, set[str]] = {}
    for one in came:
        if not one.event or not one.subject:
            continue
        partner = partners.get(one.connection, "")
        arrivals.setdefault((partner, one.event, one.subject), []).append(one.at)
        kinds.setdefault(partner, set()).add(one.event)
    asked: dict[tuple[str, str], list[Send]] = {}
    for send in sends:
        asked.setdefault((send.connection, send.request), []).append(send)
    found = []
    for (connection, request), mine in asked.items():
        partner = partners.get(connection, "")
        for event in sorted(kinds.get(partner, ())):
            if (connection, request, event) in known or len(mine) < SAMPLES_MIN:
                continue
            delays = []
            for send in mine:
                later = [at for at in arrivals.get((partner, event, send.subject), ()) if at >= send.at]
                if later:
                    delays.append(min(later) - send.at)
            if len(delays) < SAMPLES_MIN or len(delays) < ANSWERED_MIN * len(mine):
                continue
            within = _percentile(delays)
            word = event.removeprefix("crossdock.").removesuffix(".v1")
            evidence = (
                f"{word} follows {request} within {_words(within)} in {SHARE:.0%} of {len(delays):,}"
                f" ({len(mine) - len(delays):,} of {len(mine):,} were never answered)"
            )
            name = _name(connection, "answers", request, word)
            span = _span(within)
            lines = [
                f"contract: {name}",
                f"title: {partner} answers a {request.replace('_', ' ')}",
                f"after: {{connection: {connection}, request: {request}}}",
                f"expect: {{event: {event}}}",
                f"within: {span}",
                f"warn_before: {_span(within / 5, up=False)}",
            ]
            found.append(Proposal(name, evidence, len(delays), _yaml(evidence, lines)))
    return found


def _feeds(
    came: Sequence[Came],
    partners: dict[str, str],
    zones: dict[str, str],
    zone: str,
    known: set[tuple[str, str, str]],
) -> list[Proposal]:
    times: dict[tuple[str, str], list[int]] = {}
    for one in came:
        times.setdefault((one.connection, one.object), []).append(one.at)
    found = []
    for (connection, kind), instants in times.items():
        if (connection, "", "") in known or not kind:
            continue
        where = ZoneInfo(zones.get(partners.get(connection, ""), "") or zone)
        days: dict[str, list[datetime]] = {}
        for at in instants:
            local = from_micros(at).astimezone(where)
            days.setdefault(local.date().isoformat(), []).append(local)
        if kind == "inventory_snapshot" and len(days) >= DAYS_MIN:
            minutes = [min(moments).hour * 60 + min(moments).minute for moments in days.values()]
            # The quarter of an hour after the latest first report of a day.
            by = min(math.ceil((max(minutes) + 1) / 15) * 15, 23 * 60 + 45)
            evidence = (
                f"{kind} from {connection} came by {by // 60:02d}:{by % 60:02d} ({where}) on each of {len(days)} days"
            )
            name = _name(connection, "daily", kind, "")
            lines = [
                f"contract: {name}",
                f"title: {kind.replace('_', ' ')} from {connection} in the morning",
                f"expect: {{connection: {connection}, object: {kind}}}",
                f'every_day_by: "{by // 60:02d}:{by % 60:02d}"',
                "warn_before: 30m",
            ]
            found.append(Proposal(name, evidence, len(days), _yaml(evidence, lines)))
        elif kind == "milestone":
            gaps = [
                int((later - earlier).total_seconds() * 1e6)
                for moments in days.values()
                for earlier, later in zip(sorted(moments), sorted(moments)[1:], strict=False)
            ]
            if len(gaps) < SAMPLES_MIN:
                continue
            every = max(_percentile(gaps), 60_000_000 * 5)
            evidence = (
                f"{connection} rested no longer than {_words(every)} within a day"
                f" in {SHARE:.0%} of {len(gaps):,} pauses"
            )
            name = _name(connection, "feed", "", "")
            lines = [
                f"contract: {name}",
                f"title: News from {partners.get(connection, connection)}",
                f"expect: {{connection: {connection}}}",
                f"every: {_span(every)}",
                "while: parcels_move",
            ]
            found.append(Proposal(name, evidence, len(gaps), _yaml(evidence, lines)))
    return found


def _percentile(values: Sequence[int]) -> int:
    """Return the smallest value that 99 of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(SHARE * len(ordered)) - 1)]


def _words(micros: float) -> str:
    minutes = max(1, math.ceil(micros / 60_000_000))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def _span(micros: float, *, up: bool = True) -> str:
    """Return a span of a pack: whole minutes, in steps of five from half an hour on."""
    minutes = micros / 60_000_000
    step = 5 if minutes >= 30 else 1
    whole = (math.ceil if up else math.floor)(minutes / step) * step
    return f"{max(1, whole)}m"


def _name(*parts: str) -> str:
    words = "-".join(part for part in parts if part)
    return "".join(c if c.isalnum() else "-" for c in match_key(words))[:80].strip("-")


def _yaml(evidence: str, lines: Sequence[str]) -> str:
    return "\n".join([f"# Learned: {evidence}.", *lines]) + "\n"
