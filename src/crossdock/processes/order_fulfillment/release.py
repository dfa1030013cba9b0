"""An order is released: take it on, choose sites, ask them. Also the way back: what came back looks for a site again.

`place` is the one way from a waiting quantity to a site. Rules and reasons are in `sourcing.py`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from ...canonical.events import Event
from ...canonical.orders import FulfillmentLine, FulfillmentRequest, Order, OrderLine
from ..allocation import AllocationLine, Need
from ..calendars import end_of_day
from ..ledger import PRICE_MAX, ZERO, LineLedger, Waiting, is_quantity, quantity_text
from ..order_state import Fulfillment, OrderState, RequestedLine
from ..outcome import DecisionContext, Outcome, ProcessException
from ..policy_compiler import CompiledPolicy
from ..sourcing import Allocation, Facts, SourcingDecision, source
from .draft import YEAR_MAX, YEAR_MIN, Draft
from .unknown_items import became_known, besides, report_unknown, unknown_items

SHORT_WORDS = "not in stock:"
UNKNOWN_WORDS = "unknown item:"


def take_on(order: Order, context: DecisionContext) -> Draft | Outcome:
    """Return the draft of a new order with its sites chosen, or an outcome that refuses an order nobody could ship."""
    faults = _faults(order)
    if faults:
        return Outcome(None, exceptions=faults)
    draft = Draft(_new_state(order, context), context)
    draft.emit("order.created", order)
    draft.name("order", order.number)
    draft.references.extend(order.refs)
    place(draft, "open", why="released")
    return draft


def released_again(draft: Draft, _event: Event, order: Order) -> bool:
    """Take over a changed order as long as nothing of it is at a site; the same order again is nothing new."""
    if order == draft.order:
        return False
    faults = _faults(order)
    if faults:
        draft.exceptions.extend(faults)
        return False
    settled = all(line.open + line.backordered == line.ordered for line in draft.lines.values())
    if not settled or order.number != draft.order.number:
        message = f"order {order.number} came again with other content, but it is at a site already"
        draft.fault("XD-ORD-006", "changed_after_release", message)
        return False
    fresh = _new_state(order, draft.context)
    draft.order = order
    draft.lines = {line.line_no: line for line in fresh.lines}
    draft.region, draft.service_level, draft.promise_at = fresh.region, fresh.service_level, fresh.promise_at
    draft.hold = ""
    draft.references.extend(order.refs)
    place(draft, "open", why="released again")
    return True


def place(
    draft: Draft,
    bucket: Waiting,
    *,
    why: str,
    avoid: dict[str, str] | None = None,
    ignore_holds: bool = False,
    report: bool = True,
) -> bool:
    """Look for sites for everything that waits in a bucket and ask them. Returns whether any quantity found one.

    What finds no site becomes a backorder, or holds the order, as the policy says. `avoid` are sites that are out of
    the question this time, with the reason in words. `report` false: the caller reports that no site was found.
    """
    needs = _needs(draft, bucket)
    if not needs:
        return False
    decision = _decide_sites(draft, needs, avoid or {}, ignore_holds)
    unknown = unknown_items(decision, draft.context.stock)
    learned = became_known(draft, {need.sku for need in needs}, unknown)
    short = besides(decision.unplaced, unknown)
    whole_or_nothing = not draft.policy.rules.backorder and bool(decision.unplaced)
    if whole_or_nothing and not decision.held:
        lines = tuple(AllocationLine(need.line_no, need.sku, need.quantity) for need in needs)
        decision = SourcingDecision((), lines, decision.trace, held=_lacks(short, unknown))
    if bucket == "backordered" and not decision.allocations:
        if learned and report:
            _report_short(draft, decision, short)
        return False
    if bucket == "open" and decision.held and decision.held == draft.hold:
        # Held as before: reported and journaled then.
        return False
    first = len(draft.fulfillments) + 1
    numbers = [f"{draft.order.number}-{first + place}" for place in range(len(decision.allocations))]
    draft.emit("order.sourced", _sourced(why, decision, numbers))
    for number, allocation in zip(numbers, decision.allocations, strict=True):
        _ask(draft, number, allocation, bucket)
    if bucket == "open":
        _settle_unplaced(draft, decision)
        if report or decision.held:
            report_unknown(draft, unknown)
            _report_short(draft, decision, short)
    _promise(draft, decision)
    return bool(numbers)


def _faults(order: Order) -> tuple[ProcessException, ...]:
    """Return what makes an order impossible to steer."""
    faults: list[ProcessException] = []
    if not order.number:
        faults.append(_bad("order_number", "an order without a number", "/number"))
    if not order.lines:
        faults.append(_bad("order_lines", f"order {order.number} has no lines", "/lines"))
    seen: set[str] = set()
    for index, line in enumerate(order.lines):
        if line.line_no in seen:
            message = f"order {order.number}: line {line.line_no} stands twice"
            faults.append(_bad("order_lines", message, f"/lines/{index}/line_no"))
        seen.add(line.line_no)
        if not is_quantity(line.quantity) or line.quantity == 0:
            message = f"order {order.number}: line {line.line_no} has quantity {line.quantity}"
            faults.append(_bad("order_quantity", message, f"/lines/{index}/quantity"))
        if line.unit_price is not None and not (line.unit_price.is_finite() and abs(line.unit_price) <= PRICE_MAX):
            message = f"order {order.number}: line {line.line_no} has price {line.unit_price}"
            faults.append(_bad("order_price", message, f"/lines/{index}/unit_price"))
    if order.promised_on is not None and not YEAR_MIN <= order.promised_on.year <= YEAR_MAX:
        message = f"order {order.number} is promised for {order.promised_on}"
        faults.append(_bad("order_promise", message, "/promised_on"))
    return tuple(faults)


def _bad(cause: str, message: str, pointer: str) -> ProcessException:
    return ProcessException("XD-DOC-001", cause, message, pointer)


def _new_state(order: Order, context: DecisionContext) -> OrderState:
    policy: CompiledPolicy = context.policy
    address = order.ship_to
    region = order.region or (policy.region(address.country, address.region) if address is not None else "")
    promise_at = end_of_day(policy.zone, order.promised_on) if order.promised_on is not None else None
    return OrderState(
        order=order,
        status="on_hold",
        lines=tuple(LineLedger.of(line.line_no, line.quantity) for line in order.lines),
        region=region,
        service_level=order.service_level or policy.rules.default_service_level,
        promise_at=promise_at,
    )


def _needs(draft: Draft, bucket: Waiting) -> tuple[Need, ...]:
    needs: list[Need] = []
    for line in draft.order.lines:
        ledger = draft.lines[line.line_no]
        quantity = ledger.open if bucket == "open" else ledger.backordered
        if quantity > 0:
            needs.append(Need(line.line_no, line.sku, quantity))
    return tuple(needs)


def _decide_sites(draft: Draft, needs: tuple[Need, ...], avoid: dict[str, str], ignore_holds: bool) -> SourcingDecision:
    if len(draft.fulfillments) >= draft.policy.rules.requests_max:
        lines = tuple(AllocationLine(need.line_no, need.sku, need.quantity) for need in needs)
        return SourcingDecision((), lines, held=f"asked sites {len(draft.fulfillments)} times, the most allowed")
    context, order = draft.context, draft.order
    excluded = dict.fromkeys(draft.refused_by, "refused this order before") | avoid
    facts = Facts(
        order=order,
        region=draft.region,
        service_level=draft.service_level,
        now=draft.now,
        stock=context.stock,
        health=context.health,
        load=context.load,
        excluded=excluded,
        promised_on=order.promised_on.isoformat() if order.promised_on is not None else "",
        ignore_holds=ignore_holds,
    )
    return source(needs, draft.policy, facts)


def _ask(draft: Draft, number: str, allocation: Allocation, bucket: Waiting) -> None:
    """Ask one site to ship."""
    order = draft.order
    by_number = {line.line_no: line for line in order.lines}
    for line in allocation.lines:
        draft.lines[line.line_no] = draft.lines[line.line_no].release(line.quantity, source=bucket)
    request = FulfillmentRequest(
        number=number,
        order_number=order.number,
        site=allocation.site,
        lines=tuple(
            FulfillmentLine(
                line.line_no,
                line.sku,
                line.quantity,
                by_number[line.line_no].uom,
                _description(by_number[line.line_no], line.sku),
            )
            for line in allocation.lines
        ),
        ship_to=order.ship_to,
        service_level=draft.service_level,
        carrier=draft.policy.service(draft.service_level).carrier,
        ship_by_at=allocation.ship_by_at,
        requested_at=draft.now,
        refs=order.refs,
    )
    draft.put(
        Fulfillment(
            number,
            allocation.site,
            "requested",
            tuple(RequestedLine(line.line_no, line.sku, line.quantity) for line in allocation.lines),
            allocation.ship_by_at,
        )
    )
    draft.emit("fulfillment.requested", request)
    draft.request("fulfillment_request", number, request, site=allocation.site)
    draft.name("fulfillment", number, allocation.site)


def _description(line: OrderLine, sku: str) -> str:
    return line.description if sku == line.sku else f"instead of {line.sku} {line.description}".rstrip()


def _settle_unplaced(draft: Draft, decision: SourcingDecision) -> None:
    draft.hold = decision.held
    if not decision.held:
        for line in decision.unplaced:
            draft.lines[line.line_no] = draft.lines[line.line_no].backorder(line.quantity)


def _report_short(draft: Draft, decision: SourcingDecision, short: tuple[AllocationLine, ...]) -> None:
    """Report an order that found no site at all, or is held, for another reason than an item nobody knows."""
    number = draft.order.number
    if decision.held and (short or not decision.held.startswith(UNKNOWN_WORDS)):
        draft.raise_condition("XD-ORD-001", f"held:{decision.held}", f"order {number}: {decision.held}")
    elif short and not decision.held and not decision.allocations:
        message = f"order {number}: no site can ship {_words(short)}"
        draft.raise_condition("XD-ORD-001", _no_site_cause(decision, short), message)


def waits_for_stock(draft: Draft) -> bool:
    """Tell whether the order is held because some of it is not in stock: the next stock report may let it go."""
    return draft.hold.startswith((SHORT_WORDS, UNKNOWN_WORDS))


def _lacks(short: tuple[AllocationLine, ...], unknown: frozenset[str]) -> str:
    """Return why an order that may not be split waits whole."""
    parts = [f"{SHORT_WORDS} {_words(short)}"] if short else []
    return "; ".join([*parts, *([f"{UNKNOWN_WORDS} {', '.join(sorted(unknown))}"] if unknown else [])])


def _no_site_cause(decision: SourcingDecision, short: tuple[AllocationLine, ...]) -> str:
    """Return what orders without a site have in common: the rule that took the last site, with the item for stock."""
    rejected = [entry for entry in decision.trace if entry.verdict == "rejected" and entry.site]
    if not rejected:
        return "no_site"
    last = rejected[-1]
    if last.kind == "stock":
        return "no_stock:" + ",".join(sorted({line.sku for line in short}))
    return f"no_site:{last.rule}"


def _promise(draft: Draft, decision: SourcingDecision) -> None:
    if draft.promise_at is None and decision.allocations:
        latest = max(allocation.delivers_on for allocation in decision.allocations)
        draft.promise_at = end_of_day(draft.policy.zone, date.fromisoformat(latest))


def _sourced(why: str, decision: SourcingDecision, numbers: list[str]) -> dict[str, object]:
    """Return the data of `order.sourced`: who ships what, what waits, and the reason of every rule."""
    return {
        "why": why,
        "fulfillments": [
            {
                "number": number,
                "site": allocation.site,
                "ship_by_at": allocation.ship_by_at.isoformat().replace("+00:00", "Z"),
                "lines": [_line(line) for line in allocation.lines],
            }
            for number, allocation in zip(numbers, decision.allocations, strict=True)
        ],
        "unplaced": [_line(line) for line in decision.unplaced],
        "held": decision.held,
        "trace": [
            {
                "rule": entry.rule,
                "kind": entry.kind,
                "site": entry.site,
                "verdict": entry.verdict,
                "reason": entry.reason,
            }
            for entry in decision.trace
        ],
    }


def _line(line: AllocationLine) -> dict[str, str]:
    return {"line_no": line.line_no, "sku": line.sku, "quantity": quantity_text(line.quantity)}


def _words(lines: tuple[AllocationLine, ...]) -> str:
    """Return quantities by SKU as people write them: `40 SKU-1, 2 SKU-7`."""
    totals: dict[str, Decimal] = {}
    for line in lines:
        totals[line.sku] = totals.get(line.sku, ZERO) + line.quantity
    return ", ".join(f"{quantity_text(quantity)} {sku}" for sku, quantity in totals.items())
