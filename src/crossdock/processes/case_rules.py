"""Which risks become cases at the service desk: relevance, grace, escalation, the noise budget, and what is told.

`rules/case.yaml` of a pack is a `CaseRules`. `judge` is pure. The order's own process asks it when a risk appears, and
so does the simulation on history (`views/case_simulation.py`): both get the same answer to the same facts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from ..canonical.orders import Order
from .spans import OptionalSpan, span_of

Priority = Literal["low", "normal", "high", "urgent"]
Condition = Callable[[Mapping[str, Any]], Any]

# What of a case may be told to the desk besides order, cause, action, priority and the case's own number.
CaseField = Literal[
    "subject", "detail", "due_at", "tracking_as_of", "customer", "email", "phone", "value", "tracking", "promised_at",
    "status",
]  # fmt: skip
PERSONAL: tuple[str, ...] = ("customer", "email", "phone")


class RelevanceRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule; the first whose `when` holds decides, those behind it are not asked.

    `when` is an expression over `cause` (ship_by, promise, late_estimate, carrier_trouble), `group`, `order_number`,
    `region`, `service_level`, `channel`, `customer`, `value`, `status`, `sites` and `minutes_left` to the deadline.
    """

    when: str = ""
    open: bool = True
    priority: Priority | None = None
    owner: Annotated[str, msgspec.Meta(max_length=100)] = ""
    grace: OptionalSpan | None = None
    why: str = ""


class CaseEscalation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a case becomes when nobody at the desk has taken it on so long after it was opened."""

    after: OptionalSpan
    priority: Priority = "urgent"
    owner: Annotated[str, msgspec.Meta(max_length=100)] = ""


class CaseRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`rules/case.yaml`.

    `grace` is how long a risk must last before a case is opened: one that passes by itself meanwhile never was a case.
    `per_order_per_day` and `per_day` are the noise budget (0: without a limit); what goes beyond it is kept as
    suppressed, and an urgent case is never held back by `per_day`. `one_desk`: of several routes only the first takes
    a case. `fields` are what of the order is told; `masked` of them only in part. `stale` is the age at which the
    tracking data a case is based on counts as stale.
    """

    relevance: tuple[RelevanceRule, ...] = ()
    grace: OptionalSpan = ""
    per_order_per_day: Annotated[int, msgspec.Meta(ge=0)] = 0
    per_day: Annotated[int, msgspec.Meta(ge=0)] = 0
    one_desk: bool = True
    escalate: tuple[CaseEscalation, ...] = ()
    fields: tuple[CaseField, ...] = ("subject", "detail", "due_at", "tracking_as_of")
    masked: tuple[CaseField, ...] = ()
    stale: OptionalSpan = "4h"

    @property
    def stale_seconds(self) -> float:
        """Return the age at which tracking data is stale; 0 switches it off."""
        return span_of(self.stale).total_seconds()


class CompiledCaseRules(msgspec.Struct, frozen=True):
    """The rules with their conditions ready to be asked."""

    rules: CaseRules = CaseRules()
    conditions: tuple[Condition | None, ...] = ()


class Budget(msgspec.Struct, frozen=True):
    """How many cases were opened already: of this order today, and of the tenant today."""

    of_order: int = 0
    of_day: int = 0


class CaseVerdict(msgspec.Struct, frozen=True):
    """Whether a risk becomes a case. `why` says in words what decided; `suppressed`: only the budget forbids it."""

    open: bool
    priority: Priority
    owner: str = ""
    grace_seconds: float = 0.0
    why: str = ""
    suppressed: bool = False


def judge(compiled: CompiledCaseRules, variables: Mapping[str, Any], priority: Priority, budget: Budget) -> CaseVerdict:
    """Return what becomes of a risk. `priority` is what the order's rules say of its cause."""
    rules = compiled.rules
    grace, owner, why = rules.grace, "", ""
    for number, (rule, condition) in enumerate(zip(rules.relevance, compiled.conditions, strict=True), 1):
        if condition is not None and condition(variables) is not True:
            continue
        priority, owner = rule.priority or priority, rule.owner
        grace = rules.grace if rule.grace is None else rule.grace
        why = rule.why or f"rule {number}"
        if not rule.open:
            return CaseVerdict(False, priority, owner, why=why)
        break
    seconds = span_of(grace).total_seconds()
    if rules.per_order_per_day and budget.of_order >= rules.per_order_per_day:
        limit = f"{rules.per_order_per_day} cases of an order a day"
        return CaseVerdict(False, priority, owner, seconds, limit, suppressed=True)
    if rules.per_day and budget.of_day >= rules.per_day and priority != "urgent":
        return CaseVerdict(False, priority, owner, seconds, f"{rules.per_day} cases a day", suppressed=True)
    return CaseVerdict(True, priority, owner, seconds, why)


def variables_of(
    order: Order,
    *,
    cause: str,
    group: str,
    region: str,
    service_level: str,
    status: str,
    sites: Iterable[str],
    minutes_left: float | None,
) -> dict[str, Any]:
    """Return what a rule may look at."""
    value = sum((line.quantity * line.unit_price for line in order.lines if line.unit_price is not None), Decimal(0))
    customer = order.customer
    return {
        "cause": cause,
        "group": group,
        "order_number": order.number,
        "region": region,
        "service_level": service_level,
        "channel": order.channel,
        "customer": (customer.code or customer.name) if customer is not None else "",
        "value": value,
        "status": status,
        "sites": sorted(sites),
        "minutes_left": None if minutes_left is None else Decimal(round(minutes_left)),
    }


_WORD = re.compile(r"\S+")


def masked(kind: str, text: str) -> str:
    """Return a personal value so that an agent recognises it and nobody else learns it.

    >>> masked("email", "ada.moss@example.com"), masked("phone", "+15551234567"), masked("customer", "Ada Moss")
    ('a***@example.com', '***67', 'A. M.')
    """
    if not text:
        return ""
    if kind == "email":
        name, _, domain = text.partition("@")
        return f"{name[:1]}***@{domain}"
    if kind == "phone":
        return f"***{text[-2:]}"
    return " ".join(f"{word[0]}." for word in _WORD.findall(text))


def without_personal(text: str, values: Mapping[str, str]) -> str:
    """Return a text in which every personal value is masked; `values` holds them by field."""
    for kind, value in sorted(values.items(), key=lambda item: -len(item[1])):
        if len(value) >= 3:
            text = text.replace(value, masked(kind, value))
    return text
