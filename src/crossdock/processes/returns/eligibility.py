"""May this come back? Every rule says of every line why it passed or not, in words for customer and agent alike.

`judge` is pure: lines, the order as it stands, the rules and the moment in, verdicts out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import NamedTuple

from ...canonical.orders import OrderLine
from ...canonical.returns import ReturnLine
from ..ledger import ZERO, is_quantity, quantity_text
from ..order_fulfillment.milestones import concerns
from ..order_state import OrderState, ShippedUnit
from .policy import ReturnRules
from .state import ReturnLineState, Verdict


class Availability(NamedTuple):
    """How much of an order line may come back: what the customer has, less what other returns claim or brought."""

    had: Decimal
    elsewhere: Decimal

    @property
    def left(self) -> Decimal:
        return max(self.had - self.elsewhere, ZERO)


def availability(order: OrderState, line_no: str, rules: ReturnRules, *, besides: str = "") -> Availability:
    """Return how much of a line may come back; the return numbered `besides` does not count against itself."""
    ledger = next((line for line in order.lines if line.line_no == line_no), None)
    if ledger is None:
        return Availability(ZERO, ZERO)
    elsewhere = ZERO
    for one in order.returns:
        if one.number != besides:
            elsewhere += sum((max(line.claimed, line.received) for line in one.lines if line.line_no == line_no), ZERO)
    return Availability(ledger.delivered if rules.needs_delivery else ledger.shipped, elsewhere)


def uncredited(order: OrderState, line_no: str, rules: ReturnRules, *, besides: str) -> Decimal:
    """Return how much of a line no other return gave the customer a right to a credit for."""
    had = availability(order, line_no, rules).had
    for one in order.returns:
        if one.number != besides:
            had -= sum((line.creditable for line in one.lines if line.line_no == line_no), ZERO)
    return max(had, ZERO)


def delivered_at(order: OrderState, line_no: str) -> datetime | None:
    """Return when the last of a line was delivered (shipped, where nobody told); None while nothing has left."""
    moments = [
        moment
        for shipment in order.shipments
        if any(line.line_no == line_no and line.quantity for line in shipment.lines)
        for moment in _moments(order, shipment)
    ]
    return max(moments, default=None)


def _moments(order: OrderState, shipment: ShippedUnit) -> Iterable[datetime]:
    found = [
        fact.at
        for fact in order.milestones
        if fact.code == "delivered" and not fact.estimated and fact.leg == "outbound" and concerns(fact, shipment)
    ]
    if found:
        return [max(found)]
    return [shipment.shipped_at] if shipment.shipped_at is not None else []


def judge(
    lines: Iterable[ReturnLine],
    order: OrderState,
    rules: ReturnRules,
    now: datetime,
    *,
    besides: str = "",
) -> tuple[ReturnLineState, ...]:
    """Return the verdict on each line, with the word of each rule. One order line named twice is judged as one."""
    asked: dict[str, ReturnLineState] = {}
    for line in lines:
        known = _line_of(order, line)
        if known is None:
            name = line.line_no or line.sku
            asked[f"?{name}"] = _refused(line, f"the order has no line {name}")
            continue
        if not is_quantity(line.quantity) or not line.quantity:
            asked[f"?{known.line_no}"] = _refused(line, f"{line.quantity} is no quantity that could come back")
            continue
        earlier = asked.get(known.line_no)
        quantity = line.quantity + (earlier.asked if earlier is not None else ZERO)
        asked[known.line_no] = _judge_line(known, line, quantity, order, rules, now, besides)
    return tuple(asked.values())


def returnable(
    order: OrderState, rules: ReturnRules, now: datetime, *, condition: str = "damaged"
) -> tuple[ReturnLineState, ...]:
    """Return for every line of an order what could come back now, in that condition; for whoever may choose."""
    wanted = [
        ReturnLine(max(availability(order, line.line_no, rules).left, Decimal(1)), line.line_no, condition=condition)  # type: ignore[arg-type]
        for line in order.order.lines
    ]
    return judge(wanted, order, rules, now)


def _line_of(order: OrderState, line: ReturnLine) -> OrderLine | None:
    if line.line_no:
        found = next((one for one in order.order.lines if one.line_no == line.line_no), None)
        return found if found is not None and line.sku in ("", found.sku) else None
    return next((one for one in order.order.lines if one.sku == line.sku), None)


def _refused(line: ReturnLine, why: str) -> ReturnLineState:
    return ReturnLineState(
        line.line_no, line.sku, line.quantity, condition=line.condition, reason=line.reason, words=(why,), refusal=why
    )


def _judge_line(
    known: OrderLine,
    line: ReturnLine,
    quantity: Decimal,
    order: OrderState,
    rules: ReturnRules,
    now: datetime,
    besides: str,
) -> ReturnLineState:
    words: list[str] = []
    refusals: list[str] = []

    def say(passed: bool, word: str) -> None:
        words.append(word)
        if not passed:
            refusals.append(word)

    has = availability(order, known.line_no, rules, besides=besides)
    allowed = min(quantity, has.left)
    verb = "delivered" if rules.needs_delivery else "shipped"
    if not has.had:
        say(False, f"nothing of this line is {verb} yet")
    elif not has.left:
        say(False, f"all {quantity_text(has.had)} are returned, or on their way back, already")
    else:
        rest = f", {quantity_text(has.elsewhere)} come back by other returns" if has.elsewhere else ""
        say(True, f"{quantity_text(has.had)} {verb}{rest}: {quantity_text(has.left)} may come back")
    _judge_window(order, known.line_no, rules, now, say)
    _judge_goods(known.sku, line.condition, rules, say)
    part = ""
    if not refusals and allowed < quantity:
        part = f"{quantity_text(quantity)} asked for, {quantity_text(allowed)} may come back"
    verdict: Verdict = "refused" if refusals or not allowed else "authorized"
    return ReturnLineState(
        line_no=known.line_no,
        sku=known.sku,
        asked=quantity,
        allowed=allowed if verdict == "authorized" else ZERO,
        verdict=verdict,
        condition=line.condition,
        reason=line.reason,
        description=known.description,
        uom=known.uom,
        words=tuple(words),
        refusal="; ".join(refusals) or part,
    )


def _judge_window(order: OrderState, line_no: str, rules: ReturnRules, now: datetime, say: object) -> None:
    assert callable(say)
    since = delivered_at(order, line_no)
    if not rules.window_days or since is None:
        return
    until = since + timedelta(days=rules.window_days)
    if now > until:
        say(False, f"the {rules.window_days} days since the delivery of {since:%d %b %Y} are over")
    else:
        say(True, f"within {rules.window_days} days of the delivery, until {until:%d %b %Y}")


def _judge_goods(sku: str, condition: str, rules: ReturnRules, say: object) -> None:
    assert callable(say)
    words = condition.replace("_", " ")
    if condition not in rules.conditions:
        say(False, f"goods that are {words} are not taken back")
    for rule in rules.not_returnable:
        patterns = (*rule.skus, *rules.categories.get(rule.category, ()))
        if any(fnmatchcase(sku, pattern) for pattern in patterns):
            if condition in rule.unless:
                say(True, f"{rule.reason}, but {words} goods are taken back")
            else:
                say(False, rule.reason)


def reason_to_review(
    lines: Iterable[ReturnLineState], channel: str, prices: Mapping[str, Decimal | None], rules: ReturnRules
) -> str:
    """Return why a person looks at a request first; empty when nobody has to."""
    allowed = [line for line in lines if line.allowed]
    if not allowed:
        return ""
    value = sum((line.allowed * (prices.get(line.line_no) or ZERO) for line in allowed), ZERO)
    for rule in rules.review:
        if rule.conditions and not any(line.condition in rule.conditions for line in allowed):
            continue
        if rule.channels and channel not in rule.channels:
            continue
        if rule.value_above is not None and value <= rule.value_above:
            continue
        return rule.reason
    return ""
