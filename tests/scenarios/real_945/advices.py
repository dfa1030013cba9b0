"""The 945s of others: where they lie, what they say, and what the order before them must have looked like.

Nothing of a sample stands here. Orders are made by reading the sample with the product's codec; what must come out is
counted a second time with nothing but `split`, so that a fault of the codec cannot hide in its own echo.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crossdock import edi

SAMPLES = Path(__file__).parents[3].parent / "shared/samples/edi"
FILES = {path.stem: path for path in sorted(SAMPLES.glob("945_*.edi"))}

needs_samples = pytest.mark.skipif(not FILES, reason="NOT RUN: the EDI samples are not beside the project")


class Defects(NamedTuple):
    """What the 997 must say of a set: (segment, element, error) of AK3 and AK4, errors of AK5 and of AK9."""

    elements: frozenset[tuple[str, str, str]]
    of_set: frozenset[str]
    of_group: frozenset[str] = frozenset()


_MADE_TWICE = {("N1", "2", "2"), ("N1", "3", "2"), ("W10", "1", "4")}
_SLIPPED = {("W12", "7", "5"), ("W12", "9", "5"), ("W12", "11", "5"), ("W12", "13", "6")}

# By hand, from the samples and the code lists of 997: AK403 2 conditional missing, 4 too short, 5 too long,
# 6 character, 8 date; AK5 4 segment count, 5 segments in error; AK9 5 set count.
DEFECTS: dict[str, Defects] = {
    "945_edifabric_1": Defects(
        frozenset({("W06", "3", "8"), ("N9", "2", "5"), ("W27", "7", "5")}), frozenset("5"), frozenset("5")
    ),
    "945_x12types_1": Defects(frozenset({("N9", "2", "5"), ("W27", "7", "5"), *_SLIPPED}), frozenset("45")),
    "945_x12types_2": Defects(frozenset(), frozenset("4")),
    "945_x12types_3": Defects(frozenset(_MADE_TWICE), frozenset("45")),
    "945_x12types_4": Defects(frozenset(_MADE_TWICE), frozenset("45")),
    "945_x12types_5": Defects(frozenset(_MADE_TWICE), frozenset("45")),
}

BARE = "945_x12types_1"


class OrderLine(NamedTuple):
    number: str
    sku: str
    quantity: Decimal
    uom: str


class Advice(NamedTuple):
    """One 945 with what surrounds it: the agreement it needs and the order it answers."""

    raw: bytes
    us: str
    them: str
    usage: str
    version: str
    order_number: str
    lines: tuple[OrderLine, ...]
    items: dict[str, str]
    places: tuple[str, ...]


def as_sent(name: str) -> bytes:
    """Return a sample's bytes; one without an envelope in the plainest one, as a network that forwards it adds."""
    raw = FILES[name].read_bytes()
    return enveloped(raw) if name == BARE else raw


def enveloped(bare: bytes) -> bytes:
    """Put a bare set into an interchange."""
    head = f"ISA*00*{'':10}*00*{'':10}*ZZ*{'FORWARDED':15}*ZZ*{'DEPOSITOR':15}*131029*1035*U*00401*000000001*0*P*>~\n"
    group = "GS*SW*FORWARDED*DEPOSITOR*20131029*1035*1*X*004010~\n"
    return (head + group).encode() + bare.strip() + b"\nGE*1*1~\nIEA*1*000000001~\n"


def one_short(raw: bytes) -> bytes:
    """Return the advice as the same sender would write it had one unit of the last line stayed behind."""
    segments = raw.decode("utf-8").split("~")
    last = max(place for place, segment in enumerate(segments) if segment.strip().startswith("W12*"))
    elements = segments[last].split("*")
    elements += [""] * (5 - len(elements))
    elements[1], elements[3], elements[4] = "CP", str(int(elements[3]) - 1), "1"
    segments[last] = "*".join(elements)
    return "~".join(segments).encode()


def renumbered(raw: bytes) -> bytes:
    """Return the advice as it is sent again under another interchange control number."""
    number = raw.split(b"*")[13]
    other = str(int(number) + 1).zfill(len(number)).encode()
    assert raw.count(number) >= 2
    return raw.replace(number, other)


def read_advice(raw: bytes) -> Advice:
    """Read an advice with the codec and make up the order that it answers: what it says was ordered."""
    (interchange,) = edi.read_all(raw, partner_overlay=edi.PartnerOverlay(acceptance="lenient")).interchanges
    (one,) = interchange.sets
    document = edi.set_to_document(one)
    parties = document.get("parties", {})
    lines: dict[str, OrderLine] = {}
    items: dict[str, str] = {}
    every = [item for line in document["lines"] for item in line["items"]]
    for place, item in enumerate(every, 1):
        product = _product(item.get("upc"), item.get("id_qualifier_1"), item.get("id_1"))
        sku = items.setdefault(product, f"SKU-{len(items) + 1}") if product else "SKU-NAMELESS"
        number = item.get("references", {}).get("LI", {}).get("value") or str(place)
        before = lines[number].quantity if number in lines else Decimal(0)
        uom = item.get("uom", "EA")
        lines[number] = OrderLine(number, sku, before + Decimal(item["ordered"]), uom)
    return Advice(
        raw=raw,
        us=f"{interchange.receiver_qualifier.strip()}:{interchange.receiver.strip()}",
        them=f"{interchange.sender_qualifier.strip()}:{interchange.sender.strip()}",
        usage=interchange.usage,
        version=interchange.groups[0].version,
        order_number=document["w06"]["depositor_order"],
        lines=tuple(lines.values()),
        items=items,
        places=(*(party["id"] for party in parties.values() if "id" in party), interchange.sender.strip()),
    )


def counted(raw: bytes, element: int) -> dict[str, Decimal]:
    """Return one quantity of W12 (2 ordered, 3 shipped) by product, counted without the codec."""
    total: dict[str, Decimal] = {}
    for segment in raw.decode("utf-8").split("~"):
        elements = [*segment.strip().split("*"), *[""] * 9]
        if elements[0] == "W12":
            product = _product(elements[6], elements[7], elements[8])
            total[product] = total.get(product, Decimal(0)) + Decimal(elements[element])
    return total


def _product(upc: Any, qualifier: Any, identifier: Any) -> str:
    """Return what names the product: the UPC, also where it slipped one place to the right, else the first id."""
    return str(upc or (qualifier if qualifier and len(qualifier) > 2 else identifier) or "")
