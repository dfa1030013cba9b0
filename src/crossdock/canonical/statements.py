"""What a partner states of its own books, to be compared with the hub's record. A statement changes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from .instants import Instant
from .inventory import BASE_UNIT
from .nouns import EventType, Fault, Noun

StatementKind = Literal["stock", "orders", "shipments", "invoices", "acknowledgments", "messages"]


class StatementRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of a partner's books.

    `key` is the number of the thing: of the order, the shipment, the invoice, the document acknowledged; of messages
    their kind, and of stock it stays empty. `quantity` is in `uom`; of messages it is how many there are.
    """

    key: str = ""
    site: str = ""
    sku: str = ""
    lot: str = ""
    status: str = ""
    quantity: Decimal | None = None
    uom: str = BASE_UNIT
    amount: Decimal | None = None
    at: Instant | None = None


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """The books of a partner of one kind, as they stood at `as_of`; since `from_at` where they are of a period.

    `complete` false says that rows not named are not thereby missing.
    """

    kind: StatementKind
    as_of: Instant
    rows: tuple[StatementRow, ...]
    from_at: Instant | None = None
    site: str = ""
    number: str = ""
    complete: bool = True


def _faults(statement: Statement) -> tuple[Fault, ...]:
    faults = []
    for index, row in enumerate(statement.rows):
        for field, value in (("quantity", row.quantity), ("amount", row.amount)):
            if value is not None and not value.is_finite():
                faults.append(Fault(f"/rows/{index}/{field}", f"the {field} must be a number", str(value), "a number"))
        if statement.kind == "stock":
            if not row.sku or row.quantity is None:
                faults.append(Fault(f"/rows/{index}", "a row of stock has a sku and a quantity", row.sku, "both"))
        elif not row.key:
            faults.append(Fault(f"/rows/{index}/key", "a row has the number of what it is about", "", "a number"))
    return tuple(faults)


NOUN = Noun(
    objects={"statement": Statement},
    events=(
        EventType(
            "crossdock.statement.received.v1",
            Statement,
            "statement",
            False,
            "A partner states its books: stock, orders, shipments, invoices, acknowledgments or message counts.",
        ),
    ),
    faults={Statement: _faults},
)
