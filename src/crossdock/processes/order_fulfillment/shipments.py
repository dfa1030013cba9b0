"""A site confirms what left: match it to the request, book it, confirm it onwards.

Only what was asked for can be booked; a surplus is an exception and never reaches the ERP. What a closed request did
not ship is short. The same shipment number twice is a duplicate.
"""

from __future__ import annotations

import zlib
from decimal import Decimal

import msgspec

from ...canonical.events import Event
from ...canonical.quantities import unit_from
from ...canonical.shipments import Shipment, ShipmentLine
from ..ledger import ZERO, Waiting, is_quantity, quantity_text
from ..order_state import ACTIVE_STATES, Fulfillment, RequestedLine, ShippedLine, ShippedUnit, changed
from .answers import withdraw
from .draft import Draft, is_instant
from .release import place


def departed(draft: Draft, event: Event, shipment: Shipment) -> bool:
    """Book a ship confirmation. One for a request that is not known yet is parked."""
    fulfillment = _request_of(draft, shipment)
    if fulfillment is None:
        return False
    key = (fulfillment.site, shipment.number)
    fingerprint = _fingerprint(shipment)
    booked = draft.shipments.get(key)
    if booked is not None:
        if booked.fingerprint != fingerprint:
            message = f"{fulfillment.site} confirmed shipment {shipment.number} again with other content"
            draft.fault("XD-ORD-005", f"changed_shipment:{fulfillment.site}", message, "/number")
        return False
    if not _readable(draft, fulfillment, shipment):
        return False
    asked, surplus = _match(fulfillment, shipment.lines)
    if surplus and not asked:
        # None of it was asked for: a wrong paper or an unmapped item, which must not close the request as short.
        _report_surplus(draft, fulfillment, shipment, surplus)
        return False
    lines, over = _book(draft, fulfillment.number, asked)
    _report_surplus(draft, fulfillment, shipment, [*surplus, *over])
    draft.shipments[key] = ShippedUnit(
        number=shipment.number,
        site=fulfillment.site,
        fulfillment=fulfillment.number,
        lines=tuple(ShippedLine(line.line_no, line.quantity) for line in lines),
        fingerprint=fingerprint,
        tracking=shipment.tracking,
        shipped_at=shipment.shipped_at or event.occurred_at,
    )
    _close(draft, fulfillment, shipment, bool(lines))
    _pass_on(draft, fulfillment, shipment, lines)
    return True


def _request_of(draft: Draft, shipment: Shipment) -> Fulfillment | None:
    """Return the request a confirmation answers: by its number, else the one request of its site that is open."""
    if shipment.fulfillment_number:
        named = draft.fulfillments.get(shipment.fulfillment_number)
        if named is None:
            draft.parked_until = f"fulfillment:{shipment.fulfillment_number}"
            return None
        if shipment.site and shipment.site != named.site:
            message = f"{shipment.site} confirms {named.number}, which was asked of {named.site}"
            draft.fault("XD-ORD-005", f"wrong_site:{shipment.site}", message, "/site")
            return None
        return named
    of_site = [one for one in draft.fulfillments.values() if not shipment.site or one.site == shipment.site]
    repeated = [one for one in of_site if (one.site, shipment.number) in draft.shipments]
    active = [one for one in of_site if one.state in ACTIVE_STATES]
    for candidates in (repeated, active, of_site):
        if len(candidates) == 1:
            return candidates[0]
    skus = {line.sku for line in shipment.lines}
    fitting = [one for one in active if skus <= {line.sku for line in one.lines if line.outstanding > 0}]
    if len(fitting) == 1:
        return fitting[0]
    what = f"fits {len(active)} open requests" if active else "fits no open request"
    place_name = shipment.site or "a site that is not named"
    message = f"shipment {shipment.number} of {place_name} for order {draft.order.number} {what}"
    draft.fault("XD-ORD-005", f"unmatched_shipment:{shipment.site}", message, "/fulfillment_number")
    return None


def _readable(draft: Draft, fulfillment: Fulfillment, shipment: Shipment) -> bool:
    """Refuse a confirmation whose quantities cannot be compared with the order's."""
    if not shipment.number:
        draft.fault("XD-DOC-001", f"shipment_number:{fulfillment.site}", "a shipment without a number", "/number")
        return False
    if shipment.shipped_at is not None and not is_instant(shipment.shipped_at):
        message = f"shipment {shipment.number} left at {shipment.shipped_at}, which is no instant"
        draft.fault("XD-DOC-001", f"shipped_at:{fulfillment.site}", message, "/shipped_at")
        return False
    units = {line.line_no: unit_from(line.uom) for line in draft.order.lines}
    skus = {line.sku: line.line_no for line in fulfillment.lines}
    for index, line in enumerate(shipment.lines):
        pointer = f"/lines/{index}"
        if not is_quantity(line.quantity):
            message = f"shipment {shipment.number}: {line.sku} has quantity {line.quantity}"
            draft.fault("XD-DOC-001", f"shipped_quantity:{fulfillment.site}", message, f"{pointer}/quantity")
            return False
        ordered_in = units.get(skus.get(line.sku, ""), "")
        if ordered_in and unit_from(line.uom) != ordered_in:
            message = f"shipment {shipment.number}: {line.sku} is confirmed in {line.uom}, ordered in {ordered_in}"
            draft.fault("XD-ORD-005", f"unit:{fulfillment.site}:{line.sku}", message, f"{pointer}/uom")
            return False
    return True


def _match(
    fulfillment: Fulfillment, lines: tuple[ShipmentLine, ...]
) -> tuple[list[tuple[str, ShipmentLine, Decimal]], list[tuple[str, Decimal]]]:
    """Return which line of the request each confirmed quantity belongs to, and what belongs to none.

    The site's line number counts only when the item agrees: many sites number the lines of their own document.
    """
    left = {line.line_no: line.quantity - line.shipped for line in fulfillment.lines}
    matched: list[tuple[str, ShipmentLine, Decimal]] = []
    foreign: list[tuple[str, Decimal]] = []
    for line in lines:
        candidates = [one.line_no for one in fulfillment.lines if not line.sku or one.sku == line.sku]
        if line.line_no in candidates:
            candidates = [line.line_no]
        elif not line.sku:
            candidates = []
        rest = line.quantity
        for line_no in candidates:
            quantity = min(rest, max(left[line_no], ZERO))
            if quantity > 0:
                matched.append((line_no, line, quantity))
                left[line_no] -= quantity
                rest -= quantity
        if rest > 0 and candidates:
            matched.append((candidates[-1], line, rest))
        elif rest > 0:
            foreign.append((line.sku or f"line {line.line_no}", rest))
    return matched, foreign


def _book(
    draft: Draft, number: str, asked: list[tuple[str, ShipmentLine, Decimal]]
) -> tuple[list[ShipmentLine], list[tuple[str, Decimal]]]:
    """Move what left to shipped; returns the booked lines and what was more than asked.

    What a site had given up (short, refused) and ships all the same is booked as long as it still waits; what was
    cancelled or asked elsewhere meanwhile is a surplus.
    """
    booked: list[ShipmentLine] = []
    surplus: list[tuple[str, Decimal]] = []
    for line_no, line, quantity in asked:
        fulfillment = draft.fulfillments[number]
        requested = next(one for one in fulfillment.lines if one.line_no == line_no)
        ledger = draft.lines[line_no]
        now = min(quantity, requested.outstanding)
        if now > 0:
            picked = min(now, requested.picked)
            ledger = ledger.ship(now, picked=picked)
            requested = _moved(requested, shipped=now, picked=picked)
        late = ZERO
        for bucket in _WAITING:
            waiting = ledger.backordered if bucket == "backordered" else ledger.open
            more = min(quantity - now - late, requested.withdrawn, waiting)
            if more > 0:
                ledger = ledger.ship_waiting(more, source=bucket)
                requested = _moved(requested, shipped=more, withdrawn=more)
                late += more
        if now + late > 0:
            draft.lines[line_no] = ledger
            lines = tuple(requested if one.line_no == line_no else one for one in fulfillment.lines)
            draft.put(changed(fulfillment, state=fulfillment.state, lines=lines))
            booked.append(msgspec.structs.replace(line, line_no=line_no, sku=requested.sku, quantity=now + late))
        if now + late < quantity:
            surplus.append((requested.sku, quantity - now - late))
    return booked, surplus


_WAITING: tuple[Waiting, ...] = ("backordered", "open")


def _moved(
    line: RequestedLine, *, shipped: Decimal, picked: Decimal = ZERO, withdrawn: Decimal = ZERO
) -> RequestedLine:
    return RequestedLine(
        line.line_no,
        line.sku,
        line.quantity,
        line.picked - picked,
        line.shipped + shipped,
        line.withdrawn - withdrawn,
    )


def _report_surplus(
    draft: Draft, fulfillment: Fulfillment, shipment: Shipment, surplus: list[tuple[str, Decimal]]
) -> None:
    tolerance = draft.policy.rules.over_ship_tolerance_percent
    asked: dict[str, Decimal] = {}
    for line in fulfillment.lines:
        asked[line.sku] = asked.get(line.sku, ZERO) + line.quantity
    for sku, quantity in surplus:
        if sku not in asked:
            message = f"shipment {shipment.number} holds {quantity_text(quantity)} {sku}, which was not asked for"
            draft.fault("XD-ORD-007", f"not_asked:{fulfillment.site}:{sku}", message, "/lines")
        elif quantity * 100 > asked[sku] * tolerance:
            message = (
                f"shipment {shipment.number}: {quantity_text(quantity)} {sku} more than the "
                f"{quantity_text(asked[sku])} asked of {fulfillment.site} in {fulfillment.number}"
            )
            draft.fault("XD-ORD-007", f"over_shipped:{fulfillment.site}", message, "/lines")


def _close(draft: Draft, before: Fulfillment, shipment: Shipment, anything: bool) -> None:
    """Give the request its new state; a final confirmation leaves what did not come short."""
    fulfillment = draft.fulfillments[before.number]
    shipped_any = any(line.shipped for line in fulfillment.lines)
    if before.state not in ACTIVE_STATES:
        if anything:
            draft.put(changed(fulfillment, state=draft.step(fulfillment, "shipped_late")))
        return
    outstanding = fulfillment.outstanding
    if outstanding > 0 and not shipment.final:
        if anything:
            draft.put(changed(fulfillment, state=draft.step(fulfillment, "shipped_part"), accepted=True))
        return
    trigger = "shipped_final" if shipped_any else "shipped_nothing"
    done, opened = withdraw(draft, fulfillment, draft.step(fulfillment, trigger))
    if outstanding > 0 and opened:
        _short(draft, before, done, shipment)


def _short(draft: Draft, before: Fulfillment, done: Fulfillment, shipment: Shipment) -> None:
    """Let what is short try another site, or wait for stock, as the policy says."""
    withdrawn = {line.line_no: line.withdrawn for line in before.lines}
    missing = [
        (line, line.withdrawn - withdrawn.get(line.line_no, ZERO))
        for line in done.lines
        if line.withdrawn > withdrawn.get(line.line_no, ZERO) and line.line_no not in before.cancel_lines
    ]
    reasons = {line.sku: line.reason for line in shipment.lines if line.reason}
    draft.emit(
        "fulfillment.short",
        {
            "number": done.number,
            "site": done.site,
            "shipment": shipment.number,
            "lines": [
                {
                    "line_no": line.line_no,
                    "sku": line.sku,
                    "quantity": quantity_text(quantity),
                    "reason": reasons.get(line.sku, ""),
                }
                for line, quantity in missing
            ],
        },
    )
    words = ", ".join(f"{quantity_text(quantity)} {line.sku}" for line, quantity in missing)
    message = f"{done.site} shipped short on {done.number}: {words}"
    draft.raise_condition("XD-ORD-002", f"short:{done.site}", message)
    rules = draft.policy.rules
    if rules.on_short == "resource":
        place(draft, "open", why=message, avoid={done.site: f"shipped short on {done.number}"}, report=False)
    elif rules.backorder:
        for line, quantity in missing:
            draft.lines[line.line_no] = draft.lines[line.line_no].backorder(quantity)
    else:
        draft.hold = message


def _pass_on(draft: Draft, fulfillment: Fulfillment, shipment: Shipment, lines: list[ShipmentLine]) -> None:
    """Confirm what was booked to the ERP, and let the order be found by the shipment's names."""
    draft.name("shipment", shipment.number, fulfillment.site)
    draft.name("bol", shipment.bol, shipment.carrier)
    for tracking in shipment.tracking:
        draft.name("tracking", tracking, shipment.carrier)
    for unit in shipment.units:
        draft.name("sscc", unit.sscc)
    draft.references.extend(shipment.refs)
    if not lines:
        return
    confirmed = msgspec.structs.replace(
        shipment,
        lines=tuple(lines),
        fulfillment_number=fulfillment.number,
        order_number=draft.order.number,
        site=fulfillment.site,
    )
    draft.emit("shipment.recorded", confirmed)
    draft.request("shipment_confirmation", f"{fulfillment.site}:{shipment.number}", confirmed, site=fulfillment.site)


def _fingerprint(shipment: Shipment) -> int:
    """Return a checksum of what the site says it shipped, independent of the order of lines."""
    rows = sorted(f"{line.sku}|{line.line_no}|{line.quantity.normalize()}" for line in shipment.lines)
    return zlib.crc32("\n".join(rows).encode())
