"""Is the order at risk, why, and does the service desk know?

Risks are derived anew after each change: a cause that appears opens one case, one that changes updates it, one that is
gone closes it by itself. There is one case per order and cause.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from ..ledger import ZERO, quantity_text
from ..order_state import ACTIVE_STATES, ENDED
from .cases import close_case, next_look_at_cases, tell_desk
from .draft import Draft
from .milestones import trouble


class Risk(msgspec.Struct, frozen=True):
    """One reason why the promise may be missed. `group` is what orders with the same reason have in common."""

    cause: str
    detail: str
    group: str
    due_at: datetime | None = None


def watch(draft: Draft) -> None:
    """Compare the risks of the order with those known before, and tell what appeared, changed or is gone."""
    risks = {risk.cause: risk for risk in _risks(draft)}
    for cause in draft.risks:
        if cause not in risks:
            draft.emit("order.recovered", {"cause": cause, "status": draft.status})
            close_case(draft, cause)
    groups = {(risk.cause, risk.group) for risk in risks.values()}
    for code, cause in list(draft.raised):
        if code == "XD-ORD-008" and tuple(cause.split(":", 1)) not in groups:
            draft.take_back(code, cause)
    for cause, risk in risks.items():
        if cause not in draft.risks:
            draft.emit(
                "order.at_risk", {"cause": cause, "group": risk.group, "detail": risk.detail, "due_at": risk.due_at}
            )
        draft.raise_condition("XD-ORD-008", f"{cause}:{risk.group}", f"order {draft.order.number}: {risk.detail}")
        tell_desk(draft, risk, new=cause not in draft.risks)
    draft.risks = tuple(sorted(risks))


def next_look(draft: Draft) -> datetime | None:
    """Return the next instant at which a risk may appear or get worse without any event."""
    if draft.status in ENDED:
        return None
    rules, cases, now = draft.policy.rules, draft.policy.cases, draft.now
    instants = next_look_at_cases(draft)
    if "ship_by" in cases:
        margin = timedelta(minutes=rules.at_risk_margin_minutes)
        for fulfillment in draft.fulfillments.values():
            if fulfillment.ship_by_at is not None and fulfillment.state in ACTIVE_STATES:
                instants += [fulfillment.ship_by_at - margin, fulfillment.ship_by_at]
    if "promise" in cases and draft.promise_at is not None:
        instants += [draft.promise_at - timedelta(minutes=rules.promise_margin_minutes), draft.promise_at]
    return min((instant for instant in instants if instant > now), default=None)


def _risks(draft: Draft) -> list[Risk]:
    if draft.status in ENDED:
        return []
    found = [_ship_by(draft), _promise(draft), _late_estimate(draft), _carrier_trouble(draft)]
    watched = draft.policy.cases
    return [risk for risk in found if risk is not None and risk.cause in watched]


def _ship_by(draft: Draft) -> Risk | None:
    margin = timedelta(minutes=draft.policy.rules.at_risk_margin_minutes)
    words: list[str] = []
    sites: set[str] = set()
    first: datetime | None = None
    for fulfillment in draft.fulfillments.values():
        due_at = fulfillment.ship_by_at
        if due_at is None or fulfillment.state not in ACTIVE_STATES or draft.now < due_at - margin:
            continue
        clock = draft.policy.clock(fulfillment.site) if fulfillment.site in draft.policy.sites else None
        local = due_at.astimezone(clock.zone) if clock is not None else due_at
        verb = "should have left" if draft.now >= due_at else "has to leave"
        words.append(f"{fulfillment.number} {verb} {fulfillment.site} by {local:%Y-%m-%d %H:%M} ({local.tzinfo})")
        sites.add(fulfillment.site)
        first = due_at if first is None else min(first, due_at)
    if not words:
        return None
    return Risk("ship_by", "; ".join(words), ",".join(sorted(sites)), first)


def _promise(draft: Draft) -> Risk | None:
    promise_at = draft.promise_at
    if promise_at is None or draft.now < promise_at - timedelta(minutes=draft.policy.rules.promise_margin_minutes):
        return None
    active = sum((line.active for line in draft.lines.values()), ZERO)
    shipped = sum((line.shipped for line in draft.lines.values()), ZERO)
    delivered = sum((line.delivered for line in draft.lines.values()), ZERO)
    day = (promise_at - timedelta(microseconds=1)).astimezone(draft.policy.zone).date()
    verb = "was promised" if draft.now >= promise_at else "is promised"
    detail = (
        f"{verb} for {day}: {quantity_text(shipped)} of {quantity_text(active)} shipped, "
        f"{quantity_text(delivered)} proven delivered"
    )
    group = "not_shipped" if shipped < active else "not_delivered"
    return Risk("promise", detail, group, promise_at)


def _late_estimate(draft: Draft) -> Risk | None:
    promise_at = draft.promise_at
    if promise_at is None:
        return None
    estimates = [
        fact
        for fact in draft.milestones.values()
        if fact.estimated and fact.leg == "outbound" and fact.code in ("delivered", "arrived_delivery")
    ]
    late = [fact for fact in estimates if fact.at >= promise_at]
    if not late:
        return None
    worst = max(late, key=lambda fact: (fact.at, fact.shipment, fact.tracking))
    about = worst.shipment or worst.tracking or "the order"
    local = worst.at.astimezone(draft.policy.zone)
    return Risk("late_estimate", f"the carrier expects {about} on {local:%Y-%m-%d %H:%M}", "carrier", promise_at)


def _carrier_trouble(draft: Draft) -> Risk | None:
    bad = [fact for fact in trouble(draft) if fact.leg == "outbound"]
    if not bad:
        return None
    words = [f"{fact.code} {fact.shipment or fact.tracking} at {fact.at:%Y-%m-%dT%H:%MZ}" for fact in bad]
    return Risk("carrier_trouble", "; ".join(words), bad[-1].code, draft.promise_at)
