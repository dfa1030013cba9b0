"""The partners outside: suppliers, carriers, and the tool by which docks are booked."""

from __future__ import annotations

from typing import Any

from ..clock import Timeline
from .party import Party


class Supplier(Party):
    """Answers an order half an hour after it came, position by position; ships when it is told to."""

    def __init__(self, name: str, timeline: Timeline, token: str) -> None:
        super().__init__(name, timeline, token)
        self.takes("/orders", "order", lambda body: str(body["order"]), self._answer)
        self.takes("/changes", "change", lambda body: f"{body['order']}#{body['change']}")
        self.takes(
            "/discrepancies",
            "discrepancy",
            lambda body: f"{body['order']}:{body.get('position')}:{body['article']}:{body['kind']}",
        )

    def _answer(self, order: dict[str, Any]) -> None:
        async def tell() -> None:
            await self.answer(str(order["order"]), order["positions"])

        self.later(30, tell)

    async def answer(self, number: str, positions: list[dict[str, Any]]) -> None:
        """Accept every position."""
        rows = [{"pos": one["pos"], "answer": "accepted", "quantity": one["quantity"]} for one in positions]
        self.book("response", number)
        paper = {"kind": "order_response", "order": number, "response": f"OR-{number}", "at": self.now()}
        await self.tell({**paper, "positions": rows}, f"{self.name}-response-{number}")

    async def ship(self, advice: str, number: str, goods: list[tuple[str, str, int]], **more: str) -> None:
        """Announce what leaves: goods are (position, article, quantity), one pallet each."""
        pallets = [{"sscc": f"0061414100000{place:05d}", "kg": 200 + place} for place in range(1, len(goods) + 1)]
        rows = [
            {"pos": pos, "article": article, "quantity": str(count), "lot": f"LOT-{pos}", "sscc": pallet["sscc"]}
            for (pos, article, count), pallet in zip(goods, pallets, strict=True)
        ]
        self.book("notice", advice)
        paper = {"kind": "despatch_advice", "advice": advice, "order": number, "shipped": self.now(), **more}
        await self.tell({**paper, "pallets": pallets, "positions": rows}, f"{self.name}-{advice}")


class FreightCarrier(Party):
    """Answers tenders as it is told to, moves loads, bills them, and answers claims with an offer."""

    def __init__(self, name: str, scac: str, timeline: Timeline, token: str, *, takes_loads: bool) -> None:
        super().__init__(name, timeline, token)
        self.scac = scac
        self.takes_loads = takes_loads
        self.offer = ""
        self.takes("/tenders", "tender", lambda body: str(body["tender"]), self._respond)
        self.takes("/withdrawals", "withdrawal", lambda body: str(body["tender"]))
        self.takes("/accessorials", "accessorial_decision", lambda body: str(body["number"]))
        self.takes("/disputes", "dispute", lambda body: str(body["invoice"]))
        self.takes("/claims", "claim", lambda body: str(body["claim"]), self._answer_claim)

    def _respond(self, tender: dict[str, Any]) -> None:
        async def tell() -> None:
            word = "accepted" if self.takes_loads else "declined"
            self.book("answer", str(tender["tender"]), detail=word)
            paper = {"kind": "tender_response", "scac": self.scac, "answer": word, "at": self.now()}
            pro = {"pro": f"{self.scac}-{tender['load']}"} if self.takes_loads else {"reason": "no truck"}
            await self.tell(
                {**paper, "tender": tender["tender"], "load": tender["load"], **pro}, f"{self.name}-{tender['tender']}"
            )

        self.later(10, tell)

    def _answer_claim(self, claim: dict[str, Any]) -> None:
        async def acknowledge() -> None:
            await self.say_of_claim(str(claim["claim"]), "acknowledged")

        async def propose() -> None:
            await self.say_of_claim(str(claim["claim"]), "offered", self.offer)

        self.later(60, acknowledge)
        if self.offer:
            self.later(24 * 60, propose)

    async def say_of_claim(self, number: str, word: str, amount: str = "") -> None:
        self.book("claim_answer", number, detail=word)
        paper = {"kind": "claim_answer", "claim": number, "answer": word, "ref": f"{self.scac}-77", "at": self.now()}
        await self.tell({**paper, **({"amount": amount} if amount else {})}, f"{self.name}-{number}-{word}")

    async def status(self, load: str, code: str, at: str, **more: Any) -> None:
        """Tell a milestone or an estimate."""
        kind = more.get("time", "actual")
        self.book("status", f"{load}:{code}:{kind}", detail=at)
        paper = {"kind": "status", "scac": self.scac, "load": load, "status": code, "at": at, "reported": self.now()}
        await self.tell({**paper, **more}, f"{self.name}-{load}-{code}-{kind}-{at}")

    async def ask_for(self, number: str, load: str, code: str, amount: str, evidence: list[str]) -> None:
        """Ask for a charge beside the rate."""
        self.book("accessorial", number, detail=amount)
        paper = {"kind": "accessorial", "number": number, "load": load, "scac": self.scac, "code": code}
        await self.tell({**paper, "amount": amount, "evidence": evidence}, f"{self.name}-{number}")

    async def bill(self, number: str, load: str, charges: dict[str, str], total: str, identity: str = "") -> None:
        """Send a freight bill; under another `identity` it is the same bill told again."""
        if not identity:
            self.book("invoice", number, detail=total)
        rows = [{"code": code, "amount": amount} for code, amount in charges.items()]
        paper = {"kind": "invoice", "invoice": number, "scac": self.scac, "load": load, "total": total}
        await self.tell({**paper, "charges": rows}, identity or f"{self.name}-{number}")


class DockTool(Party):
    """A scheduling tool that speaks the SSC's API v1.1: it answers PENDING at once and by webhook a little later.

    Facilities in `unknown_places` do not use the tool.
    """

    def __init__(self, timeline: Timeline, token: str) -> None:
        super().__init__("docktool", timeline, token)
        self.unknown_places: set[str] = set()
        for action in ("schedule", "reschedule"):
            self.takes(f"/appointments/v1/{action}-appointment", action, _stop_of, self._confirm)
        self.takes("/appointments/v1/cancel-appointment", "cancel", _stop_of)

    def _confirm(self, body: dict[str, Any]) -> None:
        async def tell() -> None:
            stop = body["identifiers"]
            paper: dict[str, Any]
            if stop.get("locationId") in self.unknown_places:
                problem = {
                    "title": "https://docs.freightapis.org/problemDetails/capabilityNotSupportedError",
                    "detail": "The facility does not use this tool: call 303-555-0100",
                }
                paper = {"status": "FAILURE", "problemDetails": [problem]}
                self.book("not_on_tool", _stop_of(body))
            else:
                appointment = {"id": f"A-{_stop_of(body)}", "arrivalWindow": _window_of(body), "loadingType": "LIVE"}
                state = {"appointment": appointment, "appointmentStatus": "CONFIRMED"}
                paper = {"currentAppointment": state, "appointmentConfirmationNumber": f"C-{_stop_of(body)}"}
                self.book("confirmed", _stop_of(body))
            await self.tell(
                {**paper, "identifiers": stop, "occurredAt": self.now()}, f"dock-{self.now()}-{_stop_of(body)}"
            )

        self.later(5, tell)


def _stop_of(body: dict[str, Any]) -> str:
    stop = body["identifiers"]
    return f"{stop['primaryReferenceNumber']}/{stop['stopSequenceNumber']}"


def _window_of(body: dict[str, Any]) -> dict[str, str]:
    window = body["preferredAppointment"]["arrivalWindow"]
    return {"startDateTime": str(window["startDateTime"]), "duration": str(window["duration"])}
