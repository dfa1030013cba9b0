"""What an order hears of its returns, and proof of delivery that comes by itself.

The ledger's `returned` follows from what all returns received and from what is delivered, so the two may come in either
order: goods that came back before their delivery is proven are counted when the proof comes.
"""

from __future__ import annotations

from decimal import Decimal

from ...canonical.events import Event
from ...canonical.invoices import ProofOfDelivery
from ...canonical.returns import ReturnProgress
from ...canonical.shipments import Evidence, Milestone
from ..ledger import ZERO, is_quantity
from ..order_state import RETURNS_MAX
from .draft import Draft
from .milestones import recorded


def return_changed(draft: Draft, _event: Event, progress: ReturnProgress) -> bool:
    """Keep the latest word of one return."""
    known = draft.returns.get(progress.number)
    if known == progress:
        return False
    if not all(is_quantity(line.claimed) and is_quantity(line.received) for line in progress.lines):
        message = f"return {progress.number} of order {draft.order.number} tells a quantity that is none"
        draft.fault("XD-DOC-001", f"return_quantity:{progress.number}", message, "/lines")
        return False
    if known is None:
        if len(draft.returns) >= RETURNS_MAX:
            message = f"order {draft.order.number} has {RETURNS_MAX} returns already"
            draft.fault("XD-RET-002", "returns_max", message)
            return False
        draft.name("rma", progress.number)
    if progress.tracking and (known is None or known.tracking != progress.tracking):
        draft.name("tracking", progress.tracking)
    draft.returns[progress.number] = progress
    return True


def book_returns(draft: Draft) -> None:
    """Book in the ledger what came back, never more than was delivered."""
    if not draft.returns:
        return
    received: dict[str, Decimal] = {}
    for one in draft.returns.values():
        for line in one.lines:
            received[line.line_no] = received.get(line.line_no, ZERO) + line.received
    for line_no, quantity in received.items():
        ledger = draft.lines.get(line_no)
        if ledger is None:
            continue
        more = min(quantity, ledger.delivered) - ledger.returned
        if more > 0:
            draft.lines[line_no] = ledger.take_return(more)


def delivery_proven(draft: Draft, event: Event, proof: ProofOfDelivery) -> bool:
    """Take proof that came by itself as what it proves: a delivery with evidence."""
    milestone = Milestone(
        code="delivered",
        at=proof.at,
        order_number=proof.order_number,
        shipment_number=proof.shipment_number,
        fulfillment_number=proof.fulfillment_number,
        tracking=proof.tracking,
        evidence=Evidence(proof.kind, proof.signed_by, proof.at, proof.document),
    )
    return recorded(draft, event, milestone)
