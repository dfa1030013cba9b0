"""The commercial side: sales orders, what is asked of a warehouse, and what finance may do."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

import msgspec

from .identifiers import Reference
from .instants import Instant
from .parties import Address, Party
from .quantities import Money


class OrderLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an order. `line_no` is the ERP's own number and stays the key of the line everywhere."""

    line_no: str
    sku: str
    quantity: Annotated[Decimal, msgspec.Meta(description="more than zero")]
    uom: str = "EA"
    description: str = ""
    unit_price: Decimal | None = None


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sales order as the ERP releases it. `number` is unique within the tenant."""

    number: str
    lines: tuple[OrderLine, ...]
    kind: str = "sales"
    customer: Party | None = None
    ship_to: Address | None = None
    email: str = ""
    phone: str = ""
    channel: str = ""
    service_level: str = ""
    currency: str = ""
    ordered_at: Instant | None = None
    promised_on: date | None = None
    region: str = ""
    refs: tuple[Reference, ...] = ()
    note: str = ""


class ChangedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """The quantity that a line shall have instead; 0 cancels the line."""

    line_no: str
    quantity: Decimal


class OrderChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sender asks of an order that exists.

    `action` `cancel` cancels the whole order or the lines of `line_nos`; `change` takes another address (`ship_to`),
    other quantities (`lines`), or both.
    """

    number: str
    action: str = "cancel"
    line_nos: tuple[str, ...] = ()
    reason: str = ""
    ship_to: Address | None = None
    lines: tuple[ChangedLine, ...] = ()
    refs: tuple[Reference, ...] = ()


class FulfillmentLine(msgspec.Struct, frozen=True, omit_defaults=True):
    line_no: str
    sku: str
    quantity: Decimal
    uom: str = "EA"
    description: str = ""


class FulfillmentRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one site is asked to ship of one order (X12 940). `number` is ours: `<order>-<sequence>`."""

    number: str
    order_number: str
    site: str
    lines: tuple[FulfillmentLine, ...]
    ship_to: Address | None = None
    service_level: str = ""
    carrier: str = ""
    ship_by_at: Instant | None = None
    requested_at: Instant | None = None
    refs: tuple[Reference, ...] = ()


class FulfillmentCancel(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first phase of a cancel: the site is asked, and answers accepted or rejected."""

    number: str
    order_number: str
    site: str
    reason: str = ""


class FulfillmentAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a site says of a fulfillment request: accepted, rejected, cancelled, cancel_rejected, picked or packed."""

    number: str
    outcome: str
    site: str = ""
    reason: str = ""
    at: Instant | None = None


class InvoiceRelease(msgspec.Struct, frozen=True, omit_defaults=True):
    """The word to finance that an order may be invoiced: confirmed quantities with their evidence.

    `number` is the hub's and never used twice; `replaces` is the release whose invoice was credited for this one.
    """

    order_number: str
    lines: tuple[FulfillmentLine, ...]
    evidence: tuple[str, ...] = ()
    amount: Money | None = None
    number: str = ""
    replaces: str = ""


class OrderStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a shop or portal is told of an order, in the customer's words."""

    order_number: str
    status: str
    at: Instant | None = None
    detail: str = ""
    tracking: tuple[str, ...] = ()
    refs: tuple[Reference, ...] = ()


class ServiceCase(msgspec.Struct, frozen=True, omit_defaults=True):
    """A case for the service desk: opened, updated or closed for one cause of one order.

    What stands behind `case_ref` is told only where the pack names the field (`rules/case.yaml`). `tracking_as_of` is
    the newest word of a carrier the case is based on. `owner`, `status`, `note` and `changed_at` come from the desk;
    `owner` going out is who should have it.
    """

    order_number: str
    cause: str
    action: str
    subject: str = ""
    detail: str = ""
    priority: str = "normal"
    due_at: Instant | None = None
    case_ref: str = ""
    tracking_as_of: Instant | None = None
    customer: str = ""
    email: str = ""
    phone: str = ""
    value: Money | None = None
    tracking: tuple[str, ...] = ()
    promised_at: Instant | None = None
    status: str = ""
    owner: str = ""
    note: str = ""
    changed_at: Instant | None = None
