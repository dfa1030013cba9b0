"""Carriers report where the goods are: milestones merge, they never overwrite.

Each kind of milestone of one subject and leg is kept once. Two words on the same one join: the later event time, and
proof beats no proof. Joining is independent of the order in which they come, and so is everything derived from it;
a late "departed" therefore never takes back a "delivered". What a delivery sets free is in `consequences.py`.
"""

from __future__ import annotations

from datetime import datetime

from ...canonical.events import Event
from ...canonical.milestones import rank_of
from ...canonical.shipments import Evidence, Milestone
from ..order_state import MilestoneFact, ShippedUnit
from .draft import Draft, fact_key, is_instant
from .return_legs import leg_of, tell_return

# One shipment has some twenty; a carrier that invents codes must not fill the state.
FACTS_MAX = 200
TROUBLE = frozenset(("delayed", "refused", "damaged", "lost", "held", "customs_held", "delivery_attempted"))


def recorded(draft: Draft, event: Event, milestone: Milestone) -> bool:
    """Join a milestone to what is known. Returns whether it told anything new."""
    if milestone.milestone_class == "planned":
        return False
    if not is_instant(milestone.at):
        message = f"milestone {milestone.code} of order {draft.order.number} at {milestone.at} is no instant"
        draft.fault("XD-DOC-001", f"milestone_at:{milestone.code}", message, "/at")
        return False
    leg = leg_of(draft, milestone)
    fact = MilestoneFact(
        code=milestone.code,
        at=milestone.at,
        leg=leg,
        shipment=milestone.shipment_number,
        tracking=milestone.tracking,
        fulfillment=milestone.fulfillment_number,
        estimated=milestone.milestone_class == "estimated",
        told_at=event.occurred_at if milestone.milestone_class == "estimated" else None,
        evidence=_words(milestone.evidence) if milestone.evidence is not None else "",
    )
    key = fact_key(fact)
    known = draft.milestones.get(key)
    if known is None:
        if len(draft.milestones) >= FACTS_MAX and fact.code != "delivered":
            return False
        draft.milestones[key] = fact
        tell_return(draft, milestone, leg)
        return True
    joined = join(known, fact)
    draft.milestones[key] = joined
    if joined != known:
        tell_return(draft, milestone, leg)
    return joined != known


def join(left: MilestoneFact, right: MilestoneFact) -> MilestoneFact:
    """Return what two words on the same milestone say together, whichever came first.

    Of estimates the later word counts; of facts the later event time. Proof once given stays.
    """
    evidence = max(left.evidence, right.evidence)
    if left.estimated:
        later = max(left, right, key=lambda fact: (fact.told_at or fact.at, fact.at))
        at, told_at = later.at, later.told_at
    else:
        at, told_at = max(left.at, right.at), None
    return MilestoneFact(
        left.code, at, left.leg, left.shipment, left.tracking, left.fulfillment, left.estimated, told_at, evidence
    )


def concerns(fact: MilestoneFact, shipment: ShippedUnit) -> bool:
    """Tell whether a milestone is about a shipment: by its number, else tracking, else request, else the whole order.

    A milestone of the whole order is about what had left by then.
    """
    if fact.shipment:
        if fact.shipment == shipment.number:
            return True
        return bool(fact.tracking) and fact.tracking in shipment.tracking
    if fact.tracking:
        return fact.tracking in shipment.tracking
    if fact.fulfillment:
        return fact.fulfillment == shipment.fulfillment
    return shipment.shipped_at is None or shipment.shipped_at <= fact.at


def delivery_of(draft: Draft, shipment: ShippedUnit) -> str:
    """Return the proof that all of a shipment was delivered; empty while it is missing.

    A parcel's own milestone proves that parcel: with several, each needs one.
    """
    needs_evidence = draft.policy.rules.delivered_needs_evidence
    parcels: set[str] = set()
    proof: list[str] = []
    whole = False
    for fact in draft.milestones.values():
        if fact.code != "delivered" or fact.estimated or fact.leg != "outbound" or not concerns(fact, shipment):
            continue
        if needs_evidence and not fact.evidence:
            continue
        proof.append(fact.evidence or f"delivered {fact.at:%Y-%m-%dT%H:%MZ}")
        if fact.tracking in shipment.tracking and len(shipment.tracking) > 1:
            parcels.add(fact.tracking)
        else:
            whole = True
    if not proof or not (whole or parcels.issuperset(shipment.tracking)):
        return ""
    return min(proof)


def trouble(draft: Draft) -> list[MilestoneFact]:
    """Return the carriers' bad news that no later progress of the same subject has overtaken, oldest first."""
    progress: dict[tuple[str, str, str, str], datetime] = {}
    bad: dict[tuple[str, str, str, str], MilestoneFact] = {}
    for fact in draft.milestones.values():
        if fact.estimated:
            continue
        subject = (fact.leg, fact.shipment, fact.tracking, fact.fulfillment)
        if fact.code in TROUBLE:
            known = bad.get(subject)
            if known is None or (fact.at, fact.code) > (known.at, known.code):
                bad[subject] = fact
        elif rank_of(fact.code):
            latest = progress.get(subject)
            if latest is None or fact.at > latest:
                progress[subject] = fact.at
    return sorted(
        (fact for subject, fact in bad.items() if subject not in progress or progress[subject] <= fact.at),
        key=lambda fact: (fact.at, fact.code, fact.shipment, fact.tracking),
    )


def _words(evidence: Evidence) -> str:
    """Return proof in words; empty when it proves nothing.

    >>> _words(Evidence(signed_by="J. Ortiz", document="pod-1.jpg"))
    'pod pod-1.jpg signed by J. Ortiz'
    """
    parts = [evidence.document] if evidence.document else []
    if evidence.signed_by:
        parts.append(f"signed by {evidence.signed_by}")
    return " ".join((evidence.kind, *parts)) if parts else ""
