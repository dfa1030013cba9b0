"""The way back: which milestones belong to a return, although carriers seldom say so.

The same waybill may legally start again for a return; its leg then is `return`, and what it says never moves what the
outbound leg has reached.
"""

from __future__ import annotations

from ...canonical.returns import ReturnProgress
from ...canonical.shipments import Milestone
from ..outcome import Tell
from .draft import Draft

RETURN_LEG = "return"
NO_LONGER_COMES = ("closed", "refused")


def leg_of(draft: Draft, milestone: Milestone) -> str:
    """Return the leg of a milestone: the one it names, else `return` where only a return has its tracking number."""
    if milestone.leg != "outbound" or not milestone.tracking or not draft.returns:
        return milestone.leg
    outbound = any(milestone.tracking in one.tracking for one in draft.shipments.values())
    coming_back = any(milestone.tracking == one.tracking for one in draft.returns.values())
    return RETURN_LEG if coming_back and not outbound else milestone.leg


def tell_return(draft: Draft, milestone: Milestone, leg: str) -> None:
    """Tell the return that is on its way; where several could be meant, the one with the tracking number."""
    if leg != RETURN_LEG:
        return
    for one in _meant(draft, milestone):
        draft.tells.append(Tell(f"return/{one.number}", "crossdock.return.moved.v1", milestone))


def _meant(draft: Draft, milestone: Milestone) -> list[ReturnProgress]:
    coming = [one for one in draft.returns.values() if one.status not in NO_LONGER_COMES]
    named = [one for one in coming if milestone.tracking and one.tracking == milestone.tracking]
    if named:
        return named[-1:]
    unlabelled = [one for one in coming if not one.tracking or not milestone.tracking]
    return unlabelled if len(unlabelled) == 1 else []
