"""What rules for cases would have done on history: how many cases, and how many of them were of use.

A risk lasts from the event that tells of it to the one that takes it back. A case is **useful** when the risk outlasted
its deadline, or an agent took the case on (an owner, a status or a note came back from the desk). All else is noise:
the risk passed by itself and nobody did anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from ..durable.identity import from_micros, to_micros
from ..governance.configuration import Configuration
from ..processes.case_rules import Budget, CompiledCaseRules, Priority, judge, variables_of
from ..processes.order_state import OrderState
from ..store.engine import Connection

USEFUL = "the risk outlasted its deadline, or an agent took the case on"
ROWS_MAX = 200_000
EXAMPLES = 20

_RISK, _RECOVERED, _CHANGED = (
    "crossdock.order.at_risk.v1",
    "crossdock.order.recovered.v1",
    "crossdock.case.changed.v1",
)
_state = msgspec.json.Decoder(OrderState)


class Episode(msgspec.Struct):
    """One risk of one order, from its beginning to its end (None: it lasts)."""

    order: str
    cause: str
    group: str
    detail: str
    began_at: datetime
    due_at: datetime | None = None
    ended_at: datetime | None = None
    agent: bool = False

    def useful(self, now: datetime) -> bool:
        """Tell whether somebody had to know of it."""
        return self.agent or (self.due_at is not None and (self.ended_at or now) > self.due_at)


class Simulated(msgspec.Struct, frozen=True):
    """One case that would have been opened."""

    order: str
    cause: str
    opened_at: datetime
    priority: str
    useful: bool


class Simulation(msgspec.Struct, frozen=True):
    """The answer. `missed` are useful ones that no case would have told of; `because` counts why none was opened."""

    days: int
    risks: int
    opened: int
    useful: int
    missed: int
    suppressed: int
    passed_in_grace: int
    definition: str
    by_cause: dict[str, int]
    because: dict[str, int]
    examples: tuple[Simulated, ...]

    @property
    def words(self) -> str:
        """Return the answer in one sentence."""
        return f"would have opened {self.opened:,} cases, {self.useful:,} useful"


def load(
    connection: Connection,
    tenant_id: str,
    rules: CompiledCaseRules,
    *,
    configuration: Configuration,
    now: datetime,
    days: int = 30,
) -> Simulation:
    """Return what rules would have made of the last days."""
    found = episodes(connection, tenant_id, to_micros(now - timedelta(days=days)))
    orders = sorted({one.order for one in found})
    states = {
        row[0]: _state.decode(row[1])
        for row in connection.many(
            "select key, state from aggregates where tenant_id = ? and kind = 'order' and key in ({})",
            [tenant_id],
            orders,
        )
    }
    policy = configuration.compiled_policy
    priorities: dict[str, Priority] = {cause: rule.priority for cause, rule in policy.cases.items() if rule.open}
    return simulate(found, states, rules, priorities, zone=policy.zone, now=now, days=days)


def episodes(connection: Connection, tenant_id: str, since: int) -> list[Episode]:
    """Return the risks of the journal since an instant, in the order in which they began."""
    rows = connection.query(
        "select type, subject, data, recorded_at from events where tenant_id = ? and recorded_at >= ?"
        " and type in (?, ?, ?) order by position limit ?",
        (tenant_id, since, _RISK, _RECOVERED, _CHANGED, ROWS_MAX),
    )
    found: list[Episode] = []
    open_: dict[tuple[str, str], Episode] = {}
    for kind, subject, content, recorded_at in rows:
        data, at = msgspec.json.decode(content), from_micros(recorded_at)
        order, cause = str(subject).partition("/")[2], str(data.get("cause", ""))
        known = open_.get((order, cause))
        if kind == _RISK and known is None:
            due = data.get("due_at")
            episode = Episode(
                order,
                cause,
                str(data.get("group", "")),
                str(data.get("detail", "")),
                at,
                datetime.fromisoformat(due) if due else None,
            )
            open_[(order, cause)] = episode
            found.append(episode)
        elif kind == _RECOVERED and known is not None:
            known.ended_at = at
            del open_[(order, cause)]
        elif kind == _CHANGED and known is not None:
            known.agent = known.agent or any(data.get(name) for name in ("owner", "status", "note"))
    return found


def simulate(
    found: Sequence[Episode],
    states: Mapping[str, OrderState],
    rules: CompiledCaseRules,
    priorities: Mapping[str, Priority],
    *,
    zone: ZoneInfo,
    now: datetime,
    days: int,
) -> Simulation:
    """Return what rules make of risks. `priorities` are those of the causes that open cases at all."""
    cases: list[Simulated] = []
    because: Counter[str] = Counter()
    of_order: Counter[tuple[str, str]] = Counter()
    of_day: Counter[str] = Counter()
    missed = suppressed = graced = 0
    for one in found:
        useful = one.useful(now)
        priority = priorities.get(one.cause)
        state = states.get(one.order)
        if priority is None or state is None:
            because["the cause opens no case" if priority is None else "the order is gone"] += 1
            missed += useful
            continue
        day = one.began_at.astimezone(zone).date().isoformat()
        verdict = judge(rules, _variables(one, state), priority, Budget(of_order[(one.order, day)], of_day[day]))
        opened_at = one.began_at + timedelta(seconds=verdict.grace_seconds)
        ended = one.ended_at is not None and one.ended_at <= opened_at
        passed = verdict.open and verdict.grace_seconds > 0 and ended
        if not verdict.open or passed or opened_at > now:
            because["it passed within its grace" if verdict.open else verdict.why] += 1
            suppressed += verdict.suppressed
            graced += passed
            missed += useful
            continue
        of_order[(one.order, day)] += 1
        of_day[day] += 1
        cases.append(Simulated(one.order, one.cause, opened_at, verdict.priority, useful))
    return Simulation(
        days=days,
        risks=len(found),
        opened=len(cases),
        useful=sum(1 for case in cases if case.useful),
        missed=missed,
        suppressed=suppressed,
        passed_in_grace=graced,
        definition=USEFUL,
        by_cause=dict(Counter(case.cause for case in cases).most_common()),
        because=dict(because.most_common()),
        examples=tuple(cases[-EXAMPLES:]),
    )


def _variables(one: Episode, state: OrderState) -> Mapping[str, Any]:
    left = None if one.due_at is None else (one.due_at - one.began_at).total_seconds() / 60
    return variables_of(
        state.order,
        cause=one.cause,
        group=one.group,
        region=state.region,
        service_level=state.service_level,
        # What the order was then is not kept; a rule on the status sees the one of now.
        status=state.status,
        sites={fulfillment.site for fulfillment in state.fulfillments},
        minutes_left=left,
    )
