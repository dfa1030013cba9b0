"""14:00: Swift has shipped four orders and sends no 945. Warned at 13:30, late at 14:00, and two people get a mail."""

from __future__ import annotations

from typing import Any

from ..world import NO_ADVICE_ORDERS, clock_time
from .fault import Fault, Scene

CONTRACT = "contract:swift-ships-by-two"


class LateAdvice(Fault):
    name = "no_945_by_cut_off"
    screen = "/console/contracts"

    def plan(self, scene: Scene) -> None:
        async def happen() -> None:
            self.inject(scene)
            scene.northgate.swift.withhold({order.number for order in scene.tagged("no_advice")})

        async def repair() -> None:
            scene.northgate.swift.catch_up()

        scene.timeline.at(clock_time("11:30"), "0:withhold", happen)
        scene.timeline.at(clock_time("14:20"), "0:catch-up", repair)

    async def detected(self, scene: Scene) -> bool:
        """All four are warned of before they are late."""
        issue = await self._issue(scene, "XD-PTR-061")
        return issue is not None and issue["impact"]["orders"] == NO_ADVICE_ORDERS

    async def ended(self, scene: Scene) -> bool:
        """Both steps of the escalation reached their people, and the breach closed by itself."""
        told = {one.business for one in scene.northgate.mail.ledger.of("mail") if one.detail.startswith("Late:")}
        wanted = {"warehouse-desk@northgate.example", "operations-manager@northgate.example"}
        return wanted <= told and await self._issue(scene, "XD-PTR-062") is None

    async def _issue(self, scene: Scene, code: str) -> dict[str, Any] | None:
        title = "Swift confirms by two"
        found = (one for one in await scene.api.open_issues() if one["code"] == code and one["title"].startswith(title))
        return next(found, None)
