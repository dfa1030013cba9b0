"""How suppliers keep their word: a pure fold over their purchase orders.

| figure | formula | left out |
|---|---|---|
| answered in time | first answer within `ack_hours` of the order | unanswered orders whose time is not over |
| announced in time | notices known before the goods came in | notices whose goods did not come in |
| notices right | lines whose final receipt brought what was announced | notices without a final receipt |
| on time | quantity that came in by the end of its day | lines without a day, or whose day is not over |
| filled | accepted quantity of the wanted one | orders that are not closed |
| damaged | damaged quantity of the received one | |
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from ..processes.receiving.policy import PurchaseRules
from ..processes.receiving.state import PurchaseState, is_in, received_on
from ..store.engine import Connection

ORDERS_MAX = 5_000
ZERO = Decimal(0)
_decode = msgspec.json.Decoder(PurchaseState).decode


class Share(msgspec.Struct, frozen=True):
    """A part of a whole. `percent` is None where there is nothing to judge."""

    good: Decimal = ZERO
    of: Decimal = ZERO

    @property
    def percent(self) -> Decimal | None:
        return (self.good * 100 / self.of).quantize(Decimal("0.1")) if self.of else None

    def plus(self, good: Decimal | int, of: Decimal | int) -> Share:
        return Share(self.good + good, self.of + of)


class SupplierScore(msgspec.Struct, frozen=True):
    """One supplier. Every share counts what the table above says."""

    supplier: str
    orders: int = 0
    answered_in_time: Share = Share()
    announced_in_time: Share = Share()
    notices_right: Share = Share()
    on_time: Share = Share()
    filled: Share = Share()
    damaged: Share = Share()


class Scorecard(msgspec.Struct, frozen=True):
    """All suppliers, by code. `orders_max` says how many orders are looked at, the latest first."""

    rows: tuple[SupplierScore, ...]
    orders_max: int = ORDERS_MAX


def load(
    connection: Connection,
    tenant_id: str,
    rules: PurchaseRules,
    *,
    now: datetime,
    suppliers: frozenset[str] | None = None,
) -> Scorecard:
    """Return the scores of the tenant's suppliers, or of some of them."""
    rows = connection.query(
        "select customer, state from aggregates where tenant_id = ? and kind = 'purchase'"
        " order by updated_at desc limit ?",
        (tenant_id, ORDERS_MAX),
    )
    states = (_decode(state) for supplier, state in rows if suppliers is None or supplier in suppliers)
    return Scorecard(score(states, rules, now))


def score(states: Iterable[PurchaseState], rules: PurchaseRules, now: datetime) -> tuple[SupplierScore, ...]:
    """Fold purchase orders into a score for each supplier."""
    found: dict[str, SupplierScore] = {}
    for state in states:
        supplier = state.order.supplier
        found[supplier] = _add(found.get(supplier, SupplierScore(supplier)), state, rules, now)
    return tuple(found[name] for name in sorted(found))


def _add(was: SupplierScore, state: PurchaseState, rules: PurchaseRules, now: datetime) -> SupplierScore:
    agreed, answered = rules.of(state.order.supplier), was.answered_in_time
    asked_at = state.first_asked_at or state.asked_at
    due_at = asked_at + timedelta(hours=agreed.ack_hours)
    if state.acked_at is not None or due_at <= now:
        answered = answered.plus(int(state.acked_at is not None and state.acked_at <= due_at), 1)
    announced, right = was.announced_in_time, was.notices_right
    for notice in state.notices:
        came = [one.received_at for one in state.receipts if one.asn_number == notice.number]
        if came:
            announced = announced.plus(int(notice.known_at <= min(came)), 1)
        if is_in(state.receipts, notice.number):
            brought = received_on(state.receipts, notice.number)
            exact = [brought.get((item.line_no, item.sku), ZERO) == item.quantity for item in notice.items]
            right = right.plus(sum(exact), len(exact))
    on_time, filled, damaged = was.on_time, was.filled, was.damaged
    zone = ZoneInfo(rules.timezone)
    for line in state.lines:
        day = line.due_on or state.order.due_on
        ends_at = (
            datetime.combine(day + timedelta(days=1), time(), zone) if day is not None and day.year < 9999 else None
        )
        if ends_at is not None and ends_at <= now and line.book.wanted:
            early = sum(
                (
                    item.accepted
                    for receipt in state.receipts
                    if receipt.received_at < ends_at
                    for item in receipt.items
                    if item.line_no == line.line_no
                ),
                ZERO,
            )
            on_time = on_time.plus(min(early, line.book.wanted), line.book.wanted)
        if state.status == "closed":
            filled = filled.plus(min(line.book.accepted, line.book.wanted), line.book.wanted)
        damaged = damaged.plus(line.book.damaged, line.book.received)
    return SupplierScore(was.supplier, was.orders + 1, answered, announced, right, on_time, filled, damaged)
