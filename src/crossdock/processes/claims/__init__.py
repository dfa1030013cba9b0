"""Steer a claim against a carrier from the damage to its end.

`decide` is pure and total, as every process. A claim is filed when its evidence is complete, and waits for the
carrier's word under two clocks: 30 days to acknowledge, 120 days to pay, decline or offer (49 CFR 370.5 and 370.9);
filing itself has a deadline of nine months after the delivery (49 USC 14706(e)). All are rules of `rules/claim.yaml`.

    (new)        → open filed
    open         → filed written_off
    filed        → acknowledged offered declined written_off
    acknowledged → offered declined written_off
    offered      → acknowledged declined settled written_off
    declined     → acknowledged offered written_off
    settled      → (end)
    written_off  → (end)

At its end: claimed = recovered + written off.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec

from ...canonical.claims import (
    CLAIM,
    Claim,
    ClaimAnswer,
    ClaimDecision,
    ClaimEvidence,
    ClaimFiling,
    ClaimSettlement,
    Evidence,
)
from ...canonical.events import Event
from ...canonical.identifiers import Reference
from ...canonical.quantities import Money
from ..outcome import (
    AggregateSummary,
    DecisionContext,
    NewEvent,
    Outcome,
    ProcessException,
    Request,
    TimerChange,
)

__all__ = ["HANDLERS", "STATUS_ARROWS", "ClaimRules", "ClaimState", "decide", "summary"]

ZERO = Decimal(0)
EVIDENCE_MAX = 200
AMOUNT_MAX = Decimal(10) ** 12
FILE_SOON, UNANSWERED, UNDECIDED, FOREIGN, BAD_WORD = (
    "XD-FRT-011",
    "XD-FRT-012",
    "XD-FRT-013",
    "XD-FRT-008",
    "XD-FRT-014",
)

Status = Literal["open", "filed", "acknowledged", "offered", "declined", "settled", "written_off"]

STATUS_ARROWS: dict[str, tuple[str, ...]] = {
    "(new)": ("open", "filed"),
    "open": ("filed", "written_off"),
    "filed": ("acknowledged", "offered", "declined", "written_off"),
    "acknowledged": ("offered", "declined", "written_off"),
    "offered": ("acknowledged", "declined", "settled", "written_off"),
    "declined": ("acknowledged", "offered", "written_off"),
    "settled": (),
    "written_off": (),
}
ENDED = ("settled", "written_off")


class ClaimCarrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which partner speaks for a carrier."""

    carrier: str
    partner: str


class ClaimRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`rules/claim.yaml`.

    `evidence` must be there, by kind of claim (`"*"` for all), before a claim is filed by itself. `file_days` after the
    delivery the right to claim ends, and `warn_days` before that a person is told. `acknowledge_days` and
    `decide_days` count from the filing.
    """

    carriers: tuple[ClaimCarrier, ...] = ()
    evidence: dict[str, tuple[str, ...]] = {}
    file_days: int = 270
    warn_days: int = 30
    acknowledge_days: int = 30
    decide_days: int = 120

    def __post_init__(self) -> None:
        days = (self.file_days, self.warn_days, self.acknowledge_days, self.decide_days)
        if not all(0 <= one <= 10_000 for one in days):
            raise ValueError("a number of days is from 0 to 10,000")

    def needed(self, kind: str) -> frozenset[str]:
        """Return the kinds of evidence that a claim of a kind needs."""
        return frozenset((*self.evidence.get("*", ()), *self.evidence.get(kind, ())))

    def partner(self, carrier: str) -> str:
        """Return who speaks for a carrier; empty lets any partner of the tenant."""
        return next((one.partner for one in self.carriers if one.carrier == carrier), "")


class Timer(msgspec.Struct, frozen=True):
    name: str
    due_at: datetime


class ClaimState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One claim.

    `said_at` is when the carrier last spoke: its later word counts, whenever it comes. `said_by` is the partner that
    spoke for it.
    """

    claim: Claim
    status: Status
    evidence: tuple[Evidence, ...] = ()
    filed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    said_at: datetime | None = None
    offer: Decimal | None = None
    carrier_ref: str = ""
    reason: str = ""
    recovered: Decimal = ZERO
    written_off: Decimal = ZERO
    raised: tuple[str, ...] = ()
    timers: tuple[Timer, ...] = ()
    said_by: str = ""


def claimed(state: ClaimState) -> Decimal:
    """Return what is claimed in all."""
    return sum((line.amount for line in state.claim.lines), ZERO)


def missing(state: ClaimState, rules: ClaimRules) -> frozenset[str]:
    """Return the kinds of evidence that are still needed before the claim can be filed."""
    return rules.needed(state.claim.kind) - {one.kind for one in state.evidence}


def summary(state: ClaimState) -> AggregateSummary:
    """Return what lists show: the carrier stands where an order has its customer, the kind for the region."""
    return AggregateSummary(
        status=state.status,
        customer=state.claim.carrier,
        region=state.claim.kind,
        due_at=min((timer.due_at for timer in state.timers), default=None),
        at_risk=bool(state.raised),
        value=Money(claimed(state), state.claim.currency),
    )


class _Draft:
    """A claim under decision."""

    def __init__(self, state: ClaimState, context: DecisionContext) -> None:
        self.state = state
        self.now = context.now
        self.rules: ClaimRules = context.policy
        self.events: list[NewEvent] = []
        self.requests: list[Request] = []
        self.timers: list[TimerChange] = []
        self.exceptions: list[ProcessException] = []
        self.references: list[Reference] = []

    def put(self, **changes: Any) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)

    def fault(self, code: str, message: str) -> None:
        self.exceptions.append(ProcessException(code, f"claim:{self.state.claim.number}", message))

    def request(self, kind: str, document: Any) -> None:
        claim = self.state.claim
        attributes = {"claim": claim.number, "carrier": claim.carrier, "partner": self.rules.partner(claim.carrier)}
        self.requests.append(Request(kind, f"{kind}:{claim.number}", document, attributes=attributes))


class Deadline(msgspec.Struct, frozen=True):
    """The data of `crossdock.deadline.passed.v1`: which timer."""

    name: str
    override: bool = False


def decide(state: ClaimState | None, event: Event, context: DecisionContext) -> Outcome:
    """Return everything that follows from one event for one claim. `context.policy` is a `ClaimRules`."""
    known = HANDLERS.get(event.type)
    if known is None:
        return Outcome(state)
    shape, handler = known
    try:
        data = msgspec.convert(event.data, shape)
    except msgspec.ValidationError as error:
        fault = ProcessException("XD-DOC-001", f"shape:{event.type}", f"{event.type}: {error}")
        return Outcome(state, exceptions=(fault,))
    if state is None:
        if not isinstance(data, Claim):
            return Outcome(None, parked_until=f"{CLAIM}:{data.number}")
        if not data.lines or any(
            not (line.amount.is_finite() and 0 <= line.amount <= AMOUNT_MAX) for line in data.lines
        ):
            message = f"Claim {data.number} claims nothing, or more than there is"
            return Outcome(None, exceptions=(ProcessException("XD-DOC-001", f"claim:{data.number}", message),))
        draft = _Draft(ClaimState(data, "open", data.evidence), context)
        draft.references.append(Reference(CLAIM, data.number))
    else:
        draft = _Draft(state, context)
        if not handler(draft, event, data):
            return Outcome(state, exceptions=tuple(draft.exceptions), duplicate=not draft.exceptions)
    if draft.state.status == "open" and not missing(draft.state, draft.rules):
        _file(draft)
    _watch(draft)
    return Outcome(
        draft.state,
        tuple(draft.events),
        tuple(draft.requests),
        tuple(draft.timers),
        tuple(draft.exceptions),
        tuple(draft.references),
    )


def _opened_again(draft: _Draft, _event: Event, claim: Claim) -> bool:
    if claim != draft.state.claim:
        draft.fault("XD-FRT-009", f"Claim {claim.number} came again with another content")
    return False


def _evidence_added(draft: _Draft, _event: Event, more: ClaimEvidence) -> bool:
    fresh = tuple(one for one in dict.fromkeys(more.evidence) if one not in draft.state.evidence)
    if not fresh or draft.state.status in ENDED or len(draft.state.evidence) + len(fresh) > EVIDENCE_MAX:
        return False
    draft.put(evidence=(*draft.state.evidence, *fresh))
    return True


def _file(draft: _Draft) -> None:
    """Send the claim to the carrier, once."""
    claim, state = draft.state.claim, draft.state
    filing = ClaimFiling(
        claim.number,
        claim.kind,
        claim.carrier,
        Money(claimed(state), claim.currency),
        claim.lines,
        claim.load_number,
        state.evidence,
    )
    draft.put(status="filed", filed_at=draft.now)
    draft.request("claim_filing", filing)
    draft.events.append(NewEvent("crossdock.claim.filed.v1", filing))


def _answered(draft: _Draft, event: Event, answer: ClaimAnswer) -> bool:
    """Take the carrier's word. Its later word counts; a claim that is not filed or has ended takes none."""
    state, partner = draft.state, draft.rules.partner(draft.state.claim.carrier)
    if partner and event.partner != partner:
        draft.fault(FOREIGN, f"{event.partner or 'somebody'} answers claim {answer.number}, which is {partner}'s")
        return False
    said_at = answer.at or event.occurred_at
    if state.status in ENDED or (state.said_at is not None and said_at < state.said_at):
        return False
    offer = answer.amount if answer.outcome == "offered" else None
    usable = offer is not None and offer.is_finite() and 0 < offer <= claimed(state)
    if state.status == "open" or (answer.outcome == "offered" and not usable):
        draft.fault(BAD_WORD, f"The answer {answer.outcome} of {answer.amount} does not fit claim {answer.number}")
        return False
    updated = msgspec.structs.replace(
        state,
        status=answer.outcome,
        said_at=said_at,
        said_by=event.partner,
        acknowledged_at=state.acknowledged_at or said_at,
        offer=offer,
        carrier_ref=answer.carrier_ref or state.carrier_ref,
        reason=answer.reason,
    )
    if updated == state:
        return False
    draft.state = updated
    if answer.carrier_ref and answer.carrier_ref != state.carrier_ref:
        draft.references.append(Reference("carrier_claim", answer.carrier_ref, state.claim.carrier))
    return True


def _decided(draft: _Draft, event: Event, decision: ClaimDecision) -> bool:
    """Take our own word, never a carrier's. A claim ends once."""
    state = draft.state
    if event.partner and event.partner in (state.said_by, *(one.partner for one in draft.rules.carriers)):
        draft.fault(FOREIGN, f"{event.partner} decides on claim {decision.number}, which is ours to decide")
        return False
    if state.status in ENDED:
        return False
    if decision.action == "file":
        if state.status != "open":
            return False
        _file(draft)
        return True
    total = claimed(state)
    if decision.action == "accept":
        if state.offer is None:
            draft.fault(BAD_WORD, f"Claim {decision.number} has no offer to accept")
            return False
        draft.put(status="settled", recovered=state.offer, written_off=total - state.offer, reason=decision.reason)
    else:
        draft.put(status="written_off", written_off=total, reason=decision.reason)
    claim, currency = state.claim, state.claim.currency
    ended = ClaimSettlement(
        claim.number,
        claim.carrier,
        Money(total, currency),
        Money(draft.state.recovered, currency),
        Money(draft.state.written_off, currency),
    )
    draft.request("claim_settlement", ended)
    draft.events.append(NewEvent("crossdock.claim.ended.v1", ended))
    return True


def _passed(draft: _Draft, _event: Event, deadline: Deadline) -> bool:
    due_at = next((timer.due_at for timer in draft.state.timers if timer.name == deadline.name), None)
    return due_at is not None and (deadline.override or due_at <= draft.now)


def _clocks(state: ClaimState, rules: ClaimRules) -> tuple[tuple[str, str, datetime | None, str], ...]:
    filing = state.claim.delivered_at if state.status == "open" else None
    waiting = state.filed_at if state.status == "filed" and state.acknowledged_at is None else None
    undecided = state.filed_at if state.status in ("filed", "acknowledged") else None
    lacks = ", ".join(sorted(missing(state, rules))) or "a decision"
    return (
        ("file", FILE_SOON, _days(filing, rules.file_days - rules.warn_days), f"must be filed soon and lacks {lacks}"),
        ("acknowledge", UNANSWERED, _days(waiting, rules.acknowledge_days), "was not acknowledged in time"),
        ("decide", UNDECIDED, _days(undecided, rules.decide_days), "was not decided in time"),
    )


def _days(start: datetime | None, days: int) -> datetime | None:
    if start is None or not 1990 <= start.year <= 2200:
        return None
    return start + timedelta(days=days)


def _watch(draft: _Draft) -> None:
    """Set the clocks from the facts; one that has run out is a fault until its reason is gone."""
    before = {timer.name: timer.due_at for timer in draft.state.timers}
    raised, timers = list(draft.state.raised), []
    for name, code, due_at, words in _clocks(draft.state, draft.rules):
        late = due_at is not None and due_at <= draft.now
        cause = f"{name}:{draft.state.claim.carrier}"
        if late and name not in raised:
            raised.append(name)
            draft.exceptions.append(ProcessException(code, cause, f"Claim {draft.state.claim.number} {words}"))
        elif not late and name in raised:
            raised.remove(name)
            draft.exceptions.append(ProcessException(code, cause, "settled by itself", resolves=True))
        wanted = None if late else due_at
        if wanted is not None:
            timers.append(Timer(name, wanted))
        if before.get(name) != wanted:
            draft.timers.append(TimerChange(name, wanted))
    draft.put(raised=tuple(raised), timers=tuple(timers))


HANDLERS: dict[str, tuple[Any, Any]] = {
    "crossdock.claim.opened.v1": (Claim, _opened_again),
    "crossdock.claim.evidence_added.v1": (ClaimEvidence, _evidence_added),
    "crossdock.claim.answered.v1": (ClaimAnswer, _answered),
    "crossdock.claim.decided.v1": (ClaimDecision, _decided),
    "crossdock.deadline.passed.v1": (Deadline, _passed),
}
