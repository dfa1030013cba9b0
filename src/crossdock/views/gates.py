"""Why is the invoice not released, and why does the customer not see "delivered"? One sentence for each obstacle.

Pure folds over an order's facts. An empty answer means that the gate is open and everybody has been told.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..processes.ledger import quantity_text
from ..processes.order_fulfillment.milestones import concerns
from ..processes.order_state import ACTIVE_STATES, DELIVERED, ShippedUnit
from ..processes.policy import OrderRules
from .order_facts import OrderFacts, OutboundFact


class Obstacle(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason why a gate is closed. `who` has the ball; `source_id` leads to the message or paper that shows it."""

    code: str
    text: str
    who: str = ""
    source_id: str = ""


Gate = Literal["invoice", "delivered"]


def why_not_invoiced(facts: OrderFacts, rules: OrderRules) -> tuple[Obstacle, ...]:
    """Return what stands between the order and its invoice, the nearest to the goods first.

    Nothing that is cancelled is missed; what was invoiced and credited is.
    """
    state = facts.state
    if all(line.active == line.invoiced for line in state.lines):
        return tuple(_untold(facts, "invoice_release", "the ERP has not taken the invoice release"))
    found = [*_unshipped(facts), *_papers(facts)]
    for shipment in state.shipments:
        if shipment.lines and not shipment.invoiced and rules.invoice_gate == "delivered" and not shipment.delivered:
            found += _undelivered(facts, shipment, rules)
    if not found and rules.invoice_per == "order" and any(not one.invoiced for one in state.shipments if one.lines):
        found.append(Obstacle("waits_for_whole", "the rest of the order is under way, and it is invoiced whole"))
    if any(line.backordered for line in state.lines):
        waiting = sum((line.backordered for line in state.lines), start=state.lines[0].backordered * 0)
        found.append(Obstacle("backordered", f"{quantity_text(waiting)} wait for stock"))
    for bill in state.bills:
        if bill.state in ("crediting", "refused", "disputed"):
            words = {"crediting": "is being credited", "refused": "was refused by the ERP", "disputed": "is disputed"}
            why = f": {bill.reason}" if bill.reason else ""
            found.append(Obstacle(f"bill_{bill.state}", f"release {bill.number} {words[bill.state]}{why}", "erp"))
    return (*found, *_untold(facts, "shipment_confirmation", "the ERP has not taken the ship confirmation"))


def why_not_delivered(facts: OrderFacts, rules: OrderRules) -> tuple[Obstacle, ...]:
    """Return why the customer does not see the order as delivered; empty when they do, or when it is cancelled."""
    state = facts.state
    if state.status in DELIVERED:
        return tuple(_untold(facts, "order_status", "the shop has not taken the word", ("delivered",)))
    if state.status == "cancelled":
        return ()
    found = [*_unshipped(facts), *_papers(facts)]
    for shipment in state.shipments:
        if shipment.lines and not shipment.delivered:
            found += _undelivered(facts, shipment, rules)
    return tuple(found)


def _unshipped(facts: OrderFacts) -> list[Obstacle]:
    """What no site has confirmed; where a carrier has it already, that is said, because then a paper is missing."""
    state = facts.state
    if state.hold:
        return [Obstacle("on_hold", f"the order is on hold: {state.hold}")]
    moving = {
        fact.fulfillment: fact
        for fact in state.milestones
        if not fact.estimated
        and fact.leg == "outbound"
        and not any(concerns(fact, shipment) for shipment in state.shipments)
    }
    found = []
    for one in state.fulfillments:
        if one.state not in ACTIVE_STATES or not one.outstanding:
            continue
        fact = moving.get(one.number) or moving.get("")
        left = quantity_text(one.outstanding)
        if fact is not None:
            number = f" under {fact.tracking}" if fact.tracking else ""
            text = f"{one.site} has not confirmed {one.number} ({left}), although the carrier moves it{number}"
            found.append(Obstacle("unconfirmed", text, one.site))
        else:
            found.append(Obstacle("not_shipped", f"{one.site} has not shipped {one.number} ({left})", one.site))
    return found


def _papers(facts: OrderFacts) -> list[Obstacle]:
    """Papers of the order that are not applied: a confirmation may lie there."""
    return [
        Obstacle(
            f"document_{fact.state}",
            f"{fact.object.replace('_', ' ') or 'a document'} {fact.business_key} is {fact.state}"
            + (f", it awaits {fact.awaits}" if fact.awaits else ""),
            "",
            fact.message_id,
        )
        for fact in facts.documents
        if fact.state in ("held", "parked", "rejected") and fact.object in ("shipment", "milestone")
    ]


def _undelivered(facts: OrderFacts, shipment: ShippedUnit, rules: OrderRules) -> list[Obstacle]:
    told = [
        fact
        for fact in facts.state.milestones
        if fact.code == "delivered" and not fact.estimated and fact.leg == "outbound" and concerns(fact, shipment)
    ]
    if not told:
        return [Obstacle("not_delivered", f"no carrier says that shipment {shipment.number} was delivered", "carrier")]
    if rules.delivered_needs_evidence and not any(fact.evidence for fact in told):
        text = f"shipment {shipment.number} is told as delivered without proof (signature, photo or document)"
        return [Obstacle("no_proof", text, "carrier")]
    text = f"shipment {shipment.number} has several parcels, and not each is proven delivered"
    return [Obstacle("part_delivered", text, "carrier")]


def _untold(facts: OrderFacts, kind: str, words: str, states: tuple[str, ...] = ()) -> list[Obstacle]:
    return [
        Obstacle(f"{kind}_{fact.state}", f"{words}: the message is {_state(fact)}", fact.partner, fact.message_id)
        for fact in facts.outbound
        if fact.document_type == kind
        and fact.state not in ("sent", "discarded")
        and (not states or (isinstance(fact.canonical, dict) and fact.canonical.get("status") in states))
    ]


def _state(fact: OutboundFact) -> str:
    return f"{fact.state} after {fact.attempts} attempts, {fact.error}" if fact.error else fact.state
