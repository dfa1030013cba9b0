"""How purchase orders are steered: the type of `rules/purchase.yaml`."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec


class SupplierRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is agreed with one supplier. `supplier` is the ERP's code, `partner` the partner of the pack that speaks
    for it: nobody else may acknowledge or announce.

    `ack_hours`: so long it may take to answer an order or change. `asn`: whether it announces what it ships, and
    `asn_hours_before_due` how long before the due day. `receipt_grace_hours`: so long after the expected arrival goods
    may be missing before anybody is told.
    """

    supplier: str
    partner: str
    ack_hours: int = 24
    asn: Literal["required", "optional"] = "required"
    asn_hours_before_due: int = 24
    receipt_grace_hours: int = 24


class Tolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may differ. An empty `supplier`, `sku` or `site` fits all; the first rule that fits counts.

    Percentages are of the ordered quantity or price: `short_percent` may be missing when a line counts as complete,
    `over_percent` is accepted above the order, `price_percent` and `date_days` may an acknowledgment ask for.
    """

    supplier: str = ""
    sku: str = ""
    site: str = ""
    short_percent: Decimal = Decimal(0)
    over_percent: Decimal = Decimal(0)
    price_percent: Decimal = Decimal(0)
    date_days: int = 0

    def __post_init__(self) -> None:
        for share in (self.short_percent, self.over_percent, self.price_percent):
            if not share.is_finite() or not 0 <= share <= 100:
                raise ValueError("a tolerance is a percentage from 0 to 100")


NONE = Tolerance()


class PurchaseRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`rules/purchase.yaml`. A due day ends at midnight of `timezone`.

    `supplier_defaults` stands for suppliers that are not listed: an empty partner lets any partner of the tenant speak
    for them. `lines_max`, `notices_max` and `receipts_max` bound one order. `claim_damage` opens a claim against the
    carrier of the notice for goods that came in damaged.
    """

    suppliers: tuple[SupplierRules, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()
    supplier_defaults: SupplierRules = SupplierRules("", "")
    timezone: str = "UTC"
    claim_damage: bool = False
    lines_max: int = 2000
    notices_max: int = 200
    receipts_max: int = 500

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"there is no time zone {self.timezone!r}") from error

    def of(self, supplier: str) -> SupplierRules:
        """Return what is agreed with a supplier."""
        return next((one for one in self.suppliers if one.supplier == supplier), self.supplier_defaults)

    def tolerance(self, supplier: str, sku: str, site: str) -> Tolerance:
        """Return the first tolerance that fits; without one nothing may differ."""
        for one in self.tolerances:
            if one.supplier in ("", supplier) and one.sku in ("", sku) and one.site in ("", site):
                return one
        return NONE

    def suppliers_of(self, partner: str) -> frozenset[str]:
        """Return the codes of the suppliers that a partner speaks for."""
        return frozenset(one.supplier for one in self.suppliers if partner and one.partner == partner)
