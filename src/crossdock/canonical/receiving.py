"""What a tenant buys and receives: the purchase order, the supplier's word, what was announced, what came in.

X12 850, 855, 860, 856, 944/861 and their EDIFACT counterparts (ORDERS, ORDRSP, ORDCHG, DESADV, RECADV) map to these.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Literal

import msgspec

from .identifiers import Reference
from .instants import Instant
from .nouns import Belongs, EventType, Fault, Names, Noun, given
from .parties import Address

PURCHASE = "purchase"

AckOutcome = Literal["accepted", "changed", "backordered", "rejected"]
Condition = Literal["good", "damaged", "wrong_item"]
DiscrepancyKind = Literal["short", "over", "damaged", "unexpected"]


class PurchaseLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a purchase order. `line_no` is the ERP's own number; `due_on` overrides the order's own."""

    line_no: str
    sku: str
    quantity: Decimal
    uom: str = "EA"
    unit_price: Decimal | None = None
    description: str = ""
    due_on: date | None = None


class PurchaseOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """A purchase order as the ERP releases it (X12 850). `number` is unique within the tenant.

    `supplier` is the ERP's code of the supplier, `site` the warehouse that will receive.
    """

    number: str
    supplier: str
    lines: tuple[PurchaseLine, ...]
    site: str = ""
    currency: str = ""
    ordered_at: Instant | None = None
    due_on: date | None = None
    ship_to: Address | None = None
    refs: tuple[Reference, ...] = ()
    note: str = ""


class PurchaseOrderChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the buyer changes (X12 860). `change_no` is the ERP's own count of changes and orders them.

    `change` replaces the named lines or adds new ones, `cancel` takes lines back (none named: all of them), `close`
    says that nothing more is expected.
    """

    number: str
    change_no: int
    action: Literal["change", "cancel", "close"] = "change"
    lines: tuple[PurchaseLine, ...] = ()
    line_nos: tuple[str, ...] = ()
    reason: str = ""
    at: Instant | None = None


class PurchaseAckLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """The supplier's word on a quantity of a line; a line may have several (40 accepted, 10 backordered)."""

    line_no: str
    outcome: AckOutcome
    quantity: Decimal
    unit_price: Decimal | None = None
    due_on: date | None = None
    reason: str = ""


class PurchaseOrderAck(msgspec.Struct, frozen=True, omit_defaults=True):
    """The supplier's answer to a purchase order or its change (X12 855, 865). `at` orders the answers of an order."""

    number: str
    at: Instant
    ack_number: str = ""
    lines: tuple[PurchaseAckLine, ...] = ()
    supplier: str = ""
    reason: str = ""


class NoticeLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A quantity that was announced. `sscc` names the pallet or carton it is in."""

    line_no: str
    sku: str
    quantity: Decimal
    uom: str = "EA"
    lot: str = ""
    serials: tuple[str, ...] = ()
    expires_on: date | None = None
    sscc: str = ""


class NoticeUnit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pallet or carton by its SSCC; `parent` is the pallet a carton stands on."""

    sscc: str
    kind: Literal["pallet", "carton"] = "carton"
    parent: str = ""
    weight_kg: Decimal | None = None


class AdvanceShipNotice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a supplier announces to have shipped of one purchase order (X12 856, DESADV, 943)."""

    number: str
    po_number: str
    lines: tuple[NoticeLine, ...]
    units: tuple[NoticeUnit, ...] = ()
    supplier: str = ""
    site: str = ""
    shipped_at: Instant | None = None
    expected_at: Instant | None = None
    carrier: str = ""
    tracking: tuple[str, ...] = ()
    load_number: str = ""
    refs: tuple[Reference, ...] = ()


class ReceiptLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A quantity that came in, in one condition. `line_no` may be empty: then `sku` finds the line."""

    sku: str
    quantity: Decimal
    line_no: str = ""
    condition: Condition = "good"
    uom: str = "EA"
    lot: str = ""
    serials: tuple[str, ...] = ()
    expires_on: date | None = None
    sscc: str = ""
    reason: str = ""


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a warehouse received (X12 944, 861, RECADV). `number` is the warehouse's own and unique within its site.

    `final` says that nothing more of the named notice (`asn_number`) will come in.
    """

    number: str
    lines: tuple[ReceiptLine, ...]
    po_number: str = ""
    asn_number: str = ""
    site: str = ""
    received_at: Instant | None = None
    final: bool = True
    seals: tuple[str, ...] = ()


class PostingLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the ERP books of one line of a receipt. `damaged` and `surplus` are there but not accepted."""

    line_no: str
    sku: str
    accepted: Decimal
    damaged: Decimal = Decimal(0)
    surplus: Decimal = Decimal(0)
    uom: str = "EA"
    lots: tuple[str, ...] = ()


class ReceiptPosting(msgspec.Struct, frozen=True, omit_defaults=True):
    """The word to the ERP that a receipt may be booked: once for each receipt."""

    number: str
    po_number: str
    supplier: str
    site: str
    lines: tuple[PostingLine, ...]
    asn_number: str = ""
    received_at: Instant | None = None


class PurchaseConfirmation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The word to the ERP what the supplier confirmed, by line, after each of its answers."""

    number: str
    supplier: str
    lines: tuple[PurchaseAckLine, ...]
    at: Instant | None = None


class Discrepancy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One difference between what was announced or ordered and what came in, told to the supplier (X12 861).

    `short`: of a notice whose receipt is final. `over`: above the order and its tolerance. `damaged`, `unexpected`
    (an item nobody ordered): of a receipt. `tolerated` says that a rule lets it pass.
    """

    po_number: str
    kind: DiscrepancyKind
    sku: str
    quantity: Decimal
    line_no: str = ""
    expected: Decimal | None = None
    receipt_number: str = ""
    asn_number: str = ""
    supplier: str = ""
    tolerated: bool = False
    reason: str = ""


def _purchase(number: str, *others: tuple[str, str]) -> Names:
    return given((PURCHASE, number), *others)


def _notice_names(notice: AdvanceShipNotice) -> Names:
    return _purchase(notice.po_number)


def _receipt_names(receipt: Receipt) -> Names:
    units = tuple(("sscc", line.sscc) for line in receipt.lines if line.sscc)
    return _purchase(receipt.po_number, ("asn", receipt.asn_number), *units)


def _fits(quantity: Decimal, *, zero_too: bool) -> bool:
    return quantity.is_finite() and (quantity > 0 or (zero_too and quantity == 0))


def _line_faults(value: Any, words: str, *, zero_too: bool) -> tuple[Fault, ...]:
    bound = ">= 0" if zero_too else "> 0"
    return tuple(
        Fault(f"/lines/{index}/quantity", words, str(line.quantity), bound)
        for index, line in enumerate(value.lines)
        if not _fits(line.quantity, zero_too=zero_too)
    )


NOUN = Noun(
    objects={
        "purchase_order": PurchaseOrder,
        "purchase_change": PurchaseOrderChange,
        "purchase_ack": PurchaseOrderAck,
        "purchase_confirmation": PurchaseConfirmation,
        "advance_ship_notice": AdvanceShipNotice,
        "receipt": Receipt,
        "receipt_posting": ReceiptPosting,
        "discrepancy": Discrepancy,
    },
    events=(
        EventType("crossdock.purchase.released.v1", PurchaseOrder, PURCHASE, False, "The ERP orders from a supplier."),
        EventType(
            "crossdock.purchase.changed.v1",
            PurchaseOrderChange,
            PURCHASE,
            False,
            "The buyer changes, cancels or closes.",
        ),
        EventType(
            "crossdock.purchase.acknowledged.v1",
            PurchaseOrderAck,
            PURCHASE,
            False,
            "A supplier answers a purchase order by line.",
        ),
        EventType(
            "crossdock.receipt.announced.v1",
            AdvanceShipNotice,
            PURCHASE,
            False,
            "A supplier announces what it has shipped.",
        ),
        EventType("crossdock.receipt.completed.v1", Receipt, PURCHASE, False, "A warehouse received goods."),
        EventType("crossdock.purchase.requested.v1", dict, "", False, "The supplier was sent an order or its change."),
        EventType("crossdock.purchase.confirmed.v1", dict, "", False, "The supplier confirmed lines; says which."),
        EventType("crossdock.receipt.posted.v1", ReceiptPosting, "", False, "The ERP was told to book a receipt."),
        EventType(
            "crossdock.receipt.discrepancy.v1", Discrepancy, "", False, "What came in is not what was announced."
        ),
        EventType("crossdock.purchase.closed.v1", dict, "", False, "Nothing more is expected of a purchase order."),
    ),
    requests={
        "purchase_order": "purchase_order",
        "purchase_change": "purchase_change",
        "purchase_confirmation": "purchase_confirmation",
        "receipt_advice": "advance_ship_notice",
        "receipt_posting": "receipt_posting",
        "discrepancy": "discrepancy",
    },
    belongs={
        PurchaseOrder: Belongs(PURCHASE, lambda order: _purchase(order.number)),
        PurchaseOrderChange: Belongs(PURCHASE, lambda change: _purchase(change.number)),
        PurchaseOrderAck: Belongs(PURCHASE, lambda ack: _purchase(ack.number)),
        AdvanceShipNotice: Belongs(PURCHASE, _notice_names),
        Receipt: Belongs(PURCHASE, _receipt_names),
    },
    faults={
        PurchaseOrder: lambda value: _line_faults(value, "an ordered quantity must be more than 0", zero_too=False),
        PurchaseOrderChange: lambda value: _line_faults(value, "an ordered quantity cannot be below 0", zero_too=True),
        PurchaseOrderAck: lambda value: _line_faults(value, "a confirmed quantity cannot be below 0", zero_too=True),
        AdvanceShipNotice: lambda value: _line_faults(value, "an announced quantity cannot be below 0", zero_too=True),
        Receipt: lambda value: _line_faults(value, "a received quantity cannot be below 0", zero_too=True),
    },
)
