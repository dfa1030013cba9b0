"""What a tenant expects of its partners, and by when: the shape of a contract and the clock it is judged by.

Three kinds, told apart by what stands in them:

    after … expect …        what we sent is answered: a 945 after a 940, a 997 after any set
    every_day_by: "06:00"   something comes by a time of the site's working days: a stock report
    every: 45m              a feed never rests longer than that, while there is something to tell of

`judge` is pure: contract, facts and `now` go in, one verdict for each thing waited for comes out. Where the facts are
from says `flow/contracts.py`, where contracts stand in a pack `governance/contracts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal

import msgspec

from .calendars import SiteClock, is_working_day, local_instant, wall_clock, working_day_from
from .spans import OptionalSpan, span_of

VerdictState = Literal["waiting", "warning", "breached", "met"]
Kind = Literal["answer", "daily", "feed"]

WALL = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What starts the clock: a request (`fulfillment_request`; empty: any) that we send over a connection."""

    connection: str
    request: str = ""


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is waited for.

    `acknowledgment` is the 997 or 999 of what we sent. Else `event` is an event of the catalogue that concerns the same
    order, return or load; with `same` a field of it (`fulfillment_number`) must name what was asked. `connection` is
    where a daily report or a feed comes in; with `object` only documents of that kind count.
    """

    acknowledgment: bool = False
    event: str = ""
    same: str = ""
    connection: str = ""
    object: str = ""


class Escalation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who is told when nothing came so long `after` the breach."""

    owner: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    after: OptionalSpan = ""


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One expectation of a partner: a file of `contracts/`.

    `site` gives the calendar and the time zone of `by` and `every_day_by`. `by` is the site's `cutoff`, its
    `last_pickup`, or a wall-clock time: what is asked before it counts for the same working day, else for the next;
    with `at_least` what is asked later than so long before it counts for the next.
    `within` is a span from the moment we asked. `every` bounds the silence of a feed between `from` and `until` of
    working days (empty: at all times); with `while` `parcels_move` only while something is under way.
    `warn_before` is how long before the breach a warning is given.
    """

    contract: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
    expect: Expected
    title: Annotated[str, msgspec.Meta(max_length=200)] = ""
    after: Asked | None = None
    within: OptionalSpan = ""
    at_least: OptionalSpan = ""
    by: Annotated[str, msgspec.Meta(pattern=rf"(^(cutoff|last_pickup)?$)|({WALL})")] = ""
    every_day_by: Annotated[str, msgspec.Meta(pattern=rf"(^$)|({WALL})")] = ""
    since: Annotated[str, msgspec.Meta(pattern=WALL)] = "00:00"
    every: OptionalSpan = ""
    while_: Literal["", "parcels_move"] = msgspec.field(default="", name="while")
    from_: Annotated[str, msgspec.Meta(pattern=rf"(^$)|({WALL})")] = msgspec.field(default="", name="from")
    until: Annotated[str, msgspec.Meta(pattern=rf"(^$)|({WALL})")] = ""
    site: str = ""
    warn_before: OptionalSpan = ""
    escalate: tuple[Escalation, ...] = ()
    active: bool = True

    @property
    def kind(self) -> Kind:
        """Return which of the three kinds it is."""
        if self.after is not None:
            return "answer"
        return "daily" if self.every_day_by else "feed"

    @property
    def words(self) -> str:
        """Return the title, or the contract's name where it has none."""
        return self.title or self.contract.replace("-", " ")


class Outstanding(msgspec.Struct, frozen=True):
    """One thing we asked for: since when, and when it was answered or no longer wanted, if it was."""

    key: str
    since_at: datetime
    met_at: datetime | None = None


class Heard(msgspec.Struct, frozen=True):
    """The state of a feed: when it was last heard, when the contract began, and what is under way."""

    last_at: datetime | None
    began_at: datetime
    under_way: int = 1


class Verdict(msgspec.Struct, frozen=True):
    """Where one expectation stands. `level` counts the steps of escalation reached; `next_at` is when to look again."""

    key: str
    state: VerdictState
    due_at: datetime | None = None
    level: int = 0
    next_at: datetime | None = None


def due_of(contract: Contract, since_at: datetime, clock: SiteClock) -> datetime:
    """Return by when something asked at `since_at` must be answered.

    With `by` and `within` both, the earlier of the two counts.
    """
    instants = [since_at + span_of(contract.within)] if contract.within else []
    if contract.by:
        at = {"cutoff": clock.cutoff, "last_pickup": clock.last_pickup}.get(contract.by) or wall_clock(contract.by)
        instants.append(_next_working(clock, since_at + span_of(contract.at_least), at))
    return min(instants)


def _next_working(clock: SiteClock, since_at: datetime, at: time) -> datetime:
    """Return the first instant at or after `since_at` at which a working day of the site reaches a time of day."""
    day = since_at.astimezone(clock.zone).date()
    due = local_instant(clock.zone, working_day_from(clock.calendar, day), at)
    if due >= since_at:
        return due
    return local_instant(clock.zone, working_day_from(clock.calendar, day + timedelta(days=1)), at)


def judge(
    contract: Contract, facts: Sequence[Outstanding] | Heard, clock: SiteClock, now: datetime
) -> tuple[Verdict, ...]:
    """Return a verdict for everything a contract waits for.

    What was answered is met, however late. A feed with nothing under way is met: nobody waits for it.
    """
    if isinstance(facts, Heard):
        return (
            _judge_day(contract, facts, clock, now)
            if contract.every_day_by
            else _judge_feed(contract, facts, clock, now),
        )
    return tuple(
        Verdict(one.key, "met", due_of(contract, one.since_at, clock))
        if one.met_at is not None
        else _judge_due(contract, one.key, due_of(contract, one.since_at, clock), now)
        for one in facts
    )


def _judge_due(contract: Contract, key: str, due_at: datetime, now: datetime) -> Verdict:
    steps = [due_at + span_of(step.after) for step in contract.escalate]
    warn_at = due_at - span_of(contract.warn_before)
    ahead = [moment for moment in (warn_at, due_at, *steps) if moment > now]
    next_at = min(ahead, default=None)
    if now >= due_at:
        return Verdict(key, "breached", due_at, sum(1 for moment in steps if moment <= now), next_at)
    return Verdict(key, "warning" if contract.warn_before and now >= warn_at else "waiting", due_at, 0, next_at)


def _judge_day(contract: Contract, heard: Heard, clock: SiteClock, now: datetime) -> Verdict:
    """Judge the newest working day whose window has opened; the next one ends the breach of the day before."""
    opens, by = wall_clock(contract.since), wall_clock(contract.every_day_by)
    day = now.astimezone(clock.zone).date()
    for back in range(8):
        candidate = day - timedelta(days=back)
        begins = local_instant(clock.zone, candidate, opens)
        if is_working_day(clock.calendar, candidate) and begins <= now and begins >= heard.began_at - timedelta(days=1):
            due_at = local_instant(clock.zone, candidate, by)
            following = local_instant(
                clock.zone, working_day_from(clock.calendar, candidate + timedelta(days=1)), opens
            )
            if (heard.last_at is not None and heard.last_at >= begins) or due_at <= heard.began_at:
                return Verdict("", "met", due_at, next_at=following)
            verdict = _judge_due(contract, "", due_at, now)
            return msgspec.structs.replace(verdict, next_at=min(verdict.next_at or following, following))
    return Verdict("", "met", next_at=now + timedelta(hours=1))


def _judge_feed(contract: Contract, heard: Heard, clock: SiteClock, now: datetime) -> Verdict:
    every = span_of(contract.every)
    if contract.while_ and not heard.under_way:
        return Verdict("", "met", next_at=now + timedelta(minutes=1))
    open_since = _open_since(contract, clock, now)
    if open_since is None:
        return Verdict("", "met", next_at=now + timedelta(minutes=5))
    # The night is no silence, and neither is the time before anybody expected anything.
    rest_since = max(heard.last_at or heard.began_at, heard.began_at, open_since)
    return _judge_due(contract, "", rest_since + every, now)


def _open_since(contract: Contract, clock: SiteClock, now: datetime) -> datetime | None:
    """Return since when the feed's hours last, or None outside them."""
    if not contract.from_ and not contract.until:
        return datetime.min.replace(tzinfo=UTC)
    day = now.astimezone(clock.zone).date()
    begins = local_instant(clock.zone, day, wall_clock(contract.from_ or "00:00"))
    ends = local_instant(clock.zone, day, wall_clock(contract.until or "23:59"))
    return begins if is_working_day(clock.calendar, day) and begins <= now < ends else None
