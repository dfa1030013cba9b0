"""Goods that come back: request, authorization (X12 180), label, receipt, inspection, disposition, credit, exchange.

One return is one aggregate (`return/RMA-1001`); finance, warehouse and service look at the same. `ReturnProgress` is
what its order hears of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

import msgspec

from .identifiers import Reference
from .instants import Instant
from .nouns import Belongs, EventType, Fault, Names, Noun, given
from .parties import Address
from .quantities import Money
from .shipments import Milestone

Condition = Literal["unopened", "opened", "damaged", "defective", "wrong_item"]
DispositionKind = Literal["restock", "scrap", "vendor", "refurbish", "hold"]
Channel = Literal["portal", "agent", "shop", "erp"]

CONDITIONS: tuple[str, ...] = get_args(Condition)
DISPOSITIONS: tuple[str, ...] = get_args(DispositionKind)
CHANNELS: tuple[str, ...] = get_args(Channel)


class ReturnLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody wants to give back of one order line. Without `line_no` the line is found by its SKU."""

    quantity: Annotated[Decimal, msgspec.Meta(description="more than zero")]
    line_no: str = ""
    sku: str = ""
    condition: Condition = "unopened"
    reason: str = ""


class ReturnRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody asks to return goods of an order. `number` is unique within the tenant: the RMA's number.

    `resolution` says what is wanted for it: money back or the same goods again.
    """

    number: Annotated[str, msgspec.Meta(min_length=1)]
    order_number: Annotated[str, msgspec.Meta(min_length=1)]
    lines: tuple[ReturnLine, ...]
    channel: Channel = "erp"
    resolution: Literal["refund", "exchange"] = "refund"
    note: str = ""
    at: Instant | None = None
    refs: tuple[Reference, ...] = ()


class ReturnChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person's word on a return: `cancel` it, or `approve` or `refuse` what waits for review."""

    number: Annotated[str, msgspec.Meta(min_length=1)]
    action: Literal["cancel", "approve", "refuse"]
    reason: str = ""
    actor: str = ""


class AuthorizedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    line_no: str
    sku: str
    quantity: Decimal
    uom: str = "EA"
    description: str = ""
    condition: str = ""
    reason: str = ""


class ReturnAuthorization(msgspec.Struct, frozen=True, omit_defaults=True):
    """The word to a site that goods will come back, and what to expect (X12 180)."""

    number: str
    order_number: str
    site: str
    lines: tuple[AuthorizedLine, ...]
    ship_from: Address | None = None
    resolution: str = "refund"
    authorized_at: Instant | None = None
    expires_at: Instant | None = None


class LabelRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The carrier is asked for a label with which the goods travel back."""

    number: str
    order_number: str
    site: str
    ship_from: Address | None = None
    valid_until: Instant | None = None


class ReturnLabel(msgspec.Struct, frozen=True, omit_defaults=True):
    """The label: its tracking number, and where it lies (`document`). It may be the waybill the goods came with."""

    number: Annotated[str, msgspec.Meta(min_length=1)]
    tracking: Annotated[str, msgspec.Meta(min_length=1)]
    carrier: str = ""
    document: str = ""
    at: Instant | None = None


class ReturnAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a site says of an authorization: accepted or rejected."""

    number: Annotated[str, msgspec.Meta(min_length=1)]
    outcome: Literal["accepted", "rejected"]
    site: str = ""
    reason: str = ""
    at: Instant | None = None


class InspectedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was found in the parcel. `disposition` is what the site did with it, when it says so."""

    sku: str
    quantity: Annotated[Decimal, msgspec.Meta(description="zero or more")]
    line_no: str = ""
    condition: Condition = "unopened"
    disposition: DispositionKind | Literal[""] = ""
    reason: str = ""
    lot: str = ""


class ReturnReceipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a site received and inspected. `number` is the site's own; `final` says that nothing more is expected."""

    number: Annotated[str, msgspec.Meta(min_length=1)]
    lines: tuple[InspectedLine, ...]
    return_number: str = ""
    site: str = ""
    tracking: str = ""
    at: Instant | None = None
    final: bool = False


class DisposedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    sku: str
    quantity: Decimal
    disposition: DispositionKind
    line_no: str = ""


class Disposition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be done, or was done, with returned goods of one receipt. Stock changes only by the site's report."""

    return_number: Annotated[str, msgspec.Meta(min_length=1)]
    receipt_number: str
    lines: tuple[DisposedLine, ...]
    site: str = ""
    at: Instant | None = None


class CreditLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A received quantity to be credited, at `percent` of its price."""

    line_no: str
    sku: str
    quantity: Decimal
    condition: str = ""
    percent: Decimal = Decimal(100)
    uom: str = "EA"


class CreditRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Finance is asked to credit what was received. `number` is the hub's and never used twice."""

    number: str
    return_number: str
    order_number: str
    lines: tuple[CreditLine, ...]
    amount: Money | None = None
    evidence: tuple[str, ...] = ()


class Credit(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ERP's answer to a credit request. `number` is the credit memo's."""

    request: Annotated[str, msgspec.Meta(min_length=1)]
    outcome: Literal["posted", "refused"] = "posted"
    return_number: str = ""
    number: str = ""
    amount: Money | None = None
    lines: tuple[CreditLine, ...] = ()
    reason: str = ""
    at: Instant | None = None


class ExchangeRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ERP is asked for an order that sends the same goods again."""

    number: str
    return_number: str
    order_number: str
    lines: tuple[AuthorizedLine, ...]
    ship_to: Address | None = None


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ERP's answer to an exchange request: the order that it released for it."""

    request: Annotated[str, msgspec.Meta(min_length=1)]
    outcome: Literal["ordered", "refused"] = "ordered"
    return_number: str = ""
    order_number: str = ""
    reason: str = ""
    at: Instant | None = None


class ReturnedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One order line in a return: what may come back still (`claimed`), what came, what of it is to be credited
    (`creditable`) and what finance was asked to credit.
    """

    line_no: str
    sku: str
    claimed: Decimal = Decimal(0)
    received: Decimal = Decimal(0)
    creditable: Decimal = Decimal(0)
    credited: Decimal = Decimal(0)


class ReturnProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an order, and whoever looks at it, knows of one of its returns. The latest word replaces the one before."""

    number: str
    order_number: str
    status: str
    lines: tuple[ReturnedLine, ...] = ()
    resolution: str = "refund"
    site: str = ""
    tracking: str = ""
    label: str = ""
    refusals: tuple[str, ...] = ()
    credits: tuple[str, ...] = ()
    credited: Money | None = None
    exchange_order: str = ""
    refs: tuple[Reference, ...] = ()


def _by_number(value: Any) -> Names:
    return given(("return", value.number))


def _by_return(value: Any) -> Names:
    return given(("return", value.return_number))


def _of_receipt(receipt: ReturnReceipt) -> Names:
    return given(("return", receipt.return_number), ("return_label", receipt.tracking))


def _of_credit(credit: Credit) -> Names:
    return given(("return", credit.return_number), ("credit_request", credit.request))


def _of_exchange(exchange: Exchange) -> Names:
    return given(("return", exchange.return_number), ("exchange_request", exchange.request))


def _request_faults(request: ReturnRequest) -> tuple[Fault, ...]:
    found = _quantity_faults(request.lines, zero_too=False)
    if not request.lines:
        found += (Fault("/lines", "a return names at least one line", "", "a line"),)
    for index, line in enumerate(request.lines):
        if not line.line_no and not line.sku:
            found += (Fault(f"/lines/{index}", "a line is named by its number or its SKU", "", "line_no or sku"),)
    return found


def _quantity_faults(lines: tuple[Any, ...], *, zero_too: bool) -> tuple[Fault, ...]:
    words = "a received quantity cannot be below 0" if zero_too else "a returned quantity must be more than 0"
    return tuple(
        Fault(f"/lines/{index}/quantity", words, str(line.quantity), ">= 0" if zero_too else "> 0")
        for index, line in enumerate(lines)
        if not line.quantity.is_finite() or line.quantity < 0 or (line.quantity == 0 and not zero_too)
    )


def _receipt_faults(receipt: ReturnReceipt) -> tuple[Fault, ...]:
    return _quantity_faults(receipt.lines, zero_too=True)


def _disposition_faults(disposition: Disposition) -> tuple[Fault, ...]:
    return _quantity_faults(disposition.lines, zero_too=False)


_RETURN = "return"

NOUN = Noun(
    objects={
        "return_request": ReturnRequest,
        "return_change": ReturnChange,
        "return_authorization": ReturnAuthorization,
        "return_answer": ReturnAnswer,
        "label_request": LabelRequest,
        "return_label": ReturnLabel,
        "return_receipt": ReturnReceipt,
        "disposition": Disposition,
        "credit_request": CreditRequest,
        "credit": Credit,
        "exchange_request": ExchangeRequest,
        "exchange": Exchange,
        "return_progress": ReturnProgress,
    },
    events=(
        EventType("crossdock.return.requested.v1", ReturnRequest, _RETURN, True, "Somebody asks to return goods."),
        EventType(
            "crossdock.return.change_requested.v1", ReturnChange, _RETURN, False, "A person settles or ends a return."
        ),
        EventType("crossdock.return.answered.v1", ReturnAnswer, _RETURN, False, "A site answers an authorization."),
        EventType("crossdock.return.labelled.v1", ReturnLabel, _RETURN, True, "The label of a return was made."),
        EventType("crossdock.return.moved.v1", Milestone, _RETURN, False, "A carrier reports a parcel coming back."),
        EventType("crossdock.return.received.v1", ReturnReceipt, _RETURN, True, "A site received and inspected goods."),
        EventType("crossdock.return.disposed.v1", Disposition, _RETURN, False, "A site says what it did with goods."),
        EventType("crossdock.credit.answered.v1", Credit, _RETURN, False, "The ERP answers a credit request."),
        EventType("crossdock.exchange.answered.v1", Exchange, _RETURN, False, "The ERP answers an exchange request."),
        EventType("crossdock.return.changed.v1", ReturnProgress, "order", True, "An order hears how its return goes."),
        EventType("crossdock.return.judged.v1", dict, "", True, "Every line was judged, with the word of every rule."),
        EventType(
            "crossdock.return.authorized.v1", ReturnAuthorization, "", True, "The goods may come back, to this site."
        ),
        EventType("crossdock.return.ended.v1", dict, "", True, "A return was refused, cancelled, expired or closed."),
        EventType("crossdock.credit.requested.v1", CreditRequest, "", False, "The ERP is asked for a credit."),
        EventType("crossdock.credit.completed.v1", dict, "", True, "The ERP posted the credit."),
        EventType("crossdock.exchange.requested.v1", ExchangeRequest, "", False, "The ERP is asked to send again."),
    ),
    requests={
        "return_authorization": "return_authorization",
        "return_label": "label_request",
        "return_disposition": "disposition",
        "credit_request": "credit_request",
        "exchange_request": "exchange_request",
        "return_status": "return_progress",
    },
    belongs={
        ReturnRequest: Belongs(_RETURN, _by_number),
        ReturnChange: Belongs(_RETURN, _by_number),
        ReturnAnswer: Belongs(_RETURN, _by_number),
        ReturnLabel: Belongs(_RETURN, _by_number),
        ReturnReceipt: Belongs(_RETURN, _of_receipt),
        Disposition: Belongs(_RETURN, _by_return),
        Credit: Belongs(_RETURN, _of_credit),
        Exchange: Belongs(_RETURN, _of_exchange),
    },
    faults={
        ReturnRequest: _request_faults,
        ReturnReceipt: _receipt_faults,
        Disposition: _disposition_faults,
    },
)
