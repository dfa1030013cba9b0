"""Five days of Ridgeline Supply: what is bought, moved, received, billed and claimed; and the report at their end.

    Mon 09:00  two purchase orders; a foreign supplier answers for one of them
    Mon 10:00  a load is tendered: Ridge declines, Swiftline takes it; the dock is booked
    Tue        Alpine ships and announces; Swiftline departs
    Wed        delivered; the warehouse finds 3 saws short and 5 broken, and tells it twice
    Thu        Swiftline bills detention as agreed and an unloader nobody agreed on, and bills it twice
    Fri        the dispute is withdrawn, the broken saws are claimed, offered for and settled, the order is closed

`lost` and `double_effects` come from the partners' books alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp

from ..clock import Timeline, dice
from ..hub_api import HubApi
from ..hub_port import HubPort
from ..ledger import lines_of
from ..pack_source import with_addresses
from ..wire import Door, bearer, ingest_url
from .inside import BuyingErp, TransportDesk, Warehouse
from .outside import DockTool, FreightCarrier, Supplier
from .party import Party

TENANT = "ridgeline"
STARTS = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
ENDS = STARTS + timedelta(days=5)
PO, OTHER_PO, LOAD, NOTICE, RECEIPT, BILL = "PO-7001", "PO-7002", "L-501", "DA-1", "R-1", "SWLF-9001"
CLAIM = f"CL-{PO}-DENVER-{RECEIPT}"

ADDRESSES = {
    "erp": "https://erp.ridgeline.example",
    "tms": "https://tms.ridgeline.example",
    "wms": "https://wms.ridgeline.example",
    "alpine": "https://alpine.example",
    "brisk": "https://brisk.example",
    "ridge": "https://ridge.example",
    "swiftline": "https://swiftline.example",
    "docktool": "https://docktool.example",
}


class Ridgeline:
    """All partners of Ridgeline, and their week."""

    def __init__(self, seed: int, timeline: Timeline) -> None:
        self.timeline = timeline
        self._tokens = {name: f"{name}-{dice(seed, 'secret', name).randbytes(12).hex()}" for name in ADDRESSES}
        self.erp = BuyingErp(timeline, self._tokens["erp"])
        self.tms = TransportDesk(timeline, self._tokens["tms"])
        self.wms = Warehouse(timeline, self._tokens["wms"])
        self.alpine = Supplier("alpine", timeline, self._tokens["alpine"])
        self.brisk = Supplier("brisk", timeline, self._tokens["brisk"])
        self.ridge = FreightCarrier("ridge", "RDGT", timeline, self._tokens["ridge"], takes_loads=False)
        self.swiftline = FreightCarrier("swiftline", "SWLF", timeline, self._tokens["swiftline"], takes_loads=True)
        self.docktool = DockTool(timeline, self._tokens["docktool"])
        self.swiftline.offer = "40.00"
        self.alpine.busy = 2

    @property
    def parties(self) -> tuple[Party, ...]:
        return (
            self.erp,
            self.tms,
            self.wms,
            self.alpine,
            self.brisk,
            self.ridge,
            self.swiftline,
            self.docktool,
        )

    async def start(self) -> None:
        """Open all sockets."""
        for party in self.parties:
            await party.service.start()

    async def stop(self) -> None:
        """Close them."""
        for party in self.parties:
            await party.service.stop()

    async def join(self, hub: HubPort, session: aiohttp.ClientSession, pack: dict[str, str]) -> None:
        """Configure the hub with the pack and give each partner its door."""
        addresses = {ADDRESSES[party.name]: party.service.url for party in self.parties}
        for party in self.parties:
            await hub.set_secret(TENANT, f"{party.name}-token", self._tokens[party.name])
        await hub.apply_pack(TENANT, with_addresses(pack, addresses), "simulator")
        for party in self.parties:
            key = await hub.create_key(TENANT, "partner", party.name)
            url = ingest_url(hub.url, TENANT, party.name)
            party.door = Door(session, self.timeline, party.ledger, url, bearer(key))

    def plan(self) -> None:
        """Plan the week."""
        at, erp, tms, wms = self._at, self.erp, self.tms, self.wms
        alpine, carrier = self.alpine, self.swiftline
        stops = [
            {"seq": 0, "type": "pickup", "place": "SLC", "opens": _iso(24), "closes": _iso(26)},
            {
                "seq": 1,
                "type": "delivery",
                "place": "DENVER",
                "opens": _iso(46),
                "closes": _iso(50),
                "appointment": True,
            },
        ]
        saws = ("10", "SAW-1", 100)
        bolts = ("20", "BOLT-10", 1000)
        at(0, "erp", lambda: erp.order(PO, "V-ALPINE", "2026-11-30", [(*saws, "8.50"), (*bolts, "0.12")]))
        at(0.1, "erp", lambda: erp.order(OTHER_PO, "V-BRISK", "2026-12-04", [("10", "NUT-10", 500, "0.10")]))
        at(0.2, "alpine", lambda: alpine.answer(OTHER_PO, [{"pos": "10", "quantity": "500"}]))
        at(1, "tms", lambda: tms.plan(LOAD, "SLC-DEN", stops))
        more = {"carrier": "SWLF", "load": LOAD, "expected": _iso(48)}
        at(25, "alpine", lambda: alpine.ship(NOTICE, PO, [saws, bolts], **more))
        at(25, "swiftline", lambda: carrier.status(LOAD, "departed_pickup", _iso(25), stop=0))
        at(26, "swiftline", lambda: carrier.status(LOAD, "delivered", _iso(47), time="estimated", stop=1))
        at(47, "swiftline", lambda: carrier.status(LOAD, "delivered", _iso(47), stop=1, signed="D. Ortiz"))
        items: list[tuple[Any, ...]] = [
            ("10", "SAW-1", 92),
            ("10", "SAW-1", 5, "damaged", "crushed"),
            ("20", "BOLT-10", 1000),
        ]
        at(48, "wms", lambda: wms.receive(RECEIPT, PO, NOTICE, items))
        at(49, "wms", lambda: wms.receive(RECEIPT, PO, NOTICE, items, "wms-told-again"))
        at(70, "swiftline", lambda: carrier.ask_for("X-1", LOAD, "DETENTION", "75.00", ["gate_log"]))
        charges = {"LINEHAUL": "1080.00", "FUEL": "124.00", "DETENTION": "75.00", "LUMPER": "60.00"}
        at(72, "swiftline", lambda: carrier.bill(BILL, LOAD, charges, "1339.00"))
        at(73, "swiftline", lambda: carrier.bill(BILL, LOAD, charges, "1339.00", "swiftline-told-again"))
        photo = {"type": "claim_evidence", "claim": CLAIM, "files": [{"kind": "photo", "ref": "dms/7731"}]}
        at(74, "tms", lambda: tms.say(photo, "photo"))
        withdrawn = {"type": "dispute", "load": LOAD, "invoice": BILL, "outcome": "withdrawn", "by": "anna"}
        at(96, "tms", lambda: tms.say(withdrawn, "withdrawn"))
        accepted = {"type": "claim_decision", "claim": CLAIM, "action": "accept", "by": "anna"}
        at(110, "tms", lambda: tms.say(accepted, "accepted"))
        at(111, "erp", lambda: erp.close(PO, 1, "the missing saws are credited"))

    def _at(self, hours: float, who: str, action: Callable[[], Awaitable[None]]) -> None:
        async def act() -> None:
            await action()

        self.timeline.at(STARTS + timedelta(hours=hours), f"{who}:{hours}", act)

    async def run(self, hub: HubPort) -> None:
        """Play the week to its end."""
        self.plan()
        await self.timeline.run(hub, ENDS)

    # -- the report

    async def report(self, api: HubApi) -> dict[str, Any]:
        """Return what the hub says, and what the partners' own books say of the hub."""
        purchase, load, claim = (
            await api.get(f"/purchases/{PO}"),
            await api.get(f"/loads/{LOAD}"),
            await api.get(f"/claims/{CLAIM}"),
        )
        scores = await api.get("/suppliers")
        lost, double = self.lost(), self.double_effects()
        return {
            "tenant": TENANT,
            "purchases": {PO: purchase["status"], OTHER_PO: (await api.get(f"/purchases/{OTHER_PO}"))["status"]},
            "loads": {LOAD: load["status"]},
            "tenders": [[one["carrier"], one["state"]] for one in load["state"]["offers"]],
            "etas": load["etas"],
            "match": [
                [line["code"], line["invoiced"], line["paid"], line.get("reason", "")]
                for bill in load["state"]["bills"]
                for line in bill["lines"]
            ],
            "claims": {CLAIM: [claim["status"], claim["state"]["recovered"], claim["state"]["written_off"]]},
            "suppliers": [one["supplier"] for one in scores["items"]],
            "open_issues": sorted(one["code"] for one in await api.open_issues()),
            "lost": len(lost),
            "double_effects": len(double),
            "findings": [*lost, *double],
            "partners": {party.name: party.ledger.counts() for party in self.parties},
        }

    def lost(self) -> list[str]:
        """Return what one partner told and no other heard, in words."""
        found = [
            f"{entry.business} did not reach its supplier"
            for entry in self._unheard("purchase", self._suppliers("order"))
        ]
        notices = [entry.business for entry in self.wms.ledger.of("advice")]
        found += [
            f"{entry.business} was not announced to the warehouse"
            for entry in self.alpine.ledger.of("notice")
            if entry.business not in notices
        ]
        for entry in self.wms.ledger.of("receipt"):
            posted = [body for body in self.erp.got("posting") if f"{body['po']}:{body['receipt']}" == entry.business]
            booked = lines_of((line["item"], line["accepted"]) for body in posted for line in body["lines"])
            if booked != entry.lines:
                found.append(f"receipt {entry.business}: received {entry.lines}, booked {booked}")
        for entry in self.wms.ledger.of("damaged"):
            told = [body for body in self.alpine.got("discrepancy") if body["kind"] == "damaged"]
            if entry.detail not in [body["quantity"] for body in told]:
                found.append(f"damage {entry.business} was not told to the supplier")
        for carrier in (self.ridge, self.swiftline):
            found += self._freight_lost(carrier)
        return found

    def _freight_lost(self, carrier: FreightCarrier) -> list[str]:
        found = []
        for entry in carrier.ledger.of("invoice"):
            words = [body for body in self.erp.got("payment") if body["invoice"] == entry.business]
            disputed = [body for body in carrier.got("dispute") if body["invoice"] == entry.business]
            paid = sum((Decimal(body["pay"]) for body in words), Decimal(0))
            open_ = sum((Decimal(body["amount"]) for body in disputed), Decimal(0))
            if paid + open_ != Decimal(entry.detail):
                found.append(f"bill {entry.business} of {entry.detail}: {paid} paid, {open_} disputed")
        offered = [entry.business for entry in carrier.ledger.of("claim_answer") if entry.detail == "offered"]
        ended = [body["claim"] for body in self.erp.got("claim")]
        return found + [f"claim {number} has no end in the ERP" for number in offered if number not in ended]

    def _unheard(self, kind: str, heard: set[str]) -> list[Any]:
        return [entry for entry in self.erp.ledger.of(kind) if entry.business not in heard]

    def _suppliers(self, kind: str) -> set[str]:
        return {entry.business for party in (self.alpine, self.brisk) for entry in party.ledger.of(kind)}

    def double_effects(self) -> list[str]:
        """Return what a partner heard twice as two things, in words."""
        heard = ("order", "change", "discrepancy", "advice", "posting", "payment", "claim", "tender", "withdrawal")
        kinds = (*heard, "dispute", "accessorial_decision", "schedule", "reschedule", "cancel", "confirmation")
        found = []
        for party in self.parties:
            counts = Counter(
                (entry.kind, entry.business) for entry in party.ledger.entries if entry.key and entry.kind in kinds
            )
            found += [
                f"{party.name} heard {kind} {name} {count} times" for (kind, name), count in counts.items() if count > 1
            ]
        return found


def _iso(hours: float) -> str:
    return (STARTS + timedelta(hours=hours)).isoformat()
