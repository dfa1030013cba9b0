"""The order's cases at the service desk: opened, updated, escalated and closed for its risks, one for each cause.

What the rules let through is told with the fields the pack names and no others; what an agent says of a case is kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from ...canonical.orders import ServiceCase
from ..case_rules import (
    PERSONAL,
    Budget,
    CaseRules,
    CaseVerdict,
    Priority,
    judge,
    masked,
    variables_of,
    without_personal,
)
from ..order_state import CaseRecord, amount_of
from ..spans import span_of
from .draft import Draft

if TYPE_CHECKING:
    from .risks import Risk

# A case that changes more often than this tells nobody anything.
UPDATES_MAX = 20


def tell_desk(draft: Draft, risk: Risk, *, new: bool) -> None:
    """Open a case for a risk, update it, or let it wait out its grace."""
    rule = draft.policy.cases[risk.cause]  # type: ignore[index]
    known = draft.cases.get(risk.cause)
    if known is not None and known.state == "open":
        if known.detail != risk.detail and known.updates < UPDATES_MAX:
            _update(draft, risk, known, msgspec.structs.replace(known, detail=risk.detail))
        _escalate(draft, risk)
        return
    if not rule.open:
        return
    waiting = known is not None and known.state == "waiting"
    if known is not None and not new and not waiting:
        return
    verdict = _judge(draft, risk, rule.priority)
    since = known.since if waiting and known is not None and known.since is not None else draft.now
    opened = known.opened if known is not None else 0
    ref = known.ref if known is not None else ""
    if verdict.open and draft.now < since + timedelta(seconds=verdict.grace_seconds):
        draft.cases[risk.cause] = CaseRecord(
            risk.cause, "waiting", risk.detail, opened, ref=ref, since=since, grace_seconds=verdict.grace_seconds
        )
        return
    if not verdict.open:
        if verdict.suppressed:
            data = {"cause": risk.cause, "detail": risk.detail, "why": verdict.why}
            draft.emit("case.suppressed", data)
            draft.cases[risk.cause] = CaseRecord(risk.cause, "suppressed", risk.detail, opened, ref=ref, since=since)
        elif waiting:
            del draft.cases[risk.cause]
        return
    _open(draft, risk, verdict, opened + 1, since, ref)


def close_case(draft: Draft, cause: str) -> None:
    """Close the case of a cause that is gone; one that was never opened is forgotten."""
    known = draft.cases.get(cause)
    if known is None:
        return
    if known.state in ("waiting", "suppressed"):
        if known.opened:
            draft.cases[cause] = msgspec.structs.replace(known, state="closed")
        else:
            del draft.cases[cause]
        return
    if known.state != "open":
        return
    draft.cases[cause] = msgspec.structs.replace(known, state="closed")
    detail = f"settled: the order is {draft.status.replace('_', ' ')}"
    _ask(draft, cause, "close", f"{known.opened}:close", detail, "normal", None)


def next_look_at_cases(draft: Draft) -> list[datetime]:
    """Return when a case's grace ends, or the next step of its escalation comes."""
    steps = draft.policy.case_rules.rules.escalate
    instants = []
    for case in draft.cases.values():
        if case.state == "waiting" and case.since is not None:
            instants.append(case.since + timedelta(seconds=case.grace_seconds))
        if case.state == "open" and not case.owner and case.opened_at is not None and case.level < len(steps):
            instants.append(case.opened_at + span_of(steps[case.level].after))
    return instants


def tracking_as_of(draft: Draft) -> datetime | None:
    """Return the newest word of a carrier on this order; None before the first."""
    return max((fact.told_at or fact.at for fact in draft.milestones.values()), default=None)


def _judge(draft: Draft, risk: Risk, priority: Priority) -> CaseVerdict:
    today = draft.today
    of_order = draft.cases_opened[1] if draft.cases_opened[0] == today else 0
    left = None if risk.due_at is None else (risk.due_at - draft.now).total_seconds() / 60
    variables = variables_of(
        draft.order,
        cause=risk.cause,
        group=risk.group,
        region=draft.region,
        service_level=draft.service_level,
        status=draft.status,
        sites={one.site for one in draft.fulfillments.values()},
        minutes_left=left,
    )
    return judge(draft.policy.case_rules, variables, priority, Budget(of_order, draft.context.cases_today))


def _open(draft: Draft, risk: Risk, verdict: CaseVerdict, opened: int, since: datetime, ref: str) -> None:
    draft.cases[risk.cause] = CaseRecord(
        risk.cause,
        "open",
        risk.detail,
        opened,
        ref=ref,
        since=since,
        opened_at=draft.now,
        priority=verdict.priority,
        tracking_as_of=tracking_as_of(draft),
    )
    day, count = draft.cases_opened
    draft.cases_opened = (draft.today, count + 1 if day == draft.today else 1)
    _ask(draft, risk.cause, "open", f"{opened}:open", risk.detail, verdict.priority, risk.due_at, owner=verdict.owner)


def _update(draft: Draft, risk: Risk, known: CaseRecord, changed: CaseRecord, *, owner: str = "") -> None:
    updates = known.updates + 1
    draft.cases[risk.cause] = msgspec.structs.replace(changed, updates=updates, tracking_as_of=tracking_as_of(draft))
    priority = changed.priority or draft.policy.cases[risk.cause].priority  # type: ignore[index]
    step = f"{known.opened}:update:{updates}"
    _ask(draft, risk.cause, "update", step, risk.detail, priority, risk.due_at, owner=owner)


def _escalate(draft: Draft, risk: Risk) -> None:
    """Raise a case nobody has taken on, step by step."""
    for step in draft.policy.case_rules.rules.escalate[draft.cases[risk.cause].level :]:
        known = draft.cases[risk.cause]
        if known.owner or known.opened_at is None or draft.now < known.opened_at + span_of(step.after):
            return
        changed = msgspec.structs.replace(known, level=known.level + 1, priority=step.priority)
        _update(draft, risk, known, changed, owner=step.owner)


def _ask(
    draft: Draft,
    cause: str,
    action: str,
    step: str,
    detail: str,
    priority: str,
    due_at: datetime | None,
    *,
    owner: str = "",
) -> None:
    number = draft.order.number
    told = _told(draft, cause, detail, due_at)
    case = ServiceCase(
        order_number=number,
        cause=cause,
        action=action,
        priority=priority,
        case_ref=draft.cases[cause].ref,
        owner=owner,
        **told,
    )
    draft.emit("case.requested", case)
    draft.request("service_case", f"{number}:{cause}:{step}", case)


def _told(draft: Draft, cause: str, detail: str, due_at: datetime | None) -> dict[str, Any]:
    """Return the fields of a case that the pack lets out, masked where it says so."""
    rules: CaseRules = draft.policy.case_rules.rules
    order, customer = draft.order, draft.order.customer
    personal = {
        "customer": (customer.name if customer is not None else "") or (order.ship_to.name if order.ship_to else ""),
        "email": order.email,
        "phone": order.phone,
    }
    facts: dict[str, Any] = {
        "subject": f"Order {order.number}: {SUBJECTS.get(cause, cause.replace('_', ' '))}",
        "detail": detail,
        "due_at": due_at,
        "tracking_as_of": tracking_as_of(draft),
        "value": amount_of(order),
        "tracking": tuple(dict.fromkeys(name for one in draft.shipments.values() for name in one.tracking)),
        "promised_at": draft.promise_at,
        "status": draft.status,
        **personal,
    }
    told: dict[str, Any] = {name: facts[name] for name in rules.fields}
    for name in rules.masked:
        if name in PERSONAL and name in told:
            told[name] = masked(name, told[name])
    for name in ("subject", "detail"):
        if name in told:
            # What a text happens to hold of a person is no more told than the field itself.
            hidden = {
                kind: value for kind, value in personal.items() if kind not in rules.fields or kind in rules.masked
            }
            told[name] = without_personal(told[name], hidden)
    return told


SUBJECTS = {
    "ship_by": "may leave late",
    "promise": "may miss its promise",
    "late_estimate": "the carrier expects a late delivery",
    "carrier_trouble": "trouble on the way",
}
