"""Who moves a load: tenders in the order of the routing guide, one at a time, until somebody accepts.

Never two carriers have a load: an offer that ran out is withdrawn before the next is made, and an answer to it that
comes late changes nothing.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from ...canonical.events import Event
from ...canonical.freight import LOAD, Charge, Load, LoadChange, Tender, TenderResponse, TenderWithdrawal
from ...canonical.identifiers import Reference
from ..outcome import DecisionContext, Outcome, ProcessException
from .docks import ask_for_appointments, cancel_appointments
from .draft import Draft
from .state import LEFT, LoadState, Offer, TenderState, happened

LATE_ANSWER, FOREIGN, TWICE, TOO_LATE = "XD-FRT-002", "XD-FRT-008", "XD-FRT-009", "XD-FRT-007"
ROUNDS_MAX = 20


def take_on(load: Load, context: DecisionContext) -> Draft | Outcome:
    """Take a new load on and offer it to the first carrier of its guide."""
    numbers = [stop.seq for stop in load.stops]
    if len(load.stops) < 2 or len(load.stops) > 50 or len(set(numbers)) != len(numbers):
        message = f"Load {load.number}: a load has 2 to 50 stops with numbers of their own"
        return Outcome(None, exceptions=(ProcessException("XD-DOC-001", f"load:{load.number}", message),))
    draft = Draft(LoadState(load, "(new)"), context)
    guide = draft.guide
    draft.currency = guide.currency if guide is not None else draft.currency
    draft.transit_hours = guide.transit_hours if guide is not None else 0
    draft.references.append(Reference(LOAD, load.number))
    draft.references.extend(load.refs)
    offer_next(draft)
    return draft


def offer_next(draft: Draft) -> None:
    """Offer the load to the next carrier of the guide; past its end nobody is left."""
    guide = draft.guide
    if guide is None or draft.asked >= len(guide.carriers):
        return
    carrier = guide.carriers[draft.asked]
    draft.asked += 1
    sequence = len(draft.offers) + 1
    offer = Offer(
        f"{draft.number}-T{sequence}",
        carrier.carrier,
        carrier.partner,
        sequence,
        "offered",
        carrier.charges,
        draft.now,
        draft.now + timedelta(minutes=carrier.tender_minutes),
    )
    draft.offers[offer.number] = offer
    tender = Tender(
        offer.number,
        draft.number,
        offer.carrier,
        sequence,
        draft.load.stops,
        tuple(Charge(code, amount) for code, amount in offer.charges.items()),
        draft.currency,
        offer.respond_by_at,
        draft.load.equipment,
        draft.load.weight_kg,
    )
    draft.references.append(Reference("tender", offer.number))
    draft.request("tender", str(sequence), tender, carrier=offer.carrier, partner=offer.partner)
    told = {"number": offer.number, "carrier": offer.carrier, "respond_by_at": offer.respond_by_at}
    draft.emit("load.tendered", msgspec.to_builtins(told))


def end(draft: Draft, offer: Offer, state: TenderState, reason: str = "") -> Offer:
    """Put a tender into another state."""
    offer = msgspec.structs.replace(offer, state=state, reason=reason)
    draft.offers[offer.number] = offer
    return offer


def withdraw(draft: Draft, offer: Offer, state: TenderState, reason: str) -> None:
    """End a tender and tell the carrier that it no longer stands."""
    end(draft, offer, state, reason)
    word = TenderWithdrawal(offer.number, draft.number, offer.carrier, reason)
    draft.request("tender_withdrawal", str(offer.sequence), word, carrier=offer.carrier, partner=offer.partner)


def planned_again(draft: Draft, _event: Event, load: Load) -> bool:
    """A load is planned once; another content under its number is reported."""
    if load != draft.load:
        draft.fault(TWICE, f"load:{draft.number}", f"Load {draft.number} came again with another content")
    return False


def changed(draft: Draft, _event: Event, change: LoadChange) -> bool:
    """Cancel a load that has not left, or begin its guide anew."""
    if draft.cancelled:
        return False
    if change.action == "tender":
        if draft.winner is not None or draft.waiting is not None or draft.round >= ROUNDS_MAX:
            return False
        draft.round, draft.asked = draft.round + 1, 0
        offer_next(draft)
        return True
    if _is_bound(draft):
        draft.fault(
            TOO_LATE, f"cancel:{draft.number}", f"Load {draft.number} has left or was paid: it cannot be cancelled"
        )
        return False
    draft.cancelled = change.reason or "cancelled by the shipper"
    for offer in (draft.winner, draft.waiting):
        if offer is not None:
            withdraw(draft, offer, "withdrawn", draft.cancelled)
    cancel_appointments(draft)
    return True


def answered(draft: Draft, event: Event, response: TenderResponse) -> bool:
    """Take a carrier's answer to the tender it names, else to its last one."""
    mine = [offer for offer in draft.offers.values() if offer.partner == event.partner]
    named = [offer for offer in mine if response.number in ("", offer.number)]
    if not named:
        message = f"{event.partner or 'somebody'} answers a tender of {draft.number} that it was never sent"
        draft.fault(FOREIGN, f"foreign:{event.partner}", message)
        return False
    offer = named[-1]
    if offer.state == "offered":
        if response.outcome == "declined":
            end(draft, offer, "declined", response.reason)
            offer_next(draft)
        else:
            end(draft, offer, "accepted", response.reason)
            draft.pro = response.pro or draft.pro
            draft.references.append(Reference("pro", response.pro)) if response.pro else None
            draft.emit("load.awarded", {"carrier": offer.carrier, "tender": offer.number, "pro": response.pro})
            ask_for_appointments(draft)
        return True
    if offer.state == "accepted" and response.outcome == "declined":
        return _given_back(draft, offer, response)
    if offer.state in ("expired", "withdrawn") and response.outcome == "accepted":
        message = f"{offer.carrier} accepts {offer.number}, which is {offer.state}"
        draft.fault(LATE_ANSWER, f"late:{offer.carrier}", message)
    return False


def _is_bound(draft: Draft) -> bool:
    """Tell whether a load can no longer change hands: it has left, or freight was settled for it."""
    return happened(draft.facts.values(), *LEFT) is not None or any(bill.state for bill in draft.bills.values())


def _given_back(draft: Draft, offer: Offer, response: TenderResponse) -> bool:
    """A carrier takes its word back: the next one is asked, unless the load has already left."""
    if _is_bound(draft):
        message = f"{offer.carrier} gives {draft.number} back after it left or was paid"
        draft.fault(TOO_LATE, f"given_back:{draft.number}", message)
        return False
    end(draft, offer, "given_back", response.reason)
    draft.pro = ""
    offer_next(draft)
    return True


def expire(draft: Draft) -> bool:
    """Let the open tender run out and ask the next carrier."""
    offer = draft.waiting
    if offer is None or offer.respond_by_at > draft.now:
        return False
    withdraw(draft, offer, "expired", "no answer in time")
    offer_next(draft)
    return True
