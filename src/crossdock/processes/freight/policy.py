"""How loads are tendered, watched and paid: the type of `rules/load.yaml`."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

ZERO = Decimal(0)


class GuideCarrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One carrier of a lane, in the order it is asked. `partner` is the partner of the pack that speaks for it.

    `charges` are the agreed rate by charge code; `tender_minutes` is how long it may think.
    """

    carrier: str
    partner: str
    charges: dict[str, Decimal]
    tender_minutes: int = 60

    def __post_init__(self) -> None:
        if any(not amount.is_finite() or not 0 <= amount <= 10**9 for amount in self.charges.values()):
            raise ValueError(f"{self.carrier}: a charge is an amount from 0 to 1,000,000,000")
        if not 1 <= self.tender_minutes <= 100_000:
            raise ValueError(f"{self.carrier}: tender_minutes is from 1 to 100,000")


class Lane(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A routing guide: who is asked for a lane. An empty `lane` serves loads that name none of the others.

    `transit_hours` from departure to delivery gives the hub's own estimate; 0 gives none.
    """

    carriers: tuple[GuideCarrier, ...]
    lane: str = ""
    currency: str = "USD"
    transit_hours: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.transit_hours <= 10_000:
            raise ValueError("transit_hours is from 0 to 10,000")


class AccessorialRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which accessorials are approved without a person: up to `amount_max`, with all of `evidence`."""

    code: str
    amount_max: Decimal = ZERO
    evidence: tuple[str, ...] = ()


class ChargeTolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much an invoice line may be above what was agreed: the greater of the two. An empty `code` fits all."""

    code: str = ""
    absolute: Decimal = ZERO
    percent: Decimal = ZERO

    def __post_init__(self) -> None:
        if not (self.absolute.is_finite() and self.percent.is_finite() and self.absolute >= 0 and self.percent >= 0):
            raise ValueError("a tolerance is 0 or more")

    def of(self, expected: Decimal) -> Decimal:
        """Return the tolerated amount above an expected one."""
        return max(self.absolute, (expected * self.percent / 100).quantize(Decimal("0.01")))


class LoadRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`rules/load.yaml`.

    `pay_gate`: what must have happened before a bill is matched. `on_difference`: what is not agreed is left out and
    disputed (`short_pay`), or nothing is paid until the dispute ends (`hold`). `pickup_grace_hours` and
    `delivery_grace_hours`: so long after the window a load may be missing before anybody is told.
    """

    lanes: tuple[Lane, ...] = ()
    accessorials: tuple[AccessorialRule, ...] = ()
    tolerances: tuple[ChargeTolerance, ...] = ()
    pay_gate: Literal["delivered", "accepted"] = "delivered"
    on_difference: Literal["short_pay", "hold"] = "short_pay"
    pickup_grace_hours: int = 4
    delivery_grace_hours: int = 4
    papers_max: int = 500

    def lane(self, name: str) -> Lane | None:
        """Return the guide of a lane, else the one without a name, else None."""
        named = next((lane for lane in self.lanes if lane.lane and lane.lane == name), None)
        return named or next((lane for lane in self.lanes if not lane.lane), None)

    def tolerance(self, code: str) -> ChargeTolerance:
        """Return the first tolerance that fits a charge code; without one nothing may differ."""
        return next((one for one in self.tolerances if one.code in ("", code)), ChargeTolerance())
