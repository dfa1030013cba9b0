"""The milestone table: our codes, their rank, what the customer may see, and the partners' codes for them.

Sources: X12 element 1650 (214 AT7-01), UN/ECE Rec 24, DCSA and Shopify status words; see docs/reference/milestones.md.
State is a fold over event time with rank, never last-write-wins.
"""

from __future__ import annotations

import msgspec


class MilestoneKind(msgspec.Struct, frozen=True):
    """One row. `rank` orders what can only go forward within a leg; 0 is information without rank.

    `customer` is the word shown to the customer; empty means the customer never sees it.
    """

    code: str
    rank: int
    customer: str = ""
    x12: tuple[str, ...] = ()
    rec24: tuple[str, ...] = ()
    dcsa: str = ""
    shopify: str = ""
    needs_evidence: bool = False


_ROWS = (
    MilestoneKind("tendered", 5, "", ("XB",), ("6",), "CONF"),
    MilestoneKind("label_created", 10, "", (), (), "", "LABEL_PURCHASED"),
    MilestoneKind("allocated", 12, "", (), (), "", "CONFIRMED"),
    MilestoneKind("picked", 15, "Being picked"),
    MilestoneKind("packed", 18, "Packed", (), (), "STUF", "LABEL_PRINTED"),
    MilestoneKind("staged", 20, "", (), (), "", "READY_FOR_PICKUP"),
    MilestoneKind("arrived_pickup", 22, "", ("X3", "X8"), ("1",), "ARRI"),
    MilestoneKind("loaded", 24, "", ("L1", "CP", "AM"), (), "LOAD"),
    MilestoneKind("departed_pickup", 30, "Handed to the carrier", ("AF",), ("13", "24"), "DEPA", "CARRIER_PICKED_UP"),
    MilestoneKind("in_transit", 35, "On its way", ("X6",), ("31",), "", "IN_TRANSIT"),
    MilestoneKind("arrived_terminal", 36, "Arrived at a depot", ("X4",), ("40",), "ARRI"),
    MilestoneKind("departed_terminal", 37, "Left the depot", ("P1",), (), "DEPA"),
    MilestoneKind("handed_to_connecting", 38, "", ("J1", "R1"), ("41",)),
    MilestoneKind("customs_arrived", 0, "", ("K1",)),
    MilestoneKind("customs_held", 0, "Held at customs", ("PR",), ("17",), "HOLD"),
    MilestoneKind("customs_released", 0, "Released by customs", ("CT",), ("12",), "RELS"),
    MilestoneKind("out_for_delivery", 50, "Out for delivery", ("AJ",), (), "", "OUT_FOR_DELIVERY"),
    MilestoneKind("arrived_delivery", 55, "", ("X1", "X5", "S1"), ("1", "45"), "ARRI"),
    MilestoneKind("available_for_pickup", 58, "Ready for pick-up", ("AV",), ("45",), "", "READY_FOR_PICKUP"),
    MilestoneKind("unloaded", 60, "", ("D1",), ("29",), "DISC"),
    MilestoneKind("delivered", 70, "Delivered", ("D1", "CB"), ("21", "22"), "DROP", "DELIVERED", True),
    MilestoneKind("departed_delivery", 72, "", ("CD",), ("24",), "GTOT"),
    MilestoneKind("delivery_attempted", 0, "Delivery attempted", ("AH", "AP"), ("23",), "", "ATTEMPTED_DELIVERY"),
    MilestoneKind("refused", 0, "Refused at the door", ("A7",), ("23",), "", "FAILURE"),
    MilestoneKind("returned", 80, "Returned to sender", ("A3",), (), "", "RETURNING_TO_SENDER"),
    MilestoneKind("delayed", 0, "Delayed", ("SD",), ("20", "25"), "", "DELAYED"),
    MilestoneKind("damaged", 0, "", ("A9",), ("18",)),
    MilestoneKind("lost", 0, "", (), ("36",), "", "FAILURE"),
    MilestoneKind("held", 0, "", ("BC",), (), "HOLD"),
    MilestoneKind("reconsigned", 0, "", ("AI",), ("35",)),
    MilestoneKind("cancelled", 90, "Cancelled", ("CA",), ("7",), "CANC"),
)

MILESTONES: dict[str, MilestoneKind] = {row.code: row for row in _ROWS}

# D1 is what most road carriers send for "delivered": inbound it means unloaded and delivered, so delivered wins.
FROM_X12: dict[str, str] = {code: row.code for row in _ROWS for code in row.x12}
FROM_DCSA: dict[str, str] = {row.dcsa: row.code for row in reversed(_ROWS) if row.dcsa}
FROM_SHOPIFY: dict[str, str] = {row.shopify: row.code for row in reversed(_ROWS) if row.shopify}


def rank_of(code: str) -> int:
    """Return the rank of a milestone; an unknown code has none (0)."""
    kind = MILESTONES.get(code)
    return kind.rank if kind else 0
