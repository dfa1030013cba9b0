"""Interchanges of our own writing for the codec's tests."""

from __future__ import annotations

ISA = "ISA*00*          *00*          *ZZ*SWIFT3PL       *ZZ*NORTHGATE      *260303*1605*U*00401*000000117*0*P*>~"


def advice(control_number: str = "0001", shipped: str = "7", count: int | None = None) -> str:
    """Return one 945 of nine segments."""
    lines = [
        f"ST*945*{control_number}", "W06*F*SO-1001*20260303*BOL12345**PO-7788", "N1*ST*Blue Fern Cafe*92*0614141000012",
        "LX*1", f"W12*CP*10*{shipped}*3*EA**VN*SKU-1", "N9*LV*LPN6569", "N9*LV*LPN6570", "W03*7*150*LB",
    ]  # fmt: skip
    lines.append(f"SE*{len(lines) + 1 if count is None else count}*{control_number}")
    return "~".join(lines) + "~"


def interchange(*sets: str, isa: str = ISA, group: str = "117", end: str = "117", number: str = "000000117") -> bytes:
    """Return an interchange with one group of these sets."""
    gs = f"GS*SW*SWIFT3PL*NORTHGATE*20260303*1605*{group}*X*004010~"
    return (isa + gs + "".join(sets) + f"GE*{len(sets)}*{end}~IEA*1*{number}~").encode()
