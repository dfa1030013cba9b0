"""The paper side of order to cash: invoices as the ERP posts them, what became of them, credits, proof of delivery.

The hub never writes an invoice. It releases a confirmed quantity (`InvoiceRelease`, orders.py) under a number of its
own; everything the ERP says comes back under that number or the invoice's.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

import msgspec

from .instants import Instant
from .nouns import Belongs, EventType, Fault, Names, Noun, given
from .quantities import Money

InvoiceWord = Literal["posted", "paid", "disputed", "credited", "refused"]
EvidenceKind = Literal["pod", "signature", "photo", "geofence", "signed_document", "pin"]

EVIDENCE_KINDS: tuple[str, ...] = get_args(EvidenceKind)


class InvoiceLine(msgspec.Struct, frozen=True, omit_defaults=True):
    line_no: str
    sku: str
    quantity: Decimal
    uom: str = "EA"
    unit_price: Decimal | None = None
    description: str = ""


class Invoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """An invoice as posted (X12 810, INVOIC). `release` is the number of its release, where the ERP keeps it."""

    number: Annotated[str, msgspec.Meta(min_length=1)]
    lines: tuple[InvoiceLine, ...]
    order_number: str = ""
    release: str = ""
    amount: Money | None = None
    issued_at: Instant | None = None
    due_on: date | None = None


class InvoiceStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a release or its invoice in the ERP. `credited` is said with the number of the credit memo."""

    status: InvoiceWord
    number: str = ""
    release: str = ""
    order_number: str = ""
    amount: Money | None = None
    credit_memo: str = ""
    reason: str = ""
    at: Instant | None = None


class CreditMemo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ERP credits an invoice, whole."""

    number: Annotated[str, msgspec.Meta(min_length=1)]
    invoice_number: str = ""
    release: str = ""
    order_number: str = ""
    amount: Money | None = None
    reason: str = ""
    at: Instant | None = None


class RebillRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person says that an invoice is wrong: it is to be credited, and its confirmed quantity released again.

    `release` is the hub's number of it.
    """

    release: Annotated[str, msgspec.Meta(min_length=1)]
    order_number: str
    reason: str = ""
    actor: str = ""


class InvoiceCredit(msgspec.Struct, frozen=True, omit_defaults=True):
    """Finance is asked to credit an invoice whole, because a corrected one will be released."""

    number: str
    order_number: str
    release: str
    invoice_number: str = ""
    amount: Money | None = None
    reason: str = ""


class ProofOfDelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """Evidence that comes by itself, after or without the carrier's milestone."""

    kind: EvidenceKind
    at: Instant
    order_number: str = ""
    shipment_number: str = ""
    fulfillment_number: str = ""
    tracking: str = ""
    signed_by: str = ""
    document: str = ""


def _of_paper(paper: Any) -> Names:
    invoice = getattr(paper, "invoice_number", "") or getattr(paper, "number", "")
    if isinstance(paper, CreditMemo):
        invoice = paper.invoice_number
    return given(("order", paper.order_number), ("release", paper.release), ("invoice", invoice))


def _of_rebill(paper: RebillRequest) -> Names:
    return given(("order", paper.order_number), ("release", paper.release))


def _of_proof(proof: ProofOfDelivery) -> Names:
    return given(
        ("order", proof.order_number),
        ("fulfillment", proof.fulfillment_number),
        ("shipment", proof.shipment_number),
        ("tracking", proof.tracking),
    )


def _proof_faults(proof: ProofOfDelivery) -> tuple[Fault, ...]:
    if proof.signed_by or proof.document or proof.kind in ("geofence", "pin"):
        return ()
    return (Fault("/document", "proof names neither a signature nor a document", "", "signed_by or document"),)


_ORDER = "order"

NOUN = Noun(
    objects={
        "invoice": Invoice,
        "invoice_status": InvoiceStatus,
        "credit_memo": CreditMemo,
        "rebill_request": RebillRequest,
        "invoice_credit": InvoiceCredit,
        "proof_of_delivery": ProofOfDelivery,
    },
    events=(
        EventType("crossdock.invoice.issued.v1", Invoice, _ORDER, True, "The ERP posted an invoice."),
        EventType("crossdock.invoice.status.v1", InvoiceStatus, _ORDER, True, "The ERP tells what became of one."),
        EventType("crossdock.invoice.credited.v1", CreditMemo, _ORDER, True, "The ERP credited an invoice."),
        EventType(
            "crossdock.invoice.rebill_requested.v1", RebillRequest, _ORDER, False, "A person has an invoice corrected."
        ),
        EventType("crossdock.delivery.proven.v1", ProofOfDelivery, _ORDER, True, "Proof of a delivery came by itself."),
        EventType("crossdock.invoice.credit_requested.v1", InvoiceCredit, "", False, "The ERP is asked to credit one."),
    ),
    requests={"invoice_credit": "invoice_credit"},
    belongs={
        Invoice: Belongs(_ORDER, _of_paper),
        InvoiceStatus: Belongs(_ORDER, _of_paper),
        CreditMemo: Belongs(_ORDER, _of_paper),
        RebillRequest: Belongs(_ORDER, _of_rebill),
        ProofOfDelivery: Belongs(_ORDER, _of_proof),
    },
    faults={ProofOfDelivery: _proof_faults},
)
