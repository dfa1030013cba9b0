"""Swift's own X12: what its translator reads of a 940 and how it writes 945s and 997s, release 004010.

Written a second time on purpose, with nothing of `crossdock.edi`: two ends that shared one codec would agree on its
faults. It knows only what Swift needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

Segment = list[str]


class ReadSet(msgspec.Struct, frozen=True):
    """One transaction set: its code, control number and the segments between ST and SE."""

    code: str
    control_number: str
    segments: tuple[Segment, ...]

    def all(self, tag: str) -> Iterator[Segment]:
        """Give every segment of a tag."""
        return (segment for segment in self.segments if segment[0] == tag)


class ReadGroup(msgspec.Struct, frozen=True):
    functional_id: str
    control_number: str
    sets: tuple[ReadSet, ...]


class ReadInterchange(msgspec.Struct, frozen=True):
    sender: str
    receiver: str
    control_number: str
    groups: tuple[ReadGroup, ...]


class Unreadable(ValueError):
    """Swift's translator cannot take the file apart."""


def read(text: str) -> ReadInterchange:
    """Take one interchange apart and check its counts the way a strict translator does."""
    if not text.startswith("ISA") or len(text) < 106:
        raise Unreadable("no ISA")
    element, terminator = text[3], text[105]
    segments = [part.strip("\r\n").split(element) for part in text.split(terminator) if part.strip()]
    isa, iea = segments[0], segments[-1]
    if iea[0] != "IEA" or iea[2] != isa[13]:
        raise Unreadable("ISA and IEA differ")
    groups: list[ReadGroup] = []
    sets: list[ReadSet] = []
    inside: list[Segment] = []
    for segment in segments[1:-1]:
        if segment[0] == "GS":
            sets = []
            group = segment
        elif segment[0] == "ST":
            inside = [segment]
        elif segment[0] == "SE":
            if int(segment[1]) != len(inside) + 1 or segment[2] != inside[0][2]:
                raise Unreadable(f"SE of set {segment[2]} does not fit its ST")
            sets.append(ReadSet(inside[0][1], inside[0][2], tuple(inside[1:])))
        elif segment[0] == "GE":
            if int(segment[1]) != len(sets) or segment[2] != group[6]:
                raise Unreadable(f"GE of group {segment[2]} does not fit its GS")
            groups.append(ReadGroup(group[1], group[6], tuple(sets)))
        else:
            inside.append(segment)
    if int(iea[1]) != len(groups):
        raise Unreadable("IEA counts other groups")
    return ReadInterchange(isa[6].strip(), isa[8].strip(), isa[13], tuple(groups))


def element(segment: Segment, number: int) -> str:
    """Return element `number` of a segment (1 is the first); what was not sent is empty."""
    return segment[number] if number < len(segment) else ""


class Writer:
    """Numbers and writes Swift's interchanges: one group, one set in each, as its translator does."""

    def __init__(self, us: str, them: str) -> None:
        self._us = us
        self._them = them
        self._number = 0

    def interchange(self, functional_id: str, code: str, body: Sequence[Segment], now: datetime) -> tuple[str, str]:
        """Return (control number, text) of an interchange with one set."""
        self._number += 1
        number = f"{self._number:09d}"
        date, time = now.strftime("%y%m%d"), now.strftime("%H%M")
        blank = " " * 10
        ours, theirs = f"{self._us:<15}", f"{self._them:<15}"
        isa = f"ISA*00*{blank}*00*{blank}*ZZ*{ours}*ZZ*{theirs}*{date}*{time}*U*00401*{number}*0*P*>"
        segments: list[Segment] = [
            isa.split("*"),
            ["GS", functional_id, self._us, self._them, f"20{date}", time, str(self._number), "X", "004010"],
            ["ST", code, "0001"],
            *body,
            ["SE", str(len(body) + 2), "0001"],
            ["GE", "1", str(self._number)],
            ["IEA", "1", number],
        ]
        return number, "".join("*".join(segment).rstrip("*") + "~\n" for segment in segments)


class AdviceLine(msgspec.Struct, frozen=True):
    line: str
    sku: str
    ordered: Decimal
    shipped: Decimal


class Advice(msgspec.Struct, frozen=True):
    """What Swift says of one shipment."""

    depositor_order: str
    order_number: str
    shipment: str
    warehouse: str
    sscc: str
    scac: str
    tracking: str
    lines: tuple[AdviceLine, ...]


def shipping_advice(advice: Advice, now: datetime) -> list[Segment]:
    """Return the body of a 945."""
    date = now.strftime("%Y%m%d")
    body: list[Segment] = [
        ["W06", "F", advice.depositor_order, date, advice.shipment],
        ["N1", "WH", "Swift Logistics", "92", advice.warehouse],
        ["N9", "OQ", advice.order_number],
        ["N9", "CN", advice.tracking],
        ["G62", "11", date, "8", now.strftime("%H%M")],
        ["W27", "M", advice.scac],
    ]
    for number, line in enumerate(advice.lines, 1):
        short = line.ordered - line.shipped
        status, difference = ("CP", str(short)) if short else ("CC", "")
        body += [
            ["LX", str(number)],
            ["MAN", "GM", advice.sscc],
            ["W12", status, str(line.ordered), str(line.shipped), difference, "EA", "", "VN", line.sku],
            ["N9", "LI", line.line],
        ]
    body.append(["W03", str(sum(line.shipped for line in advice.lines)), "1", "LB"])
    return body


def functional_acknowledgment(group: ReadGroup, refused: Sequence[str] = ()) -> list[Segment]:
    """Return the body of a 997 for a group; `refused` names control numbers of sets that were not taken."""
    body: list[Segment] = [["AK1", group.functional_id, group.control_number]]
    for item in group.sets:
        body.append(["AK2", item.code, item.control_number])
        body.append(["AK5", "R", "5"] if item.control_number in refused else ["AK5", "A"])
    taken = len(group.sets) - len(refused)
    code = "A" if not refused else "P" if taken else "R"
    body.append(["AK9", code, str(len(group.sets)), str(len(group.sets)), str(taken)])
    return body
