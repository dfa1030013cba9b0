"""What this connector takes and gives: its own documents, which maps read and write. Pure.

    {"effect": "fulfil", "order": "HSWA2M", "reference": "SS1-1", "carrier": "Cargoline", "tracking": ["CL9"],
     "lines": [{"line": "4", "quantity": 3}]}
    {"effect": "stock", "location": "Default Stock Location", "lines": [{"item": "NG-1001", "quantity": 7}]}

`line` is Vendure's id of the order line, which the pulled order carries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

Reference = Annotated[str, msgspec.Meta(pattern=r"^[^\[\]\s]{1,80}$")]
Whole = Annotated[int, msgspec.Meta(ge=0)]
_MARK = re.compile(r"\[([^\[\]\s]+)\]$")

ORDER_FIELDS = """id code state orderPlacedAt currencyCode totalWithTax
customer { firstName lastName emailAddress phoneNumber }
shippingAddress { fullName company streetLine1 streetLine2 city province postalCode countryCode phoneNumber }
shippingLines { shippingMethod { code } }
lines { id quantity unitPriceWithTax productVariant { sku name } }"""


class Quantity(msgspec.Struct, frozen=True):
    """How much of one order line; shops sell whole pieces."""

    line: str
    quantity: Whole


class Fulfil(msgspec.Struct, frozen=True, tag_field="effect", tag="fulfil"):
    """What a warehouse shipped of one order."""

    order: str
    reference: Reference
    lines: tuple[Quantity, ...]
    carrier: str = ""
    tracking: tuple[str, ...] = ()


class Level(msgspec.Struct, frozen=True):
    """How many pieces of an article lie at a location."""

    item: str
    quantity: Whole


class Stock(msgspec.Struct, frozen=True, tag_field="effect", tag="stock"):
    """The stock on hand. Articles that are not named stay as they are. Without a location, Vendure's only one."""

    lines: tuple[Level, ...]
    location: str = ""


Telling = Fulfil | Stock


def order_document(order: Mapping[str, Any], money_digits: int) -> dict[str, Any]:
    """Return an order as maps read it: only what a warehouse has to know, so one that is moved on reads the same."""
    address, customer = order.get("shippingAddress") or {}, order.get("customer") or {}
    name = " ".join(filter(None, (customer.get("firstName"), customer.get("lastName"))))
    methods = [(line.get("shippingMethod") or {}).get("code") for line in order.get("shippingLines") or ()]
    return {
        "id": order["id"],
        "code": order["code"],
        "placed_at": order.get("orderPlacedAt"),
        "currency": order.get("currencyCode"),
        "total": money(order.get("totalWithTax"), money_digits),
        "customer": {"name": name, "email": customer.get("emailAddress"), "phone": customer.get("phoneNumber")},
        "shipping_method": next((code for code in methods if code), None),
        "ship_to": {
            "name": address.get("fullName") or name,
            "company": address.get("company"),
            "street": address.get("streetLine1"),
            "street2": address.get("streetLine2"),
            "city": address.get("city"),
            "province": address.get("province"),
            "postal_code": address.get("postalCode"),
            "country": address.get("countryCode"),
            "phone": address.get("phoneNumber"),
        },
        "lines": [
            {
                "line": str(line["id"]),
                "item": (line.get("productVariant") or {}).get("sku"),
                "description": (line.get("productVariant") or {}).get("name"),
                "quantity": line["quantity"],
                "unit_price": money(line.get("unitPriceWithTax"), money_digits),
            }
            for line in order.get("lines") or ()
            if line["quantity"]
        ],
    }


def money(value: Any, digits: int) -> str | None:
    """Return an amount, which Vendure keeps in its smallest unit, in whole ones.

    >>> money(2079, 2), money(None, 2)
    ('20.79', None)
    """
    return None if value is None else format(Decimal(int(value)).scaleb(-digits), "f")


def method_of(fulfil: Fulfil) -> str:
    """Return what stands as the method of a fulfillment: the carrier, and our reference in brackets.

    >>> method_of(Fulfil("A", "SS1-1", (), "Cargoline"))
    'Cargoline [SS1-1]'
    """
    return f"{fulfil.carrier or 'Shipped'} [{fulfil.reference}]"


def reference_of(method: Any) -> str:
    """Return our reference in the method of a fulfillment; empty for one that is none of ours."""
    match = _MARK.search(method) if isinstance(method, str) else None
    return match[1] if match else ""
