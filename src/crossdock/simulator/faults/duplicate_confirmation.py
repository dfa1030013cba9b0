"""11:15: Reno's system leaves its last ship confirmation in the folder once more."""

from __future__ import annotations

from ..world import clock_time
from .fault import Fault, Scene


class DuplicateConfirmation(Fault):
    name = "duplicate_ship_confirmation"
    screen = "/console/messages"

    def __init__(self) -> None:
        super().__init__()
        self._file = ""
        self._postings = 0

    def plan(self, scene: Scene) -> None:
        async def happen() -> None:
            reno = scene.northgate.reno
            if await reno.repeat_last_confirmation():
                self.inject(scene)
                self._file = next(reversed(list(reno.ledger.of("told_twice")))).business
                self.screen = f"/console/messages/{self._file}"
                self._postings = self._doubled(scene)

        scene.timeline.at(clock_time("11:15"), "9:duplicate", happen)

    async def detected(self, scene: Scene) -> bool:
        """The second file is there, and known as the same paper."""
        async for message in scene.api.every("/messages", direction="in", partner="wms-reno", state="duplicate"):
            if message["what"] == self._file:
                return True
        return False

    async def ended(self, scene: Scene) -> bool:
        """The ERP has posted nothing for the second time."""
        return self._doubled(scene) == 0

    def _doubled(self, scene: Scene) -> int:
        numbers = [entry.business for entry in scene.northgate.erp.ledger.of("posting")]
        return len(numbers) - len(set(numbers))
