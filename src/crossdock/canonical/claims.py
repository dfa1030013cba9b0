"""Claims against carriers for what was lost, damaged or short."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from .instants import Instant
from .nouns import Belongs, EventType, Fault, Noun, given
from .quantities import Money

CLAIM = "claim"

ClaimKind = Literal["loss", "damage", "shortage"]


class ClaimLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """Goods that are claimed. `amount` is what they are worth, in the claim's currency."""

    sku: str
    quantity: Decimal
    amount: Decimal = Decimal(0)
    description: str = ""


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """One piece of evidence: its kind (`bill_of_lading`, `photo`, `commercial_invoice`) and where it is."""

    kind: str
    reference: str = ""


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """A claim. `number` is unique within the tenant; `delivered_at` starts the deadline to file."""

    number: str
    kind: ClaimKind
    carrier: str
    currency: str
    lines: tuple[ClaimLine, ...]
    load_number: str = ""
    po_number: str = ""
    order_number: str = ""
    receipt_number: str = ""
    delivered_at: Instant | None = None
    evidence: tuple[Evidence, ...] = ()
    note: str = ""


class ClaimEvidence(msgspec.Struct, frozen=True):
    """Further evidence for a claim."""

    number: str
    evidence: tuple[Evidence, ...]


class ClaimFiling(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claim as the carrier gets it."""

    number: str
    kind: ClaimKind
    carrier: str
    amount: Money
    lines: tuple[ClaimLine, ...]
    load_number: str = ""
    evidence: tuple[Evidence, ...] = ()


class ClaimAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The carrier's word: it has the claim, offers an amount, or declines."""

    number: str
    outcome: Literal["acknowledged", "offered", "declined"]
    amount: Decimal | None = None
    carrier_ref: str = ""
    reason: str = ""
    at: Instant | None = None


class ClaimDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Our word: `file` it now, `accept` the carrier's offer, `write_off` what is left."""

    number: str
    action: Literal["file", "accept", "write_off"]
    by: str = ""
    reason: str = ""
    at: Instant | None = None


class ClaimSettlement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What finance books at the end of a claim: claimed = recovered + written off."""

    number: str
    carrier: str
    claimed: Money
    recovered: Money
    written_off: Money


def _faults(claim: Claim) -> tuple[Fault, ...]:
    return tuple(
        Fault(f"/lines/{index}", "quantity and amount of a claim must be 0 or more", str(line.amount), ">= 0")
        for index, line in enumerate(claim.lines)
        if not (line.quantity.is_finite() and line.amount.is_finite() and line.quantity >= 0 and line.amount >= 0)
    )


NOUN = Noun(
    objects={
        "claim": Claim,
        "claim_evidence": ClaimEvidence,
        "claim_filing": ClaimFiling,
        "claim_answer": ClaimAnswer,
        "claim_decision": ClaimDecision,
        "claim_settlement": ClaimSettlement,
    },
    events=(
        EventType("crossdock.claim.opened.v1", Claim, CLAIM, False, "Goods are claimed from a carrier."),
        EventType("crossdock.claim.evidence_added.v1", ClaimEvidence, CLAIM, False, "A claim has further evidence."),
        EventType("crossdock.claim.answered.v1", ClaimAnswer, CLAIM, False, "A carrier answers a claim."),
        EventType("crossdock.claim.decided.v1", ClaimDecision, CLAIM, False, "A person files, accepts or writes off."),
        EventType("crossdock.claim.filed.v1", ClaimFiling, "", False, "The claim went to the carrier."),
        EventType("crossdock.claim.ended.v1", ClaimSettlement, "", False, "A claim is settled or written off."),
    ),
    requests={"claim_filing": "claim_filing", "claim_settlement": "claim_settlement"},
    belongs={
        Claim: Belongs(CLAIM, lambda one: given((CLAIM, one.number))),
        ClaimEvidence: Belongs(CLAIM, lambda one: given((CLAIM, one.number))),
        ClaimAnswer: Belongs(CLAIM, lambda one: given((CLAIM, one.number))),
        ClaimDecision: Belongs(CLAIM, lambda one: given((CLAIM, one.number))),
    },
    faults={Claim: _faults},
)
