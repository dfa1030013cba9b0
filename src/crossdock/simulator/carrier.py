"""The carrier with its transport management: picks parcels up, tells by webhook where they are, and proves delivery.

Webhooks are signed with HMAC and told at least once: some are told twice under the same event id.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from .clock import Timeline, dice
from .ledger import Entry, Ledger, Lines
from .wire import Door
from .world import ZONE, clock_time

LAST_DELIVERY = clock_time("17:40")
PLACES = {"RENO": ("Reno", "NV"), "SWIFT": ("Kansas City", "MO"), "HARBOR": ("Newark", "NJ")}


class Parcel(msgspec.Struct, frozen=True):
    """What a site hands over: one shipment, one label."""

    tracking: str
    shipment: str
    order_number: str
    site: str
    name: str
    lines: Lines


class Carrier:
    """Cargoline, a parcel carrier that delivers most of what it gets on the same day."""

    def __init__(self, seed: int, timeline: Timeline) -> None:
        self.ledger = Ledger("carrier")
        self.door: Door | None = None
        self.deliver_at: dict[str, datetime] = {}
        self._site_of: dict[str, str] = {}
        self.silent_until: datetime | None = None
        self._seed = seed
        self._timeline = timeline

    def hand_over(self, parcel: Parcel) -> None:
        """Take a parcel. What follows is drawn from the parcel's own dice."""
        now = self._timeline.clock.now()
        self._site_of[parcel.tracking] = parcel.site
        self.ledger.book(Entry(now, "parcel", parcel.tracking, about=parcel.order_number, lines=parcel.lines))
        draw = dice(self._seed, "carrier", parcel.tracking)
        picked_up = now + timedelta(minutes=5)
        out = picked_up + timedelta(minutes=5 * draw.randint(14, 24))
        delivered = self.deliver_at.get(parcel.order_number, out + timedelta(minutes=5 * draw.randint(6, 24)))
        self._plan(parcel, "PICKED_UP", picked_up)
        self._plan(parcel, "OUT_FOR_DELIVERY", min(out, delivered - timedelta(minutes=30)))
        if delivered <= LAST_DELIVERY:
            self._plan(parcel, "DELIVERED", delivered)

    def send_back(self, order_number: str, picked_up: datetime, arrives: datetime) -> None:
        """Take a parcel of an order back to where it came from, under the very waybill it went out with."""
        entry = next(one for one in self.ledger.of("delivered") if one.about == order_number)
        parcel = Parcel(entry.business, entry.detail, order_number, self._site_of[entry.business], "", entry.lines)
        self._plan(parcel, "RETURN_PICKED_UP", picked_up)
        self._plan(parcel, "RETURN_ARRIVED", arrives)

    def _plan(self, parcel: Parcel, event: str, moment: datetime) -> None:
        async def happen() -> None:
            await self._happen(parcel, event)

        self._timeline.at(moment, f"carrier:{parcel.tracking}:{event}", happen)

    async def _happen(self, parcel: Parcel, event: str) -> None:
        assert self.door is not None
        now = self._timeline.clock.now()
        if self.silent_until is not None and now < self.silent_until:
            self._plan(parcel, event, self.silent_until)
            return
        event_id = f"cgl-{parcel.tracking}-{event.lower()}"
        city, state = PLACES[parcel.site]
        document: dict[str, object] = {
            "event_id": event_id,
            "event": event,
            "tracking_number": parcel.tracking,
            "shipper_reference": parcel.shipment,
            "occurred_at": now.astimezone(ZONE).isoformat(),
            "location": {"city": city, "state": state, "country": "US"},
        }
        if event == "DELIVERED":
            document["proof"] = {
                "signed_by": parcel.name,
                "photo": f"https://pod.cargoline.example/{parcel.tracking}.jpg",
                "signed_at": now.astimezone(ZONE).isoformat(),
            }
        self.ledger.book(
            Entry(now, event.lower(), parcel.tracking, event_id, parcel.order_number, parcel.lines, parcel.shipment)
        )
        await self.door.tell(document, event_id)
        if dice(self._seed, "carrier-twice", event_id).random() < 0.02:
            self.ledger.book(Entry(now, "told_twice", event_id))
            await self.door.tell(document, event_id)
