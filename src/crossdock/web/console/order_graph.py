"""Lay out the split graph of an order: order, fulfillments, shipments, parcels, left to right.

Pure geometry for an inline SVG; the text twin beside it lists the same nodes. A box is 176 by 44, columns stand 216
apart.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ...views.order_timeline import FulfillmentNode, OrderPage, Parcel, ShipmentNode
from ..statuses import look_of

BOX_WIDTH, BOX_HEIGHT, COLUMN, ROW = 176, 46, 216, 58
PARCELS_MAX = 6
_TEXT_MAX = 24


class Box(msgspec.Struct, frozen=True):
    """One node. `parent` is the index of the box it hangs on, -1 for the order."""

    x: int
    y: int
    title: str
    sub: str
    state: str
    tone: str
    href: str
    parent: int

    @property
    def word(self) -> str:
        return look_of(self.state).word


class Drawing(msgspec.Struct, frozen=True):
    """The boxes and how large the picture is, in CSS pixels."""

    width: int
    height: int
    boxes: tuple[Box, ...]

    def path(self, box: Box) -> str:
        """Return the curve from a box's parent to the box."""
        parent = self.boxes[box.parent]
        x1, y1 = parent.x + BOX_WIDTH, parent.y + BOX_HEIGHT // 2
        x2, y2 = box.x, box.y + BOX_HEIGHT // 2
        middle = (x1 + x2) // 2
        return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"


class _Sheet:
    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.row = 0

    def add(self, column: int, row: float, title: str, sub: str, state: str, parent: int) -> int:
        look = look_of(state)
        place = (2 + column * COLUMN, 2 + round(row * ROW))
        self.boxes.append(Box(*place, _short(title), _short(sub), state, look.tone, "", parent))
        return len(self.boxes) - 1


def draw(page: OrderPage) -> Drawing:
    """Return the drawing of an order page's graph."""
    sheet = _Sheet()
    sheet.add(0, 0, page.number, page.customer, page.status, -1)
    for node in page.graph:
        _fulfillment(sheet, node)
    rows = max(sheet.row, 1)
    first = sheet.boxes[0]
    sheet.boxes[0] = msgspec.structs.replace(first, y=2 + round((rows - 1) / 2 * ROW))
    columns = max((box.x for box in sheet.boxes), default=0)
    return Drawing(columns + BOX_WIDTH + 4, rows * ROW, tuple(sheet.boxes))


def _fulfillment(sheet: _Sheet, node: FulfillmentNode) -> None:
    start = sheet.row
    index = sheet.add(1, start, node.number or "not asked for", _sites(node.site, node.lines), node.state, 0)
    for shipment in node.shipments:
        _shipment(sheet, shipment, index)
    if sheet.row == start:
        sheet.row += 1
    middle = 2 + round((start + sheet.row - 1) / 2 * ROW)
    sheet.boxes[index] = msgspec.structs.replace(sheet.boxes[index], y=middle)


def _shipment(sheet: _Sheet, shipment: ShipmentNode, parent: int) -> None:
    start = sheet.row
    state = "delivered" if shipment.delivered else "shipped"
    index = sheet.add(2, start, shipment.number, _sites(shipment.site, shipment.lines), state, parent)
    shown, more = shipment.parcels[:PARCELS_MAX], len(shipment.parcels) - PARCELS_MAX
    for parcel in shown:
        sheet.add(
            3,
            sheet.row,
            parcel.tracking or parcel.id,
            _contents(parcel),
            "delivered" if parcel.delivered else "shipped",
            index,
        )
        sheet.row += 1
    if more > 0:
        sheet.add(3, sheet.row, f"and {more} more parcels", "", "shipped", index)
        sheet.row += 1
    if sheet.row == start:
        sheet.row += 1
    middle = 2 + round((start + sheet.row - 1) / 2 * ROW)
    sheet.boxes[index] = msgspec.structs.replace(sheet.boxes[index], y=middle)


def _sites(site: str, lines: tuple[tuple[str, Decimal], ...]) -> str:
    units = sum((quantity for _, quantity in lines), Decimal(0))
    return f"{site} · {units.normalize():f} units" if lines else site


def _contents(parcel: Parcel) -> str:
    return ", ".join(f"{quantity} × {sku}" for sku, quantity in parcel.contents) or "contents not named"


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"
