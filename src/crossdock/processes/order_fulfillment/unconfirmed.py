"""Goods that move although no site has confirmed that they left: the tracking number exists, the confirmation does not.

Nobody may invoice them, and nobody would notice: the carrier is content, the site is silent. So the silence has a
clock; when it has run out an issue is opened, and it closes by itself when the confirmation comes after all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ...canonical.milestones import rank_of
from ..order_state import ACTIVE_STATES, Fulfillment, MilestoneFact
from .draft import Draft
from .milestones import concerns

MOVES = rank_of("departed_pickup")
CODE = "XD-ORD-030"


def unconfirmed(draft: Draft) -> dict[str, datetime]:
    """Return the requests whose goods move unconfirmed, with when the carrier first had them."""
    if not draft.milestones:
        return {}
    open_ones = [one for one in draft.fulfillments.values() if one.state in ACTIVE_STATES and one.outstanding]
    if not open_ones:
        return {}
    found: dict[str, datetime] = {}
    for fact in draft.milestones.values():
        if fact.estimated or fact.leg != "outbound" or rank_of(fact.code) < MOVES:
            continue
        if any(concerns(fact, shipment) for shipment in draft.shipments.values()):
            continue
        for one in _meant(fact, open_ones):
            found[one.number] = min(found.get(one.number, fact.at), fact.at)
    return found


def _meant(fact: MilestoneFact, open_ones: list[Fulfillment]) -> list[Fulfillment]:
    if fact.fulfillment:
        return [one for one in open_ones if one.number == fact.fulfillment]
    # A carrier that names only the order can be understood where one site is silent, not where several are.
    return open_ones if len(open_ones) == 1 else []


def watch_confirmations(draft: Draft) -> None:
    """Open an issue for each site that is silent for too long, and take it back when it has spoken."""
    grace = draft.policy.rules.confirmation_grace_minutes
    silent = unconfirmed(draft) if grace else {}
    for code, cause in list(draft.raised):
        if code == CODE and cause.partition(":")[2] not in silent:
            draft.take_back(code, cause)
    for number, since in silent.items():
        if draft.now >= since + timedelta(minutes=grace):
            site = draft.fulfillments[number].site
            message = (
                f"{number} moves since {since:%Y-%m-%d %H:%M} UTC, and {site} has not confirmed what left: "
                "it cannot be invoiced"
            )
            draft.raise_condition(CODE, f"unconfirmed:{number}", message)


def next_confirmation_look(draft: Draft) -> datetime | None:
    """Return when a silence becomes too long; None where nothing is silent or all of it was reported."""
    grace = draft.policy.rules.confirmation_grace_minutes
    if not grace:
        return None
    instants = [since + timedelta(minutes=grace) for since in unconfirmed(draft).values()]
    return min((instant for instant in instants if instant > draft.now), default=None)
