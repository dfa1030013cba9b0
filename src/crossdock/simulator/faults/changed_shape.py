"""17:20: Harbor adds a field and turns a number into text. The report waits for a word at 17:30; nothing is lost."""

from __future__ import annotations

from typing import Any

from ..world import clock_time
from .fault import Fault, Scene


class ChangedShape(Fault):
    name = "harbor_changes_its_webhook"
    screen = "/console/shapes"

    def plan(self, scene: Scene) -> None:
        async def happen() -> None:
            self.inject(scene)
            scene.northgate.harbor.updated = True
            await scene.northgate.harbor.count()

        async def approve() -> None:
            for row in (await scene.api.get("/shapes"))["rows"]:
                if row["state"] == "waiting":
                    place = {name: row[name] for name in ("connection", "document_type", "digest")}
                    await scene.api.post("/shapes/decide", {**place, "decision": "approve"})

        # After the wave of that minute: a count holds what has left by then.
        scene.timeline.at(clock_time("17:20"), "harbor_counts:4-changed-shape", happen)
        scene.timeline.at(clock_time("17:30"), "0:approve-shape", approve)

    async def detected(self, scene: Scene) -> bool:
        """The diff names both changes."""
        words = " ".join(change["words"] for row in await self._rows(scene) for change in row["changes"])
        return "was number, is text" in words and "new field" in words

    async def ended(self, scene: Scene) -> bool:
        rows = await self._rows(scene)
        return all(row["state"] == "accepted" and not row["waiting"] for row in rows)

    async def _rows(self, scene: Scene) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await scene.api.get("/shapes"))["rows"]
        return [row for row in rows if row["connection"] == "harbor"]
