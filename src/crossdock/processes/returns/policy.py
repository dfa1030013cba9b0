"""The rules of returns: `rules/return.yaml`. Only data; `eligibility.py` applies it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from ...canonical.returns import Channel, Condition, DispositionKind

HUNDRED = Decimal(100)

_DISPOSITIONS: dict[Condition, DispositionKind] = {
    "unopened": "restock",
    "opened": "refurbish",
    "damaged": "scrap",
    "defective": "vendor",
    "wrong_item": "hold",
}


class NotReturnable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Goods that do not come back: SKUs by pattern (`NG-10*`) or a category of `categories`, with the reason told.

    `unless` are conditions under which they do: damaged food is taken back, opened food is not.
    """

    reason: str
    skus: tuple[str, ...] = ()
    category: str = ""
    unless: tuple[Condition, ...] = ()


class Review(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request that a person looks at first. Every part that is given must fit; `value_above` is that of the request
    at the order's prices.
    """

    reason: str
    conditions: tuple[Condition, ...] = ()
    channels: tuple[Channel, ...] = ()
    value_above: Decimal | None = None


class ReturnRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`rules/return.yaml`.

    `window_days` counts from the delivery of the line; 0 sets no end. `needs_delivery` false lets shipped goods come
    back whose delivery is not proven. `conditions` are those in which goods are taken back at all.
    `site` is where goods come back to; empty means the site that shipped most of them.
    `ask_label`: a carrier is asked for the label; false leaves it to whoever has one. `tell_site`: the site is told
    what will come. `instruct_site`: the site is told what to do with what it inspected and did not settle itself.
    `tell_status`: partners are told each change (`return_status`). Each needs a route.
    `credit_per` `return` asks for one credit once nothing more is expected, `receipt` for one with each receipt.
    `credit_percent` by condition, 100 where nothing is said; what is credited at 0 is told to nobody.
    Clocks of 0 do not run. `label_days`: an unused authorization ends. `transit_days`: a parcel must arrive within so
    many days of its last scan. `inspection_hours`: from the arrival to the receipt. `credit_hours`: from the credit
    request to the ERP's answer.
    """

    window_days: int = 30
    needs_delivery: bool = True
    conditions: tuple[Condition, ...] = ("unopened", "opened", "damaged", "defective", "wrong_item")
    categories: dict[str, tuple[str, ...]] = {}
    not_returnable: tuple[NotReturnable, ...] = ()
    review: tuple[Review, ...] = ()
    site: str = ""
    ask_label: bool = False
    tell_site: bool = True
    instruct_site: bool = False
    tell_status: bool = False
    credit_per: Literal["return", "receipt"] = "return"
    credit_percent: dict[Condition, Decimal] = {}
    dispositions: dict[Condition, DispositionKind] = {}
    label_days: int = 14
    transit_days: int = 10
    inspection_hours: int = 48
    credit_hours: int = 72

    def percent_of(self, condition: str) -> Decimal:
        """Return the share of the price that goods of a condition are credited at, 0 to 100."""
        found = next((percent for known, percent in self.credit_percent.items() if known == condition), HUNDRED)
        return min(max(found, Decimal(0)), HUNDRED) if found.is_finite() else HUNDRED

    def disposition_of(self, condition: Condition) -> DispositionKind:
        """Return what is to be done with goods of a condition."""
        return self.dispositions.get(condition) or _DISPOSITIONS[condition]
