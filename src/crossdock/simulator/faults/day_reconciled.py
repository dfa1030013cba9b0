"""17:55: the day is reconciled. At 17:52 the ERP, Swift and Harbor state their own books, each over its own wire.

The hub compares them with its record by its schedule, and signs what it found. The signature is checked here with no
help of the hub.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..world import DAY, clock_time
from .fault import Fault, Scene

STATED = clock_time("17:52")
RUN = "end-of-day"


class DayReconciled(Fault):
    name = "day_reconciled"
    screen = "/console/reconciliation"

    def plan(self, scene: Scene) -> None:
        world = scene.northgate

        async def erp() -> None:
            self.inject(scene)
            await world.erp.state_books(DAY)

        # Each party by itself, after everything else of that minute.
        scene.timeline.at(STATED, "erp:9-books", erp)
        scene.timeline.at(STATED, "harbor:9-books", world.harbor.state_books)
        scene.timeline.at(STATED, "swift:9-books", world.swift.state_books)

    async def detected(self, scene: Scene) -> bool:
        """The run was made, everything was compared, and something was found to agree."""
        run = await self._run(scene)
        return run is not None and run["state"] == "complete" and run["matched"] > 0

    async def ended(self, scene: Scene) -> bool:
        """Nothing really differs, and the report bears a signature that holds for these bytes and no others."""
        run = await self._run(scene)
        if run is None:
            return False
        signed = await scene.api.get(f"/reconciliation/runs/{run['run_id']}/report")
        content, signature = base64.b64decode(signed["content"]), base64.b64decode(signed["signature"])
        report = json.loads(content)
        if report["differing"] or not report["zero_drift"]:
            return False
        return holds(content, signature, signed["public_key"]) and not holds(
            content + b" ", signature, signed["public_key"]
        )

    async def _run(self, scene: Scene) -> dict[str, Any] | None:
        runs: list[dict[str, Any]] = (await scene.api.get("/reconciliation/runs"))["items"]
        return next((run for run in runs if run["run"] == RUN), None)


def holds(content: bytes, signature: bytes, public_key: str) -> bool:
    """Tell whether an Ed25519 signature (RFC 8032) is that of these bytes under a public key in base64."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True
