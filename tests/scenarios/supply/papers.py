"""The papers of Ridgeline's partners, as they write them, and short questions to the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from crossdock.processes.receiving.state import PurchaseState
from crossdock.store import aggregates
from tests.scenarios.flow.world import World

PACK = Path(__file__).parents[3] / "examples/receiving-and-freight/pack"
TENANT = "ridgeline"


def pack_files() -> dict[str, str]:
    """Return the files of the example pack."""
    return {path.relative_to(PACK).as_posix(): path.read_text("utf-8") for path in sorted(PACK.rglob("*.yaml"))}


def purchase(number: str = "PO-7001", *lines: tuple[str, int], vendor: str = "V-ALPINE") -> dict[str, Any]:
    rows = [
        {"line": place * 10, "item": item, "qty": quantity, "price": "8.50"}
        for place, (item, quantity) in enumerate(lines or (("SAW-1", 100), ("BOLT-10", 1000)), 1)
    ]
    return {"type": "purchase_order", "number": number, "vendor": vendor, "needed": "2026-11-30", "lines": rows}


def answer(number: str, *positions: tuple[str, str, int], at: str = "2026-11-23T15:00:00Z") -> dict[str, Any]:
    rows = [{"pos": pos, "answer": word, "quantity": str(quantity)} for pos, word, quantity in positions]
    return {"kind": "order_response", "order": number, "response": f"OR-{number}", "at": at, "positions": rows}


def notice(advice: str, number: str, *positions: tuple[str, str, int]) -> dict[str, Any]:
    sscc = f"00614141{advice[-1]:0>10}"
    rows = [{"pos": pos, "article": sku, "quantity": str(count), "sscc": sscc} for pos, sku, count in positions]
    return {
        "kind": "despatch_advice",
        "advice": advice,
        "order": number,
        "shipped": "2026-11-24T15:00:00Z",
        "expected": "2026-11-26T15:00:00Z",
        "carrier": "RDGT",
        "pallets": [{"sscc": sscc, "kg": 220}],
        "positions": rows,
    }


def receipt(number: str, po: str, *items: tuple[Any, ...], advice: str = "", **more: Any) -> dict[str, Any]:
    rows = [
        {"line": item[0], "sku": item[1], "qty": item[2], **({"condition": item[3]} if len(item) > 3 else {})}
        for item in items
    ]
    paper = {"event": "received", "receipt": number, "advice": advice, "dock": "DENVER", "items": rows, **more}
    return {**paper, "at": "2026-11-26T16:00:00Z", **({"po": po} if po else {})}


def state_of(world: World, number: str) -> PurchaseState:
    rows = world.hub.store.read_now(lambda connection: aggregates.load(connection, TENANT, "purchase", [number]))
    return msgspec.json.decode(rows[number][3], type=PurchaseState)
