"""What the hub remembers of an order: enough to decide, no history.

The journal keeps the history. Here stand the order as released, its ledger, what each site was asked for, what left,
the latest milestone of each kind, and what was already told to whom. Everything is plain data that msgspec reads and
writes; `status_of` and `summary` derive what lists show. Changes are made in `order_fulfillment/`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec

from ..canonical.orders import ChangedLine, Order
from ..canonical.parties import Address
from ..canonical.quantities import Money
from ..canonical.returns import ReturnProgress
from .ledger import ZERO, LineLedger
from .outcome import AggregateSummary

# The status of an order, with every arrow there is: `order_fulfillment` draws them, a test compares.
STATUS_ARROWS: dict[str, tuple[str, ...]] = {
    "(new)": ("released", "backordered", "on_hold"),
    "on_hold": (
        "released",
        "in_fulfillment",
        "partly_shipped",
        "shipped",
        "delivered",
        "backordered",
        "cancelling",
        "cancelled",
        "partly_returned",
        "returned",
    ),
    "backordered": ("released", "partly_shipped", "shipped", "delivered", "on_hold", "cancelled"),
    "released": ("in_fulfillment", "partly_shipped", "shipped", "delivered", "backordered", "on_hold", "cancelling"),
    "in_fulfillment": ("released", "partly_shipped", "shipped", "delivered", "backordered", "on_hold", "cancelling"),
    "partly_shipped": ("shipped", "delivered", "on_hold", "cancelling", "partly_returned", "returned"),
    "cancelling": (
        "released",
        "in_fulfillment",
        "partly_shipped",
        "shipped",
        "delivered",
        "backordered",
        "on_hold",
        "cancelled",
        "partly_returned",
        "returned",
    ),
    "shipped": ("delivered", "partly_returned", "returned"),
    "delivered": ("partly_returned", "returned"),
    "partly_returned": ("returned",),
    "returned": (),
    "cancelled": (),
}

# Every line is delivered; what came back afterwards does not change that.
DELIVERED = ("delivered", "partly_returned", "returned")
# Nothing is owed to the customer any more.
ENDED = (*DELIVERED, "cancelled")

# What a site was asked for: state → what happens → next state. `order_fulfillment` draws them, a test compares.
_FROM_ANY_ACTIVE = {
    "rejected": "rejected",
    "cancelled": "cancelled",
    "cancel_asked": "cancelling",
    "shipped_part": "partly_shipped",
    "shipped_final": "shipped",
    "shipped_nothing": "short",
}
_LATE = {"shipped_late": "shipped"}

FULFILLMENT_ARROWS: dict[str, dict[str, str]] = {
    "requested": {"accepted": "accepted", "picked": "picked", "packed": "packed", **_FROM_ANY_ACTIVE},
    "accepted": {"picked": "picked", "packed": "packed", **_FROM_ANY_ACTIVE},
    "picked": {"packed": "packed", **_FROM_ANY_ACTIVE},
    "packed": _FROM_ANY_ACTIVE,
    "partly_shipped": _FROM_ANY_ACTIVE,
    "cancelling": {
        **_FROM_ANY_ACTIVE,
        "cancel_asked": "cancelling",
        "shipped_part": "cancelling",
        "cancel_rejected": "accepted",
        "cancel_rejected_after_pick": "picked",
        "cancel_rejected_after_part": "partly_shipped",
    },
    "shipped": _LATE,
    "short": _LATE,
    "rejected": _LATE,
    "cancelled": _LATE,
}

ACTIVE_STATES = frozenset(state for state, arrows in FULFILLMENT_ARROWS.items() if arrows is not _LATE)

# How many returns of one order there may be.
RETURNS_MAX = 500


class RequestedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a fulfillment. `withdrawn` was short, refused or cancelled; `picked` has left neither."""

    line_no: str
    sku: str
    quantity: Decimal
    picked: Decimal = ZERO
    shipped: Decimal = ZERO
    withdrawn: Decimal = ZERO

    @property
    def outstanding(self) -> Decimal:
        """What the site still has to ship."""
        return self.quantity - self.shipped - self.withdrawn


class Fulfillment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one site was asked to ship. `cancel_lines` are the lines a cancel waits for.

    `cancel_refused` says the site refused once: it is not asked again.
    """

    number: str
    site: str
    state: str
    lines: tuple[RequestedLine, ...]
    ship_by_at: datetime | None = None
    accepted: bool = False
    cancel_lines: tuple[str, ...] = ()
    cancel_refused: bool = False

    @property
    def outstanding(self) -> Decimal:
        """What the site still has to ship, over all lines."""
        return sum((line.outstanding for line in self.lines), ZERO)


class ShippedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    line_no: str
    quantity: Decimal


class ShippedUnit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A shipment as booked. `fingerprint` tells a repeated confirmation from a changed one.

    `evidence` is the proof of delivery in words; empty until it came.
    """

    number: str
    site: str
    fulfillment: str
    lines: tuple[ShippedLine, ...]
    fingerprint: int
    tracking: tuple[str, ...] = ()
    shipped_at: datetime | None = None
    delivered: bool = False
    invoiced: bool = False
    evidence: str = ""


class MilestoneFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """The latest word on one milestone of one subject and leg.

    `told_at` orders estimates, which may move back and forth; what happened is ordered by `at`.
    """

    code: str
    at: datetime
    leg: str = "outbound"
    shipment: str = ""
    tracking: str = ""
    fulfillment: str = ""
    estimated: bool = False
    told_at: datetime | None = None
    evidence: str = ""


class CaseRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The case of one cause. `opened` and `updates` number the requests, so that no key comes twice.

    `state` is waiting (within its grace, since `since`), open, closed, closed_by_desk or suppressed (beyond the noise
    budget). `level` counts the steps of its escalation. `owner`, `status` and `note` are the desk's own words, the last
    of `changed_at`. `tracking_as_of` is the newest word of a carrier when the desk was last told.
    """

    cause: str
    state: str
    detail: str = ""
    opened: int = 1
    updates: int = 0
    ref: str = ""
    since: datetime | None = None
    grace_seconds: float = 0.0
    opened_at: datetime | None = None
    priority: str = ""
    level: int = 0
    owner: str = ""
    status: str = ""
    note: str = ""
    changed_at: datetime | None = None
    tracking_as_of: datetime | None = None


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the customer's side was told already, so that each thing is told once."""

    accepted: bool = False
    shipped: str = ""
    delivered: bool = False
    cancelled: Decimal = ZERO
    backordered: Decimal = ZERO
    count: int = 0
    returned: Decimal = ZERO


class Bill(msgspec.Struct, frozen=True, omit_defaults=True):
    """One release to finance and what became of it. `lines` are (line, quantity).

    `state`: released, posted, paid, disputed, refused, crediting (its credit is asked for), credited. Of what a line's
    `invoiced` counts, every bill that is not credited or refused is part: no quantity stands in two of them.
    """

    number: str
    lines: tuple[tuple[str, Decimal], ...]
    state: str = "released"
    invoice: str = ""
    amount: Money | None = None
    at: datetime | None = None
    reason: str = ""
    credit_memo: str = ""
    replaces: str = ""
    before: str = ""
    credits_asked: int = 0


class Timer(msgspec.Struct, frozen=True):
    name: str
    due_at: datetime


class Raised(msgspec.Struct, frozen=True):
    """An exception that is open, to be taken back when its reason is gone."""

    code: str
    cause: str


class PendingChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of the order that waits until the sites of the requests `waits` have answered."""

    ship_to: Address | None = None
    lines: tuple[ChangedLine, ...] = ()
    waits: tuple[str, ...] = ()


class OrderState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One order as the process knows it. `shape` is the version of this structure."""

    order: Order
    status: str
    lines: tuple[LineLedger, ...]
    region: str = ""
    service_level: str = ""
    promise_at: datetime | None = None
    hold: str = ""
    fulfillments: tuple[Fulfillment, ...] = ()
    shipments: tuple[ShippedUnit, ...] = ()
    milestones: tuple[MilestoneFact, ...] = ()
    refused_by: tuple[str, ...] = ()
    told: Told = Told()
    invoices: int = 0
    cases: tuple[CaseRecord, ...] = ()
    risks: tuple[str, ...] = ()
    raised: tuple[Raised, ...] = ()
    timers: tuple[Timer, ...] = ()
    # The day (in the tenant's zone) of the newest case, and how many were opened on it.
    cases_opened: tuple[str, int] = ("", 0)
    change: PendingChange | None = None
    returns: tuple[ReturnProgress, ...] = ()
    bills: tuple[Bill, ...] = ()
    shape: int = 1


def status_of(hold: str, lines: Iterable[LineLedger], fulfillments: Iterable[Fulfillment]) -> str:
    """Return the status of an order from its quantities.

    The first that fits: cancelled, on_hold, cancelling, returned, partly_returned, delivered, shipped, partly_shipped,
    in_fulfillment, released, backordered. A quantity that waits for a person outweighs what goes on elsewhere.
    """
    active = shipped = delivered = returned = at_sites = waiting = ZERO
    for line in lines:
        active += line.ordered - line.cancelled
        shipped += line.shipped
        delivered += line.delivered
        returned += line.returned
        at_sites += line.released + line.picked
        waiting += line.open
    if not active:
        return "cancelled"
    if hold or waiting:
        return "on_hold"
    states = {fulfillment.state for fulfillment in fulfillments}
    if "cancelling" in states:
        return "cancelling"
    if shipped == active:
        if delivered < shipped:
            return "shipped"
        return "delivered" if not returned else "returned" if returned == delivered else "partly_returned"
    if shipped:
        return "partly_shipped"
    if at_sites:
        return "in_fulfillment" if states & {"accepted", "picked", "packed"} else "released"
    return "backordered"


def next_due(state: OrderState) -> datetime | None:
    """Return the next instant somebody waits for: the earliest ship-by of what is under way, else the promise."""
    if state.status in ENDED:
        return None
    ship_by = [
        fulfillment.ship_by_at
        for fulfillment in state.fulfillments
        if fulfillment.ship_by_at is not None and fulfillment.state in ACTIVE_STATES
    ]
    return min(ship_by) if ship_by else state.promise_at


def amount_of(order: Order, quantities: dict[str, Decimal] | None = None) -> Money | None:
    """Return the value of the order, or of some quantities by line; None unless every line has a price."""
    total = ZERO
    for line in order.lines:
        quantity = line.quantity if quantities is None else quantities.get(line.line_no, ZERO)
        if not quantity:
            continue
        if line.unit_price is None:
            return None
        total += quantity * line.unit_price
    return Money(Decimal(1), order.currency).times(total) if order.currency else None


def summary(state: OrderState) -> AggregateSummary:
    """Return what lists show of an order."""
    order = state.order
    customer = ""
    if order.customer is not None:
        customer = order.customer.name or order.customer.code
    if not customer and order.ship_to is not None:
        customer = order.ship_to.name
    return AggregateSummary(
        status=state.status,
        customer=customer,
        region=state.region,
        due_at=next_due(state),
        at_risk=bool(state.risks),
        value=amount_of(order),
    )


def changed(
    fulfillment: Fulfillment,
    *,
    state: str,
    lines: tuple[RequestedLine, ...] | None = None,
    accepted: bool | None = None,
    cancel_lines: tuple[str, ...] | None = None,
    cancel_refused: bool | None = None,
) -> Fulfillment:
    """Return the fulfillment in another state; what is not named stays."""
    return Fulfillment(
        fulfillment.number,
        fulfillment.site,
        state,
        fulfillment.lines if lines is None else lines,
        fulfillment.ship_by_at,
        fulfillment.accepted if accepted is None else accepted,
        fulfillment.cancel_lines if cancel_lines is None else cancel_lines,
        fulfillment.cancel_refused if cancel_refused is None else cancel_refused,
    )
