"""The shape of what a tenant configures for its orders: sites, calendars, service levels, sourcing rules.

Only data, as it stands in the YAML of a pack. `policy_compiler.compile_policy` checks an `OrderPolicy` whole and makes
the `CompiledPolicy` that `decide` works with. The rules themselves run in `sourcing.py`, the dates in `calendars.py`.

    sites.yaml              SitesFile            service_levels.yaml    ServiceLevelsFile
    calendars/*.yaml        Calendar             rules/sourcing.yaml    SourcingFile
    rules/orders.yaml       OrderRules           rules/case.yaml        CaseRules
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from .case_rules import CaseRules

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

RuleKind = Literal[
    "hold",
    "region",
    "service_level",
    "partner_health",
    "cutoff_calendar",
    "capacity",
    "stock",
    "prefer_site",
    "cost",
    "split_policy",
]

RiskCause = Literal["ship_by", "promise", "late_estimate", "carrier_trouble"]

WORKING_WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The days on which a site works.

    `country` (ISO 3166, such as `US`) and `subdivision` (`NV`) add the public holidays of that place.
    `holidays` adds single days, `open_on` takes days back: a Saturday worked, or a public holiday worked.
    """

    calendar: str
    weekdays: tuple[Weekday, ...] = WORKING_WEEK
    country: str = ""
    subdivision: str = ""
    holidays: tuple[date, ...] = ()
    open_on: tuple[date, ...] = ()


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A place that ships: an own warehouse or a 3PL's.

    `cutoff` is local wall-clock time `HH:MM`: what is released before it counts for the same working day.
    `cutoffs` overrides it for single service levels. The goods leave with the `last_pickup` (two hours after the
    cut-off when empty). Empty `regions` or `services` means all of them.
    An empty `calendar` means Monday to Friday. `cost_rank` compares sites only: the lower the better.
    `location` is the partner's or ERP's code of the place. `cost_per_order` is what one fulfillment request costs
    there, in the tenant's currency; back-tests add it up.
    """

    site: str
    partner: str
    timezone: str
    name: str = ""
    location: str = ""
    regions: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    calendar: str = ""
    cutoff: str = "16:00"
    cutoffs: dict[str, str] = {}
    opens: str = "08:00"
    last_pickup: str = ""
    capacity_per_day: int | None = None
    cost_rank: int = 100
    cost_per_order: Decimal = Decimal(0)
    active: bool = True


class ServiceLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the customer bought, in working days of the site.

    `ship_days` 0 means: leaves on the day it counts for. `ship_hours` above 0 limits it further: so many hours after
    the release, or after the site next opens.
    `transit_days` gives the delivery day when the order carries no promise of its own. `carrier` goes onto the request.
    """

    service_level: str
    name: str = ""
    ship_days: int = 0
    ship_hours: int = 0
    transit_days: int = 3
    carrier: str = ""


class SourcingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule. Rules run in the order of the file; each says of every site why it passed or not.

    `when` is an expression over `order`, `region`, `service_level` and `value`: the rule applies to this order at all.
    `sites` limits a rule to these sites (for `prefer_site`: the sites preferred, best first).

    | kind | what it does | its settings |
    |---|---|---|
    | hold | the order waits for a person | `reason` |
    | region | the site serves the order's region | `strict` false: others come last |
    | service_level | the site offers the service level | `strict` |
    | partner_health | a site that is down is out, a degraded one comes last | `strict` true: degraded is out too |
    | cutoff_calendar | the goods leave early enough for the promise | `strict`; `prefer_earlier` |
    | capacity | the site still takes orders today | |
    | stock | the site has the goods | `buffer`, `stale_minutes` (0: any age), `unknown_passes` |
    | prefer_site | these sites come first | `sites` |
    | cost | the lower `cost_rank` comes first | |
    | split_policy | may an order, or a line, come from several sites | `split`, `sites_max` |
    """

    rule: str
    kind: RuleKind
    when: str = ""
    sites: tuple[str, ...] = ()
    strict: bool | None = None
    reason: str = ""
    buffer: Decimal = Decimal(0)
    stale_minutes: int = 0
    unknown_passes: bool = False
    prefer_earlier: bool = False
    split: Literal["never", "lines", "quantities"] = "quantities"
    sites_max: int = 3


class Substitute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An item that may go instead of another that no site has, one for one.

    `when` is an expression as in `SourcingRule`: the order may be filled so at all. Substitutes of an item are tried in
    the order of the file.
    """

    sku: str
    by: str
    when: str = ""


class CaseRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whether the service desk gets a case for a cause of risk, and how urgent it is."""

    cause: RiskCause
    open: bool = True
    priority: Literal["low", "normal", "high", "urgent"] = "high"


class OrderRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an order is steered after sourcing: `rules/orders.yaml`.

    `at_risk_margin_minutes`: so long before ship-by and promise an unfinished order counts as at risk.
    `invoice_gate`: what must be proven before finance hears of a quantity. `invoice_per` `order` waits until nothing is
    under way any more and releases once (a backorder shipped later is released by itself); `shipment` releases each.
    `cases`: which causes of risk are watched at all; a cause that is not listed is not looked at.
    `on_short`: what a site did not ship is tried elsewhere first (`resource`) or waits (`backorder`).
    `backorder` false: an order that cannot be filled whole is held instead of split into now and later.
    `over_ship_tolerance_percent`: a surplus up to this share of the line is noted, above it is an exception.
    `confirmation_grace_minutes`: so long after a carrier moves goods their site may take to confirm what left; 0 never
    asks. Retry times of 0 switch the retry off.
    """

    default_service_level: str = ""
    at_risk_margin_minutes: int = 30
    promise_margin_minutes: int = 240
    invoice_gate: Literal["shipped", "delivered"] = "delivered"
    invoice_per: Literal["order", "shipment"] = "order"
    delivered_needs_evidence: bool = True
    on_short: Literal["backorder", "resource"] = "backorder"
    backorder: bool = True
    backorder_retry_minutes: int = 60
    hold_retry_minutes: int = 0
    over_ship_tolerance_percent: Decimal = Decimal(0)
    confirmation_grace_minutes: int = 60
    requests_max: int = 20
    cases: tuple[CaseRule, ...] = (
        CaseRule("ship_by"),
        CaseRule("promise"),
        CaseRule("late_estimate"),
        CaseRule("carrier_trouble"),
    )


class SitesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`sites.yaml`.

    `regions` names groups of destinations by country and state: `west: [US-NV, US-CA]`; `US` alone is a whole country.
    """

    sites: tuple[Site, ...]
    regions: dict[str, tuple[str, ...]] = {}


class ServiceLevelsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`service_levels.yaml`."""

    service_levels: tuple[ServiceLevel, ...]


class SourcingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`rules/sourcing.yaml`."""

    rules: tuple[SourcingRule, ...]
    substitutes: tuple[Substitute, ...] = ()


class OrderPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything a tenant configures for its orders, put together from the files above.

    `timezone` is the tenant's own: a promise given as a date ends with that day in this zone.
    """

    sites: tuple[Site, ...] = ()
    calendars: tuple[Calendar, ...] = ()
    service_levels: tuple[ServiceLevel, ...] = ()
    sourcing: tuple[SourcingRule, ...] = ()
    regions: dict[str, tuple[str, ...]] = {}
    orders: OrderRules = OrderRules()
    case: CaseRules = CaseRules()
    timezone: str = "UTC"
    substitutes: tuple[Substitute, ...] = ()
