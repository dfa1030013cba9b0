"""The first page: are we on time, and what do I do first.

Counts are those of the local day of the tenant, from its midnight to now. Latencies are measured on the newest messages
of the day. Every number comes from an index, none scans the journal, and counting stops at 10,000: the page costs
the same however long the record is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from ..canonical.identifiers import ulid
from ..durable.identity import to_micros
from ..governance.configuration import Configuration
from ..store.engine import Connection
from . import issues as issues_view
from . import orders_list
from .counting import COUNT_MAX, bounded_count
from .issues import IssueRow
from .orders_list import OrderRow
from .partner_health import PartnerHealth
from .partner_health import load as load_health

SAMPLE_MAX = 2_000
DO_NEXT_MAX = 5

# These words are the condition of the index `events_headlines`; other words would not use it.
HEADLINE_TYPES = (
    "crossdock.order.created.v1",
    "crossdock.fulfillment.requested.v1",
    "crossdock.shipment.recorded.v1",
    "crossdock.shipment.delivered.v1",
)
HEADLINES = f"type in ({', '.join(repr(name) for name in HEADLINE_TYPES)})"


class Today(msgspec.Struct, frozen=True):
    """What happened since midnight. `released` counts requests to sites, `shipped` and `delivered` shipments.

    `messages_in` counts each message once, `duplicates_in` what was offered again. A figure that has reached
    `counted_to` means "or more".
    """

    orders_in: int
    released: int
    shipped: int
    delivered: int
    messages_in: int
    messages_out: int
    since: datetime
    duplicates_in: int = 0
    counted_to: int = COUNT_MAX


class Latency(msgspec.Struct, frozen=True):
    """How long it took, in seconds, over `count` of the newest messages of the day; None where there was none."""

    p50_seconds: float | None
    p95_seconds: float | None
    count: int


class NextStep(msgspec.Struct, frozen=True):
    """One line of "do next": what, why now, and the page that does it."""

    kind: Literal["issue", "order", "partner"]
    key: str
    title: str
    why: str


class Overview(msgspec.Struct, frozen=True):
    """The page. `late` are orders whose deadline has passed, `at_risk` those that still have minutes."""

    today: Today
    late: tuple[OrderRow, ...]
    at_risk: tuple[OrderRow, ...]
    issues: tuple[IssueRow, ...]
    partners: tuple[PartnerHealth, ...]
    release_latency: Latency
    erp_latency: Latency
    do_next: tuple[NextStep, ...]


def load(connection: Connection, tenant_id: str, *, configuration: Configuration, now: datetime) -> Overview:
    """Return the tenant's first page as of `now`."""
    since = midnight(now, configuration.head.timezone)
    risky = orders_list.at_risk(connection, tenant_id, now=now, limit=50)
    late = tuple(row for row in risky if row.minutes_left is not None and row.minutes_left < 0)
    soon = tuple(row for row in risky if row not in late)
    problems = issues_view.open_issues(connection, tenant_id, now=now, limit=50).rows
    partners = load_health(connection, tenant_id, configuration=configuration, now=now)
    erps = [name for name, spec in configuration.partners.items() if spec.role == "erp"]
    spans = newest_spans(connection, tenant_id, since)
    return Overview(
        today=today(connection, tenant_id, since),
        late=late,
        at_risk=soon,
        issues=problems,
        partners=partners,
        release_latency=latency(one.seconds for one in spans if one.document_type == "fulfillment_request"),
        erp_latency=latency(one.seconds for one in spans if one.partner in erps),
        do_next=do_next(problems, risky, partners),
    )


def midnight(now: datetime, zone: str) -> datetime:
    """Return the last local midnight of a zone; where a day begins at another hour, its first instant."""
    local = now.astimezone(ZoneInfo(zone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def today(connection: Connection, tenant_id: str, since: datetime) -> Today:
    """Count what happened since an instant."""
    start = _first_position(connection, to_micros(since))
    counts: dict[str, int] = {}
    if start is not None:
        # One question for each type: each is one range of the index, however many days lie before it.
        for name in HEADLINE_TYPES:
            counts[name] = bounded_count(
                connection,
                f"events where tenant_id = ? and type = ? and {HEADLINES} and position >= ?",
                (tenant_id, name, start),
            )
    floor = _id_from(since)
    taken: dict[int, int] = dict(
        connection.query(
            "select state, count(*) from (select case state when 'duplicate' then 1 else 0 end as state"
            " from inbound_messages where tenant_id = ? and message_id >= ? limit ?) counted group by state",
            (tenant_id, floor, COUNT_MAX),
        )
    )
    made = bounded_count(connection, "outbound_messages where tenant_id = ? and message_id >= ?", (tenant_id, floor))
    return Today(
        counts.get("crossdock.order.created.v1", 0),
        counts.get("crossdock.fulfillment.requested.v1", 0),
        counts.get("crossdock.shipment.recorded.v1", 0),
        counts.get("crossdock.shipment.delivered.v1", 0),
        taken.get(0, 0) if sum(taken.values()) < COUNT_MAX else COUNT_MAX,
        made,
        since,
        taken.get(1, 0),
    )


class Span(msgspec.Struct, frozen=True):
    """How long one message took, from the arrival of what caused it to the moment it was sent."""

    document_type: str
    partner: str
    seconds: float


def newest_spans(connection: Connection, tenant_id: str, since: datetime) -> list[Span]:
    """Measure the newest messages since an instant; one that is not sent yet does not count."""
    rows = connection.query(
        "select newest.document_type, newest.partner, newest.sent_at, i.received_at from ("
        "select document_type, partner, sent_at, inbound_message_id from outbound_messages"
        " where tenant_id = ? and message_id >= ? order by message_id desc limit ?) newest"
        " join inbound_messages i on i.tenant_id = ? and i.message_id = newest.inbound_message_id"
        " where newest.sent_at is not null",
        (tenant_id, _id_from(since), SAMPLE_MAX, tenant_id),
    )
    return [Span(kind, partner, max(0, sent - received) / 1_000_000) for kind, partner, sent, received in rows]


def latency(spans: Iterable[float]) -> Latency:
    """Return the percentiles of some times."""
    ordered = sorted(spans)
    return Latency(percentile(ordered, 50), percentile(ordered, 95), len(ordered))


def percentile(ordered: list[float], percent: int) -> float | None:
    """Return the nearest-rank percentile of an ordered list.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50), percentile([1.0, 2.0, 3.0, 4.0], 95), percentile([], 50)
    (2.0, 4.0, None)
    """
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def do_next(
    problems: tuple[IssueRow, ...], risky: tuple[OrderRow, ...], partners: tuple[PartnerHealth, ...]
) -> tuple[NextStep, ...]:
    """Return at most five steps: partners that are down first, then issues by their impact, then orders no issue
    explains.
    """
    steps = [
        NextStep("partner", one.partner, f"{one.name} is {one.health}", one.reason)
        for one in partners
        if one.health in ("down", "silent")
    ][:2]
    # What waits for what another issue keeps out needs nothing of its own.
    for issue in [one for one in problems if not one.explained][: DO_NEXT_MAX - 1]:
        impact = issue.impact
        counts = [_counted(impact.orders, "order")] if impact.orders else []
        counts.append(_counted(impact.members, "record"))
        if impact.first_due_at:
            counts.append(f"first deadline {impact.first_due_at:%H:%M} UTC")
        steps.append(NextStep("issue", issue.issue_id, issue.title, ", ".join(counts)))
    for order in risky:
        left = order.minutes_left
        when = "no deadline" if left is None else f"{-left} min late" if left < 0 else f"{left} min left"
        steps.append(NextStep("order", order.number, f"Order {order.number} is {order.status.replace('_', ' ')}", when))
    return tuple(steps[:DO_NEXT_MAX])


def _counted(value: int, word: str) -> str:
    return f"{value:,} {word}" if value == 1 else f"{value:,} {word}s"


def _first_position(connection: Connection, since: int) -> int | None:
    """Return the first journal position recorded at or after an instant; None when there is none.

    Positions and recording times grow together (to within a commit), so the place is found by halving.
    """
    # Two questions: each is one look at an end of the index. Asked together, SQLite reads all of it.
    first = connection.one("select min(position) from events")
    last = connection.one("select max(position) from events")
    if first is None or last is None or first[0] is None:
        return None
    low, high = int(first[0]), int(last[0]) + 1
    top = high
    while low < high:
        middle = (low + high) // 2
        row = connection.one(
            "select position, recorded_at from events where position >= ? order by position limit 1", (middle,)
        )
        if row is None or row[1] >= since:
            high = middle
        else:
            low = int(row[0]) + 1
    return low if low < top else None


def _id_from(since: datetime) -> str:
    """Return the smallest message id that can have been made at or after an instant."""
    return f"msg_{ulid(int((since - timedelta(seconds=1)).timestamp() * 1000), 0)}"
