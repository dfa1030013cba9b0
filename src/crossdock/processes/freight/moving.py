"""Where a load is and will be: milestones and estimates, and the clocks on them."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...canonical.events import Event
from ...canonical.freight import LoadMilestone
from .draft import Draft
from .state import LEFT, Fact, delivered, etas, happened
from .tendering import FOREIGN

NO_CARRIER, NOT_PICKED_UP, WILL_BE_LATE = "XD-FRT-001", "XD-FRT-003", "XD-FRT-004"


def is_foreign(draft: Draft, event: Event, what: str) -> bool:
    """Tell whether a partner speaks of a load that it does not have, and report it."""
    if draft.speaks(event.partner) is not None:
        return False
    message = f"{event.partner or 'somebody'} sent {what} for {draft.number}, which it does not have"
    draft.fault(FOREIGN, f"foreign:{event.partner}", message)
    return True


def is_not_ours(draft: Draft, event: Event, what: str) -> bool:
    """Tell whether a carrier sent a word that is ours to say, and report it."""
    if not draft.is_carrier(event.partner):
        return False
    draft.fault(FOREIGN, f"foreign:{event.partner}", f"{event.partner} sent {what} for {draft.number}: that is ours")
    return True


def recorded(draft: Draft, event: Event, milestone: LoadMilestone) -> bool:
    """Keep the latest word on a milestone, by the time it was said."""
    if is_foreign(draft, event, "a milestone"):
        return False
    if not 1990 <= milestone.at.year <= 2200:
        draft.fault("XD-DOC-001", f"milestone:{draft.number}", f"{milestone.at} is no time of a milestone")
        return False
    said_at = milestone.reported_at or (milestone.at if milestone.kind == "actual" else draft.now)
    key = (milestone.code, milestone.kind, milestone.stop_seq)
    known = draft.facts.get(key)
    fact = Fact(
        milestone.code,
        milestone.kind,
        milestone.at,
        said_at,
        milestone.stop_seq,
        milestone.location,
        milestone.reason,
        milestone.proof,
    )
    if known is not None and (known == fact or known.said_at > said_at):
        return False
    if known is None and draft.is_full(draft.facts, "milestones"):
        return False
    arrived = delivered(draft.load, draft.facts.values())
    draft.facts[key] = fact
    arrival = delivered(draft.load, draft.facts.values())
    if arrived is None and arrival is not None:
        draft.emit("load.delivered", {"number": draft.number, "at": arrival.at.isoformat(), "proof": arrival.proof})
    return True


def watch_clocks(draft: Draft) -> None:
    """Set the clocks from the facts: an unanswered tender, a missing pickup, a delivery that is or will be late."""
    waiting = draft.waiting
    draft.set_timer("tender", waiting.respond_by_at if waiting is not None else None)
    stuck = draft.status == "no_carrier"
    if stuck:
        draft.raise_condition(NO_CARRIER, f"guide:{draft.load.lane}", f"No carrier of the guide took {draft.number}")
    else:
        draft.take_back(NO_CARRIER, f"guide:{draft.load.lane}")
    moving = draft.winner is not None and not draft.cancelled
    left = happened(draft.facts.values(), *LEFT)
    pickup = _due(draft.load.stops[0].window_to, draft.rules.pickup_grace_hours) if moving and left is None else None
    arrived = delivered(draft.load, draft.facts.values())
    delivery = (
        _due(draft.load.stops[-1].window_to, draft.rules.delivery_grace_hours) if moving and not arrived else None
    )
    for name, code, due_at, words in (
        ("pickup", NOT_PICKED_UP, pickup, "was not picked up in time"),
        ("delivery", WILL_BE_LATE, delivery, "was not delivered in time"),
    ):
        late = due_at is not None and (due_at <= draft.now or (name == "delivery" and _estimated_after(draft, due_at)))
        cause = f"{name}:{draft.number}"
        if late:
            said = "will be late" if due_at is not None and due_at > draft.now else words
            draft.raise_condition(code, cause, f"Load {draft.number} {said}")
        else:
            draft.take_back(code, cause)
        draft.set_timer(name, due_at if due_at is not None and due_at > draft.now else None)


def _estimated_after(draft: Draft, due_at: datetime) -> bool:
    """Tell whether the carrier's estimate, else the hub's, lies beyond a moment."""
    found = etas(draft.finish().state)
    estimate = found.get("carrier") or found.get("hub")
    return estimate is not None and estimate > due_at


def _due(window_to: datetime | None, grace_hours: int) -> datetime | None:
    if window_to is None or not 1990 <= window_to.year <= 2200:
        return None
    return window_to + timedelta(hours=grace_hours)
