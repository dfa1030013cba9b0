"""What the drift sensor costs for each document: `python -m bench.drift`. Processor time, the best of five runs."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from typing import Any

from crossdock.durable.drift import DriftPolicy
from crossdock.flow.ingest import Stored
from crossdock.flow.papers import Paper
from crossdock.flow.shapes import Shapes
from crossdock.formats.shapes import Profile
from crossdock.governance.pack import ConnectionSpec
from crossdock.store.engine import open_store

RUNS, DOCUMENTS = 5, 50_000
_ITEMS = [{"lineRef": str(n), "sku": f"NG-{n}", "quantity": n} for n in (1, 2)]
CASES: dict[str, Any] = {
    "a shipment of two lines, 20 values": {
        "type": "shipment.shipped",
        "timestamp": "2026-11-23T10:00:00Z",
        "data": {
            "externalId": "SO-1-1",
            "orderRef": "SO-1",
            "shipmentId": "H-1",
            "warehouse": "HBR",
            "shippedAt": "2026",
            "carrier": {"scac": "CGLN", "service": "STD"},
            "packages": [{"tracking": "1Z", "sscc": "00", "weightKg": 4.2, "items": _ITEMS}],
        },
    },
    "a flat document, 30 values": {f"field{n}": n for n in range(30)},
}


def main() -> None:
    """Print the cost of the signature alone, of the whole look, and of learning a shape anew."""
    spec = ConnectionSpec("bench", "bench", "http_json", drift=DriftPolicy("approve", learn=1))
    now = datetime(2026, 11, 23, tzinfo=UTC)
    message = Stored("bench", "msg_1", "bench", "bench", b"", "", "", {}, now, "rel_1", "")
    folder = tempfile.TemporaryDirectory()
    store = open_store(f"sqlite:///{folder.name}/drift.db")
    paper = Paper(0, "", "json")
    try:
        for name, document in CASES.items():
            shapes = Shapes()

            def prepare(connection: Any, shapes: Shapes = shapes, document: Any = document) -> None:
                shapes.begin(connection, 0)
                shapes.look(message, spec, "map", document, paper)

            store.write_now(prepare)
            whole = _best(lambda shapes=shapes, document=document: shapes.look(message, spec, "map", document, paper))
            profile = Profile(fields={})
            profile.merge(document)
            compare = _best(lambda profile=profile, document=document: profile.changes(document), 2_000)
            print(f"{name}: {whole:.2f} us a document; {compare:.0f} us where a shape is seen for the first time")
    finally:
        store.close()
        folder.cleanup()


def _best(run: Any, count: int = DOCUMENTS) -> float:
    best = float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(count):
            run()
        best = min(best, time.process_time() - began)
    return best / count * 1e6


if __name__ == "__main__":
    main()
