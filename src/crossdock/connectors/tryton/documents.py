"""What this connector takes and gives: its own documents, which maps read and write. Pure.

Four tellings, told apart by `effect`:

    {"effect": "ship", "sale": "1", "reference": "SS1-1", "tracking": ["CL9"],
     "lines": [{"line": "4", "quantity": "3"}]}
    {"effect": "invoice", "sale": "1", "reference": "SO-1:1", "lines": [{"line": "4", "quantity": "3"}]}
    {"effect": "count", "reference": "SWIFT:2026-11-23T13:50:00Z", "location": "STO",
     "lines": [{"item": "NG-1001", "quantity": "7"}]}
    {"effect": "note", "sale": "1", "reference": "SO-1:shipped:2", "text": "shipped, CL9"}

`line` is the id of Tryton's sale line, which the pulled sale carries. `reference` is our name for the effect: it is
written into the record, and by it the record is found again.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=r"^\S+$")]


def _need_quantity(quantity: Decimal) -> None:
    if not quantity.is_finite() or quantity < 0:
        raise ValueError(f"{quantity} is no quantity")


class Quantity(msgspec.Struct, frozen=True):
    """How much of one sale line; `item` is what it is called, for people."""

    line: str
    quantity: Decimal
    item: str = ""

    def __post_init__(self) -> None:
        _need_quantity(self.quantity)


class Ship(msgspec.Struct, frozen=True, tag_field="effect", tag="ship"):
    """What a warehouse shipped of one sale. `warehouse` is Tryton's code; without it any open shipment fits."""

    sale: str
    reference: Reference
    lines: tuple[Quantity, ...]
    tracking: tuple[str, ...] = ()
    warehouse: str = ""


class Invoice(msgspec.Struct, frozen=True, tag_field="effect", tag="invoice"):
    """What of a sale may be invoiced now."""

    sale: str
    reference: Reference
    lines: tuple[Quantity, ...]


class Counted(msgspec.Struct, frozen=True):
    """How much of an article lies at a location."""

    item: str
    quantity: Decimal

    def __post_init__(self) -> None:
        _need_quantity(self.quantity)


class Count(msgspec.Struct, frozen=True, tag_field="effect", tag="count"):
    """The stock of one location, as counted there. Articles that are not named stay as they are."""

    reference: Reference
    location: str
    lines: tuple[Counted, ...]


class Note(msgspec.Struct, frozen=True, tag_field="effect", tag="note"):
    """A word for the people who look at the sale in Tryton."""

    sale: str
    reference: Reference
    text: Annotated[str, msgspec.Meta(max_length=2000)]


Telling = Ship | Invoice | Count | Note

SALE_FIELDS = (
    "number",
    "reference",
    "state",
    "write_date",
    "create_date",
    "sale_date",
    "shipping_date",
    "comment",
    "currency.code",
    "party.name",
    "party.code",
    "warehouse.code",
    "shipment_party.name",
    *(
        f"shipment_address.{name}"
        for name in ("party_name", "street", "city", "postal_code", "country.code", "subdivision.code")
    ),
    *(
        f"lines.{name}"
        for name in ("type", "quantity", "unit.symbol", "unit_price", "product.code", "product.rec_name", "description")
    ),
)


def sale_document(sale: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sale as maps read it: only what a warehouse has to know, so a sale that is only moved on reads the same.

    `kind` is `sale`, or `sale_cancelled`. Lines that are titles or comments are left out.
    """
    address, party = sale.get("shipment_address") or {}, sale.get("party") or {}
    country, subdivision = address.get("country") or {}, address.get("subdivision") or {}
    ship_to = sale.get("shipment_party") or party
    return {
        "kind": "sale_cancelled" if sale.get("state") == "cancelled" else "sale",
        "id": sale["id"],
        "number": sale.get("number"),
        "reference": sale.get("reference"),
        "sale_date": plain(sale.get("sale_date")),
        "shipping_date": plain(sale.get("shipping_date")),
        "currency": (sale.get("currency") or {}).get("code"),
        "comment": sale.get("comment"),
        "warehouse": (sale.get("warehouse") or {}).get("code"),
        "customer": {"name": party.get("name"), "code": party.get("code")},
        "ship_to": {
            "name": address.get("party_name") or ship_to.get("name"),
            "street": address.get("street"),
            "city": address.get("city"),
            "postal_code": address.get("postal_code"),
            "subdivision": subdivision.get("code"),
            "country": country.get("code"),
        },
        "lines": [
            {
                "line": str(line["id"]),
                "item": (line.get("product") or {}).get("code"),
                "description": line.get("description") or (line.get("product") or {}).get("rec_name"),
                "quantity": quantity_text(line.get("quantity")),
                "unit": (line.get("unit") or {}).get("symbol"),
                "unit_price": plain(line.get("unit_price")),
            }
            for line in sale.get("lines") or ()
            if line.get("type") == "line"
        ],
    }


def plain(value: Any) -> str | None:
    """Return one of Tryton's typed values (Decimal, date, datetime in UTC) as text.

    >>> plain({"__class__": "datetime", "year": 2026, "month": 11, "day": 3, "hour": 9, "minute": 5, "second": 0,
    ...        "microsecond": 7})
    '2026-11-03T09:05:00.000007Z'
    >>> plain({"__class__": "Decimal", "decimal": "10.00"}), plain(None)
    ('10.00', None)
    """
    if not isinstance(value, Mapping):
        return None if value is None else str(value)
    if value.get("__class__") == "Decimal":
        return str(value["decimal"])
    day = f"{value['year']:04d}-{value['month']:02d}-{value['day']:02d}"
    if value.get("__class__") == "date":
        return day
    clock = f"{value['hour']:02d}:{value['minute']:02d}:{value['second']:02d}.{value['microsecond']:06d}"
    return f"{day}T{clock}Z"


def typed_instant(text: str) -> dict[str, Any]:
    """Return an instant in UTC, written as `plain` writes it, as Tryton's domains take it."""
    day, _, clock = text.removesuffix("Z").partition("T")
    year, month, of_month = (int(part) for part in day.split("-"))
    hour, minute, seconds = clock.split(":")
    second, _, micro = seconds.partition(".")
    return {
        "__class__": "datetime",
        "year": year,
        "month": month,
        "day": of_month,
        "hour": int(hour),
        "minute": int(minute),
        "second": int(second),
        "microsecond": int((micro or "0").ljust(6, "0")),
    }


def quantity_text(value: Any) -> str:
    """Return a quantity, which Tryton keeps as a float, in the shortest decimal form that means the same.

    >>> quantity_text(3.0), quantity_text(0.1), quantity_text(None)
    ('3', '0.1', '0')
    """
    if value is None:
        return "0"
    number = Decimal(str(value))
    return format(number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize(), "f")


def mark_of(ship: Ship) -> str:
    """Return what is written into the reference of a shipment: our reference, then the tracking numbers."""
    return " ".join((ship.reference, *ship.tracking))[:255]


def is_marked(reference: Any, ours: str) -> bool:
    """Tell whether a record bears our reference: alone, or as the first word.

    >>> is_marked("SS1-1 CL9", "SS1-1"), is_marked("SS1-10", "SS1-1"), is_marked(None, "SS1-1")
    (True, False, False)
    """
    return isinstance(reference, str) and reference.split(" ", 1)[0] == ours
