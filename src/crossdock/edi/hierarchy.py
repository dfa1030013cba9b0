"""The levels of a ship notice: which HL hangs under which, read tolerantly and written strictly.

HL01 numbers a level, HL02 names the level above, HL03 says what it is (shipment, order, package, item ...).
A level without HL02 hangs under the nearest level above it that is of another kind.
"""

from __future__ import annotations

from crossdock.edi.codes import make
from crossdock.edi.model import EdiFinding, Segment, is_number
from crossdock.edi.walker import address

TAG = "HL"


class Levels:
    """Finds the place of each level as they come; levels are counted from 0."""

    def __init__(self) -> None:
        self._by_number: dict[str, int] = {}
        self._kinds: list[str] = []
        self.parents: list[int | None] = []

    def place(self, number: str, parent: str, kind: str) -> tuple[int | None, str]:
        """Return (the level above or None for a root, the code of what is wrong with the numbers or "")."""
        defect, above = "", None
        if parent:
            above = self._by_number.get(parent)
            if above is None:
                defect, above = "hierarchy-parent-unknown", self._nearest(kind)
        else:
            above = self._nearest(kind)
            if above is not None:
                defect = "hierarchy-parent-missing"
        if number in self._by_number:
            defect = defect or "hierarchy-number-duplicate"
        self._by_number[number] = len(self.parents)
        self.parents.append(above)
        self._kinds.append(kind)
        return above, defect

    def _nearest(self, kind: str) -> int | None:
        at = len(self.parents) - 1 if self.parents else None
        last = at
        while at is not None:
            if self._kinds[at] == kind:
                return self.parents[at]
            at = self.parents[at]
        return last


def hierarchy_findings(segments: list[Segment], pointer: str) -> list[EdiFinding]:
    """Return what is wrong with the numbers of the levels of a set."""
    levels, findings = Levels(), []
    placed = [(at, segment) for at, segment in enumerate(segments, 1) if segment.elements[0] == TAG]
    gap_reported = False
    for expected, (at, segment) in enumerate(placed, 1):
        number, parent = segment.get(1), segment.get(2)
        above, defect = levels.place(number, parent, segment.get(3))
        if defect == "hierarchy-number-duplicate":
            findings.append(_finding(defect, f"HL01 {number} was used before.", segment, at, 1, pointer))
        elif defect == "hierarchy-parent-unknown":
            message = f"HL02 {parent} is no level before this one."
            findings.append(_finding(defect, message, segment, at, 2, pointer))
        elif defect:
            assert above is not None
            owner = placed[above][1].get(1)
            message = f"HL {number} names no level above; it is taken to belong to HL {owner}."
            findings.append(_finding(defect, message, segment, at, 2, pointer, expected=owner))
        if number != str(expected) and not gap_reported and defect != "hierarchy-number-duplicate":
            if is_number(number) and int(number[:12]) == expected:
                continue
            gap_reported = True
            message = f"HL01 {number} where {expected} is next."
            findings.append(_finding("hierarchy-number-gap", message, segment, at, 1, pointer, expected=str(expected)))
    owners = set(levels.parents)
    for at, (number_in_set, segment) in enumerate(placed):
        sent, wanted = segment.get(4), "1" if at in owners else "0"
        if sent in ("0", "1") and sent != wanted:
            message = f"HL04 {sent}, but HL {segment.get(1)} has {'' if wanted == '1' else 'no '}levels below."
            findings.append(
                _finding("hierarchy-child-code-wrong", message, segment, number_in_set, 4, pointer, expected=wanted)
            )
    return findings


def _finding(
    code: str, message: str, segment: Segment, at: int, element: int, pointer: str, *, expected: str | None = None
) -> EdiFinding:
    return make(
        code,
        message,
        value=segment.get(element),
        expected=expected,
        pointer=f"{address(pointer, TAG, at)} > HL{element:02}",
        offset=segment.element_offset(element),
        segment=at,
        tag=TAG,
        element=element,
    )
